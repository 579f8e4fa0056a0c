"""Both ends of the delivery protocol, as state machines.

Law: no input or output, no clock; times are handed in, and a shelf is whatever keeps that protocol.
Under any mix of lost, repeated and reordered frames, of a crash of either end, of a full buffer and
of a shelf that is full or loses what it holds, every row that a stream framed is stored once, or
stands in a gap, or is still held: once, in order.

The publisher numbers frames from 0 and counts the rows in them, so a frame says which row it
starts with. Whatever was given up is a gap that covers a range of both numbers; the server can
therefore tell exactly how many rows a gap stands for, even if it had stored some of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from streamviz.wire.frames import Ack, Span
from streamviz.wire.incoming import Incoming, Verdict
from streamviz.wire.parcels import Parcel, Shelf, Shelved

__all__ = [
    "BUFFER_FULL",
    "FIRST_WINDOW_BYTES",
    "MOST_STALL_S",
    "SPILL_LOST",
    "STALL_S",
    "Incoming",
    "Outgoing",
    "Parcel",
    "Verdict",
]

STALL_S = 5.0
"""Seconds without an acknowledgement after which everything unacknowledged is sent again."""
MOST_STALL_S = 60.0
"""Seconds that it grows to while nothing is acknowledged."""

FIRST_WINDOW_BYTES = 64 * 1024
"""What may be under way before the server has named a window."""

BUFFER_FULL, SPILL_LOST = "buffer full", "spill lost"
"""Why rows are given up here: no room to hold them, and a shelf that lost what it held."""


class Outgoing:
    """The publisher's end: numbers, holds, sends, sends again, shelves or gives up the oldest.

    Owner: the sender thread. In the order of their numbers, what is held lies in four places: under
    way; ready to be sent again, or back from the shelf; on the shelf; and waiting, never sent. In
    memory there are at most ``limit_bytes`` of it, not counting one gap, and half as much again
    while a full shelf is read back.

    Attributes:
        next_seq: Number of the next new frame.
        next_row: Rows framed so far.
        base_seq: Oldest frame still held.
        base_row: Rows in all frames before it.
        base_span: Where those rows lie, ``None`` while there are none.
        needs_hello: The peer must be greeted before anything else is sent.
        window: Bytes that may be under way.
        flush_ms: The pace the server asked for, ``None`` before the first acknowledgement.
        dropped_rows: Rows given up because there was no room for them.
        lost_rows: Rows given up because the shelf lost them.
    """

    def __init__(self, limit_bytes: int, shelf: Shelf | None = None) -> None:
        """Hold nothing.

        Args:
            limit_bytes: What may be held in memory.
            shelf: Where the oldest frames go that memory has no room for; without one they are
                given up.
        """
        self.next_seq = 0
        self.next_row = 0
        self.base_seq = 0
        self.base_row = 0
        self.base_span: Span | None = None
        self.needs_hello = True
        self.window = FIRST_WINDOW_BYTES
        self.flush_ms: int | None = None
        self.dropped_rows = 0
        self.lost_rows = 0
        self._limit = limit_bytes
        self._shelf = shelf
        self._shelved = Shelved()
        self._has_ended = False
        self._epoch: int | None = None
        self._under_way: deque[Parcel] = deque()
        self._ready: deque[Parcel] = deque()
        self._waiting: deque[Parcel] = deque()
        self._held_bytes = 0
        self._under_way_bytes = 0
        self._progress_at: float | None = None
        self._patience_s = STALL_S

    @property
    def held_bytes(self) -> int:
        """Bytes of all frames held in memory."""
        return self._held_bytes

    @property
    def held_rows(self) -> int:
        """Rows framed and not acknowledged, those given up included until they are."""
        return self.next_row - self.base_row

    @property
    def spilled_rows(self) -> int:
        """Rows among the held that lie on the shelf."""
        return max(self._shelved.end_row - self.base_row, 0)

    @property
    def shelved_row(self) -> int:
        """Rows that are acknowledged or on the shelf: the first that is in memory only."""
        return max(self._shelved.end_row, self.base_row)

    @property
    def is_empty(self) -> bool:
        """Whether everything framed is acknowledged."""
        return not self._under_way and not self.has_waiting

    @property
    def has_waiting(self) -> bool:
        """Whether something is held that was not sent on this connection yet."""
        return bool(self._waiting or self._ready or self._shelved.is_waiting)

    # -- holding ---------------------------------------------------------------------------

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

    def resume(self, base: tuple[int, int, Span | None], end_seq: int, end_row: int) -> None:
        """Take over what an earlier process left on the shelf; before anything else.

        A server may know more of that stream than is left of it; that is all the same here.

        Args:
            base: The first frame there, its first row, and where the rows before that lie.
            end_seq: The frame after the last there.
            end_row: Likewise, rows.
        """
        self.base_seq, self.base_row, self.base_span = base
        self.next_seq, self.next_row = end_seq, end_row
        self._shelved = Shelved(self.base_seq, self.base_row, end_seq, end_row)
        self._has_ended = True

    def shelve(self) -> bool:
        """Put everything held on the shelf; say whether it all lies there now."""
        while self._waiting:
            if not self._shelve_oldest():
                return False
        return self._shelve_sent()

    def shelve_or_give_up(self) -> bool:
        """Put everything held on the shelf, and one gap for what it does not take.

        For the end: nothing is to be added or sent afterwards.

        Returns:
            Whether what lies there accounts for every row held.
        """
        if self.shelve():
            return True
        in_memory = (self._under_way, self._ready, self._waiting)
        rest = [p for held in in_memory for p in held if p.seq >= self._shelved.end_seq]
        gap = _gap_over(rest)
        if self._shelf is None or not self._put(gap):
            return False
        self.dropped_rows += sum(parcel.rows for parcel in rest if parcel.data is not None)
        return True

    def _push(self, data: bytes | None, rows: int, span: Span, reason: str) -> None:
        seq, row = self.next_seq, self.next_row
        parcel = Parcel(seq, seq, row, row + rows, span, data, reason)
        self.next_seq += 1
        self.next_row += rows
        self._waiting.append(parcel)
        self._held_bytes += parcel.size
        while self._held_bytes > self._limit and (self._shelve_oldest() or self._give_up_oldest()):
            pass

    def _shelve_oldest(self) -> bool:
        """Move the oldest frame that was never sent to the shelf; say if it went."""
        if not self._waiting:
            return False
        if not self._shelve_next():
            if self._shelved.is_waiting or not self._shelved.end_seq:
                return False
            # It may only be full of what has come back already.
            self._clear_shelf()
            if not self._shelve_next():
                return False
        self._held_bytes -= self._waiting.popleft().size
        return True

    def _shelve_next(self) -> bool:
        return self._shelve_sent() and self._put(self._waiting[0])

    def _shelve_sent(self) -> bool:
        """See to it that all older than what waits lies on the shelf too; say if it does.

        The shelf is what is left of this process if it is killed, so it has no holes.
        """
        if self._shelf is None:
            return False
        if self._shelved.is_waiting:
            return True
        for held in (self._under_way, self._ready):
            for parcel in held:
                if parcel.seq >= self._shelved.end_seq:
                    if not self._put(parcel):
                        return False
                    self._shelf.skip()
                    self._shelved.skipped()
        return True

    def _put(self, parcel: Parcel) -> bool:
        if self._shelf is None:
            return False
        if not self._shelved.end_seq:
            self._shelf.begin(self.base_seq, self.base_row, self.base_span)
        if not self._shelf.put(parcel):
            return False
        self._shelved.added(parcel)
        return True

    def _take_back(self) -> None:
        """Bring the oldest frame of the shelf back, or a gap for all of them if it is lost."""
        assert self._shelf is not None  # noqa: S101 - something lies on it
        parcel = self._shelf.take()
        if not self._shelved.follows(parcel):
            parcel = self._shelved.lost(SPILL_LOST)
            self.lost_rows += parcel.rows
            self._clear_shelf()
        assert parcel is not None  # noqa: S101 - what follows is one
        self._ready.append(parcel)
        self._held_bytes += parcel.size

    def _clear_shelf(self) -> None:
        if self._shelf is not None and self._shelved.end_seq:
            self._shelf.clear()
        self._shelved = Shelved()

    def _give_up_oldest(self) -> bool:
        """Turn the oldest frame into a gap, or widen the gap that is there; say if it helped.

        What lies on the shelf takes no memory, so it is passed over; so is the newest of all.
        """
        candidates = len(self._waiting)
        if not self._shelved.is_waiting:
            candidates += len(self._under_way) + len(self._ready)
        if candidates < 2:
            return False
        if not self._shelved.is_waiting:
            # A gap may come to stand for frames before and after the shelf's end.
            self._clear_shelf()
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
        """Take the oldest out of memory, or of what waits while older ones lie on the shelf."""
        sent = bool(self._under_way) and not self._shelved.is_waiting
        if sent:
            parcel = self._under_way.popleft()
            self._under_way_bytes -= parcel.size
        elif self._ready and not self._shelved.is_waiting:
            parcel = self._ready.popleft()
        else:
            parcel = self._waiting.popleft()
        self._held_bytes -= parcel.size
        return parcel, sent

    def _hold_gap(self, first: Parcel, second: Parcel | None, *, sent: bool) -> None:
        gap = _gap_over([first] if second is None else [first, second])
        self._held_bytes += gap.size
        # A gap over frames that were all sent only matters if they have to be sent again; one that
        # reaches a frame that never was sent must itself be sent.
        if sent:
            self._under_way.appendleft(gap)
            self._under_way_bytes += gap.size
        elif self._ready and not self._shelved.is_waiting:
            self._ready.appendleft(gap)
        else:
            self._waiting.appendleft(gap)

    # -- sending ---------------------------------------------------------------------------

    def peek(self) -> Parcel | None:
        """Return what may be sent now, ``None`` if nothing or the window is full."""
        if not self._ready and self._shelved.is_waiting:
            room = min(self.window, self._limit // 2)
            if self._under_way and self._under_way_bytes >= room:
                return None
            self._take_back()
            while self._held_bytes > self._limit and self._shelve_oldest():
                pass
        held = self._ready or self._waiting
        if not held:
            return None
        parcel = held[0]
        if self._under_way and self._under_way_bytes + parcel.size > self.window:
            return None
        return parcel

    def sent(self, now: float) -> None:
        """Note that what :meth:`peek` returned was handed to the transport.

        Args:
            now: Monotonic time, seconds.
        """
        parcel = (self._ready or self._waiting).popleft()
        if not self._under_way:
            self._progress_at = now
        self._under_way.append(parcel)
        self._under_way_bytes += parcel.size

    def connected(self) -> None:
        """A connection was made: what was under way may be lost, and the peer may be new."""
        self.needs_hello = True
        self._patience_s = STALL_S
        self._ready.extendleft(reversed(self._under_way))
        self._under_way.clear()
        self._under_way_bytes = 0

    def acknowledged(self, ack: Ack, now: float) -> None:
        """Take an acknowledgement; one for frames that never were is ignored."""
        if ack.next_seq > self.next_seq and not self._has_ended:
            return
        if self._epoch is not None and ack.epoch != self._epoch:
            self.connected()
        self._epoch = ack.epoch
        self.window = max(ack.window, 1)
        self.flush_ms = ack.flush_ms
        while (oldest := self._oldest(ack.next_seq)) is not None:
            self._let_go_of_oldest()
            self.base_seq = oldest.last_seq + 1
            self.base_row = oldest.end_row
            covered = self.base_span
            self.base_span = oldest.span if covered is None else covered.union(oldest.span)
            self._progress_at = now
            self._patience_s = STALL_S
        if 0 < self._shelved.end_seq <= self.base_seq:
            self._clear_shelf()

    def tick(self, now: float) -> None:
        """Send everything again if nothing was acknowledged for :data:`STALL_S`.

        Each further time it waits twice as long, up to :data:`MOST_STALL_S`: a server that is
        behind gets no further by being sent the same again.
        """
        if not self._under_way or self._progress_at is None:
            return
        if now - self._progress_at >= self._patience_s:
            self._progress_at = now
            longer_s = min(2 * self._patience_s, MOST_STALL_S)
            self.connected()
            self._patience_s = longer_s

    def _oldest(self, next_seq: int) -> Parcel | None:
        """Return the oldest that is held if it lies wholly before a number."""
        if not self._under_way and not self._ready and self._shelved.is_waiting:
            if self._shelved.seq >= next_seq:
                return None
            self._take_back()
        for held in (self._under_way, self._ready, self._waiting):
            if held:
                return held[0] if held[0].last_seq < next_seq else None
        return None

    def _let_go_of_oldest(self) -> None:
        for held in (self._under_way, self._ready, self._waiting):
            if held:
                parcel = held.popleft()
                self._held_bytes -= parcel.size
                if held is self._under_way:
                    self._under_way_bytes -= parcel.size
                return


def _gap_over(parcels: Sequence[Parcel]) -> Parcel:
    """Return one gap in place of parcels that follow each other."""
    first, last = parcels[0], parcels[-1]
    span = first.span
    for parcel in parcels[1:]:
        span = span.union(parcel.span)
    reason = first.reason or BUFFER_FULL
    return Parcel(first.seq, last.last_seq, first.row, last.end_row, span, None, reason)
