"""The most recent rows of a table in full resolution, in order of arrival, all workers together.

The ring is a line of segments. A segment is filled once, never written again and dropped whole, so
that growing copies nothing and a reader may go on reading a snapshot after the lock is released.

Law: the rows held are always the newest ones, without a hole.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

__all__ = ["FIRST_ROWS", "Ring", "Segment", "Slice", "row_bytes"]

FIRST_ROWS = 256
"""Rows of the first segment, and the size below which a ring is never cut."""
STEP_MAX = np.iinfo(np.int64).max
SEGMENT_ROWS_MIN = 128
SEGMENT_ROWS_MAX = 8192
SEGMENT_BYTES_MAX = 1 << 20
"""Keeps what is evicted at once small where rows are wide."""


def row_bytes(width: int) -> int:
    """Return the bytes of one row of ``width`` values: column, step, time and the values."""
    return 4 + 8 + 8 + 8 * width


class Segment:
    """Consecutive rows, columnar."""

    __slots__ = ("column", "first", "high", "low", "rows", "size", "step", "time", "values")

    def __init__(self, rows: int, width: int, first: int) -> None:
        self.rows = rows
        """Capacity."""
        self.first = first
        """Number of the first row, counted from the table's first row ever."""
        self.size = 0
        self.column = np.empty(rows, np.int32)
        """The worker's column in the table, not its index in the run."""
        self.step = np.empty(rows, np.int64)
        self.time = np.empty(rows, np.float64)
        self.values = np.empty((rows, width), np.float64)
        self.low = 0
        """Lowest step, once sealed."""
        self.high = -1
        """Highest step, once sealed."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.column.nbytes + self.step.nbytes + self.time.nbytes + self.values.nbytes


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows ``begin`` to ``end`` of a segment: a part of a snapshot."""

    segment: Segment
    begin: int
    end: int
    sealed: bool
    """Whether the segment's lowest and highest step are known."""


class Ring:
    """Rows of one table.

    Owner: the table, under the store's lock. Holds: what the budget granted, at least one segment.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.sealed: deque[Segment] = deque()
        self.open = Segment(FIRST_ROWS, width, 0)
        self.capacity = FIRST_ROWS

    @property
    def head(self) -> int:
        """Rows ever appended."""
        return self.open.first + self.open.size

    @property
    def tail(self) -> int:
        """Number of the oldest row held; equals ``head`` when none is."""
        return self.sealed[0].first if self.sealed else self.open.first

    @property
    def nbytes(self) -> int:
        """Bytes of all segments."""
        return self.capacity * row_bytes(self.width)

    def skip(self, rows: int) -> None:
        """Count rows that were here before, in an empty ring.

        Raises:
            ValueError: It is not empty.
        """
        if self.sealed or self.open.size:
            raise ValueError(f"found {self.head - self.tail} rows, expected an empty ring")
        self.open.first += rows

    def next_rows(self, *, growing: bool) -> int:
        """Return the rows that the next segment should have.

        A ring that grows takes long strides, one that wraps evicts an eighth at a time.
        """
        rows = self.capacity // (2 if growing else 8)
        rows = min(rows, SEGMENT_ROWS_MAX, SEGMENT_BYTES_MAX // row_bytes(self.width))
        return max(SEGMENT_ROWS_MIN, rows)

    def seal(self) -> None:
        """Close the full open segment; a call of :meth:`begin` must follow."""
        segment = self.open
        steps = segment.step[: segment.size]
        segment.low, segment.high = int(steps.min()), int(steps.max())
        self.sealed.append(segment)

    def begin(self, rows: int) -> None:
        """Open an empty segment of ``rows`` rows after the ones there are."""
        self.open = Segment(rows, self.width, self.open.first + self.open.size)
        self.capacity += rows

    def drop_oldest(self) -> Segment:
        """Take the oldest sealed segment out and return it.

        Raises:
            IndexError: None is sealed.
        """
        segment = self.sealed.popleft()
        self.capacity -= segment.rows
        return segment

    def squeeze(self, keep: int) -> int:
        """Bring the open segment to the smallest size that holds its newest ``keep`` rows.

        Returns:
            How many of the segment's rows went, from its first on.
        """
        old = self.open
        rows = max(FIRST_ROWS, keep)
        gone = max(0, old.size - max(keep, rows // 2)) if rows < old.rows else 0
        small = Segment(rows, self.width, old.first + gone)
        small.size = old.size - gone
        for name in ("column", "step", "time", "values"):
            getattr(small, name)[: small.size] = getattr(old, name)[gone : old.size]
        self.open = small
        self.capacity += rows - old.rows
        return gone

    def snapshot(self, since: int = 0, start: int = 0, stop: int = STEP_MAX) -> list[Slice]:
        """Return the rows from number ``since`` on, oldest first.

        Segments that surely hold no step from ``start`` to ``stop`` are left out. The slices stay
        readable, and as they are, after the lock is released.
        """
        slices = []
        for segment in reversed(self.sealed):
            if segment.first + segment.size <= since:
                break
            if segment.low <= stop and segment.high >= start:
                begin = max(0, since - segment.first)
                slices.append(Slice(segment, begin, segment.size, sealed=True))
        slices.reverse()
        last = self.open
        if last.size and last.first + last.size > since:
            slices.append(Slice(last, max(0, since - last.first), last.size, sealed=False))
        return slices
