"""The server's end of the delivery protocol: what of a stream comes next, and what is missing.

Law: that of :mod:`streamviz.wire.delivery`, whose other end it is.
"""

from __future__ import annotations

import enum

__all__ = ["Incoming", "Verdict"]


class Verdict(enum.Enum):
    """What the server does with a numbered frame."""

    ACCEPT = "accept"
    DUPLICATE = "duplicate"
    """Committed before; acknowledge again, store nothing."""
    AHEAD = "ahead"
    """An earlier frame is missing; its sender will go back to it."""
    BROKEN = "broken"
    """The sender's numbers contradict each other."""


class Incoming:
    """The server's end of one stream.

    Attributes:
        next_seq: The next frame wanted.
        next_row: Rows accounted for, stored or in gaps.
    """

    __slots__ = ("next_row", "next_seq")

    def __init__(self) -> None:
        self.next_seq = 0
        self.next_row = 0

    def hello(self, base_seq: int, base_row: int) -> int:
        """Take a greeting.

        Returns:
            Rows that only an earlier server has: a gap in this one, 0 if there is none.
        """
        if base_seq <= self.next_seq:
            return 0
        missing = max(base_row - self.next_row, 0)
        self.next_seq = base_seq
        self.next_row = max(base_row, self.next_row)
        return missing

    def samples(self, seq: int, row: int, rows: int) -> Verdict:
        """Judge a frame of samples; ``ACCEPT`` counts it as committed."""
        if seq < self.next_seq:
            return Verdict.DUPLICATE
        if seq > self.next_seq:
            return Verdict.AHEAD
        if row != self.next_row:
            return Verdict.BROKEN
        self.next_seq += 1
        self.next_row += rows
        return Verdict.ACCEPT

    def gap(self, seq: int, last_seq: int, end_row: int) -> tuple[Verdict, int]:
        """Judge a gap; ``ACCEPT`` comes with the rows that are missing here because of it.

        The count is 0 when all its rows had been stored before the publisher gave them up.
        """
        if last_seq < self.next_seq:
            return Verdict.DUPLICATE, 0
        if seq > self.next_seq:
            return Verdict.AHEAD, 0
        if end_row < self.next_row:
            return Verdict.BROKEN, 0
        missing = end_row - self.next_row
        self.next_seq = last_seq + 1
        self.next_row = end_row
        return Verdict.ACCEPT, missing
