"""Delivery, one situation at a time; every mix of them is tests/properties/test_delivery.py."""

from __future__ import annotations

import pytest

from streamviz.wire.delivery import (
    FIRST_WINDOW_BYTES,
    MOST_STALL_S,
    STALL_S,
    Incoming,
    Outgoing,
    Verdict,
)
from streamviz.wire.frames import Ack, Span
from streamviz.wire.parcels import Parcel

SIZE = 1000


def frame(out: Outgoing, rows: int = 1, size: int = SIZE) -> None:
    """Hold a frame whose bytes name it."""
    row = out.next_row
    out.add(
        lambda seq, first: b"%d %d" % (seq, first) + bytes(size - len(b"%d %d" % (seq, first))),
        rows,
        Span(row, row + rows - 1, float(row), float(row + rows - 1)),
    )


def transmit(out: Outgoing, now: float = 0.0) -> list[tuple[int, int]]:
    """Send what may be sent, and return the ranges of frames."""
    sent = []
    while (parcel := out.peek()) is not None:
        sent.append((parcel.seq, parcel.last_seq))
        out.sent(now)
    return sent


def wants_hello(out: Outgoing) -> bool:
    """Return whether the peer must be greeted."""
    return out.needs_hello


def ack(next_seq: int, *, epoch: int = 1, window: int = 1 << 20, flush_ms: int = 20) -> Ack:
    """Return an acknowledgement."""
    return Ack(epoch, next_seq, window, flush_ms)


def test_frames_and_rows_are_numbered_from_zero() -> None:
    """A frame is told its number and that of its first row."""
    out = Outgoing(10 * SIZE)
    frame(out, rows=3)
    frame(out, rows=2)

    assert [parcel.data[:3] for parcel in out._waiting if parcel.data] == [b"0 0", b"1 3"]
    assert (out.next_seq, out.next_row, out.held_rows, out.held_bytes) == (2, 5, 5, 2 * SIZE)


def test_the_window_holds_back() -> None:
    """Before an acknowledgement a first window holds; one frame is always under way."""
    out = Outgoing(1 << 20)
    for _ in range(FIRST_WINDOW_BYTES // SIZE + 3):
        frame(out)

    assert len(transmit(out)) == FIRST_WINDOW_BYTES // SIZE
    out.acknowledged(ack(1, window=1), 0.0)
    assert transmit(out) == []

    tiny = Outgoing(1 << 20)
    tiny.window = 1
    frame(tiny)
    frame(tiny)
    assert transmit(tiny) == [(0, 0)]


def test_an_acknowledgement_lets_go_and_names_the_pace() -> None:
    """What is committed is let go of; window and pace are the server's."""
    out = Outgoing(10 * SIZE)
    for _ in range(3):
        frame(out, rows=2)
    transmit(out)
    out.acknowledged(ack(2, window=5000, flush_ms=70), 1.0)

    assert (out.base_seq, out.base_row, out.held_rows, out.is_empty) == (2, 4, 2, False)
    assert out.base_span == Span(0, 3, 0.0, 3.0)
    assert (out.window, out.flush_ms) == (5000, 70)

    out.acknowledged(ack(3), 1.0)
    assert out.is_empty
    assert out.held_bytes == 0


def test_an_acknowledgement_of_what_never_was_is_ignored() -> None:
    """A server that wants a frame beyond the last is not believed."""
    out = Outgoing(10 * SIZE)
    frame(out)
    transmit(out)
    out.acknowledged(ack(2, window=7), 0.0)

    assert out.held_rows == 1
    assert out.window == FIRST_WINDOW_BYTES


def test_the_same_acknowledgement_twice_changes_nothing() -> None:
    """Acknowledgements are cumulative: an old one that comes late takes nothing back."""
    out = Outgoing(10 * SIZE)
    for _ in range(3):
        frame(out)
    transmit(out)
    for wanted in (2, 2, 1, 0):
        out.acknowledged(ack(wanted), 0.0)

    assert out.base_seq == 2
    assert transmit(out) == []


def test_a_full_buffer_gives_up_the_oldest() -> None:
    """The oldest frames become one gap that widens; the newest stay; the loss is counted."""
    out = Outgoing(3 * SIZE)
    for _ in range(6):
        frame(out, rows=2)

    assert transmit(out) == [(0, 3), (4, 4), (5, 5)]
    assert out.dropped_rows == 8
    assert out.held_rows == 12
    gap = out._under_way[0]
    assert (gap.row, gap.end_row, gap.reason, gap.data) == (0, 8, "buffer full", None)
    assert gap.span == Span(0, 7, 0.0, 7.0)


def test_a_single_frame_larger_than_the_buffer_is_kept() -> None:
    """The newest frame is held whatever its size: the bound does not count one frame."""
    out = Outgoing(SIZE)
    frame(out, size=5 * SIZE)

    assert out.held_bytes == 5 * SIZE
    assert transmit(out) == [(0, 0)]


def test_a_partly_acknowledged_gap_is_kept() -> None:
    """A gap is let go of only when all of it is acknowledged: the server may have half of it."""
    out = Outgoing(3 * SIZE)
    for _ in range(3):
        frame(out)
    transmit(out)
    frame(out)
    frame(out)  # frames 0 and 1, under way, are given up
    out.acknowledged(ack(1), 0.0)

    assert out.base_seq == 0
    assert out.base_row == 0
    out.acknowledged(ack(3), 0.0)
    assert (out.base_seq, out.base_row) == (3, 3)


def test_a_gap_over_sent_frames_is_sent_only_if_need_be() -> None:
    """Frames given up while under way may still arrive; the gap goes out after a rewind only."""
    out = Outgoing(3 * SIZE)
    for _ in range(3):
        frame(out)
    transmit(out)
    frame(out)

    assert transmit(out) == [(3, 3)]
    out.connected()
    assert transmit(out) == [(0, 1), (2, 2), (3, 3)]


def test_rows_lost_before_framing_keep_their_reason() -> None:
    """A gap for rows that never were framed is numbered like a frame, with its own reason."""
    out = Outgoing(10 * SIZE)
    frame(out, rows=2)
    out.add_gap(5, Span(2, 6, 0.0, 1.0), "outbox full")
    frame(out)

    assert [(p.seq, p.row, p.end_row, p.reason) for p in out._waiting] == [
        (0, 0, 2, ""),
        (1, 2, 7, "outbox full"),
        (2, 7, 8, ""),
    ]
    assert out.dropped_rows == 0


def test_a_new_connection_sends_again_from_the_oldest() -> None:
    """After a new connection the peer is greeted, and all that is unacknowledged goes again."""
    out = Outgoing(10 * SIZE)
    out.needs_hello = False
    for _ in range(3):
        frame(out)
    transmit(out)
    out.acknowledged(ack(1), 0.0)
    out.connected()

    assert wants_hello(out)
    assert transmit(out) == [(1, 1), (2, 2)]


def test_another_epoch_rewinds_and_asks_for_a_hello() -> None:
    """An acknowledgement of another server start means that the peer knows nothing."""
    out = Outgoing(10 * SIZE)
    out.needs_hello = False
    for _ in range(2):
        frame(out)
    transmit(out)
    out.acknowledged(ack(1, epoch=1), 0.0)
    assert not wants_hello(out)

    out.acknowledged(ack(0, epoch=2), 0.0)

    assert wants_hello(out)
    assert transmit(out) == [(1, 1)]


def test_a_stall_sends_everything_again() -> None:
    """Without progress for a while all goes again; progress starts the wait anew."""
    out = Outgoing(10 * SIZE)
    out.needs_hello = False
    for _ in range(2):
        frame(out)
    transmit(out, now=10.0)
    out.tick(10.0 + STALL_S - 0.1)
    assert transmit(out) == []

    out.acknowledged(ack(1), 14.0)
    out.tick(10.0 + STALL_S + 0.1)
    assert not wants_hello(out)

    out.tick(14.0 + STALL_S)
    assert wants_hello(out)
    assert transmit(out) == [(1, 1)]


def test_a_server_that_is_behind_is_not_sent_the_same_over_and_over() -> None:
    """Each wait without progress is twice the one before, to a bound; progress makes it short."""
    out = Outgoing(10 * SIZE)
    out.needs_hello = False
    for _ in range(2):
        frame(out)
    transmit(out, now=0.0)
    now = 0.0
    waits: list[float] = []
    while len(waits) < 6:
        began = now
        while not wants_hello(out):
            now += 1.0
            out.tick(now)
        waits.append(now - began)
        out.needs_hello = False
        transmit(out, now=now)
    assert waits == [STALL_S, 2 * STALL_S, 4 * STALL_S, 8 * STALL_S, MOST_STALL_S, MOST_STALL_S]

    out.acknowledged(ack(1), now)
    out.tick(now + STALL_S)
    assert wants_hello(out)


def test_nothing_under_way_is_no_stall() -> None:
    """Silence without anything to acknowledge is quiet."""
    out = Outgoing(10 * SIZE)
    out.needs_hello = False
    out.tick(1e9)

    assert not wants_hello(out)


# -- the server's end ----------------------------------------------------------------------


def test_frames_are_taken_in_order_and_once() -> None:
    """The next frame is taken, an earlier one is a duplicate, a later one waits."""
    stream = Incoming()

    assert stream.samples(0, 0, 3) is Verdict.ACCEPT
    assert stream.samples(0, 0, 3) is Verdict.DUPLICATE
    assert stream.samples(2, 5, 1) is Verdict.AHEAD
    assert stream.samples(1, 3, 2) is Verdict.ACCEPT
    assert (stream.next_seq, stream.next_row) == (2, 5)


@pytest.mark.parametrize("row", [0, 2, 4, 2**63 - 1])
def test_rows_that_contradict_are_broken(row: int) -> None:
    """A next frame that starts at another row than the next changes nothing."""
    stream = Incoming()
    stream.samples(0, 0, 3)

    assert stream.samples(1, row, 1) is Verdict.BROKEN
    assert (stream.next_seq, stream.next_row) == (1, 3)


def test_a_hello_tells_what_an_earlier_server_had() -> None:
    """What lies before the oldest held frame is missing in a server that never saw it."""
    stream = Incoming()

    assert stream.hello(base_seq=5, base_row=12) == 12
    assert (stream.next_seq, stream.next_row) == (5, 12)
    assert stream.samples(5, 12, 1) is Verdict.ACCEPT


def test_a_hello_counts_only_what_is_not_stored() -> None:
    """A server that had stored some of it misses the rest only."""
    stream = Incoming()
    stream.samples(0, 0, 4)
    stream.samples(1, 4, 4)

    assert stream.hello(base_seq=5, base_row=12) == 4
    assert stream.next_row == 12


def test_a_hello_for_what_is_known_changes_nothing() -> None:
    """Greeting again on a new connection neither loses nor repeats."""
    stream = Incoming()
    stream.samples(0, 0, 4)

    assert stream.hello(base_seq=1, base_row=4) == 0
    assert stream.hello(base_seq=0, base_row=0) == 0
    assert (stream.next_seq, stream.next_row) == (1, 4)


def test_a_gap_counts_only_what_is_not_stored() -> None:
    """A gap over frames of which some had arrived stands for the rest."""
    stream = Incoming()
    stream.samples(0, 0, 4)

    assert stream.gap(seq=0, last_seq=3, end_row=10) == (Verdict.ACCEPT, 6)
    assert (stream.next_seq, stream.next_row) == (4, 10)
    assert stream.gap(seq=0, last_seq=3, end_row=10) == (Verdict.DUPLICATE, 0)


def test_a_gap_over_stored_rows_only_is_none() -> None:
    """Rows lost before framing may be none: the frames are passed, nothing is missing."""
    stream = Incoming()
    stream.samples(0, 0, 4)

    assert stream.gap(seq=1, last_seq=2, end_row=4) == (Verdict.ACCEPT, 0)
    assert stream.next_seq == 3


def test_a_gap_waits_its_turn_and_may_not_contradict() -> None:
    """A gap beyond the next frame waits; one that ends before what is known is broken."""
    stream = Incoming()
    stream.samples(0, 0, 4)

    assert stream.gap(seq=2, last_seq=3, end_row=10) == (Verdict.AHEAD, 0)
    assert stream.gap(seq=1, last_seq=3, end_row=2) == (Verdict.BROKEN, 0)
    assert (stream.next_seq, stream.next_row) == (1, 4)


# -- the shelf -------------------------------------------------------------------------------


class ListShelf:
    """A shelf that is a list."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.next = 0

    def begin(self, base_seq: int, base_row: int, base_span: Span | None) -> None:
        """Need to know nothing."""

    def put(self, parcel: Parcel) -> bool:
        """Take anything."""
        self.parcels.append(parcel)
        return True

    def skip(self) -> None:
        """Go to the end."""
        self.next = len(self.parcels)

    def take(self) -> Parcel | None:
        """Return the next."""
        self.next += 1
        return self.parcels[self.next - 1]

    def clear(self) -> None:
        """Forget all."""
        self.parcels.clear()
        self.next = 0


def test_a_full_buffer_goes_to_the_shelf() -> None:
    """With a shelf nothing is given up: the oldest go there, and come back in their order."""
    shelf = ListShelf()
    out = Outgoing(3 * SIZE, shelf)
    for _ in range(8):
        frame(out)

    assert out.held_bytes <= 3 * SIZE
    assert (out.dropped_rows, out.spilled_rows, out.held_rows) == (0, 5, 8)
    out.acknowledged(ack(0), 0.0)
    sent = []
    while not out.is_empty:
        sent += transmit(out)
        out.acknowledged(ack(sent[-1][1] + 1), 0.0)
    assert sent == [(seq, seq) for seq in range(8)]
    assert shelf.parcels == []


def test_the_shelf_has_what_is_under_way_too() -> None:
    """Once anything is shelved, all that is older is there: a killed process leaves no hole."""
    shelf = ListShelf()
    out = Outgoing(3 * SIZE, shelf)
    out.acknowledged(ack(0), 0.0)
    for _ in range(2):
        frame(out)
    transmit(out)
    assert shelf.parcels == []
    for _ in range(2):
        frame(out)

    assert [parcel.seq for parcel in shelf.parcels] == [0, 1, 2]
    assert out.shelve()
    assert [parcel.seq for parcel in shelf.parcels] == [0, 1, 2, 3]
    out.acknowledged(ack(2), 0.0)
    assert transmit(out) == [(2, 2), (3, 3)]


def test_a_server_may_know_more_than_was_left() -> None:
    """Of a stream that was killed the server may have frames that its file has not."""
    shelf = ListShelf()
    former = Outgoing(SIZE, shelf)
    for _ in range(3):
        frame(former)
    shelf.next = 0
    out = Outgoing(3 * SIZE, shelf)
    out.resume((0, 0, None), 2, 2)
    assert transmit(out) == [(0, 0), (1, 1)]
    out.acknowledged(ack(3), 0.0)

    assert out.is_empty
    assert (out.base_seq, out.held_rows) == (2, 0)


def test_a_shelf_that_loses_what_it_had_becomes_a_gap() -> None:
    """What cannot be read back is one gap of just its rows; the shelf starts anew after it."""
    shelf = ListShelf()
    out = Outgoing(3 * SIZE, shelf)
    for _ in range(8):
        frame(out, rows=2)
    out.acknowledged(ack(0), 0.0)
    shelf.parcels[0] = shelf.parcels[1]

    gap = out.peek()
    assert gap is not None
    assert (gap.data, gap.seq, gap.last_seq, gap.reason) == (None, 0, 4, "spill lost")
    assert (gap.row, gap.end_row, gap.span) == (0, 10, Span(0, 9, 0.0, 9.0))
    # There is no more room in memory than before: the gap and what follows lie there anew.
    assert [parcel.seq for parcel in shelf.parcels] == [0, 5]
    sent = []
    while not out.is_empty:
        sent += transmit(out)
        out.acknowledged(ack(sent[-1][1] + 1), 0.0)
    assert sent == [(0, 4), (5, 5), (6, 6), (7, 7)]
    assert (out.lost_rows, out.dropped_rows, out.spilled_rows) == (10, 0, 0)
    assert shelf.parcels == []
