"""What a publisher holds until it is acknowledged, and where it may lay what memory cannot take.

Law: no input or output here; a shelf in practice is a file, and to the delivery it is a queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from streamviz.wire.frames import Span

__all__ = ["Parcel", "Shelf", "Shelved"]

_GAP_BYTES = 128
"""What a held gap is reckoned at."""


@dataclass(slots=True)
class Parcel:
    """A frame that is held until it is acknowledged, or the gap that took its place."""

    seq: int
    last_seq: int
    row: int
    end_row: int
    span: Span
    data: bytes | None
    """The frame's bytes; ``None`` for a gap, which is encoded when it is sent."""
    reason: str = ""
    """Why the rows are gone, for a gap."""

    @property
    def size(self) -> int:
        """Bytes it is reckoned at."""
        return _GAP_BYTES if self.data is None else len(self.data)

    @property
    def rows(self) -> int:
        """Rows it stands for."""
        return self.end_row - self.row


class Shelf(Protocol):
    """A queue of parcels outside memory, in the order of their numbers without a hole.

    What was taken stays where it lies until :meth:`clear`, for whoever comes after a crash.
    """

    def begin(self, base_seq: int, base_row: int, base_span: Span | None) -> None:
        """Make ready for the first parcel of an empty shelf.

        Args:
            base_seq: Its number; everything before it is acknowledged.
            base_row: Rows in all frames before it.
            base_span: Where those rows lie.
        """

    def put(self, parcel: Parcel) -> bool:
        """Add at the end; false if it cannot be taken, as when there is no room."""

    def skip(self) -> None:
        """Go on as if everything that lies here had been taken."""

    def take(self) -> Parcel | None:
        """Return the next parcel, ``None`` if it cannot be had any more."""

    def clear(self) -> None:
        """Forget everything: it is acknowledged, or of no use."""


@dataclass(slots=True)
class Shelved:
    """Which frames lie on a shelf: all that are held and before ``end_seq``, once any is."""

    seq: int = 0
    """The next to be taken; those before it that are still held are in memory too."""
    row: int = 0
    end_seq: int = 0
    """After the last; 0 while the shelf is empty."""
    end_row: int = 0
    span: Span | None = None
    """Where the rows from ``row`` on lie, at most."""

    @property
    def is_waiting(self) -> bool:
        """Whether anything is yet to be taken."""
        return self.seq < self.end_seq

    def added(self, parcel: Parcel) -> None:
        """Note what was put there."""
        if not self.is_waiting:
            self.seq, self.row, self.span = parcel.seq, parcel.row, None
        self.end_seq, self.end_row = parcel.last_seq + 1, parcel.end_row
        self.span = parcel.span if self.span is None else self.span.union(parcel.span)

    def skipped(self) -> None:
        """Note that everything there is in memory too."""
        self.seq, self.row, self.span = self.end_seq, self.end_row, None

    def follows(self, parcel: Parcel | None) -> bool:
        """Say whether a parcel is the one that must come next; if so, note that it was taken."""
        if parcel is None or (parcel.seq, parcel.row) != (self.seq, self.row):
            return False
        left = self.end_seq - parcel.last_seq - 1, self.end_row - parcel.end_row
        if min(left) < 0 or (left[0] == 0) != (left[1] == 0):
            return False
        self.seq, self.row = parcel.last_seq + 1, parcel.end_row
        return True

    def lost(self, reason: str) -> Parcel:
        """Return the gap that stands for all that is yet to be taken, which nobody can take."""
        span = self.span or Span(0, 0, 0.0, 0.0)
        gap = Parcel(self.seq, self.end_seq - 1, self.row, self.end_row, span, None, reason)
        self.skipped()
        return gap
