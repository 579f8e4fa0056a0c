"""A transport without sockets: what the sender hands over lies in a list until a test delivers it.

Law: it loses, repeats, reorders and refuses only what it is told to.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

__all__ = ["MemoryTransport"]


class MemoryTransport:
    """Both directions of a connection, in memory.

    Attributes:
        to_server: Frames under way to the server, oldest first.
        to_publisher: Acknowledgements under way to the publisher, oldest first.
        refuses: Whether ``send`` says that the queue is full.
        closed_with: The linger that ``close`` was called with, ``None`` before.
    """

    def __init__(self, answer: Callable[[bytes], list[bytes]] | None = None) -> None:
        """Make a connected one.

        Args:
            answer: Takes each frame at once and gives what comes back; without it frames wait in
                ``to_server``.
        """
        self.to_server: deque[bytes] = deque()
        self.to_publisher: deque[bytes] = deque()
        self.is_connected = True
        self.refuses = False
        self.closed_with: float | None = None
        self._answer = answer
        self._made = 1
        self._arrived = threading.Event()

    # -- what the sender sees ---------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        """Take a frame, unless there is no connection or the queue is full."""
        if not self.is_connected or self.refuses:
            return False
        if self._answer is None:
            self.to_server.append(data)
        else:
            self.answered(self._answer(data))
        return True

    def receive(self) -> bytes | None:
        """Return the oldest acknowledgement that has come."""
        return self.to_publisher.popleft() if self.to_publisher else None

    def connections(self) -> int:
        """Return how many connections were made since the last call."""
        made, self._made = self._made, 0
        return made

    def complaint(self) -> None:
        """Have none."""

    def wait(self, timeout_s: float) -> None:
        """Wait until an acknowledgement comes, at most ``timeout_s`` seconds."""
        self._arrived.wait(timeout_s)
        self._arrived.clear()

    def close(self, linger_s: float) -> None:
        """Remember with what patience."""
        self.closed_with = linger_s

    # -- what the test does -----------------------------------------------------------------

    def answered(self, data: list[bytes]) -> None:
        """Let acknowledgements arrive."""
        self.to_publisher.extend(data)
        if data:
            self._arrived.set()

    def disconnect(self) -> None:
        """Cut the cable: what is under way is lost."""
        self.to_server.clear()
        self.to_publisher.clear()
        self.is_connected = False

    def connect(self) -> None:
        """Make a new connection."""
        self.disconnect()
        self.is_connected = True
        self._made += 1
