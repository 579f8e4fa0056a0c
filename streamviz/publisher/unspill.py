"""A spill file as a past run: the one stream that it is of.

Law: nothing is written, so a file can be replayed and delivered afterwards; a file that was cut
reads as what lies whole before the cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from streamviz.errors import ConfigError, DecodeError
from streamviz.publisher.facts import with_facts
from streamviz.publisher.past import Kept, Missing, PastRun, PastWorker, Piece, Rows
from streamviz.publisher.spillformat import HEADER, read_record
from streamviz.wire.codec import decode
from streamviz.wire.frames import (
    MAX_STEP,
    MAX_TIME_S,
    Batch,
    Bye,
    Frame,
    Gap,
    Hello,
    Item,
    Samples,
    Schema,
)
from streamviz.wire.reserved import RESERVED

__all__ = ["is_spill_file", "read_spill_file"]


def is_spill_file(path: Path) -> bool:
    """Say whether a file begins as spill files do.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER


def read_spill_file(path: Path) -> tuple[PastRun, int]:
    """Return what a spill file holds, having looked through it, and the bytes left at its end.

    A process that was killed while it wrote leaves such bytes: a part of a frame.

    Raises:
        ConfigError: Nothing of it can be sent.
        OSError: It cannot be read.
    """
    hello: Hello | None = None
    ended: str | None = None
    rows, last_time = 0, 0.0
    whole = len(HEADER)
    for frame, end in _frames(path):
        whole = end
        if isinstance(frame, Hello):
            hello = frame
        elif isinstance(frame, Bye):
            ended = frame.how
    for piece in _pieces(path):
        if isinstance(piece, Missing):
            rows += piece.rows
            last_time = max(last_time, piece.span.last_time)
        elif isinstance(piece, Kept):
            rows += 1
            last_time = max(last_time, piece.time)
        else:
            rows += piece.steps.size
            last_time = max(last_time, float(piece.times.max()))
    if hello is None or not rows:
        raise ConfigError("SOURCE", str(path), "a spill file with rows in it")
    facts = hello.config.get(RESERVED)
    worker = PastWorker(
        rank=hello.rank,
        attempt=hello.attempt,
        world_size=hello.world_size,
        local_rank=hello.local_rank,
        host=hello.host,
        pid=hello.pid,
        library=hello.library,
        ended=ended,
        last_time=last_time,
        rows=rows,
        lanes=[lambda: _pieces(path)],
        facts=facts if isinstance(facts, dict) else {},
    )
    own, _ = with_facts(hello.config, {})
    past = PastRun(run=hello.run, config=own, workers=[worker])
    return past, path.stat().st_size - whole


def _frames(path: Path) -> Iterator[tuple[Frame, int]]:
    """Yield the frames, each with the place where it ends."""
    with path.open("rb") as file:
        file.seek(len(HEADER))
        while (data := read_record(file.read)) is not None:
            try:
                yield decode(data), file.tell()
            except DecodeError as error:
                raise ConfigError("SOURCE", str(path), f"whole frames ({error})") from None


def _pieces(path: Path) -> Iterator[Piece]:
    names: dict[int, tuple[str, ...]] = {}
    for frame, _ in _frames(path):
        if isinstance(frame, Schema):
            names[frame.schema] = frame.names
        elif isinstance(frame, Gap):
            yield Missing(frame.span, frame.end_row - frame.row, frame.reason)
        elif isinstance(frame, Item):
            yield Kept(frame.kind, frame.name, frame.step, frame.time, frame.body)
        elif isinstance(frame, Samples):
            for batch in frame.batches:
                yield _rows(batch, names.get(batch.schema, ()), path)


def _rows(batch: Batch, names: tuple[str, ...], path: Path) -> Rows:
    steps = np.frombuffer(batch.steps, "<i8")
    times = np.frombuffer(batch.times, "<f8")
    values = np.frombuffer(batch.values, "<f8")
    fits = len(names) > 0 and values.size == steps.size * len(names)
    # A negative step is beyond every limit when its bits are read as unsigned.
    if not fits or steps.view("<u8").max() > MAX_STEP or not np.abs(times).max() <= MAX_TIME_S:
        raise ConfigError("SOURCE", str(path), "columns that the protocol allows")
    return Rows(names, steps, times, values.reshape(steps.size, len(names)))
