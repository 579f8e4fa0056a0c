"""Bytes to the server and back: the training side's only ZeroMQ.

Law: nothing here waits longer than it is told. The socket belongs to the thread that uses it
after construction, the sender's.
"""

from __future__ import annotations

import os
import struct
import threading
from typing import Protocol

import zmq

__all__ = ["NoTransport", "Transport", "ZmqTransport"]

_QUEUE_FRAMES = 64
"""Frames in ZeroMQ's own queue. Its memory is not counted by us and is lost with a connection,
so the frames wait in our buffer instead."""

_SPARE_DESCRIPTORS = 16
_ACK_BYTES = 4096


# A socket event as libzmq writes it; pyzmq's own reader would bring asyncio along.
_EVENT = struct.Struct("=Hi")


class NoTransport(Exception):
    """No connection can be made from this process; the argument says why."""


class Transport(Protocol):
    """What the sender needs of a connection."""

    def send(self, data: bytes) -> bool:
        """Hand over a frame; false if it cannot be taken now."""

    def receive(self) -> bytes | None:
        """Return what came back, ``None`` if nothing did."""

    def connections(self) -> int:
        """Return how many connections were made since the last call."""

    @property
    def is_connected(self) -> bool:
        """Whether a server is there, as far as is known."""

    def wait(self, timeout_s: float) -> None:
        """Wait until something comes back, at most ``timeout_s`` seconds."""

    def close(self, linger_s: float) -> None:
        """Let go, after at most ``linger_s`` seconds."""


class ZmqTransport:
    """A DEALER socket that connects, and connects again, for ever.

    Raises:
        NoTransport: Too few descriptors or threads are left to make a context safely, or ZeroMQ
            could not make its sockets.
    """

    def __init__(self, endpoint: str) -> None:
        _check_headroom()
        self.is_connected = False
        try:
            self._connect(endpoint)
        except zmq.ZMQError as error:
            raise NoTransport(str(error)) from None

    def _connect(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.SNDHWM, _QUEUE_FRAMES),
            (zmq.RCVHWM, _QUEUE_FRAMES),
            (zmq.IMMEDIATE, 1),  # no peer, no queue: refuse instead
            (zmq.LINGER, 0),
            (zmq.HEARTBEAT_IVL, 5_000),  # finds cut cables and frozen hosts
            (zmq.HEARTBEAT_TIMEOUT, 15_000),
            (zmq.HEARTBEAT_TTL, 15_000),
            (zmq.RECONNECT_IVL, 200),
            (zmq.RECONNECT_IVL_MAX, 2_000),
            (zmq.HANDSHAKE_IVL, 5_000),
            (zmq.MAXMSGSIZE, _ACK_BYTES),
            (zmq.IPV6, 1),
        ):
            self._socket.setsockopt(option, value)
        self._monitor = self._socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        self._socket.connect(endpoint)

    def send(self, data: bytes) -> bool:
        """Hand over a frame; false if there is no server or its queue is full."""
        try:
            self._socket.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self) -> bytes | None:
        """Return an acknowledgement's bytes, ``None`` if none has come."""
        # Asking first is a tenth of the price of an exception.
        if not int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN:
            return None
        return self._socket.recv(zmq.NOBLOCK)

    def connections(self) -> int:
        """Return how many connections were made since the last call."""
        made = 0
        while int(self._monitor.get(zmq.EVENTS)) & zmq.POLLIN:
            event, _ = _EVENT.unpack(self._monitor.recv_multipart(zmq.NOBLOCK)[0])
            self.is_connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            made += self.is_connected
        return made

    def wait(self, timeout_s: float) -> None:
        """Wait until an acknowledgement comes, at most ``timeout_s`` seconds."""
        self._socket.poll(round(timeout_s * 1000))

    def close(self, linger_s: float) -> None:
        """Close, giving what ZeroMQ has queued at most ``linger_s`` seconds."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(round(linger_s * 1000))
        self._context.term()


def _check_headroom() -> None:
    """Make sure that a context can be made.

    libzmq 4.3.5 calls ``abort()`` when descriptors or threads run out while it makes one, which
    would end the training.
    """
    spare: list[int] = []
    try:
        spare.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(_SPARE_DESCRIPTORS))
        threads = [threading.Thread(target=_nothing, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except (OSError, RuntimeError) as error:
        raise NoTransport(f"too few descriptors or threads are left: {error}") from None
    finally:
        for descriptor in spare:
            os.close(descriptor)


def _nothing() -> None:
    """Be a thread, for a moment."""
