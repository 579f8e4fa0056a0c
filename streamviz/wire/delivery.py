"""Both ends of the delivery protocol, as state machines.

Law: no input or output, no clock; times are handed in. Under any mix of lost, repeated and
reordered frames, of a crash of either end and of a full buffer, every row that a stream framed is
stored once, or stands in a gap, or is still held: once, in order.

The publisher numbers frames from 0 and counts the rows in them, so a frame says which row it
starts with. Whatever was given up is a gap that covers a range of both numbers; the server can
therefore tell exactly how many rows a gap stands for, even if it had stored some of them.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from streamviz.wire.frames import Ack, Span

__all__ = ["FIRST_WINDOW_BYTES", "STALL_S", "Incoming", "Outgoing", "Parcel", "Verdict"]

STALL_S = 5.0
"""Seconds without an acknowledgement after which everything unacknowledged is sent again."""

FIRST_WINDOW_BYTES = 64 * 1024
"""What may be under way before the server has named a window."""

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


class Outgoing:
    """The publisher's end: numbers, holds, sends, sends again, gives up the oldest.

    Owner: the sender thread. Bounded by ``limit_bytes``, not counting one gap.

    Attributes:
        next_seq: Number of the next new frame.
        next_row: Rows framed so far.
        base_seq: Oldest frame still held.
        base_row: Rows in all frames before it.
        base_span: Where those rows lie, ``None`` while there are none.
        needs_hello: The peer must be greeted before anything else is sent.
        window: Bytes that may be under way.
        flush_ms: The pace the server asked for, ``None`` before the first acknowledgement.
        dropped_rows: Rows given up because the buffer was full.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.next_seq = 0
        self.next_row = 0
        self.base_seq = 0
        self.base_row = 0
        self.base_span: Span | None = None
        self.needs_hello = True
        self.window = FIRST_WINDOW_BYTES
        self.flush_ms: int | None = None
        self.dropped_rows = 0
        self._limit = limit_bytes
        self._epoch: int | None = None
        self._under_way: deque[Parcel] = deque()
        self._waiting: deque[Parcel] = deque()
        self._held_bytes = 0
        self._under_way_bytes = 0
        self._progress_at: float | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes of all held frames."""
        return self._held_bytes

    @property
    def held_rows(self) -> int:
        """Rows framed and not acknowledged, those given up included until they are."""
        return self.next_row - self.base_row

    @property
    def is_empty(self) -> bool:
        """Whether everything framed is acknowledged."""
        return not self._under_way and not self._waiting

    @property
    def has_waiting(self) -> bool:
        """Whether something is held that was not sent on this connection yet."""
        return bool(self._waiting)

    def add(self, make: Callable[[int, int], bytes], rows: int, span: Span) -> None:
        """Hold a new frame.

        Args:
            make: Gives the frame's bytes for its sequence number and first row.
            rows: Rows in the frame, at least 1.
            span: Where they lie.
        """
        self._push(make(self.next_seq, self.next_row), rows, span, "")

    def add_gap(self, rows: int, span: Span, reason: str) -> None:
        """Hold a gap for rows that were lost before they could be framed."""
        self._push(None, rows, span, reason)

    def _push(self, data: bytes | None, rows: int, span: Span, reason: str) -> None:
        seq, row = self.next_seq, self.next_row
        parcel = Parcel(seq, seq, row, row + rows, span, data, reason)
        self.next_seq += 1
        self.next_row += rows
        self._waiting.append(parcel)
        self._held_bytes += parcel.size
        while self._held_bytes > self._limit and self._give_up_oldest():
            pass

    def _give_up_oldest(self) -> bool:
        """Turn the oldest frame into a gap, or widen the gap that is there; say if it helped."""
        if len(self._under_way) + len(self._waiting) < 2:
            return False
        first, sent = self._take_oldest()
        if first.data is not None:
            self.dropped_rows += first.rows
            self._hold_gap(first, None, sent=sent)
            return True
        second, sent = self._take_oldest()
        if second.data is not None:
            self.dropped_rows += second.rows
        self._hold_gap(first, second, sent=sent)
        return True

    def _take_oldest(self) -> tuple[Parcel, bool]:
        sent = bool(self._under_way)
        parcel = self._under_way.popleft() if sent else self._waiting.popleft()
        self._held_bytes -= parcel.size
        if sent:
            self._under_way_bytes -= parcel.size
        return parcel, sent

    def _hold_gap(self, first: Parcel, second: Parcel | None, *, sent: bool) -> None:
        last = second or first
        gap = Parcel(
            first.seq,
            last.last_seq,
            first.row,
            last.end_row,
            first.span.union(last.span),
            None,
            first.reason or "buffer full",
        )
        self._held_bytes += gap.size
        # A gap over frames that were all sent only matters if they have to be sent again; one that
        # reaches a frame that never was sent must itself be sent.
        if sent:
            self._under_way.appendleft(gap)
            self._under_way_bytes += gap.size
        else:
            self._waiting.appendleft(gap)

    def peek(self) -> Parcel | None:
        """Return what may be sent now, ``None`` if nothing or the window is full."""
        if not self._waiting:
            return None
        parcel = self._waiting[0]
        if self._under_way and self._under_way_bytes + parcel.size > self.window:
            return None
        return parcel

    def sent(self, now: float) -> None:
        """Note that what :meth:`peek` returned was handed to the transport.

        Args:
            now: Monotonic time, seconds.
        """
        parcel = self._waiting.popleft()
        if not self._under_way:
            self._progress_at = now
        self._under_way.append(parcel)
        self._under_way_bytes += parcel.size

    def connected(self) -> None:
        """A connection was made: what was under way may be lost, and the peer may be new."""
        self.needs_hello = True
        self._rewind()

    def acknowledged(self, ack: Ack, now: float) -> None:
        """Take an acknowledgement; one for frames that never were is ignored."""
        if ack.next_seq > self.next_seq:
            return
        if self._epoch is not None and ack.epoch != self._epoch:
            self.connected()
        self._epoch = ack.epoch
        self.window = max(ack.window, 1)
        self.flush_ms = ack.flush_ms
        while (oldest := self._oldest()) is not None and oldest.last_seq < ack.next_seq:
            self._take_oldest()
            self.base_seq = oldest.last_seq + 1
            self.base_row = oldest.end_row
            covered = self.base_span
            self.base_span = oldest.span if covered is None else covered.union(oldest.span)
            self._progress_at = now

    def tick(self, now: float) -> None:
        """Send everything again if nothing was acknowledged for :data:`STALL_S`."""
        if not self._under_way or self._progress_at is None:
            return
        if now - self._progress_at >= STALL_S:
            self._progress_at = now
            self.connected()

    def _oldest(self) -> Parcel | None:
        if self._under_way:
            return self._under_way[0]
        return self._waiting[0] if self._waiting else None

    def _rewind(self) -> None:
        self._waiting.extendleft(reversed(self._under_way))
        self._under_way.clear()
        self._under_way_bytes = 0


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
