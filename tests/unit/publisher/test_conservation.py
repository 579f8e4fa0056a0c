"""The sum that must come out: sent = acknowledged + held = stored + drawn + under way.

From ``send`` to the store, with everything between them but sockets and threads.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from handmade_frames import Ingest, stream_id
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_transport import MemoryTransport
from serving import wait_until

from streamviz.ingest.liveness import WorkerState
from streamviz.publisher import endings
from streamviz.publisher import publisher as publisher_module
from streamviz.publisher.courier import Delivery, deliver
from streamviz.publisher.leftovers import LeftOver
from streamviz.publisher.publisher import Publisher
from streamviz.publisher.sender import NO_SERVER_WARNING_S, Sender
from streamviz.publisher.spill import _RESERVE_BYTES
from streamviz.publisher.stream import Totals
from streamviz.wire.codec import decode, encode_ack
from streamviz.wire.delivery import STALL_S
from streamviz.wire.frames import Bye, Gap, Heartbeat, Hello, Samples, Schema


class Line:
    """A publisher whose sender takes its turn when told, a network, and a server at a time."""

    def __init__(
        self,
        *,
        outbox_rows: int = 8192,
        buffer_bytes: int = 1 << 20,
        spill_dir: Path | None = None,
        spill_bytes: int = 1 << 20,
    ) -> None:
        self.transport = MemoryTransport()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(publisher_module, "ZmqTransport", lambda _: self.transport)
            patch.setattr(Sender, "start", lambda _: None)
            self.publisher = Publisher(
                run="run",
                outbox_rows=outbox_rows,
                buffer_bytes=buffer_bytes,
                spill_dir=spill_dir,
            )
        endings.ALIVE.discard(self.publisher)
        assert self.publisher._stream.sender is not None
        self.sender = self.publisher._stream.sender
        self.spill = self.publisher._stream.spill
        if self.spill is not None:
            # Smaller than a setting may be.
            self.spill._limit = _RESERVE_BYTES + spill_bytes
        self.ingest = Ingest(epoch=1)
        self.epoch = 1
        self.now = 100.0
        self.sent = 0

    def send(self, rows: int) -> None:
        """Send rows that carry their own number, as step and as value."""
        for _ in range(rows):
            self.publisher.send({"m": float(self.sent)}, step=self.sent)
            self.sent += 1

    def mark(self, count: int) -> None:
        """Send marks among the rows, each counted as one."""
        for _ in range(count):
            self.publisher.mark("here", step=self.sent)
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
        """Return the rows and marks that the server has, having checked values and order."""
        store = self.ingest.store
        if "run" not in store.runs():
            return []
        marks = [mark.step for mark in store.items("run")]
        assert marks == sorted(marks)
        series = list(self.ingest.rows().values()) if store.metrics("run") else []
        assert len(series) <= 1
        assert all(value == step for rows in series for step, value in rows)
        steps = [step for rows in series for step, _ in rows]
        assert steps == sorted(steps)
        return sorted(steps + marks)

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
    st.tuples(st.just("mark"), st.integers(1, 3)),
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
    if action in ("send", "mark"):
        {"send": line.send, "mark": line.mark}[action](number)
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
    spill_bytes=st.sampled_from([0, 2000, 1 << 20]),
)
def test_sent_is_stored_or_drawn_or_held(
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[tuple[str, int]],
    outbox_rows: int,
    buffer_bytes: int,
    spill_bytes: int,
) -> None:
    """Under loss, repetition, reordering, new connections and servers, full buffers and disks."""
    line = Line(
        outbox_rows=outbox_rows,
        buffer_bytes=buffer_bytes,
        spill_dir=tmp_path_factory.getbasetemp() / "spill" if spill_bytes else None,
        spill_bytes=spill_bytes,
    )
    for action, number in actions:
        act(line, action, number)
        line.check()
    line.heal()
    line.check()

    totals = line.publisher.totals()
    assert (totals.sent, totals.held, totals.spilled) == (line.sent, 0, 0)
    if line.spill is not None:
        line.spill.remove()
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


def test_what_memory_has_no_room_for_waits_on_disk(tmp_path: Path) -> None:
    """With room on disk a small buffer loses nothing: all is stored, and the file is gone."""
    line = Line(buffer_bytes=1000, spill_dir=tmp_path)
    assert line.spill is not None
    line.transport.refuses = True
    for _ in range(50):
        line.send(10)
        line.turn()
    totals = line.publisher.totals()
    assert (totals.sent, totals.held, totals.dropped) == (500, 500, {})
    assert totals.spilled > 400
    assert line.publisher._stream.outgoing.held_bytes <= 1000
    beat = line.publisher._stream.heartbeat(500, 500)
    assert beat.spilled == totals.spilled
    line.heal()

    assert line.stored() == list(range(500))
    assert line.drawn() == 0
    line.sender.close(1e12, "ok")
    line.sender._drain()
    assert list(tmp_path.iterdir()) == []


def deliver_left_over(
    line: Line,
    directory: Path,
    transport: MemoryTransport | None = None,
    patience_s: float = 10.0,
) -> Delivery:
    """Deliver the one file of a directory to the line's server, as a later process would."""
    [path] = directory.iterdir()

    def answer(data: bytes) -> list[bytes]:
        line.ingest.receive(data, b"courier")
        return [encode_ack(ack) for _, ack in line.ingest.acks()]

    left_over = LeftOver.claim(path)
    assert left_over is not None
    delivery = deliver(
        left_over,
        lambda: transport or MemoryTransport(answer),
        threading.Event(),
        patience_s=patience_s,
    )
    left_over.close()
    return delivery


@pytest.mark.parametrize("reaches", [0, 1, 3])
def test_what_no_server_took_is_delivered_from_the_file(tmp_path: Path, reaches: int) -> None:
    """What was held at the end is in the file, and arrives once, whatever had come before."""
    line = Line(spill_dir=tmp_path)
    for _ in range(6):
        line.send(10)
        line.turn()
        line.deliver(reaches)
    line.send(10)
    line.sender.close(0.0, "SystemExit")
    line.sender._drain()
    line.transport.answered([])
    assert not any(isinstance(decode(data), Bye) for data in line.transport.to_server)
    totals = line.publisher.totals()
    assert totals.spilled == totals.held > 0
    line.deliver(1000)

    first = deliver_left_over(line, tmp_path)
    assert first.is_done
    assert line.stored() == list(range(70))
    assert line.drawn() == 0
    [worker] = line.ingest.workers()
    assert (worker.state, worker.ended) == (WorkerState.FAILED, "SystemExit")

    again = deliver_left_over(line, tmp_path)
    assert again.is_done
    assert again.known == again.frames > 0
    assert line.stored() == list(range(70))


@settings(max_examples=80, deadline=None)
@given(
    actions=st.lists(ACTIONS, max_size=40),
    buffer_bytes=st.sampled_from([600, 3000, 1 << 20]),
    spill_bytes=st.sampled_from([1000, 4000, 1 << 20]),
    is_killed=st.booleans(),
)
def test_an_end_at_any_moment_leaves_nothing_unaccounted(
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[tuple[str, int]],
    buffer_bytes: int,
    spill_bytes: int,
    is_killed: bool,  # noqa: FBT001
) -> None:
    """However far delivery has come, what the process left is delivered, each row once.

    After a clean end that is every row; after a kill every row that had been written.
    """
    directory = tmp_path_factory.mktemp("spill")
    line = Line(buffer_bytes=buffer_bytes, spill_dir=directory, spill_bytes=spill_bytes)
    for action, number in actions:
        act(line, action, number)
    assert line.spill is not None
    shelved_row = line.publisher._stream.outgoing.shelved_row
    if is_killed:
        line.spill.leave()
    else:
        line.sender.close(0.0, "ok")
        line.sender._drain()
        shelved_row = line.sent
    line.deliver(1000)
    if any(path.stat().st_size for path in directory.iterdir()):
        assert deliver_left_over(line, directory).is_done
        stored = line.stored()
        assert stored == sorted(set(stored))
        assert len(stored) + line.drawn() >= shelved_row
    for path in directory.iterdir():
        path.unlink()


def test_in_mode_file_there_is_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing connects; all is in the file when it is flushed, and all arrives from there."""

    def refuse(endpoint: str) -> MemoryTransport:
        raise AssertionError(endpoint)

    monkeypatch.setattr(publisher_module, "ZmqTransport", refuse)
    with Publisher(run="run", mode="file", spill_dir=tmp_path) as publisher:
        for step in range(1000):
            publisher.send({"m": float(step)}, step=step)
        assert publisher.flush(10)
        totals = publisher.totals()
    assert (totals.sent, totals.held, totals.spilled) == (1000, 1000, 1000)
    assert caplog.records == []

    line = Line()
    assert deliver_left_over(line, tmp_path).is_done
    assert line.stored() == list(range(1000))
    [worker] = line.ingest.workers()
    assert (worker.state, worker.ended) == (WorkerState.DONE, "ok")


def test_a_small_file_tells_what_it_had_no_room_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Past its bytes a file ends with a gap for the rest, so that the sum comes out later."""
    with Publisher(run="run", mode="file", spill_dir=tmp_path, spill_bytes=1 << 16) as publisher:
        for step in range(20_000):
            publisher.send({"m": float(step)}, step=step)
            if step % 1000 == 0:
                wait_until(lambda: not publisher._rows, "the outbox is framed")
    totals = publisher.totals()
    assert totals.dropped.get("buffer full", 0) > 1000
    [path] = tmp_path.iterdir()
    assert path.stat().st_size <= 1 << 16
    assert sum("STREAMVIZ_SPILL_BYTES" in record.getMessage() for record in caplog.records) == 1

    line = Line()
    assert deliver_left_over(line, tmp_path).is_done
    assert len(line.stored()) + line.drawn() == 20_000
    assert line.drawn() == sum(totals.dropped.values())


def test_a_server_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    """A file that a server does not take in stays, and why is said."""
    line = Line(spill_dir=tmp_path)
    line.transport.refuses = True
    line.send(10)
    line.sender.close(0.0, "ok")
    line.sender._drain()
    [path] = tmp_path.iterdir()
    for transport, fault in (
        (MemoryTransport(lambda _: []), "does not take it in"),
        (MemoryTransport(lambda _: [b"HTTP/1.1 400"]), "the server answered"),
        (absent(), "no streamviz server is there"),
    ):
        delivery = deliver_left_over(line, tmp_path, transport, patience_s=0.1)
        assert fault in delivery.fault
        assert delivery.left_rows == 10
    assert path.exists()


def absent() -> MemoryTransport:
    """Return a transport that finds no server."""
    transport = MemoryTransport()
    transport.is_connected = False
    transport.connections()
    return transport


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
