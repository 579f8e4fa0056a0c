"""Whatever a peer sends, only its own stream can suffer: the collector's law, under any frames."""

from __future__ import annotations

import math
import struct

from handmade_frames import Ingest, Speaker, hello_frame, stream_id
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.wire.codec import encode
from streamviz.wire.frames import (
    MAX_STEP,
    MAX_TIME_S,
    Batch,
    Bye,
    Frame,
    Gap,
    Heartbeat,
    Samples,
    Schema,
    Span,
)

streams = st.sampled_from([stream_id(number) for number in range(1, 4)])
counts = st.integers(0, 4) | st.sampled_from([2**31, 2**63 - 1])
steps = st.integers(0, 5) | st.just(MAX_STEP)
times = st.floats(-MAX_TIME_S, MAX_TIME_S)
names = st.sampled_from(["a", "b", "<b>", "\u00fc"])
spans = st.builds(
    lambda a, b, first, last: Span(min(a, b), max(a, b), first, last), steps, steps, times, times
)
int64s = st.integers(0, 5) | st.integers(-(2**63), 2**63 - 1)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Columns that may hold anything."""
    rows = draw(st.integers(1, 3))
    width = draw(st.integers(1, 3))
    wild = st.floats() | st.sampled_from([math.nan, math.inf, 1e308])
    return Batch(
        draw(st.integers(0, 2)),
        struct.pack(f"<{rows}q", *(draw(int64s) for _ in range(rows))),
        struct.pack(f"<{rows}d", *(draw(times | wild) for _ in range(rows))),
        struct.pack(f"<{rows * width}d", *(draw(wild) for _ in range(rows * width))),
    )


hellos = st.builds(
    hello_frame,
    streams,
    base_seq=counts,
    base_row=counts,
    base_span=st.none() | spans,
    run=st.sampled_from(["run", "other"]),
    rank=st.integers(0, 2),
    attempt=st.integers(0, 2),
    parent=st.none() | streams,
    config=st.dictionaries(names, st.integers(0, 1)),
)
samples = st.builds(
    lambda stream, seq, row, parts: Samples(
        stream, seq, 0.0, 0.0, row, tuple(parts), sum(len(part.steps) // 8 for part in parts)
    ),
    streams,
    counts,
    counts,
    st.lists(batches(), min_size=1, max_size=2),
)
gaps = st.builds(
    lambda stream, seqs, rows, span: Gap(
        stream, min(seqs), 0.0, 0.0, max(seqs), min(rows), max(rows), span, "buffer full"
    ),
    streams,
    st.tuples(counts, counts),
    st.tuples(counts, counts),
    spans,
)
frames: st.SearchStrategy[Frame] = st.one_of(
    hellos,
    st.builds(
        Schema,
        streams,
        times,
        times,
        st.integers(0, 2),
        st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
    ),
    samples,
    gaps,
    st.builds(
        Heartbeat,
        stream=streams,
        wall=times,
        mono=times,
        sent=counts,
        held=counts,
        spilled=counts,
        dropped=st.just({}),
        refused=st.just({}),
        last_step=st.none() | steps,
        phase=st.none() | names,
        phase_s=times,
    ),
    st.builds(Bye, streams, times, times, counts, names),
)


@settings(max_examples=150, deadline=None)
@given(
    said=st.lists(frames, max_size=40),
    max_workers=st.sampled_from([2, 4, 100]),
    pause_s=st.sampled_from([0.0, 3.0, 40.0]),
)
def test_a_peer_can_harm_nobody_else(said: list[Frame], max_workers: int, pause_s: float) -> None:
    """A well-behaved stream is stored whole beside streams that say anything in any order."""
    ingest = Ingest(epoch=9, max_workers=max_workers, max_runs=2, max_series_per_run=5)
    bystander = Speaker(ingest, 99, run="run", rank=7).meet("m")
    for step, frame in enumerate(said):
        ingest.receive(encode(frame), b"hostile")
        bystander.send(step)
        ingest.tick(pause_s)
    acks = [ack for peer, ack in ingest.acks() if peer == bystander.peer]

    if said:
        assert ingest.rows("m")[7, 0] == [(step, 1.0) for step in range(len(said))]
        assert acks[-1].next_seq == len(said)
    own = [worker for worker, rank, _ in ingest.store.workers("run") if rank == 7]
    assert [gap for worker, gap in ingest.gaps() if worker in own] == []
    assert len(ingest.store.workers("run")) <= max_workers
    for run in ingest.store.runs():
        for metric in ingest.store.metrics(run):
            ingest.store.query(run, metric, points=3)
            ingest.store.changes(run, metric, None, points=3)
        info = ingest.roster.run(run)
        assert info is None or {(w.rank, w.attempt) for w in info.workers} <= {
            (rank, attempt) for _, rank, attempt in ingest.store.workers(run)
        }
