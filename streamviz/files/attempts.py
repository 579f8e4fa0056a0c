"""Which attempt of its rank a file tells of, when several files tell of one.

Law: within one attempt no metric goes back to a step that an earlier file had already: such a file
is the rank's next attempt, as a restarted process is.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from streamviz.publisher.past import Kept, Piece, Rows
from streamviz.publisher.pour import Who

__all__ = ["Attempts"]


class Attempts:
    """What has been read of every worker so far."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int, int], dict[str, int]] = {}
        self._chosen: dict[tuple[Hashable, str, int, int], int] = {}

    def place(self, file: Hashable, who: Who, pieces: Sequence[Piece]) -> Who:
        """Return whose the pieces of a file are.

        Args:
            file: Which file; all of one rank in it that it calls one attempt stay together.
            who: Whose they are as far as the file says.
            pieces: What comes next.
        """
        key = (file, who.run, who.rank, who.attempt)
        attempt = self._chosen.get(key)
        if attempt is None:
            attempt = who.attempt
            first = _steps(pieces, low=True)
            while _goes_back(self._last.get((who.run, who.rank, attempt), {}), first):
                attempt += 1
            if first:
                self._chosen[key] = attempt
        last = self._last.setdefault((who.run, who.rank, attempt), {})
        for name, step in _steps(pieces, low=False).items():
            last[name] = max(step, last.get(name, step))
        return who._replace(attempt=attempt)


def _goes_back(last: dict[str, int], first: dict[str, int]) -> bool:
    return any(step <= last[name] for name, step in first.items() if name in last)


def _steps(pieces: Sequence[Piece], *, low: bool) -> dict[str, int]:
    """Return the lowest or the highest step of each name."""
    found: dict[str, int] = {}
    pick = min if low else max
    for piece in pieces:
        if isinstance(piece, Rows):
            step = int(piece.steps.min() if low else piece.steps.max())
            for name in piece.names:
                found[name] = pick(step, found.get(name, step))
        elif isinstance(piece, Kept):
            name = f"{piece.kind}\0{piece.name}"
            found[name] = pick(piece.step, found.get(name, piece.step))
    return found
