"""A recording is sent again as it was: every row once, in order, bit for bit, at its pace."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from handmade_frames import Ingest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_transport import MemoryTransport

from streamviz.clock import monotonic_time, wall_time
from streamviz.ingest.acknowledger import WINDOW_BYTES
from streamviz.publisher import line as line_module
from streamviz.publisher import replay as replay_module
from streamviz.publisher.framer import FRAME_BYTES
from streamviz.publisher.past import Lane, Missing, PastRun, PastWorker, Piece, Reader, Rows
from streamviz.publisher.replay import Progress, Replay
from streamviz.wire.codec import decode, encode_ack
from streamviz.wire.frames import Bye, Frame, Gap, Heartbeat, Hello, Samples, Schema, Span


def rows(
    steps: list[int],
    times: list[float] | None = None,
    values: list[float] | None = None,
    name: str = "m",
) -> Rows:
    """Return rows of one metric; times and values are the steps unless told otherwise."""
    return Rows(
        (name,),
        np.array(steps, np.int64),
        np.array(steps if times is None else times, np.float64),
        np.array(steps if values is None else values, np.float64).reshape(-1, 1),
    )


def lane(*pieces: Piece) -> Lane:
    """Return a lane that reads some pieces."""
    return lambda: iter(pieces)


def worker(
    *lanes: Lane, rank: int = 0, attempt: int = 0, ended: str | None = "ok", last_time: float = 0.0
) -> PastWorker:
    """Return a worker that was recorded."""
    return PastWorker(
        rank=rank,
        attempt=attempt,
        world_size=8,
        local_rank=rank,
        host="node1",
        pid=77,
        library="0.0.1",
        ended=ended,
        last_time=last_time,
        rows=None,
        lanes=lanes,
    )


@dataclass
class Network:
    """Connections to a real collector, and what went over them."""

    ingest: Ingest = field(default_factory=Ingest)
    on_frame: Callable[[Frame], None] = lambda _: None
    answers: Callable[[Frame], bool] = lambda _: True
    transports: dict[bytes, MemoryTransport] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)

    def connect(self) -> MemoryTransport:
        """Make a connection."""
        name = b"peer %d" % len(self.transports)
        transport = MemoryTransport(lambda data: self._take(name, data))
        self.transports[name] = transport
        return transport

    def _take(self, name: bytes, data: bytes) -> list[bytes]:
        frame = decode(data)
        self.frames.append(frame)
        self.on_frame(frame)
        if self.answers(frame):
            self.ingest.receive(data, name)
            for peer, ack in self.ingest.acks():
                self.transports[peer].answered([encode_ack(ack)])
        return []

    def streams(self) -> dict[tuple[int, int], list[Frame]]:
        """Return the frames of each stream, by rank and attempt."""
        named = {
            frame.stream: (frame.rank, frame.attempt)
            for frame in self.frames
            if isinstance(frame, Hello)
        }
        found = defaultdict(list)
        for frame in self.frames:
            found[named[frame.stream]].append(frame)
        return found


def replayed(
    network: Network,
    *workers: PastWorker,
    speed: float = float("inf"),
    keep_times: bool = True,
    loop: bool = False,
) -> Replay:
    """Return a replay of some workers as the run ``run``."""
    return Replay(
        PastRun(run="past", config={"lr": 0.1}, workers=workers),
        run="run",
        connect=network.connect,
        warn=lambda cause, sentence: pytest.fail(f"{cause}: {sentence}"),
        speed=speed,
        keep_times=keep_times,
        loop=loop,
    )


def columns_of(frames: list[Frame]) -> dict[tuple[str, ...], tuple[bytes, bytes, bytes]]:
    """Return the steps, times and values of a stream by schema, having checked its numbers."""
    names: dict[int, tuple[str, ...]] = {}
    found: dict[tuple[str, ...], tuple[bytes, bytes, bytes]] = {}
    seq = row = 0
    for frame in frames:
        if isinstance(frame, Schema):
            names[frame.schema] = frame.names
        elif isinstance(frame, Samples):
            assert (frame.seq, frame.row) == (seq, row)
            seq, row = seq + 1, row + frame.rows
            for batch in frame.batches:
                before = found.get(names[batch.schema], (b"", b"", b""))
                columns = (batch.steps, batch.times, batch.values)
                steps, times, values = (a + b for a, b in zip(before, columns, strict=True))
                found[names[batch.schema]] = steps, times, values
        elif isinstance(frame, Gap):
            assert (frame.seq, frame.row) == (seq, row)
            seq, row = frame.last_seq + 1, frame.end_row
    return found


any_float = st.integers(0, 2**64 - 1).map(lambda bits: float(np.uint64(bits).view(np.float64)))
any_rows = st.lists(
    st.tuples(st.integers(0, 2**53), st.floats(0, 2**40), any_float), min_size=1, max_size=40
)
any_gap = st.builds(
    Missing,
    span=st.just(Span(1, 2, 3.0, 4.0)),
    rows=st.integers(1, 9),
    reason=st.sampled_from(("buffer full", "undelivered", "why not")),
)
any_lane = st.lists(st.one_of(any_rows, any_gap), max_size=5)
any_workers = st.lists(st.lists(any_lane, max_size=3), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(recorded=any_workers)
def test_every_row_is_sent_once_in_order_bit_for_bit(
    recorded: list[list[list[list[tuple[int, float, float]] | Missing]]],
) -> None:
    """Of any recording each lane arrives as it was, gaps included, and all is acknowledged."""
    workers, expected, missing = [], {}, {}
    for rank, lanes in enumerate(recorded):
        made = [
            [
                one
                if isinstance(one, Missing)
                else rows(
                    [step for step, _, _ in one],
                    [time for _, time, _ in one],
                    [value for _, _, value in one],
                    name=f"m{i}",
                )
                for one in pieces
            ]
            for i, pieces in enumerate(lanes)
        ]
        workers.append(worker(*(lane(*pieces) for pieces in made), rank=rank))
        for i, pieces in enumerate(made):
            kept = [piece for piece in pieces if isinstance(piece, Rows)]
            if kept:
                expected[rank, (f"m{i}",)] = tuple(
                    b"".join(getattr(piece, column).tobytes() for piece in kept)
                    for column in ("steps", "times", "values")
                )
        missing[rank] = sorted(
            (piece.rows, piece.reason)
            for piece in itertools.chain(*made)
            if isinstance(piece, Missing)
        )
    network = Network()

    replay = replayed(network, *workers)
    progress = replay.run()

    streams = network.streams()
    assert replay.faults == []
    assert progress.rows == progress.acknowledged
    found = {
        (rank, names): columns
        for (rank, _), frames in streams.items()
        for names, columns in columns_of(frames).items()
    }
    assert found == expected
    for rank, gaps in missing.items():
        frames = streams[rank, 0]
        sent = [frame for frame in frames if isinstance(frame, Gap)]
        assert sorted((gap.end_row - gap.row, gap.reason) for gap in sent) == gaps
        assert not frames or frames[-1][-1] == "ok"
    assert network.ingest.total("frames_bad_total") == 0


def test_a_worker_is_who_it_was() -> None:
    """Rank, host, process and configuration are those of the recording, the run's name is not."""
    network = Network()
    replayed(network, worker(lane(rows([1])), rank=3, attempt=2)).run()

    hello = next(frame for frame in network.frames if isinstance(frame, Hello))

    assert (hello.run, hello.rank, hello.world_size, hello.attempt) == ("run", 3, 8, 2)
    assert (hello.host, hello.pid, hello.library) == ("node1", 77, "0.0.1")
    assert hello.config == {"lr": 0.1}
    assert hello.parent is None


def test_rows_of_several_tables_come_in_the_order_of_their_times() -> None:
    """A frame holds of every table what lies before its last row, and nothing after it."""
    first = rows(list(range(0, 20_000, 2)), name="train")
    second = rows(list(range(1, 20_000, 100)), name="eval")
    reader = Reader([lane(first), lane(second)])
    latest = -1.0
    taken = 0
    while reader.due < float("inf"):
        pieces = [piece for piece in reader.take(float("inf"), 4096) if isinstance(piece, Rows)]
        assert min(piece.times[0] for piece in pieces) > latest
        latest = max(piece.times[-1] for piece in pieces)
        taken += sum(piece.steps.size for piece in pieces)

    assert taken == 10_200


def test_a_clock_that_ran_backwards_reorders_nothing() -> None:
    """Rows whose times run backwards are due at once, in their order, with their own times."""
    jumped = rows([1, 2, 3, 4], times=[100.0, 50.0, 60.0, 101.0])
    reader = Reader([lane(jumped)])

    [piece] = reader.take(100.0, 1 << 20)

    assert isinstance(piece, Rows)
    assert piece.times.tolist() == [100.0, 50.0, 60.0]
    assert reader.due == 101.0


def test_rows_wait_until_they_are_due_and_look_live() -> None:
    """At ten times the speed no row comes before its time, and the intervals are a tenth."""
    network = Network()
    arrivals: list[float] = []
    network.on_frame = lambda frame: (
        arrivals.extend([monotonic_time()] * frame.rows) if isinstance(frame, Samples) else None
    )
    times = [5000.0, 5000.5, 5001.0, 5002.0, 5003.0]
    before, begun = wall_time(), monotonic_time()

    replayed(network, worker(lane(rows([0, 1, 2, 3, 4], times))), speed=10, keep_times=False).run()

    due = (np.array(times) - 5000.0) / 10
    assert (np.array(arrivals) - begun >= due).all()
    [columns] = columns_of(network.streams()[0, 0]).values()
    sent = np.frombuffer(columns[1], "<f8")
    assert before <= sent[0] <= wall_time()
    assert np.allclose(sent - sent[0], due, atol=1e-5)


def test_without_a_pace_the_recording_ends_now() -> None:
    """As fast as possible there is no pace: the intervals stay, and the last row is of now."""
    network = Network()
    before = wall_time()

    replayed(
        network, worker(lane(rows([0, 1], [10.0, 70.0])), last_time=70.0), keep_times=False
    ).run()

    [columns] = columns_of(network.streams()[0, 0]).values()
    first, last = np.frombuffer(columns[1], "<f8")
    assert before <= last <= wall_time()
    assert last - first == pytest.approx(60.0)


def test_attempts_follow_each_other_as_they_did() -> None:
    """An attempt begins when its rank's earlier one has ended, whatever order they are given in."""
    network = Network()
    first, second, third = (
        worker(lane(rows([10 * n, 10 * n + 1])), attempt=n, ended=ended)
        for n, ended in enumerate([None, "RuntimeError", "ok"])
    )

    replayed(network, third, first, second).run()

    assert network.ingest.rows() == {
        (0, n): [(10 * n, 10.0 * n), (10 * n + 1, 10.0 * n + 1)] for n in range(3)
    }
    streams = network.streams()
    byes = {
        attempt: [frame.how for frame in frames if isinstance(frame, Bye)]
        for (_, attempt), frames in streams.items()
    }
    assert byes == {0: [], 1: ["RuntimeError"], 2: ["ok"]}
    places = {key: [network.frames.index(frame) for frame in streams[key]] for key in streams}
    assert max(places[0, 0]) < min(places[0, 1])
    assert max(places[0, 1]) < min(places[0, 2])


def test_two_processes_that_were_one_rank_at_once_are_so_again() -> None:
    """An attempt that began while the earlier one went on does not wait for its end."""
    network = Network()
    long = worker(lane(rows(list(range(0, 40_000, 2)))), attempt=0)
    short = worker(lane(rows(list(range(10_001, 12_001, 2)))), attempt=1)

    replay = replayed(network, short, long)
    replay.run()

    assert replay.faults == []
    streams = network.streams()
    first_of_short = network.frames.index(streams[0, 1][0])
    assert network.frames.index(streams[0, 0][0]) < first_of_short
    assert network.frames.index(streams[0, 0][-1]) > first_of_short


def test_what_was_missing_is_missing_again() -> None:
    """A recorded gap is drawn again, its rows are counted as sent, and the heartbeat names them."""
    network = Network()
    gap = Missing(Span(2, 4, 2.0, 4.0), 3, "outbox full")

    progress = replayed(network, worker(lane(rows([0, 1, 5])), lane(gap))).run()

    [(_, drawn)] = network.ingest.gaps()
    assert (drawn.first_step, drawn.last_step, drawn.rows, drawn.reason) == (2, 4, 3, "outbox full")
    assert progress.rows == 6
    beat = [frame for frame in network.frames if isinstance(frame, Heartbeat)][-1]
    assert (beat.sent, beat.held, dict(beat.dropped)) == (6, 0, {"outbox full": 3})


def test_no_more_is_read_than_can_be_delivered() -> None:
    """While nothing is acknowledged, an endless recording is read as far as the window goes."""
    read = itertools.count()

    def endless() -> Iterator[Piece]:
        for number in read:
            yield rows(list(range(1000 * number, 1000 * number + 1000)))

    network = Network(answers=lambda frame: not isinstance(frame, Samples))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_module, "GIVE_UP_S", 0.3)
        replay = replayed(network, worker(endless))
        progress = replay.run()

    assert next(read) < (WINDOW_BYTES + 2 * FRAME_BYTES) // 24_000 + 2
    assert progress.acknowledged == 0
    assert len(replay.faults) == 1
    assert f"{progress.rows} rows are undelivered" in replay.faults[0]
    assert "was not sent" in replay.faults[0]


def test_a_server_that_is_replaced_gets_the_rest() -> None:
    """A new server in mid-replay is greeted anew; nothing is stored twice and nothing is lost."""
    network = Network()
    seen = itertools.count(1)

    def replace_server(_: Frame) -> None:
        if next(seen) == 20:
            network.ingest = Ingest(epoch=2)
            for transport in network.transports.values():
                transport.connect()

    network.on_frame = replace_server
    total = 200_000

    replay = replayed(network, worker(lane(rows(list(range(total))))))
    progress = replay.run()

    assert replay.faults == []
    assert progress.acknowledged == total
    drawn = sum(gap.rows for _, gap in network.ingest.gaps())
    assert 0 < drawn < total
    assert network.ingest.collector.rows_stored == total - drawn


def test_a_rank_that_is_refused_keeps_nobody_waiting() -> None:
    """What a server has no room for is named; the other ranks are replayed in full."""
    network = Network(Ingest(max_workers=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_module, "GIVE_UP_S", 0.3)
        replay = replayed(network, worker(lane(rows([0, 1]))), worker(lane(rows([0, 1])), rank=1))
        progress = replay.run()

    assert progress.acknowledged == 2
    assert len(replay.faults) == 1
    assert replay.faults[0].startswith("rank 1, attempt 0: nothing was acknowledged for")


def test_without_a_server_it_ends() -> None:
    """A server that is not there is waited for a while, and that nothing was sent is said."""
    network = Network()

    def connect() -> MemoryTransport:
        transport = network.connect()
        transport.disconnect()
        return transport

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay_module, "NO_SERVER_S", 0.2)
        replay = Replay(
            PastRun(run="past", config={}, workers=[worker(lane(rows([1])))]),
            run="run",
            connect=connect,
            warn=lambda *_: None,
        )
        progress = replay.run()

    assert progress == Progress(rows=0, acknowledged=0, total=None, workers=0, held_bytes=0)
    assert replay.faults == ["no server answered within 0 s: nothing was sent"]


def test_a_stop_says_goodbye() -> None:
    """A stopped replay waits for what is under way and says goodbye, having lost nothing."""
    network = Network()
    replay = replayed(network, worker(lane(rows([0, 1], [0.0, 9999.0]))), speed=1)
    network.on_frame = lambda frame: replay.stop() if isinstance(frame, Samples) else None

    progress = replay.run()

    assert replay.faults == []
    assert (progress.rows, progress.acknowledged) == (1, 1)
    assert isinstance(network.frames[-1], Bye)
    assert network.frames[-1].how == "stopped"


def test_a_loop_is_further_attempts() -> None:
    """Each time round the workers are attempts after all those before."""
    network = Network()
    byes = itertools.count(1)
    replay = replayed(
        network, worker(lane(rows([0]))), worker(lane(rows([1])), attempt=1), loop=True
    )

    def stop_after(frame: Frame) -> None:
        if isinstance(frame, Bye) and next(byes) == 6:
            replay.stop()

    network.on_frame = stop_after

    progress = replay.run()

    assert sorted(network.streams()) == [(0, n) for n in range(6)]
    assert (progress.rows, progress.acknowledged) == (6, 6)
    assert network.ingest.rows() == {(0, n): [(n % 2, float(n % 2))] for n in range(6)}


def test_nothing_to_replay_is_no_fault() -> None:
    """A recording without rows is over at once."""
    network = Network()
    replay = replayed(network, worker(lane()), loop=True)

    assert replay.run().rows == 0
    assert replay.faults == []
    assert network.frames == []
