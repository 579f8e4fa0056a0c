"""Who may send: the keys of the ingest socket, asked for each new connection.

Law: fail closed. Whoever cannot prove an allowed key is cut before a byte of theirs is decoded; a
key that is taken back is told of within a second. A frame costs nothing here, a connection once.
"""

from __future__ import annotations

from collections.abc import Callable

import zmq

from streamviz.security.keys import ServerKeys

__all__ = ["RENEW_S", "Guard"]

RENEW_S = 1.0
"""How often to look whether keys were added or taken back; an unknown key makes it look at once."""

_DOMAIN = b"streamviz"
_ADDRESS = "inproc://zeromq.zap.01"
"""Where libzmq asks, by RFC 27."""
_VERSION = b"1.0"


class Guard:
    """Answers libzmq's questions about who may connect to the sockets of one context.

    Owner: the thread that owns those sockets.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        keys: ServerKeys | None,
        is_full: Callable[[], bool],
    ) -> None:
        """Be there before the first socket is bound, or libzmq would let everybody in.

        Args:
            context: Whose sockets to guard.
            keys: Whom to let in; ``None`` for everybody, in plaintext.
            is_full: Says, once for each connection, whether there is no room for it.
        """
        self._keys = keys
        self._is_full = is_full
        self._admitted: set[bytes] = set()
        self._renewed_at = 0.0
        self._questions = context.socket(zmq.REP)
        self._questions.setsockopt(zmq.LINGER, 0)
        self._questions.bind(_ADDRESS)

    def arm(self, socket: zmq.Socket[bytes]) -> None:
        """Let a socket that is not bound yet ask for keys."""
        socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        if self._keys is not None:
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, self._keys.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret)
        self._admitted.clear()

    def turn(self, now: float) -> bool:
        """Answer who waits to be let in.

        Args:
            now: Monotonic time, seconds.

        Returns:
            Whether a key was taken back with which somebody came in since the socket was armed:
            the socket must go, and everybody on it connect again.
        """
        while int(self._questions.get(zmq.EVENTS)) & zmq.POLLIN:
            self._questions.send_multipart(self._answer(self._questions.recv_multipart()))
        if self._keys is None or now - self._renewed_at < RENEW_S:
            return False
        self._renewed_at = now
        self._keys.allowed.renew()
        return not self._admitted.issubset(self._keys.allowed.names)

    def _answer(self, question: list[bytes]) -> list[bytes]:
        """Return the answer to a question: version, id, status, words, user, metadata."""
        version, request, domain, _address, _identity, mechanism, *credentials = question
        name = None
        if (version, domain) == (_VERSION, _DOMAIN):
            name = self._name(mechanism, credentials)
        if name is None:
            return [_VERSION, request, b"400", b"unknown key", b"", b""]
        if self._is_full():
            return [_VERSION, request, b"500", b"no descriptors", b"", b""]
        self._admitted.update(credentials)
        return [_VERSION, request, b"200", b"OK", name.encode(), b""]

    def _name(self, mechanism: bytes, credentials: list[bytes]) -> str | None:
        """Return under which name somebody comes in, ``None`` for nobody we know."""
        if self._keys is None:
            return "anybody" if mechanism == b"NULL" else None
        if mechanism != b"CURVE" or len(credentials) != 1:
            return None
        allowed = self._keys.allowed
        if credentials[0] not in allowed.names:
            # It may have been allowed a moment ago.
            allowed.renew()
        return allowed.names.get(credentials[0])

    def close(self) -> None:
        """Let go of the address."""
        self._questions.close(0)
