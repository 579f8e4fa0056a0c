"""The sum that must come out: sent = acknowledged + held = stored + drawn + under way.

From ``send`` to the store, with everything between them but sockets and threads.
"""

from __future__ import annotations

import pytest
from handmade_frames import Ingest, stream_id
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_transport import MemoryTransport

from streamviz.publisher import publisher as publisher_module
from streamviz.publisher.publisher import Publisher
from streamviz.publisher.sender import NO_SERVER_WARNING_S, Sender
from streamviz.publisher.stream import Totals
from streamviz.wire.codec import decode, encode_ack
from streamviz.wire.delivery import STALL_S
from streamviz.wire.frames import Bye, Gap, Heartbeat, Hello, Samples, Schema


class Line:
    """A publisher whose sender takes its turn when told, a network, and a server at a time."""

    def __init__(self, *, outbox_rows: int = 8192, buffer_bytes: int = 1 << 20) -> None:
        self.transport = MemoryTransport()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(publisher_module, "ZmqTransport", lambda _: self.transport)
            patch.setattr(Sender, "start", lambda _: None)
            self.publisher = Publisher(
                run="run", outbox_rows=outbox_rows, buffer_bytes=buffer_bytes
            )
        publisher_module._alive.discard(self.publisher)
        assert self.publisher._stream.sender is not None
        self.sender = self.publisher._stream.sender
        self.ingest = Ingest(epoch=1)
        self.epoch = 1
        self.now = 100.0
        self.sent = 0

    def send(self, rows: int) -> None:
        """Send rows that carry their own number, as step and as value."""
        for _ in range(rows):
            self.publisher.send({"m": float(self.sent)}, step=self.sent)
            self.sent += 1

    def turn(self, after_s: float = 0.3) -> None:
        """Let time pass, and the sender take its turn."""
        self.now += after_s
        self.sender._turn(self.now)

    def deliver(self, count: int) -> None:
        """Let frames arrive, and their acknowledgements set out."""
        for _ in range(min(count, len(self.transport.to_server))):
            self.ingest.receive(self.transport.to_server.popleft())
        self.transport.answered([encode_ack(ack) for _, ack in self.ingest.acks()])

    def restart_server(self) -> None:
        """Replace the server by one that knows nothing."""
        self.epoch += 1
        self.ingest = Ingest(epoch=self.epoch)

    def heal(self) -> None:
        """Let everything go well until all is acknowledged."""
        self.transport.refuses = False
        for _ in range(200):
            self.turn(STALL_S + 1)
            self.deliver(1000)
            self.turn()
            if not self.publisher.totals().held and not self.transport.to_server:
                return
        raise AssertionError("it does not come to rest")

    def stored(self) -> list[int]:
        """Return the rows that the server has, in order, having checked their values."""
        if "run" not in self.ingest.store.runs() or not self.ingest.store.metrics("run"):
            return []
        series = list(self.ingest.rows().values())
        assert len(series) <= 1
        assert all(value == step for rows in series for step, value in rows)
        return [step for rows in series for step, _ in rows]

    def drawn(self) -> int:
        """Return the rows for which the server drew gaps."""
        if "run" not in self.ingest.store.runs():
            return 0
        return sum(gap.rows for _, gap in self.ingest.gaps())

    def check(self) -> None:
        """Do the sum at both ends."""
        totals = self.publisher.totals()
        lost = self.publisher._outbox._lost  # what fell out and no turn has seen yet
        assert totals.sent + (lost.rows if lost else 0) == self.sent
        assert totals.sent == self.publisher._stream.outgoing.base_row + totals.held
        stored = self.stored()
        assert stored == sorted(set(stored))
        for stream in self.ingest.collector._streams.values():
            assert len(stored) + self.drawn() == stream.incoming.next_row


ACTIONS = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 30)),
    st.tuples(st.just("turn"), st.just(0)),
    st.tuples(st.just("deliver"), st.integers(1, 6)),
    st.tuples(st.just("lose"), st.integers(0, 5)),
    st.tuples(st.just("repeat"), st.integers(0, 5)),
    st.tuples(st.just("swap"), st.integers(0, 5)),
    st.tuples(st.just("lose answers"), st.just(0)),
    st.tuples(st.just("reconnect"), st.just(0)),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("wait"), st.just(0)),
    st.tuples(st.just("refuse"), st.integers(0, 1)),
)


def act(line: Line, action: str, number: int) -> None:
    """Do one thing to the line."""
    network = line.transport.to_server
    if action == "send":
        line.send(number)
    elif action == "turn":
        line.turn()
    elif action == "deliver":
        line.deliver(number)
    elif action == "lose" and number < len(network):
        del network[number]
    elif action == "repeat" and number < len(network):
        network.append(network[number])
    elif action == "swap" and number + 1 < len(network):
        network[number], network[number + 1] = network[number + 1], network[number]
    elif action == "lose answers":
        line.transport.to_publisher.clear()
    elif action == "reconnect":
        line.transport.connect()
    elif action == "restart":
        line.transport.connect()
        line.restart_server()
    elif action == "wait":
        line.turn(STALL_S + 1)
    elif action == "refuse":
        line.transport.refuses = bool(number)


@settings(max_examples=250, deadline=None)
@given(
    actions=st.lists(ACTIONS, max_size=80),
    outbox_rows=st.sampled_from([16, 8192]),
    buffer_bytes=st.sampled_from([600, 3000, 1 << 20]),
)
def test_sent_is_stored_or_drawn_or_held(
    actions: list[tuple[str, int]], outbox_rows: int, buffer_bytes: int
) -> None:
    """Under loss, repetition, reordering, new connections, new servers and full buffers alike."""
    line = Line(outbox_rows=outbox_rows, buffer_bytes=buffer_bytes)
    for action, number in actions:
        act(line, action, number)
        line.check()
    line.heal()
    line.check()

    totals = line.publisher.totals()
    assert (totals.sent, totals.held) == (line.sent, 0)
    if line.sent:
        assert len(line.stored()) + line.drawn() == line.sent


def test_all_goes_well() -> None:
    """Without faults everything is stored, and nothing drawn."""
    line = Line()
    for _ in range(20):
        line.send(10)
        line.turn()
        line.deliver(100)
    line.heal()

    assert line.stored() == list(range(200))
    assert line.drawn() == 0
    assert line.publisher.totals() == Totals(200, 0, {}, {})


def test_what_fell_out_is_counted_and_drawn() -> None:
    """Rows past the outbox and frames past the buffer are in the totals and in the gaps alike."""
    line = Line(outbox_rows=16, buffer_bytes=1000)
    line.transport.refuses = True
    line.send(30)
    line.turn()
    for _ in range(20):
        line.send(10)
        line.turn()
    line.heal()

    dropped = line.publisher.totals().dropped
    assert set(dropped) == {"outbox full", "buffer full"}
    assert sum(dropped.values()) == line.drawn()
    assert len(line.stored()) + line.drawn() == 230


def test_a_restarted_server_is_told_what_it_missed() -> None:
    """What only the former server had is one gap over exactly those steps; the rest arrives."""
    line = Line()
    line.send(50)
    line.turn()
    line.deliver(100)
    line.turn()
    line.transport.connect()
    line.restart_server()
    line.send(10)
    line.heal()

    assert line.stored() == list(range(50, 60))
    [(_, gap)] = line.ingest.gaps()
    assert (gap.first_step, gap.last_step, gap.rows) == (0, 49, 50)
    assert gap.reason == "former server"


def frames(line: Line) -> list[str]:
    """Return the kinds of the frames under way, in order."""
    return [type(decode(data)).__name__ for data in line.transport.to_server]


def test_a_connection_starts_with_a_hello() -> None:
    """On each connection comes a hello, then what tells names, then what uses them."""
    line = Line()
    line.send(1)
    line.turn()
    kinds = frames(line)
    assert [kind for kind in kinds if kind != "Heartbeat"] == ["Hello", "Schema", "Samples"]
    assert kinds[0] == "Hello"

    line.transport.connect()
    line.turn()
    assert [kind for kind in frames(line) if kind != "Heartbeat"] == ["Hello", "Schema", "Samples"]


def test_a_heartbeat_comes_every_second() -> None:
    """Whether or not anything is sent, once a second there is a heartbeat with the totals."""
    line = Line()
    line.turn()
    line.send(3)
    for _ in range(50):
        line.turn(0.1)
    beats = [beat for beat in map(decode, line.transport.to_server) if isinstance(beat, Heartbeat)]

    assert len(beats) in (5, 6)
    assert (beats[-1].sent, beats[-1].held, beats[-1].last_step) == (3, 3, 2)


def test_nothing_is_sent_past_a_refusal() -> None:
    """When the transport takes no more, the order is kept for the next turn."""
    line = Line()
    line.transport.refuses = True
    line.send(2)
    line.turn()
    assert frames(line) == []
    line.transport.refuses = False
    line.turn()

    assert [kind for kind in frames(line) if kind != "Heartbeat"] == ["Hello", "Schema", "Samples"]


def test_a_drain_ends_with_a_goodbye() -> None:
    """The last frame says how many frames there were and how it ended; then the socket closes."""
    line = Line()
    line.send(2)
    line.turn()
    line.deliver(100)
    line.sender.close(1e12, "KeyError")
    line.sender._drain()

    last = decode(line.transport.to_server[-1])
    assert isinstance(last, Bye)
    assert (last.next_seq, last.how, last.stream) == (1, "KeyError", line.publisher._stream.name)
    assert line.transport.closed_with is not None


def test_what_could_not_be_delivered_is_drawn_after_the_goodbye() -> None:
    """Rows left when time is up are told by the last heartbeat, and drawn by the server."""
    line = Line()
    line.send(3)
    line.turn()
    line.deliver(100)
    line.turn()
    line.send(4)
    line.sender.close(0.0, "ok")
    line.sender._drain()
    late = [
        data for data in line.transport.to_server if not isinstance(decode(data), Samples | Gap)
    ]
    line.transport.to_server.clear()
    line.transport.to_server.extend(late)
    line.deliver(100)

    assert line.stored() == [0, 1, 2]
    assert [(gap.rows, gap.reason) for _, gap in line.ingest.gaps()] == [(4, "undelivered")]


def test_an_answer_that_is_none_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """Noise and answers of another protocol are warned of once, and change nothing."""
    line = Line()
    line.send(1)
    line.turn()
    line.transport.answered([b"", b"HTTP/1.1 400", b"\x96\x02\x07\x00\x00\x00\x00"])
    line.turn()
    line.heal()

    assert line.stored() == [0]
    assert sum("answered:" in record.getMessage() for record in caplog.records) == 1


def test_no_server_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """After a while without any server that is said, once, with the address and what to do."""
    line = Line()
    line.transport.is_connected = False
    line.transport.connections()
    start = line.sender._started_at
    for seconds in (NO_SERVER_WARNING_S - 1, NO_SERVER_WARNING_S + 1, NO_SERVER_WARNING_S + 2):
        line.sender._turn(start + seconds)

    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "no streamviz server at tcp://" in messages[0]
    assert "streamviz serve" in messages[0]


def test_each_stream_has_a_name_of_its_own() -> None:
    """Two publishers are two streams, and every frame says whose it is."""
    first, second = Line(), Line()
    for line in (first, second):
        line.send(1)
        line.turn()
    streams = [
        {decode(data).stream for data in line.transport.to_server} for line in (first, second)
    ]

    assert [len(names) for names in streams] == [1, 1]
    assert streams[0] != streams[1]
    assert stream_id(0) not in streams[0]
    hello = decode(first.transport.to_server[0])
    assert isinstance(hello, Hello)
    assert hello.parent is None
    assert any(isinstance(decode(data), Schema) for data in first.transport.to_server)
