"""The delivery law, under every schedule of faults that Hypothesis can think of."""

from __future__ import annotations

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


@dataclass
class Server:
    """What a server start knows: one stream's numbers, the rows it stored, the gaps it drew."""

    epoch: int
    stream: Incoming | None = None
    stored: list[int] = field(default_factory=list)
    gap_rows: int = 0


class Delivery(RuleBasedStateMachine):
    """One publisher, one server after another, and a network that does what it likes."""

    @initialize(limit=st.integers(30, 400))
    def start(self, limit: int) -> None:
        """Both ends are up and have never met."""
        self.out = Outgoing(limit)
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

    @rule()
    def crash_publisher(self) -> None:
        """The process dies with all it held; another starts a stream of its own."""
        limit = self.out._limit
        self.check_server()
        self.start(limit)

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
        row, seq = self.out.base_row, self.out.base_seq
        for parcel in [*self.out._under_way, *self.out._waiting]:
            assert (parcel.row, parcel.seq) == (row, seq)
            row, seq = parcel.end_row, parcel.last_seq + 1
        assert (row, seq) == (self.out.next_row, self.out.next_seq)
        newest = self.out._waiting[-1].size if self.out._waiting else 0
        assert self.out.held_bytes <= max(self.out._limit, newest) + 128

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
