"""Frames made by hand, and a collector with a real store to give them to: no socket, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamviz.counters import Counters
from streamviz.ingest.collector import Collector
from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import Roster, WorkerInfo
from streamviz.journal.recorder import Recorder
from streamviz.store.gaps import Gap as StoredGap
from streamviz.store.store import Store
from streamviz.wire.bodies import pack_body
from streamviz.wire.codec import encode
from streamviz.wire.frames import (
    Ack,
    Batch,
    Bye,
    Frame,
    Gap,
    Heartbeat,
    Hello,
    Item,
    Samples,
    Schema,
    Span,
)

__all__ = ["Ingest", "Speaker", "batch", "hello_frame", "stream_id"]


def stream_id(number: int) -> bytes:
    """Return a stream's name."""
    return number.to_bytes(16, "big")


def batch(
    steps: Sequence[int],
    values: Sequence[Sequence[float]],
    *,
    schema: int = 0,
    times: Sequence[float] | None = None,
) -> Batch:
    """Return rows as columns; the times are the steps unless told otherwise."""
    return Batch(
        schema,
        np.array(steps, "<i8").tobytes(),
        np.array(steps if times is None else times, "<f8").tobytes(),
        np.array(values, "<f8").tobytes(),
    )


def hello_frame(
    stream: bytes,
    *,
    wall: float = 0.0,
    base_seq: int = 0,
    base_row: int = 0,
    base_span: Span | None = None,
    run: str = "run",
    rank: int = 0,
    world_size: int = 1,
    attempt: int = 0,
    parent: bytes | None = None,
    pid: int = 4242,
    config: Mapping[str, object] | None = None,
) -> Hello:
    """Return a greeting."""
    return Hello(
        stream=stream,
        wall=wall,
        mono=0.0,
        base_seq=base_seq,
        base_row=base_row,
        base_span=base_span,
        run=run,
        rank=rank,
        world_size=world_size,
        local_rank=0,
        host="host",
        pid=pid,
        attempt=attempt,
        parent=parent,
        library="0.0.0",
        config=config or {},
    )


class Ingest:
    """A server without sockets, whose clock is a number."""

    def __init__(
        self,
        *,
        epoch: int = 1,
        budget: int = 64 << 20,
        max_streams: int = 20_000,
        recorder: Recorder | None = None,
        **caps: int,
    ) -> None:
        self.counters = Counters()
        self.store = Store(budget, counters=self.counters, **caps)
        self.roster = Roster()
        self.collector = Collector(
            self.store,
            self.roster,
            self.counters,
            epoch=epoch,
            max_streams=max_streams,
            recorder=recorder,
        )
        self.now = 1000.0
        self.collector.tick(self.now)

    def receive(self, data: bytes, peer: bytes = b"peer") -> None:
        """Take one message."""
        self.collector.receive(peer, data, self.now)

    def acks(self, after_s: float = 1.0) -> list[tuple[bytes, Ack]]:
        """Let time pass, and return the acknowledgements that are due then."""
        self.now += after_s
        return self.collector.acknowledgements(self.now)

    def tick(self, after_s: float = 0.0) -> None:
        """Let time pass, a turn of the clock after the other, and publish what is known."""
        end = self.now + after_s
        while self.now < end:
            self.now = min(self.now + 1.0, end)
            self.collector.tick(self.now)
        self.collector.tick(self.now)

    def total(self, name: str, reason: str | None = None) -> int:
        """Return a counter's sum, or the part that has a reason."""
        self.collector.settle()
        if reason is None:
            return self.counters.total(name)
        return self.counters.read()[name].get(reason, 0)

    def workers(self, run: str = "run") -> list[WorkerInfo]:
        """Return the run's workers as the views see them."""
        self.tick()
        info = self.roster.run(run)
        return [] if info is None else list(info.workers)

    def states(self, run: str = "run") -> list[WorkerState]:
        """Return the states of the run's workers."""
        return [worker.state for worker in self.workers(run)]

    def rows(
        self, metric: str = "m", run: str = "run"
    ) -> dict[tuple[int, int], list[tuple[int, float]]]:
        """Return steps and values as stored, by rank and attempt."""
        found = self.store.query(run, metric, points=1 << 20)
        assert found.resolution == "raw"
        return {
            (one.rank, one.attempt): list(zip(one.step.tolist(), one.value.tolist(), strict=True))
            for one in found.series
        }

    def gaps(self, run: str = "run") -> list[tuple[int, StoredGap]]:
        """Return the run's gaps."""
        return self.store.gaps(run)


class Speaker:
    """A hand-made sender that numbers its frames as the protocol says."""

    def __init__(self, ingest: Ingest, number: int = 1, **identity: Any) -> None:
        self.ingest = ingest
        self.stream = stream_id(number)
        self.peer = b"peer %d" % number
        self.identity = identity
        self.seq = 0
        self.row = 0

    def say(self, frame: Frame) -> bytes:
        """Hand over a frame, and return its bytes."""
        data = encode(frame)
        self.ingest.receive(data, self.peer)
        return data

    def hello(self, **fields: Any) -> None:
        """Greet."""
        told = {"wall": self.ingest.now, **self.identity, **fields}
        self.say(hello_frame(self.stream, **told))

    def schema(self, *names: str, schema: int = 0) -> None:
        """Announce metric names."""
        self.say(Schema(self.stream, self.ingest.now, 0.0, schema, names))

    def meet(self, *names: str, **fields: Any) -> Speaker:
        """Greet and announce schema 0."""
        self.hello(**fields)
        self.schema(*(names or ("m",)))
        return self

    def samples(self, *batches: Batch) -> bytes:
        """Send a numbered frame of samples."""
        seq, row = self.seq, self.row
        rows = sum(len(one.steps) // 8 for one in batches)
        frame = Samples(self.stream, seq, self.ingest.now, 0.0, row, batches, rows)
        self.seq += 1
        self.row += frame.rows
        return self.say(frame)

    def send(self, *steps: int, value: float = 1.0) -> bytes:
        """Send one value for each of some steps."""
        return self.samples(batch(steps, [[value]] * len(steps)))

    def item(self, step: int, name: str = "here", kind: str = "mark", **body: object) -> bytes:
        """Send a numbered item."""
        seq, row = self.seq, self.row
        self.seq += 1
        self.row += 1
        about = (kind, name, step, float(step), pack_body(body))
        return self.say(Item(self.stream, seq, self.ingest.now, 0.0, row, *about))

    def gap(self, rows: int, span: Span, *, frames: int = 1, reason: str = "buffer full") -> bytes:
        """Say that the next frames will never come."""
        seq, row = self.seq, self.row
        self.seq += frames
        self.row += rows
        return self.say(
            Gap(self.stream, seq, self.ingest.now, 0.0, self.seq - 1, row, self.row, span, reason)
        )

    def beat(self, **fields: Any) -> None:
        """Send a heartbeat."""
        beat = Heartbeat(self.stream, self.ingest.now, 0.0, self.row, 0, 0, {}, {}, None, None, 0.0)
        self.say(beat._replace(**fields))

    def bye(self, how: str = "ok") -> None:
        """Say goodbye."""
        self.say(Bye(self.stream, self.ingest.now, 0.0, self.seq, how))
