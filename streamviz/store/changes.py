"""What a reader of one metric lacks since it last asked.

Law: applying every answer in turn equals one answer to a reader that has nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamviz.store.grid import Grid, IntArray
from streamviz.store.query import (
    Metric,
    Reading,
    Request,
    State,
    collect,
    lowest_touched,
    observe,
    reduce,
)

__all__ = ["Changes", "Cursor", "Prepared", "prepare_changes", "read_changes"]


@dataclass(frozen=True, slots=True, eq=False)
class Cursor:
    """Where a reader of one metric stands. Opaque: hand it back to ``Store.changes``."""

    run: str
    metric: str
    request: Request
    workers: tuple[int, ...]
    state: State
    shift: int
    bucket: IntArray
    """Every bucket that the reader has."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """What a reader lacks.

    With ``reset`` the grid replaces all that the reader has; otherwise it replaces the buckets
    from the grid's first one on, and nothing when the grid has none.
    """

    cursor: Cursor
    reset: bool
    grid: Grid
    newest: float | None
    """Latest wall time of any row of these series, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The half of a reading that was done under the lock."""

    run: str
    metric: str
    request: Request
    reading: Reading
    cursor: Cursor | None
    """What the reading continues, ``None`` for a whole one."""


def prepare_changes(
    run: str, name: str, metric: Metric, cursor: Cursor | None, request: Request
) -> Prepared:
    """Collect what the answer needs, under the store's lock."""
    workers, parts = metric.select(request.workers)
    state = observe(metric, parts, request)
    since_step = 0
    if cursor is not None:
        tails = [part.table.ring.tail for part in parts]
        if not _continues(cursor, (run, name, request, workers), state, tails):
            cursor = None
    if cursor is not None:
        heads = cursor.state.heads + (0,) * (len(parts) - len(cursor.state.heads))
        touched = lowest_touched(parts, request, state, heads)
        if touched is None:
            parts = []  # nothing to read, which makes an empty grid
        else:
            since_step = touched >> cursor.shift << cursor.shift
    reading = collect(workers, parts, request, state, since_step)
    return Prepared(run, name, request, reading, cursor)


def _continues(
    cursor: Cursor,
    asked: tuple[str, str, Request, tuple[int, ...]],
    state: State,
    tails: list[int],
) -> bool:
    """Tell whether what the reader has can be brought up to date by a tail."""
    old = cursor.state
    heads = old.heads + (0,) * (len(tails) - len(old.heads))
    return (
        (cursor.run, cursor.metric, cursor.request, cursor.workers) == asked
        and old.from_ring == state.from_ring
        and (state.from_ring or old.shifts == state.shifts)
        and all(head >= tail for head, tail in zip(heads, tails, strict=True))
    )


def read_changes(prepared: Prepared) -> Changes | None:
    """Reduce what was collected, without the lock.

    Returns:
        ``None`` when a tail would give the reader more buckets than it has room for, so that a
        whole reading has to be made.
    """
    reading, request, old = prepared.reading, prepared.request, prepared.cursor
    grid = reduce(reading, request.points, None if old is None else old.shift)
    bucket = grid.bucket
    if old is not None:
        if bucket.size:
            kept = int(np.searchsorted(old.bucket, bucket[0]))
            if kept + bucket.size > request.points:
                return None
            bucket = np.concatenate((old.bucket[:kept], bucket))
        else:
            bucket = old.bucket
    cursor = Cursor(
        prepared.run,
        prepared.metric,
        request,
        reading.workers,
        reading.state,
        grid.shift,
        bucket,
    )
    return Changes(cursor=cursor, reset=old is None, grid=grid, newest=reading.state.newest)
