"""The transport of a stream that goes to a file: it takes nothing, and nothing comes of it.

Law: no socket, and no thread but the caller's.
"""

from __future__ import annotations

import threading

__all__ = ["Nowhere"]


class Nowhere:
    """A :class:`~streamviz.publisher.transport.Transport` that is connected to nothing."""

    is_connected = False

    def send(self, data: bytes) -> bool:  # noqa: ARG002 - a transport's
        """Refuse."""
        return False

    def receive(self) -> bytes | None:
        """Have nothing."""
        return None

    def connections(self) -> int:
        """Have none."""
        return 0

    def complaint(self) -> tuple[str, str] | None:
        """Have none."""
        return None

    def wait(self, timeout_s: float) -> None:
        """Wait for so long."""
        threading.Event().wait(timeout_s)

    def close(self, linger_s: float) -> None:
        """Do nothing."""
