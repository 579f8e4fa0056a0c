"""A spill file reads as the past of the one stream that it is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from handmade_frames import batch, hello_frame, stream_id

from streamviz.errors import ConfigError
from streamviz.publisher.past import Missing, PastRun, Piece, Rows
from streamviz.publisher.spillformat import HEADER, record
from streamviz.publisher.unspill import is_spill_file, read_spill_file
from streamviz.wire.codec import encode
from streamviz.wire.frames import Batch, Bye, Frame, Gap, Samples, Schema, Span

STREAM = stream_id(1)
HELLO = hello_frame(STREAM, rank=3, world_size=8, attempt=2, config={"lr": 0.1})


def samples(seq: int, row: int, *batches: Batch) -> Samples:
    """Return a frame of rows."""
    return Samples(STREAM, seq, 0.0, 0.0, row, batches, sum(len(one.steps) // 8 for one in batches))


def spilled(path: Path, *frames: Frame) -> bytes:
    """Write a spill file, and return its bytes."""
    data = HEADER + b"".join(record(encode(frame)) for frame in frames)
    path.write_bytes(data)
    return data


def pieces(past: PastRun) -> list[Piece]:
    """Return all that the one worker has."""
    [worker] = past.workers
    [lane] = worker.lanes
    return list(lane())


def test_rows_and_gaps_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Who it was, its rows by schema, its gaps and its end are those of the frames."""
    path = tmp_path / "one.spill"
    spilled(
        path,
        HELLO,
        Schema(STREAM, 0.0, 0.0, 0, ("a", "b")),
        samples(5, 10, batch([1, 2], [[1.0, 2.0], [3.0, 4.0]], times=[7.0, 8.0])),
        Schema(STREAM, 0.0, 0.0, 1, ("c",)),
        Gap(STREAM, 6, 0.0, 0.0, 8, 12, 17, Span(3, 7, 9.0, 13.0), "buffer full"),
        samples(9, 17, batch([8], [[5.0]], schema=1, times=[14.0])),
        Bye(STREAM, 0.0, 0.0, 10, "ok"),
    )

    past, torn = read_spill_file(path)

    assert is_spill_file(path)
    assert torn == 0
    [worker] = past.workers
    assert (past.run, past.config) == ("run", {"lr": 0.1})
    assert (worker.rank, worker.attempt, worker.world_size, worker.ended) == (3, 2, 8, "ok")
    assert (worker.rows, worker.last_time) == (8, 14.0)
    first, gap, second = pieces(past)
    assert isinstance(first, Rows)
    assert isinstance(second, Rows)
    assert (first.names, first.steps.tolist()) == (("a", "b"), [1, 2])
    assert first.values.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert gap == Missing(Span(3, 7, 9.0, 13.0), 5, "buffer full")
    assert (second.names, second.values.tolist()) == (("c",), [[5.0]])


def test_a_file_cut_anywhere_reads_as_what_lies_before_the_cut(tmp_path: Path) -> None:
    """Whole frames before the cut are there, and the bytes after them are counted."""
    path = tmp_path / "cut.spill"
    start = spilled(path, HELLO, Schema(STREAM, 0.0, 0.0, 0, ("m",)))
    ends = [len(start)]
    frames: list[Frame] = []
    for number in range(4):
        frames.append(samples(number, number, batch([number], [[float(number)]])))
        whole = spilled(path, HELLO, Schema(STREAM, 0.0, 0.0, 0, ("m",)), *frames)
        ends.append(len(whole))

    for cut in range(ends[1], len(whole)):
        path.write_bytes(whole[:cut])
        past, torn = read_spill_file(path)
        known = max(number for number, end in enumerate(ends) if end <= cut)
        steps = np.concatenate([one.steps for one in pieces(past) if isinstance(one, Rows)])
        assert steps.tolist() == list(range(known))
        assert torn == cut - ends[known]


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [HELLO],
        [samples(0, 0, batch([1], [[1.0]]))],
        [HELLO, samples(0, 0, batch([1], [[1.0]]))],
        [HELLO, Schema(STREAM, 0.0, 0.0, 0, ("a", "b")), samples(0, 0, batch([1], [[1.0]]))],
        [HELLO, Schema(STREAM, 0.0, 0.0, 0, ("m",)), samples(0, 0, batch([-1], [[1.0]]))],
        [
            HELLO,
            Schema(STREAM, 0.0, 0.0, 0, ("m",)),
            samples(0, 0, batch([1], [[1.0]], times=[float("nan")])),
        ],
    ],
)
def test_what_cannot_be_sent_is_refused(tmp_path: Path, frames: list[Frame]) -> None:
    """A file without rows, or with rows that no sender may send, is an error that names it."""
    path = tmp_path / "bad.spill"
    spilled(path, *frames)

    with pytest.raises(ConfigError, match=r"SOURCE: found '.*bad\.spill', expected"):
        read_spill_file(path)
