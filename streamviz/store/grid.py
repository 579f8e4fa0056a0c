"""Arithmetic of the step grid: buckets a power of two of steps wide, counted from step 0.

A *bucket* at ``shift`` holds the steps ``bucket << shift`` up to ``((bucket + 1) << shift) - 1``.

Law: a bucket of a coarser shift is the union of whole buckets of every finer one, so that merging
twice equals merging once, and extremes and counts come out the same in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Grid",
    "Sums",
    "distinct",
    "finest_shift",
    "finish",
    "group_starts",
    "merge_sums",
    "reduce_rows",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BITMAP_STEPS_PER_ROW = 8
"""Distinct steps are found by a bitmap while the span is at most this many steps a row: above,
sorting touches less memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """One metric on the step grid: a row for each non-empty bucket, a column for each worker."""

    shift: int
    """A bucket is ``1 << shift`` steps wide."""
    bucket: IntArray
    """``int64[B]``, ascending; the bucket's first step is ``bucket << shift``."""
    workers: tuple[int, ...]
    """Worker indices of the N columns."""
    mean: FloatArray
    """``float64[B, N]``, mean of the finite values; NaN where there is none."""
    vmin: FloatArray
    vmax: FloatArray
    time: FloatArray
    """``float64[B, N]``, mean wall time of the rows, seconds since the epoch; NaN where none."""
    count: IntArray
    """``int64[B, N]``, finite values."""
    bad: IntArray
    """``int64[B, N]``, NaN and infinite values."""
    complete: bool
    """Whether every row of this range is still held in full resolution."""


@dataclass(slots=True, eq=False)
class Sums:
    """What a set of cells adds up to; every array is ``[B, N]``."""

    vmin: FloatArray
    """``inf`` where the cell holds no finite value."""
    vmax: FloatArray
    """``-inf`` where the cell holds no finite value."""
    vsum: FloatArray
    count: IntArray
    bad: IntArray
    rows: IntArray
    time_sum: FloatArray

    @classmethod
    def empty(cls, buckets: int, columns: int) -> Sums:
        """Return the sums of no rows at all."""
        shape = (buckets, columns)
        return cls(
            vmin=np.full(shape, np.inf),
            vmax=np.full(shape, -np.inf),
            vsum=np.zeros(shape),
            count=np.zeros(shape, np.int64),
            bad=np.zeros(shape, np.int64),
            rows=np.zeros(shape, np.int64),
            time_sum=np.zeros(shape),
        )


def finest_shift(buckets: IntArray, limit: int) -> int:
    """Return the smallest shift that leaves at most ``limit`` of these buckets.

    Args:
        buckets: ``int64[B]``, ascending, distinct, not negative.
        limit: At least 1.
    """
    if buckets.size <= limit:
        return 0
    low, high = int(buckets[0]), int(buckets[-1])
    if high - low + 1 == buckets.size:
        # Without a hole, as steps mostly come, there is nothing to look at.
        shift = 0
        while (high >> shift) - (low >> shift) >= limit:
            shift += 1
        return shift
    # Neighbours fall into one bucket once the shift reaches the bit length of their difference by
    # exclusive or, so the answer is the limit-th largest of those lengths: no pass per shift.
    apart = buckets[1:] ^ buckets[:-1]
    length = np.frexp(apart.astype(np.float64))[1].astype(np.int64)
    # Beyond 2**53 the conversion may round up to the next power of two.
    length -= (apart >> (length - 1)) == 0
    return int(np.partition(length, length.size - limit)[length.size - limit])


def distinct(steps: IntArray) -> IntArray:
    """Return the distinct steps in ascending order."""
    if steps.size == 0:
        return steps
    low, high = int(steps.min()), int(steps.max())
    if high - low < BITMAP_STEPS_PER_ROW * steps.size:
        seen = np.zeros(high - low + 1, np.bool_)
        seen[steps - low] = True
        return np.flatnonzero(seen).astype(np.int64) + low
    return np.unique(steps)


def _positions(buckets: IntArray, bucket: IntArray) -> IntArray:
    """Return where each ``bucket`` stands among the ascending ``buckets``, which hold them all."""
    low, high = int(buckets[0]), int(buckets[-1])
    if high - low < BITMAP_STEPS_PER_ROW * max(bucket.size, 1024):
        where = np.empty(high - low + 1, np.int64)
        where[buckets - low] = np.arange(buckets.size)
        return where[bucket - low]
    return np.searchsorted(buckets, bucket).astype(np.int64)


def group_starts(values: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return where each run of equal values begins; at least one value."""
    edge = np.empty(values.size, np.bool_)
    edge[0] = True
    np.not_equal(values[1:], values[:-1], out=edge[1:])
    return edge.nonzero()[0]


def reduce_rows(
    buckets: IntArray,
    bucket: IntArray,
    column: IntArray,
    value: FloatArray,
    time: FloatArray,
    *,
    columns: int,
) -> Sums:
    """Add rows up into cells.

    Args:
        buckets: ``int64[B]``, ascending; holds every bucket of the rows.
        bucket: ``int64[S]``, of each row; so are ``column``, ``value`` and ``time``.
        column: ``int64[S]``, below ``columns``.
        value: ``float64[S]``.
        time: ``float64[S]``, seconds since the epoch.
        columns: N.
    """
    shape = (buckets.size, columns)
    if bucket.size == 0:
        return Sums.empty(*shape)
    size = buckets.size * columns
    cell = _positions(buckets, bucket)
    cell *= columns
    cell += column
    rows = np.bincount(cell, minlength=size)
    time_sum: FloatArray = np.bincount(cell, weights=time, minlength=size).astype(np.float64)
    finite = np.isfinite(value)
    count = rows
    if not finite.all():
        cell, value = cell[finite], value[finite]
        count = np.bincount(cell, minlength=size)
    vsum: FloatArray = np.bincount(cell, weights=value, minlength=size).astype(np.float64)
    vmin = np.full(size, np.inf)
    vmax = np.full(size, -np.inf)
    if cell.size and int(count.max()) == 1:
        vmin[cell] = value
        vmax[cell] = value
    else:
        np.minimum.at(vmin, cell, value)
        np.maximum.at(vmax, cell, value)
    return Sums(
        vmin=vmin.reshape(shape),
        vmax=vmax.reshape(shape),
        vsum=vsum.reshape(shape),
        count=count.astype(np.int64, copy=False).reshape(shape),
        bad=(rows - count).astype(np.int64, copy=False).reshape(shape),
        rows=rows.astype(np.int64, copy=False).reshape(shape),
        time_sum=time_sum.reshape(shape),
    )


def merge_sums(into: Sums, position: IntArray, column: IntArray, part: Sums) -> None:
    """Merge ``part`` into ``into``.

    Args:
        into: Changed in place.
        position: ``int64[b]``, ascending with repeats: the row of ``into`` for each of ``part``.
        column: ``int64[n]``, distinct: the column of ``into`` for each of ``part``.
        part: Arrays ``[b, n]``.
    """
    if position.size == 0 or column.size == 0:
        return
    starts = group_starts(position)
    where = np.ix_(position[starts], column)
    alone = starts.size == position.size
    with np.errstate(over="ignore", invalid="ignore"):
        for name, merge in (
            ("vmin", np.minimum),
            ("vmax", np.maximum),
            ("vsum", np.add),
            ("count", np.add),
            ("bad", np.add),
            ("rows", np.add),
            ("time_sum", np.add),
        ):
            source = getattr(part, name)
            target = getattr(into, name)
            merged = source if alone else merge.reduceat(source, starts, axis=0)
            target[where] = merge(target[where], merged)


def finish(
    sums: Sums, *, shift: int, bucket: IntArray, workers: tuple[int, ...], complete: bool
) -> Grid:
    """Turn sums into means, with NaN where there is nothing."""
    empty = sums.count == 0
    with np.errstate(all="ignore"):
        mean = sums.vsum / sums.count
        # Values near the end of the range add up to infinity although their mean is finite.
        over = ~np.isfinite(mean)
        if over.any():
            mean = np.where(over, sums.vmin / 2 + sums.vmax / 2, mean)
        # Rounding may push the mean of equal values past them.
        np.clip(mean, sums.vmin, sums.vmax, out=mean)
        time = sums.time_sum / sums.rows
    mean[empty] = np.nan
    return Grid(
        shift=shift,
        bucket=bucket,
        workers=workers,
        mean=mean,
        vmin=np.where(empty, np.nan, sums.vmin),
        vmax=np.where(empty, np.nan, sums.vmax),
        time=time,
        count=sums.count,
        bad=sums.bad,
        complete=complete,
    )
