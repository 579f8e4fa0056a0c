"""The series of a metric, one by one, as a script or a table wants them.

Law: a row given raw is bit for bit the row that was sent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamviz.store.grid import FloatArray, Grid, IntArray
from streamviz.store.query import (
    Metric,
    Reading,
    Request,
    Rows,
    collect,
    gather,
    observe,
    reduce,
    reduce_rows_of,
)

__all__ = [
    "PreparedSeries",
    "QueryResult",
    "Series",
    "bucket_series",
    "prepare_series",
    "raw_series",
    "read_series",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One metric from one worker; arrays are ``[P]``, ascending by step."""

    worker: int
    rank: int
    attempt: int
    step: IntArray
    """The row's step, or the first step of the bucket."""
    time: FloatArray
    """Wall time in seconds since the epoch; of a bucket, the mean."""
    value: FloatArray
    """As sent; of a bucket, the mean of its finite values or NaN."""
    min: FloatArray
    max: FloatArray
    count: IntArray
    """Finite values."""
    bad: IntArray
    """NaN and infinite values."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueryResult:
    """The series of one metric."""

    resolution: int | str
    """``"raw"``, or the width of a bucket in steps."""
    series: list[Series]
    """Sorted by rank, then attempt; only workers with rows in the range."""


@dataclass(frozen=True, slots=True)
class PreparedSeries:
    """The half of a query that was done under the lock."""

    reading: Reading
    identities: list[tuple[int, int, int]]
    """Worker index, rank and attempt of each column."""


def prepare_series(
    metric: Metric, identities: list[tuple[int, int]], request: Request
) -> PreparedSeries:
    """Collect what the answer needs, under the store's lock.

    Args:
        metric: What to read.
        identities: Rank and attempt of each worker index.
        request: Workers that there are not give no series.
    """
    workers, parts = metric.select(request.workers)
    reading = collect(workers, parts, request, observe(metric, parts, request, raw=True))
    known = range(len(identities))
    return PreparedSeries(
        reading, [(w, *identities[w]) if w in known else (w, -1, -1) for w in workers]
    )


def read_series(prepared: PreparedSeries, request: Request) -> QueryResult:
    """Reduce what was collected, without the lock."""
    reading = prepared.reading
    if reading.state.from_ring:
        rows = gather(reading.slices, reading.start, reading.stop)
        each = np.bincount(rows.column, minlength=len(reading.workers))
        if rows.step.size == 0 or int(each.max()) <= request.points:
            return QueryResult(resolution="raw", series=raw_series(prepared.identities, rows))
        grid = reduce_rows_of(reading, rows, request.points)
    else:
        grid = reduce(reading, request.points)
    return QueryResult(resolution=1 << grid.shift, series=bucket_series(prepared.identities, grid))


def raw_series(identities: list[tuple[int, int, int]], rows: Rows) -> list[Series]:
    """Return rows as the series of their columns, ascending by step.

    Args:
        identities: Worker index, rank and attempt of each column.
        rows: In order of arrival within each column.
    """
    each = np.bincount(rows.column, minlength=len(identities))
    order = np.lexsort((rows.step, rows.column))
    ends = np.cumsum(each)
    series = []
    for column in np.flatnonzero(each):
        worker, rank, attempt = identities[column]
        chosen = order[ends[column] - each[column] : ends[column]]
        value = rows.value[chosen]
        count = np.isfinite(value).astype(np.int64)
        series.append(
            Series(
                worker=worker,
                rank=rank,
                attempt=attempt,
                step=rows.step[chosen],
                time=rows.time[chosen],
                value=value,
                min=value,
                max=value,
                count=count,
                bad=1 - count,
            )
        )
    return _sorted(series)


def bucket_series(identities: list[tuple[int, int, int]], grid: Grid) -> list[Series]:
    """Return the columns of a grid as series, each without its empty buckets."""
    step = grid.bucket << grid.shift
    series = []
    for column, (worker, rank, attempt) in enumerate(identities):
        held = np.flatnonzero(grid.count[:, column] + grid.bad[:, column])
        if held.size:
            series.append(
                Series(
                    worker=worker,
                    rank=rank,
                    attempt=attempt,
                    step=step[held],
                    time=grid.time[held, column],
                    value=grid.mean[held, column],
                    min=grid.vmin[held, column],
                    max=grid.vmax[held, column],
                    count=grid.count[held, column],
                    bad=grid.bad[held, column],
                )
            )
    return _sorted(series)


def _sorted(series: list[Series]) -> list[Series]:
    return sorted(series, key=lambda one: (one.rank, one.attempt))
