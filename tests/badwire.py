"""A wire between a publisher and a server that is cut, or goes dead, in the middle of anything.

Law: the bytes that come through are those that went in, in order; what changes is where they end.
"""

from __future__ import annotations

import random
import selectors
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType

__all__ = ["BadWire"]

_CHUNK = 65536


class BadWire:
    """Listens on a port of loopback and passes on what comes to a server, and back.

    Attributes:
        endpoint: Where publishers connect.
        cuts: How often connections were cut.
        silences: How often connections stayed open and passed nothing on.
    """

    def __init__(self, endpoint: str, *, seed: int) -> None:
        """Begin.

        Args:
            endpoint: Where the server listens.
            seed: Decides after how many bytes a connection is cut.
        """
        self._server = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
        self._chance = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = self.silences = 0
        self.is_bad = True
        self._other: dict[socket.socket, socket.socket] = {}
        self._left: dict[socket.socket, int] = {}
        self._dead_until: dict[socket.socket, float] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> BadWire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join(10)

    def _run(self) -> None:
        self._watched = selectors.DefaultSelector()
        self._watched.register(self._listener, selectors.EVENT_READ)
        while not self._ending.is_set():
            for key, _ in self._watched.select(0.02):
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if end is self._listener:
                    self._join()
                elif end in self._other:
                    self._pass_on(end)
            now = time.monotonic()
            for end in [end for end, until in self._dead_until.items() if until <= now]:
                self._cut(end)
        for end in list(self._other):
            self._cut(end)
        self._listener.close()
        self._watched.close()

    def _join(self) -> None:
        publisher, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._server, timeout=5)
        except OSError:
            publisher.close()  # the server is away just now
            return
        # Each connection lives for some bytes; with keys their exchange alone takes 400.
        life = self._chance.choice((100, 300, 2_000, 20_000, 20_000, 100_000))
        for end, other in ((publisher, server), (server, publisher)):
            self._other[end] = other
            self._left[end] = self._chance.randrange(1, life)
            self._watched.register(end, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket) -> None:
        try:
            data = end.recv(min(_CHUNK, self._left[end]) if self.is_bad else _CHUNK)
            if not data:
                self._cut(end)
                return
            self._other[end].sendall(data)
        except OSError:
            self._cut(end)
            return
        self._left[end] -= len(data)
        if not self.is_bad or self._left[end] > 0:
            self._left[end] = max(self._left[end], 1)
            return
        if self._chance.random() < 0.3:
            self.silences += 1
            self._dead_until[end] = time.monotonic() + self._chance.uniform(0.1, 1.0)
            self._watched.unregister(end)
        else:
            self.cuts += 1
            self._cut(end)

    def _cut(self, end: socket.socket) -> None:
        other = self._other.get(end)
        for each in (end, other):
            if each is None:
                continue
            self._other.pop(each, None)
            self._left.pop(each, None)
            self._dead_until.pop(each, None)
            with suppress(KeyError, ValueError):
                self._watched.unregister(each)
            each.close()
