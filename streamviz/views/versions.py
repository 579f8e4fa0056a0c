"""Which part of a view a viewer lacks: versions, and from which row on each of them changed.

Law: a viewer that has some version and is sent the rows from :meth:`Versions.since` on has the
current one.
"""

from __future__ import annotations

from collections import deque

__all__ = ["HISTORY", "Versions"]

HISTORY = 64
"""Versions a viewer may be behind and still get a tail; two seconds at 30 per second."""


class Versions:
    """The newest versions of one view.

    Attributes:
        current: Grows with every change; 0 while there was none.
    """

    def __init__(self) -> None:
        self.current = 0
        self._reset = 0
        self._history: deque[tuple[int, int]] = deque(maxlen=HISTORY)

    def advance(self, first_row: int | None) -> None:
        """Open a version whose rows differ from ``first_row`` on; ``None`` for a new start."""
        self.current += 1
        if first_row is None:
            self._reset = self.current
            self._history.clear()
        else:
            self._history.append((self.current, first_row))

    def since(self, version: int) -> int | None:
        """Return the first row that a viewer with a version lacks; ``None`` if it needs all.

        Args:
            version: What it has; 0 for nothing.
        """
        if version <= 0 or version < self._reset:
            return None
        if self._history and self._history[0][0] > version + 1:
            return None  # the history does not reach back that far
        return min((first for held, first in self._history if held > version), default=None)
