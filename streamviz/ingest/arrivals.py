"""Connections that came to nothing, counted by reason, as libzmq reports them.

Law: it only counts; who may come in is the guard's.
"""

from __future__ import annotations

import errno
import itertools
import struct

import zmq

from streamviz.counters import Counters

__all__ = ["Arrivals"]

_UNKNOWN = 400
_EVENT = struct.Struct("=Hi")
_OTHER_KEYS = {
    zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC,  # for another server
    zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH,  # one side has keys, the other takes plaintext
}
_EVENTS = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
)
_numbers = itertools.count()


class Arrivals:
    """Reads one socket's monitor.

    Owner: the thread that owns the socket.

    Attributes:
        newest: Descriptor of the newest connection.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        socket: zmq.Socket[bytes],
        counters: Counters,
    ) -> None:
        self.newest = 0
        self._counters = counters
        self._socket = socket
        self._pending: set[int] = set()
        """Descriptors of connections whose handshake has not ended."""
        self._succeeded = 0
        """Handshakes that succeeded on some of them: libzmq does not say on which."""
        self._failed = False
        # Another name for each socket: libzmq lets go of the former one's in its own time.
        address = f"inproc://streamviz.arrivals-{next(_numbers)}"
        socket.monitor(address, _EVENTS)
        self._reports = context.socket(zmq.PAIR)
        # libzmq's own thread would wait for room in this queue.
        self._reports.setsockopt(zmq.RCVHWM, 0)
        self._reports.setsockopt(zmq.LINGER, 0)
        self._reports.connect(address)

    def turn(self) -> None:
        """Take in what happened since the last call."""
        while int(self._reports.get(zmq.EVENTS)) & zmq.POLLIN:
            event, value = _EVENT.unpack(self._reports.recv_multipart(zmq.NOBLOCK)[0])
            self._take(event, value)

    def _take(self, event: int, value: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self.newest = value
            self._pending.add(value)
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._succeeded += 1
        elif event == zmq.EVENT_DISCONNECTED:
            # Neither failed nor succeeded: what came were not ZeroMQ's first bytes.
            if value in self._pending and not self._failed:
                self._refuse("not ZeroMQ")
            self._pending.discard(value)
            self._failed = False
        else:
            # Its disconnection is the next event of all: libzmq reports both in one go.
            self._failed = True
            self._refuse(_reason(event, value))
        if self._succeeded >= len(self._pending):
            self._pending.clear()
            self._succeeded = 0

    def _refuse(self, reason: str) -> None:
        self._counters.add("connections_refused_total", reason=reason)

    def close(self) -> None:
        """Stop listening; call it before the socket is closed."""
        self._socket.disable_monitor()
        self._reports.close(0)


def _reason(event: int, value: int) -> str:
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return "unknown key" if value == _UNKNOWN else "no descriptors"
    if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return "other keys" if value in _OTHER_KEYS else "protocol"
    return "silent" if value == errno.EAGAIN else "broken off"
