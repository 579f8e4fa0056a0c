"""A server that is killed and started again answers as one that never was: the journal's law."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from handmade_frames import Ingest, Speaker, batch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from serving import wait_until

from streamviz.counters import Counters
from streamviz.ingest.roster import WorkerInfo
from streamviz.journal import recorder, writer
from streamviz.journal.recorder import Recorder
from streamviz.store.series import QueryResult
from streamviz.wire.frames import Span

RANKS = 3
SCHEMAS = (("loss",), ("loss", "lr"))
FLUSH_S = 20.0


@dataclass
class Sent:
    """A numbered frame that its sender holds until it is acknowledged."""

    data: bytes
    end_seq: int
    end_row: int


@dataclass
class Sender:
    """A publisher in small: holds what is not acknowledged, greets with what it has."""

    speaker: Speaker
    step: int = 0
    held: list[Sent] = field(default_factory=list)
    base_seq: int = 0
    base_row: int = 0
    is_over: bool = False

    def hold(self, data: bytes) -> None:
        """Keep a frame that was said."""
        self.held.append(Sent(data, self.speaker.seq, self.speaker.row))

    def send(self, rows: int, schema: int, seed: int) -> None:
        """Say rows that go on where the last ended."""
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(rows, len(SCHEMAS[schema])))
        if seed % 3 == 0:
            values[rng.random(values.shape) < 0.3] = (math.nan, math.inf)[seed % 2]
        steps = range(self.step, self.step + rows)
        self.step += rows
        self.hold(self.speaker.samples(batch(steps, values.tolist(), schema=schema)))

    def gap(self, rows: int) -> None:
        """Say that rows are lost."""
        span = Span(self.step, self.step + rows - 1, 1.0, 2.0)
        self.step += rows
        self.hold(self.speaker.gap(rows, span))

    def meet(self) -> None:
        """Greet, and say again what is held."""
        self.speaker.hello(base_seq=self.base_seq, base_row=self.base_row, base_span=SPAN)
        for number, names in enumerate(SCHEMAS):
            self.speaker.schema(*names, schema=number)
        for frame in self.held:
            self.speaker.ingest.receive(frame.data, self.speaker.peer)

    def acknowledged(self, next_seq: int) -> None:
        """Let go of what the server has."""
        while self.held and self.held[0].end_seq <= next_seq:
            done = self.held.pop(0)
            self.base_seq, self.base_row = done.end_seq, done.end_row


SPAN = Span(0, 0, 0.0, 0.0)


class World:
    """Senders, and a server that records; or one that does not and is never killed."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self.recorder: Recorder | None = None
        self.senders: dict[int, Sender] = {}
        self.started = 0
        self.ingest = self._serve()
        for rank in range(RANKS):
            self.begin(rank)

    def _serve(self) -> Ingest:
        if self.directory is None:
            return Ingest()
        self.recorder = Recorder(self.directory, 1 << 30, Counters())
        ingest = Ingest(recorder=self.recorder)
        for found in self.recorder.restore_all(ingest.store):
            assert not isinstance(found, str)
            assert found.losses == []
            assert ingest.collector.recording is not None
            ingest.collector.recording.take_back(found, ingest.now)
        self.recorder.start()
        return ingest

    def begin(self, rank: int) -> None:
        """Start a process of a rank, the former being over: another attempt if steps overlap."""
        self.started += 1
        speaker = Speaker(self.ingest, self.started, rank=rank, config={f"lr{rank}": rank})
        self.senders[rank] = Sender(speaker)
        self.senders[rank].meet()

    def bye(self, rank: int) -> None:
        """End a process once all it sent is acknowledged; its goodbye is not said twice."""
        self.commit()
        self.senders[rank].speaker.bye()
        self.commit()

    def commit(self) -> None:
        """Let everything reach the disk."""
        for peer, ack in self.ingest.collector.last_acknowledgements(FLUSH_S):
            for sender in self.senders.values():
                if sender.speaker.peer == peer:
                    sender.acknowledged(ack.next_seq)

    def chunk(self) -> None:
        """Let the disk put everything into chunks."""
        self.commit()
        if self.recorder is not None:
            writers = self.recorder.writers
            with mock.patch.multiple(writer, CHECKPOINT_BYTES=1, CHECKPOINT_ROWS=0):
                wait_until(lambda: not any(one.retained_bytes for one in writers), "it is chunked")

    def kill(self) -> None:
        """End the server with what is not sealed yet, and start another."""
        if self.recorder is None:
            return
        self.recorder.stop()
        self.ingest = self._serve()
        for sender in self.senders.values():
            sender.speaker.ingest = self.ingest
            sender.meet()

    def end(self) -> None:
        """Let go of the directory."""
        self.commit()
        if self.recorder is not None:
            self.recorder.stop()

    def picture(self, **asked: Any) -> dict[str, QueryResult]:
        """Return what is answered about every metric."""
        store = self.ingest.store
        return {name: store.query("run", name, **asked) for name in store.metrics("run")}

    def config(self) -> Mapping[str, object]:
        """Return the run's configuration."""
        info = self.ingest.roster.run("run")
        assert info is not None
        return info.config

    def workers(self) -> list[tuple[object, ...]]:
        """Return what is known of every worker, but for what only a living process tells."""
        return [_known(worker) for worker in self.ingest.workers()]


def _known(worker: WorkerInfo) -> tuple[object, ...]:
    return (
        *(worker.rank, worker.attempt, worker.index, worker.world_size, worker.host, worker.pid),
        *(worker.last_step, worker.ended, worker.stored, worker.missing),
    )


@contextmanager
def checkpoints_when_asked(on_stop_s: float) -> Iterator[None]:
    """Let journals be chunked when the script says, and at the end for as long as that may take."""
    with (
        mock.patch.object(writer, "CHECKPOINT_S", math.inf),
        mock.patch.object(writer, "_REST_S", 0.001),
        mock.patch.object(writer, "_STOP_CHECKPOINT_S", on_stop_s),
        mock.patch.object(writer, "_QUIET_S", 0.0),
    ):
        yield


doings = st.one_of(
    st.tuples(
        st.just("send"),
        st.integers(0, RANKS - 1),
        st.sampled_from([1, 1, 2, 7, 300, 1500]),
        st.integers(0, 1),
        st.integers(0, 100),
    ),
    st.tuples(st.just("gap"), st.integers(0, RANKS - 1), st.integers(1, 5)),
    st.tuples(st.just("again"), st.integers(0, RANKS - 1)),
    st.tuples(st.just("commit")),
    st.tuples(st.just("chunk")),
    st.tuples(st.just("kill")),
)


SEND, COMMIT, CHUNK, KILL = ("send", 0, 1, 0, 1), ("commit",), ("chunk",), ("kill",)


@settings(max_examples=40, deadline=None)
@example([SEND, COMMIT, SEND, COMMIT, KILL, CHUNK, KILL], -1.0)
@given(st.lists(doings, min_size=3, max_size=25), st.sampled_from([-1.0, 5.0]))
def test_a_killed_server_answers_as_one_that_never_was(
    script: list[tuple[Any, ...]], on_stop_s: float
) -> None:
    """Whatever was sent and whenever it was killed: the same rows, gaps, workers and extremes."""
    with tempfile.TemporaryDirectory() as directory, checkpoints_when_asked(on_stop_s):
        worlds = [World(None), World(Path(directory))]
        for world in worlds:
            for what, *how in script:
                if what == "send":
                    world.senders[how[0]].send(*how[1:])
                elif what == "gap":
                    world.senders[how[0]].gap(how[1])
                elif what == "again":
                    world.bye(how[0])
                    world.begin(how[0])
                elif what == "commit":
                    world.commit()
                elif what == "chunk":
                    world.chunk()
                else:
                    world.kill()
            world.kill()
            world.commit()
        plain, killed = worlds
        try:
            assert killed.workers() == plain.workers()
            assert killed.ingest.gaps() == plain.ingest.gaps()
            assert killed.config() == plain.config()
            assert all(not sender.held for sender in killed.senders.values())
            for asked in (
                {"points": 1 << 20},
                {"points": 5},
                {"points": 9, "start": 3, "stop": 99},
            ):
                assert_alike(killed.picture(**asked), plain.picture(**asked))
        finally:
            killed.end()


def assert_alike(
    found: dict[str, QueryResult], wanted: dict[str, QueryResult], rounding: float = 1e-12
) -> None:
    """Fail unless both say the same; means and times up to rounding."""
    assert found.keys() == wanted.keys()
    for name, result in wanted.items():
        assert found[name].resolution == result.resolution
        assert len(found[name].series) == len(result.series)
        for one, other in zip(found[name].series, result.series, strict=True):
            assert (one.worker, one.rank, one.attempt) == (other.worker, other.rank, other.attempt)
            for exact in ("step", "min", "max", "count", "bad"):
                np.testing.assert_array_equal(getattr(one, exact), getattr(other, exact))
            for rounded in ("time", "value"):
                np.testing.assert_allclose(
                    getattr(one, rounded), getattr(other, rounded), rounding, rounding
                )


@settings(max_examples=5, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(500, 30_000)), min_size=2, max_size=4),
    st.sampled_from([0, 10_000, 60_000]),
    st.integers(0, 100),
)
def test_what_the_rings_do_not_get_back_is_in_the_overviews(
    script: list[tuple[int, int]], values: int, seed: int
) -> None:
    """Of a run that is read back in part, extremes and counts of all of it are exact."""
    with (
        tempfile.TemporaryDirectory() as directory,
        checkpoints_when_asked(5.0),
        mock.patch.object(recorder, "RESTORE_VALUES", values),
    ):
        worlds = [World(None), World(Path(directory))]
        for world in worlds:
            for rank, rows in script:
                for done in range(0, rows, 2000):
                    world.senders[rank].send(min(2000, rows - done), seed % 2, seed + done)
            world.commit()
            world.kill()
            for rank in range(RANKS):
                world.senders[rank].send(3, seed % 2, seed)
            world.commit()
        plain, killed = worlds
        try:
            for points in (5, 100, 400):
                assert_alike(
                    killed.picture(points=points), plain.picture(points=points), rounding=1e-6
                )
            total = sum(rows for _, rows in script) + 3 * RANKS
            usage = killed.ingest.store.usage()
            assert usage.evicted_rows + usage.ring_rows == total
        finally:
            killed.end()
