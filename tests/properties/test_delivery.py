"""The delivery law, under every schedule of faults that Hypothesis can think of."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from streamviz.wire.delivery import Incoming, Outgoing, Parcel, Verdict
from streamviz.wire.frames import Ack, Span

ROW_BYTES = 10


class MemoryShelf:
    """A shelf in memory, which is as small, as broken and as forgetful as a test wants it.

    Attributes:
        parcels: What lies there, from the first on, those that were taken included.
        base: What :meth:`begin` was told.
        refuses: Whether nothing can be put there now, as on a full disk.
        damaged: The first that cannot be read any more, ``None`` if all can.
        is_known_to_be_damaged: Whether somebody tried to read that one.
    """

    def __init__(self, limit: int) -> None:
        self.parcels: list[Parcel] = []
        self.base: tuple[int, int, Span | None] = (0, 0, None)
        self.refuses = False
        self.damaged: int | None = None
        self.is_known_to_be_damaged = False
        self._limit = limit
        self._next = 0

    def begin(self, base_seq: int, base_row: int, base_span: Span | None) -> None:
        """Remember where it begins."""
        assert not self.parcels
        self.base = (base_seq, base_row, base_span)

    def put(self, parcel: Parcel) -> bool:
        """Add at the end, if there is room, and only what follows what is there."""
        end = self.parcels[-1].last_seq + 1 if self.parcels else self.base[0]
        assert parcel.seq == end
        used = sum(held.size for held in self.parcels)
        if self.refuses or used + parcel.size > self._limit:
            return False
        self.parcels.append(parcel)
        return True

    def skip(self) -> None:
        """Take all that is there."""
        self._next = len(self.parcels)

    def take(self) -> Parcel | None:
        """Return the next, if it is still there."""
        if self._next == self.damaged:
            self.is_known_to_be_damaged = True
            return None
        self._next += 1
        return self.parcels[self._next - 1]

    def clear(self) -> None:
        """Forget all."""
        self.parcels.clear()
        self.damaged, self._next = None, 0
        self.is_known_to_be_damaged = False

    def leave(self, torn: int) -> None:
        """Become what another process finds: from the first to the last that can be read."""
        end = len(self.parcels) - torn if self.damaged is None else self.damaged
        del self.parcels[max(end, 0) :]
        self.damaged, self._next = None, 0


@dataclass
class Server:
    """What a server start knows: one stream's numbers, the rows it stored, the gaps it drew."""

    epoch: int
    stream: Incoming | None = None
    stored: list[int] = field(default_factory=list)
    gap_rows: int = 0


class Delivery(RuleBasedStateMachine):
    """One publisher, one server after another, and a network that does what it likes."""

    @initialize(
        limit=st.integers(30, 400), room=st.one_of(st.none(), st.sampled_from([60, 300, 100_000]))
    )
    def start(self, limit: int, room: int | None) -> None:
        """Both ends are up and have never met."""
        self.room = room
        self.shelf = None if room is None else MemoryShelf(room)
        self.out = Outgoing(limit, self.shelf)
        self.server = Server(epoch=1)
        self.to_server: list[tuple[object, ...]] = []
        self.to_publisher: list[Ack] = []
        self.now = 0.0
        # Rows acknowledged by a server before it died with them.
        self.frames: dict[int, list[int]] = {}

    # -- the publisher ---------------------------------------------------------------------

    @rule(rows=st.integers(1, 12))
    def frame(self, rows: int) -> None:
        """The training loop sent rows and they were framed."""

        def make(seq: int, row: int) -> bytes:
            self.frames[seq] = list(range(row, row + rows))
            return bytes(ROW_BYTES * rows)

        row = self.out.next_row
        self.out.add(make, rows, Span(row, row + rows - 1, float(row), float(row + rows)))

    @rule(rows=st.integers(1, 50))
    def lose_before_framing(self, rows: int) -> None:
        """The outbox overflowed: rows are lost before they were framed."""
        row = self.out.next_row
        self.out.add_gap(rows, Span(row, row + rows - 1, float(row), float(row)), "outbox full")

    @rule(count=st.integers(1, 6))
    def transmit(self, count: int) -> None:
        """The sender hands what it may to the transport."""
        for _ in range(count):
            if self.out.needs_hello:
                self.to_server.append(("hello", self.out.base_seq, self.out.base_row))
                self.out.needs_hello = False
            parcel = self.out.peek()
            if parcel is None:
                return
            self.to_server.append(as_frame(parcel, self.frames))
            self.out.sent(self.now)

    @precondition(lambda self: self.shelf is not None)
    @rule(refuses=st.booleans())
    def fill_disk(self, refuses: bool) -> None:  # noqa: FBT001
        """The disk has no room any more, or some again."""
        assert self.shelf is not None
        self.shelf.refuses = refuses

    @precondition(lambda self: self.shelf is not None and self.shelf.parcels)
    @rule(data=st.data())
    def damage_shelf(self, data: st.DataObject) -> None:
        """The disk damages something of what it was given."""
        assert self.shelf is not None
        self.shelf.damaged = data.draw(st.integers(0, len(self.shelf.parcels) - 1))

    @rule()
    def reconnect(self) -> None:
        """The connection broke: what was in the network is lost, and a new one is made."""
        self.to_server.clear()
        self.to_publisher.clear()
        self.out.connected()

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        """Time passes; a stall sends everything again."""
        self.now += seconds
        self.out.tick(self.now)

    # -- the network -----------------------------------------------------------------------

    @precondition(lambda self: self.to_server)
    @rule(data=st.data())
    def drop_frame(self, data: st.DataObject) -> None:
        """A frame is lost."""
        self.to_server.pop(data.draw(st.integers(0, len(self.to_server) - 1)))

    @precondition(lambda self: self.to_server)
    @rule(data=st.data())
    def repeat_frame(self, data: st.DataObject) -> None:
        """A frame comes twice."""
        self.to_server.append(data.draw(st.sampled_from(self.to_server)))

    @precondition(lambda self: len(self.to_server) > 1)
    @rule(data=st.data())
    def reorder_frames(self, data: st.DataObject) -> None:
        """A frame overtakes another."""
        at = data.draw(st.integers(0, len(self.to_server) - 2))
        self.to_server[at], self.to_server[at + 1] = self.to_server[at + 1], self.to_server[at]

    @precondition(lambda self: self.to_publisher)
    @rule(data=st.data())
    def drop_ack(self, data: st.DataObject) -> None:
        """An acknowledgement is lost."""
        self.to_publisher.pop(data.draw(st.integers(0, len(self.to_publisher) - 1)))

    # -- the server ------------------------------------------------------------------------

    @precondition(lambda self: self.to_server)
    @rule(count=st.integers(1, 8), ack=st.booleans(), window=st.integers(1, 200))
    def deliver(self, count: int, ack: bool, window: int) -> None:  # noqa: FBT001
        """Frames arrive, are committed, and may be acknowledged."""
        for _ in range(min(count, len(self.to_server))):
            self.receive(self.to_server.pop(0))
        if ack:
            self.acknowledge(window)

    def receive(self, frame: tuple[object, ...]) -> None:
        """Do with a frame what a collector does."""
        server = self.server
        kind, first, *rest = frame
        assert isinstance(first, int)
        if kind == "hello":
            (base_row,) = rest
            assert isinstance(base_row, int)
            server.stream = server.stream or Incoming()
            server.gap_rows += server.stream.hello(first, base_row)
        elif server.stream is None:
            # A server that does not know a stream says so by its own epoch.
            self.to_publisher.append(Ack(server.epoch, 0, 100, 10))
        elif kind == "gap":
            last, end_row = rest
            assert isinstance(last, int)
            assert isinstance(end_row, int)
            verdict, missing = server.stream.gap(first, last, end_row)
            assert verdict is not Verdict.BROKEN
            server.gap_rows += missing
        else:
            (rows,) = rest
            assert isinstance(rows, list)
            verdict = server.stream.samples(first, rows[0], len(rows))
            assert verdict is not Verdict.BROKEN
            if verdict is Verdict.ACCEPT:
                server.stored.extend(rows)

    def acknowledge(self, window: int) -> None:
        """Put an acknowledgement on its way."""
        if self.server.stream is not None:
            self.to_publisher.append(
                Ack(self.server.epoch, self.server.stream.next_seq, window, 10)
            )

    @precondition(lambda self: self.to_publisher)
    @rule(count=st.integers(1, 4))
    def deliver_acks(self, count: int) -> None:
        """Acknowledgements arrive."""
        for _ in range(min(count, len(self.to_publisher))):
            self.out.acknowledged(self.to_publisher.pop(0), self.now)

    @rule()
    def crash_server(self) -> None:
        """The server dies with all it stored; another takes its place and knows nothing."""
        self.server = Server(epoch=self.server.epoch + 1)

    @rule(torn=st.integers(0, 2), window=st.integers(1, 200))
    def crash_publisher(self, torn: int, window: int) -> None:
        """The process dies with all it held in memory; another starts a stream of its own.

        What lay on the shelf is delivered by a third, to a server that may know more or less of it.
        """
        self.check_server()
        if self.shelf is not None:
            self.shelf.leave(torn)
            self.deliver_left_over(self.shelf, window)
        self.start(self.out._limit, self.room)

    @rule(window=st.integers(1, 200))
    def end_publisher(self, window: int) -> None:
        """The process ends; another delivers from the shelf what it held, to the last row."""
        self.check_server()
        if self.shelf is not None and self.out.shelve_or_give_up():
            end_row, damaged = self.out.next_row, self.shelf.damaged
            self.shelf.leave(torn=0)
            self.deliver_left_over(self.shelf, window)
            if self.server.stream is not None and damaged is None:
                assert self.server.stream.next_row == end_row
        self.start(self.out._limit, self.room)

    def deliver_left_over(self, shelf: MemoryShelf, window: int) -> None:
        """Deliver what is on a shelf, as its own stream, over a network that behaves."""
        if not shelf.parcels:
            return
        for parcel, following in itertools.pairwise(shelf.parcels):
            assert (parcel.last_seq + 1, parcel.end_row) == (following.seq, following.row)
        assert (shelf.parcels[0].seq, shelf.parcels[0].row) == shelf.base[:2]
        last = shelf.parcels[-1]
        out = self.out = Outgoing(self.out._limit, shelf)
        out.resume(shelf.base, last.last_seq + 1, last.end_row)
        self.to_server.clear()
        self.to_publisher.clear()
        for _ in range(1000):
            if out.is_empty:
                break
            self.transmit(50)
            while self.to_server:
                self.receive(self.to_server.pop(0))
            self.acknowledge(window)
            while self.to_publisher:
                out.acknowledged(self.to_publisher.pop(0), self.now)
        assert out.is_empty
        assert not shelf.parcels
        assert self.server.stream is not None
        assert self.server.stream.next_row >= last.end_row
        self.check_server()

    @rule(rows=st.integers(1, 6), window=st.integers(1, 200), acks=st.booleans())
    def exchange(self, rows: int, window: int, acks: bool) -> None:  # noqa: FBT001
        """All goes well for a moment: rows are framed, sent, received, and perhaps acknowledged."""
        self.frame(rows)
        self.transmit(4)
        while self.to_server:
            self.receive(self.to_server.pop(0))
        self.acknowledge(window)
        while acks and self.to_publisher:
            self.out.acknowledged(self.to_publisher.pop(0), self.now)

    # -- the law ---------------------------------------------------------------------------

    @invariant()
    def check_server(self) -> None:
        """Stored rows are in order, each once; with the gaps they make up all that passed."""
        if not hasattr(self, "server"):
            return
        stored = self.server.stored
        assert stored == sorted(set(stored))
        if self.server.stream is not None:
            assert len(stored) + self.server.gap_rows == self.server.stream.next_row

    @invariant()
    def check_publisher(self) -> None:
        """What was framed is acknowledged or held, in one unbroken row, within the limit."""
        if not hasattr(self, "out"):
            return
        out, shelved = self.out, self.out._shelved
        held = [*out._under_way, *out._ready, *out._waiting]
        row, seq = out.base_row, out.base_seq
        for parcel in [*held, None]:
            if shelved.is_waiting and (shelved.row, shelved.seq) == (row, seq):
                row, seq = shelved.end_row, shelved.end_seq
            if parcel is not None:
                assert (parcel.row, parcel.seq) == (row, seq)
                row, seq = parcel.end_row, parcel.last_seq + 1
        assert (row, seq) == (out.next_row, out.next_seq)
        assert out.held_bytes == sum(parcel.size for parcel in held)
        assert out._under_way_bytes == sum(parcel.size for parcel in out._under_way)
        newest = out._waiting[-1].size if out._waiting else 0
        # A frame may be read back when the limit is reached, or half of it in several.
        back = 0 if self.shelf is None else max(out._limit // 2, 0) + ROW_BYTES * 12
        assert out.held_bytes <= max(out._limit, newest) + 128 + back
        assert 0 <= out.spilled_rows <= out.held_rows

    @invariant()
    def check_shelf(self) -> None:
        """All that is held and older than the end of the shelf lies on it."""
        if not hasattr(self, "out") or self.shelf is None:
            return
        # What is put behind a damaged one would not be found.
        assert not self.shelf.is_known_to_be_damaged
        shelved, parcels = self.out._shelved, self.shelf.parcels
        assert bool(parcels) == bool(shelved.end_seq)
        if parcels:
            assert parcels[0].seq <= self.out.base_seq < parcels[-1].last_seq + 1
            assert (parcels[-1].last_seq + 1, parcels[-1].end_row) == (
                shelved.end_seq,
                shelved.end_row,
            )

    def teardown(self) -> None:
        """Once the network behaves, the sum comes out: sent = stored + gap, nothing held."""
        if not hasattr(self, "out"):
            return
        for _ in range(1000):
            if self.out.is_empty and not self.to_server and not self.out.needs_hello:
                break
            self.time_passes(6.0)
            self.transmit(50)
            while self.to_server:
                self.receive(self.to_server.pop(0))
            self.acknowledge(100)
            while self.to_publisher:
                self.out.acknowledged(self.to_publisher.pop(0), self.now)
        assert self.out.is_empty
        self.check_server()
        self.check_publisher()
        if self.server.stream is not None:
            assert len(self.server.stored) + self.server.gap_rows == self.out.next_row


def as_frame(parcel: Parcel, frames: dict[int, list[int]]) -> tuple[object, ...]:
    """Return what goes over the network for a parcel."""
    if parcel.data is None:
        return ("gap", parcel.seq, parcel.last_seq, parcel.end_row)
    return ("samples", parcel.seq, frames[parcel.seq])


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
