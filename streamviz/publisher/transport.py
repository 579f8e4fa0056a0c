"""Bytes to the server and back: the training side's only ZeroMQ.

Law: nothing here waits longer than it is told. The socket belongs to the thread that uses it
after construction, the sender's.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import zmq

from streamviz.clock import monotonic_time
from streamviz.errors import BadKey, ConfigError
from streamviz.publisher.greeting import mechanism_of
from streamviz.security.join import Join, find_join

__all__ = ["NoTransport", "Sockets", "Transport", "ZmqTransport"]

_QUEUE_FRAMES = 64
"""Frames in ZeroMQ's own queue. Its memory is not counted by us and is lost with a connection,
so the frames wait in our buffer instead."""

_QUEUE_ACKS = 4_096
"""More acknowledgements than can be on their way. A full queue is no longer read, and a heartbeat
on a connection that broke off unread is an assertion of libzmq, which would end the training."""

RETRY_S = 10.0
"""How long after a refusal to look for keys again and try anew: libzmq itself never does."""

_BROKEN_OFF = 2
"""Handshakes in a row that the other end breaks off before we ask why: a server that is just being
ended does the same, once."""

_ASK_S = 0.3
"""How long to wait for that answer."""

_UNKNOWN = 400
"""What a server's guard answers to a key that it does not know."""
_SPARE_DESCRIPTORS = 16
_SPARE_THREADS = 4
"""libzmq makes two, the sender is one, and one is for whoever else starts one meanwhile."""
_MOST_LOOKS = 1000
"""How often to look whether a thread is gone; it takes microseconds."""
_ACK_BYTES = 4096


_CAUSES = {
    (False, "CURVE"): "no key",
    (True, "NULL"): "plaintext server",
    (True, "CURVE"): "wrong server",
}
"""Why a handshake fails, by whether we have keys and how the server wants to be spoken to."""

_GET_ONE = (
    "run 'streamviz keys add NAME' where the server runs and set STREAMVIZ_JOIN here to the line "
    "that it prints"
)
_WORDS = {
    "no key": (
        "the server at {at} takes nobody without a key, and neither STREAMVIZ_JOIN, "
        f"STREAMVIZ_JOIN_FILE nor a join.key of this user was found; {_GET_ONE}"
    ),
    "unknown key": (
        "the server at {at} does not know the key in {source}: it was taken back, or never "
        f"added; {_GET_ONE}"
    ),
    "server full": (
        "the server at {at} has no descriptor left for another process; raise ulimit -n where it "
        "runs, and start it again"
    ),
    "wrong server": (
        "what answers at {at} cannot prove that it is the server of the keys in {source}, so "
        f"nothing is sent; if it is the right one, {_GET_ONE}"
    ),
    "plaintext server": (
        "the server at {at} takes plaintext only (serve --insecure) and {source} holds keys, so "
        "nothing is sent; start it without --insecure, or set STREAMVIZ_JOIN=none here to send in "
        "plaintext"
    ),
}

_REFUSALS = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)

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

    def complaint(self) -> tuple[str, str] | None:
        """Return why no connection comes about, as a cause and a sentence, once per cause."""

    def wait(self, timeout_s: float) -> None:
        """Wait until something comes back, at most ``timeout_s`` seconds."""

    def close(self, linger_s: float) -> None:
        """Let go, after at most ``linger_s`` seconds."""


class ZmqTransport:
    """A DEALER socket that connects, and connects again, for ever.

    With keys it speaks CURVE, and only with the server that they are for; what it sends is never
    plaintext then. Keys that appear or change later are found when the server refuses.

    Raises:
        ConfigError: The environment names keys that cannot be used.
        NoTransport: Too few descriptors or threads are left to make a context safely, or ZeroMQ
            could not make its sockets.
    """

    def __init__(
        self,
        endpoint: str,
        find: Callable[[], Join | None] = find_join,
        sockets: Sockets | None = None,
    ) -> None:
        """Connect.

        Args:
            endpoint: The server's ingest address.
            find: Returns the keys to use.
            sockets: Whose context to use; one of its own unless given.
        """
        self.is_connected = False
        self._endpoint = endpoint
        self._find = find
        self._unusable: Exception | None = None
        self._join: Join | None = None
        try:
            self._join = find()
        except BadKey as error:
            self._unusable = error
        self._retry_at: float | None = None
        self._broken_off = 0
        self._told: set[str] = set()
        self._untold: list[tuple[str, str]] = []
        self._sockets = sockets
        _check_headroom()
        try:
            self._open()
            self._connect()
        except zmq.ZMQError as error:
            raise NoTransport(str(error)) from None

    def _open(self) -> None:
        self._context = zmq.Context() if self._sockets is None else self._sockets.context
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.SNDHWM, _QUEUE_FRAMES),
            (zmq.RCVHWM, _QUEUE_ACKS),
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
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | _REFUSALS
        )

    def _connect(self) -> None:
        """Connect with the keys at hand; without any, in plaintext."""
        if self._unusable is not None:
            # Keys were meant to be used: going on without them is not for us to decide.
            self._complain("bad key", f"{self._unusable}; nothing is sent until then")
            self._retry_at = monotonic_time() + RETRY_S
            return
        if self._join is not None:
            for option, key in (
                (zmq.CURVE_SERVERKEY, self._join.server),
                (zmq.CURVE_PUBLICKEY, self._join.public),
                (zmq.CURVE_SECRETKEY, self._join.secret),
            ):
                self._socket.setsockopt(option, key)
        self._socket.connect(self._endpoint)

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
            event, value = _EVENT.unpack(self._monitor.recv_multipart(zmq.NOBLOCK)[0])
            self.is_connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            made += self.is_connected
            if self.is_connected:
                self._broken_off, self._retry_at = 0, None
            elif event != zmq.EVENT_DISCONNECTED:
                self._note_refusal(event, value)
        if self._retry_at is not None and monotonic_time() >= self._retry_at:
            self._retry_at = None
            with suppress(zmq.ZMQError):  # not connected: there were no usable keys
                self._socket.disconnect(self._endpoint)
            self._look()
            self._connect()
        return made

    def _look(self) -> bool:
        """Look for keys again; say whether there are others than before."""
        former = self._join
        try:
            self._join = self._find() or former
            self._unusable = None
        except (BadKey, ConfigError) as error:
            self._unusable = error
        return self._join != former

    def _note_refusal(self, event: int, value: int) -> None:
        """Find out why the server does not let us in, and when to try again."""
        keys = self._join is not None
        cause: str | None = "unknown key" if value == _UNKNOWN else "server full"
        if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            cause = _CAUSES[keys, "NULL" if keys else "CURVE"]
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            # Slow servers let a handshake time out, which is EAGAIN and no refusal.
            self._broken_off += value != errno.EAGAIN
            if self._broken_off < _BROKEN_OFF:
                return
            cause = _CAUSES.get((keys, mechanism_of(self._endpoint, _ASK_S) or ""))
        self._broken_off = 0
        if self._look():
            # Made meanwhile, as by a server that was started after us.
            self._retry_at = monotonic_time()
            return
        if self._retry_at is None:
            self._retry_at = monotonic_time() + RETRY_S
        if cause is not None:
            source = self._join.source if self._join is not None else ""
            self._complain(cause, _WORDS[cause].format(at=self._endpoint, source=source))

    def _complain(self, cause: str, sentence: str) -> None:
        if cause not in self._told:
            self._told.add(cause)
            self._untold.append((cause, f"{sentence}. Training goes on; it is tried again"))

    def complaint(self) -> tuple[str, str] | None:
        """Return why no connection comes about, as a cause and a sentence, once per cause."""
        return self._untold.pop(0) if self._untold else None

    def wait(self, timeout_s: float) -> None:
        """Wait until an acknowledgement comes, at most ``timeout_s`` seconds."""
        self._socket.poll(round(timeout_s * 1000))

    def close(self, linger_s: float) -> None:
        """Close, giving what ZeroMQ has queued at most ``linger_s`` seconds."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(round(linger_s * 1000))
        if self._sockets is None:
            self._context.term()


class Sockets:
    """One ZeroMQ context for the many connections of a process that speaks for many.

    Raises:
        NoTransport: Too few descriptors or threads are left to make a context safely.
    """

    def __init__(self, most: int) -> None:
        """Make the context.

        Args:
            most: Connections that may be open at a time.
        """
        _check_headroom()
        self.context = zmq.Context()
        # A connection is a socket and both ends of its monitor; the one more is ZeroMQ's own.
        self.context.set(zmq.MAX_SOCKETS, 3 * most + 1)

    def close(self) -> None:
        """Wait until every closed connection has sent what it may, and let go."""
        self.context.term()


def _check_headroom() -> None:
    """Make sure that a context can be made.

    libzmq 4.3.5 calls ``abort()`` when descriptors or threads run out while it makes one, which
    would end the training.
    """
    spare: list[int] = []
    threads: list[threading.Thread] = []
    # All at once: one after the other, a single free thread would do.
    enough = threading.Event()
    try:
        spare.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(_SPARE_DESCRIPTORS))
        for _ in range(_SPARE_THREADS):
            thread = threading.Thread(target=enough.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except (OSError, RuntimeError) as error:
        raise NoTransport(f"too few descriptors or threads are left: {error}") from None
    finally:
        for descriptor in spare:
            os.close(descriptor)
        enough.set()
        for thread in threads:
            thread.join()
            _see_it_gone(thread)


def _see_it_gone(thread: threading.Thread) -> None:
    """Wait until the kernel, too, has let go of a joined thread: it counts until then."""
    task = f"/proc/self/task/{thread.native_id}"
    for _ in range(_MOST_LOOKS):
        if not os.path.exists(task):  # noqa: PTH110 - a path object costs more than the look
            return
        os.sched_yield()
