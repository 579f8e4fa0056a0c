"""Read a metric of a run: from the ring where it holds all rows of the range, else the overview.

A reading has two halves: ``collect`` takes what it needs under the store's lock (slices of
segments, which never change, and copies of overview cells), the rest runs without it.

Law: a tail, put in the place of a reading's buckets from the tail's first one on, gives what a
whole reading at that moment gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from streamviz.errors import ConfigError
from streamviz.store.grid import (
    FloatArray,
    Grid,
    IntArray,
    Sums,
    distinct,
    finest_shift,
    finish,
    merge_sums,
    reduce_rows,
)
from streamviz.store.ring import Slice
from streamviz.store.table import Table

__all__ = [
    "Metric",
    "Part",
    "Reading",
    "Request",
    "Rows",
    "collect",
    "gather",
    "lowest_touched",
    "observe",
    "reduce",
    "reduce_rows_of",
]

STEP_LIMIT = 1 << 62
"""Above every step there can be, and far enough from the end of int64 to add to."""
SELECTIONS_KEPT = 16


@dataclass(frozen=True, slots=True)
class Request:
    """What a reader asked for, in one spelling."""

    workers: tuple[int, ...] | None
    """Worker indices, distinct; ``None`` for all that send the metric."""
    start: int
    """First step wanted."""
    stop: int
    """Last step wanted, included."""
    points: int

    @classmethod
    def normalised(
        cls, workers: Sequence[int] | None, start: int | None, stop: int | None, points: int
    ) -> Request:
        """Check and normalise a reader's arguments.

        Raises:
            ConfigError: ``points`` is below 1.
        """
        if points < 1:
            raise ConfigError("points", points, "at least 1")
        return cls(
            workers=None if workers is None else tuple(dict.fromkeys(workers)),
            start=0 if start is None else min(max(start, 0), STEP_LIMIT),
            stop=STEP_LIMIT if stop is None else min(max(stop, -1), STEP_LIMIT),
            points=points,
        )

    @property
    def is_unbounded(self) -> bool:
        """Whether every step is wanted."""
        return self.start == 0 and self.stop == STEP_LIMIT


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one table contributes to a reading."""

    table: Table
    metric: int
    """The metric's column in the table."""
    columns: IntArray
    """``int64[n]``, the wanted workers' columns in the table."""
    out: IntArray
    """``int64[n]``, their columns in the result."""
    out_of: IntArray
    """For each column of the table its column in the result, -1 where it is not wanted."""

    @property
    def is_whole(self) -> bool:
        """Whether all workers of the table are wanted."""
        return self.columns.size == self.out_of.size

    def is_all(self, workers: tuple[int, ...]) -> bool:
        """Whether the columns are those of the result, in its order."""
        return self.out.size == len(workers) and bool((self.out == np.arange(self.out.size)).all())


class Metric:
    """The tables of a run that hold one metric.

    Owner: the store, under its lock.
    """

    def __init__(self, *, is_partial: bool = False) -> None:
        self.tables: list[tuple[Table, int]] = []
        """Each with the metric's column in it."""
        self.is_partial = is_partial
        """Whether some table had no room for it, so that rows were only counted."""
        self._selections: dict[
            tuple[int, ...] | None, tuple[list[int], tuple[int, ...], list[Part]]
        ] = {}

    def select(self, workers: tuple[int, ...] | None) -> tuple[tuple[int, ...], list[Part]]:
        """Return the workers of a reading's columns, and the parts to read."""
        sizes = [len(table.workers) for table, _ in self.tables]
        cached = self._selections.get(workers)
        if cached is None or cached[0] != sizes:
            if len(self._selections) >= SELECTIONS_KEPT:
                self._selections.clear()
            cached = (sizes, *self._resolve(workers))
            self._selections[workers] = cached
        return cached[1], cached[2]

    def _resolve(self, workers: tuple[int, ...] | None) -> tuple[tuple[int, ...], list[Part]]:
        if workers is None:
            workers = tuple(sorted({w for table, _ in self.tables for w in table.workers}))
        parts = []
        for table, metric in self.tables:
            pairs = [(table.columns[w], i) for i, w in enumerate(workers) if w in table.columns]
            columns, out = np.array(pairs, np.int64).reshape(-1, 2).T.copy()
            out_of = np.full(len(table.workers), -1, np.int64)
            out_of[columns] = out
            parts.append(Part(table, metric, columns, out, out_of))
        return workers, parts


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one metric, in order of arrival within each table."""

    step: IntArray
    column: IntArray
    """Column in the result."""
    time: FloatArray
    value: FloatArray


@dataclass(frozen=True, slots=True)
class State:
    """What the tables of a reading look like at a moment."""

    complete: bool
    """Whether the rings hold all rows of the range."""
    from_ring: bool
    shifts: tuple[int, ...]
    """Of the overviews."""
    heads: tuple[int, ...]
    """Rows ever appended to each table."""
    newest: float | None
    """Latest wall time of any row of the selection, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was collected under the lock."""

    workers: tuple[int, ...]
    start: int
    stop: int
    state: State
    slices: list[tuple[Part, list[Slice]]] = field(default_factory=list)
    cells: list[tuple[Part, int, IntArray, Sums]] = field(default_factory=list)
    """Part, shift, buckets and sums of each overview."""


def observe(metric: Metric, parts: list[Part], request: Request, *, raw: bool = False) -> State:
    """Bring the overviews up to date and decide where to read.

    Args:
        metric: Whose rows.
        parts: From its :meth:`Metric.select`.
        request: What is wanted.
        raw: Whether single rows are wanted where they are few enough.
    """
    newest = float("-inf")
    for part in parts:
        part.table.fold()
        if part.columns.size:
            newest = max(newest, float(part.table.overview.last_time[part.columns].max()))
    complete = not metric.is_partial and all(
        part.table.is_complete(part.columns, request.start) for part in parts
    )
    from_ring = complete and (
        (raw and _are_few(parts, request)) or not _overview_suffices(parts, request)
    )
    return State(
        complete=complete,
        from_ring=from_ring,
        shifts=tuple(part.table.overview.shift for part in parts),
        heads=tuple(part.table.rows for part in parts),
        newest=newest if newest > float("-inf") else None,
    )


def _are_few(parts: list[Part], request: Request) -> bool:
    """Tell whether no series can have more rows than points."""
    return all(
        part.columns.size == 0
        or int(part.table.overview.rows_of[part.columns].max()) <= request.points
        for part in parts
    )


def _overview_suffices(parts: list[Part], request: Request) -> bool:
    """Tell whether the overview surely has buckets as fine as the ring could give.

    That spares reading a million rows for the usual view, the whole of a run. It is so when the
    coarsest overview is at shift 0, or has more buckets than points at its shift (then both
    coarsen alike), or would have had at the shift below.
    """
    if not request.is_unbounded:
        return False
    base = max((part.table.overview.shift for part in parts), default=0)
    return base == 0 or any(
        part.is_whole
        and part.table.overview.shift == base
        and max(part.table.overview.size, part.table.overview.distinct_before) > request.points
        for part in parts
    )


def lowest_touched(
    parts: list[Part], request: Request, state: State, heads: tuple[int, ...]
) -> int | None:
    """Return the lowest step among the wanted rows since ``heads``, ``None`` without any."""
    lowest = STEP_LIMIT
    for part, head, shift in zip(parts, heads, state.shifts, strict=True):
        if part.table.rows == head:
            continue
        start, stop = request.start, request.stop
        if not state.from_ring:
            # A bucket at the edge of the range changes with rows that lie outside of it.
            start, stop = start >> shift << shift, ((stop >> shift) + 1 << shift) - 1
        rows = gather([(part, part.table.ring.snapshot(head, start, stop))], start, stop)
        if rows.step.size:
            lowest = min(lowest, int(rows.step.min()))
    return None if lowest == STEP_LIMIT else lowest


def collect(
    workers: tuple[int, ...],
    parts: list[Part],
    request: Request,
    state: State,
    since_step: int = 0,
) -> Reading:
    """Take under the lock what a reading from ``since_step`` on needs."""
    start = max(request.start, since_step)
    reading = Reading(workers, start, request.stop, state)
    for part in parts:
        if state.from_ring:
            reading.slices.append((part, part.table.ring.snapshot(0, start, request.stop)))
        else:
            overview = part.table.overview
            ids, sums = overview.read(
                part.metric, part.columns, start >> overview.shift, request.stop >> overview.shift
            )
            reading.cells.append((part, overview.shift, ids, sums))
    return reading


def gather(slices: list[tuple[Part, list[Slice]]], start: int, stop: int) -> Rows:
    """Copy the wanted rows with ``start <= step <= stop`` out of the slices."""
    steps: list[IntArray] = []
    columns: list[IntArray] = []
    times: list[FloatArray] = []
    values: list[FloatArray] = []
    for part, line in slices:
        for piece in line:
            segment = piece.segment
            span = slice(piece.begin, piece.end)
            step = segment.step[span]
            column = part.out_of[segment.column[span]]
            time, value = segment.time[span], segment.values[span, part.metric]
            inside = piece.sealed and start <= segment.low and segment.high <= stop
            if not (inside and part.is_whole):
                wanted = (step >= start) & (step <= stop) & (column >= 0)
                step, column = step[wanted], column[wanted]
                time, value = time[wanted], value[wanted]
            steps.append(step)
            columns.append(column)
            times.append(time)
            values.append(value)
    if not steps:
        return Rows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))
    return Rows(
        np.concatenate(steps),
        np.concatenate(columns),
        np.concatenate(times),
        np.concatenate(values),
    )


def reduce(reading: Reading, points: int, shift: int | None = None) -> Grid:
    """Reduce a reading to a grid.

    Args:
        reading: From :func:`collect`.
        points: Most buckets wanted, if ``shift`` is to be found.
        shift: The shift to use, at least that of every overview read; found when ``None``.
    """
    if reading.state.from_ring:
        rows = gather(reading.slices, reading.start, reading.stop)
        return reduce_rows_of(reading, rows, points, shift)
    base = max((cells[1] for cells in reading.cells), default=0)
    if shift is None:
        lines = [ids >> base - fine for _, fine, ids, _ in reading.cells]
        shift = base + finest_shift(_union(lines), points)
    moved = [ids >> shift - fine for _, fine, ids, _ in reading.cells]
    bucket = _union(moved)
    only = reading.cells[0] if len(reading.cells) == 1 else None
    if only is not None and only[2].size == bucket.size and only[0].is_all(reading.workers):
        sums = only[3]  # the usual reading: nothing to merge
    else:
        sums = Sums.empty(bucket.size, len(reading.workers))
        for (part, _, _, cells), ids in zip(reading.cells, moved, strict=True):
            merge_sums(sums, np.searchsorted(bucket, ids), part.out, cells)
    return finish(
        sums, shift=shift, bucket=bucket, workers=reading.workers, complete=reading.state.complete
    )


def reduce_rows_of(reading: Reading, rows: Rows, points: int, shift: int | None = None) -> Grid:
    """Reduce the rows of a reading from the ring to a grid."""
    steps = distinct(rows.step)
    if shift is None:
        shift = finest_shift(steps, points)
    bucket = distinct(steps >> shift)
    sums = reduce_rows(
        bucket,
        rows.step >> shift,
        rows.column,
        rows.value,
        rows.time,
        columns=len(reading.workers),
    )
    return finish(
        sums, shift=shift, bucket=bucket, workers=reading.workers, complete=reading.state.complete
    )


def _union(lines: list[IntArray]) -> IntArray:
    if not lines:
        return np.empty(0, np.int64)
    return np.unique(np.concatenate(lines))
