"""The whole history of a table at a fixed cost: extremes, sums and counts on a coarsening grid.

Only buckets that hold a row take a place, so a metric that is sent every hundredth step, or one
step far off, costs no resolution. When the places run out the grid coarsens.

Law: every row ever folded is in exactly one cell; minima, maxima and counts are exact for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from streamviz.store.grid import FloatArray, IntArray, Sums, finest_shift, group_starts

__all__ = ["BUCKETS_MAX", "BUCKETS_MIN", "Overview", "Past", "overview_bytes"]

BUCKETS_MIN = 64
BUCKETS_MAX = 1024
_Scalar = TypeVar("_Scalar", np.uint32, np.float64)
_NOTHING = np.array([[np.inf], [-np.inf], [0.0]])
"""Minimum, maximum and sum of no values."""


def overview_bytes(buckets: int, columns: int, width: int) -> int:
    """Return the bytes of an overview's arrays."""
    return buckets * (16 + columns * (12 + 28 * width)) + columns * 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """Rows of one worker of one table, reduced to buckets."""

    shift: int
    bucket: IntArray
    """``int64[B]``, ascending, at least one."""
    rows: IntArray
    """``int64[B]``."""
    time_sum: FloatArray
    """``float64[B]``, seconds since the epoch."""
    vmin: FloatArray
    """``float64[B, K]``; ``inf`` where there is no finite value."""
    vmax: FloatArray
    """``float64[B, K]``; ``-inf`` where there is no finite value."""
    vsum: FloatArray
    """``float64[B, K]``, of the finite values."""
    bad: IntArray
    """``int64[B, K]``, NaN and infinite values."""
    last_step: int
    """Highest step."""
    last_time: float
    """Latest wall time, seconds since the epoch."""


class Overview:
    """Cells ``[bucket, worker column, metric]``.

    Owner: the table, under the store's lock. Holds: at most :data:`BUCKETS_MAX` buckets.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.buckets = BUCKETS_MIN
        """Places for buckets."""
        self.columns = 1
        """Places for workers."""
        self.shift = 0
        self.size = 0
        """Places taken."""
        self.distinct_before = 0
        """Buckets there were at ``shift - 1`` when the grid last coarsened: what a finer grid
        would take at least. 0 while ``shift`` is 0."""
        self._ids = np.empty(self.buckets, np.int64)
        """Bucket numbers, ascending in the first ``size``."""
        self._place = np.arange(self.buckets)
        """Place of each of those in the arrays, then the free places: a bucket never moves."""
        self._allocate(self.buckets, 1)
        self.evicted_step = np.full(1, -1, np.int64)
        """Per column, the highest step among the rows that the ring no longer holds; -1: none."""
        self.last_step = np.full(1, -1, np.int64)
        self.last_time = np.full(1, -np.inf)
        self.rows_of = np.zeros(1, np.int64)
        """Per column, rows ever folded."""

    def _allocate(self, buckets: int, columns: int) -> None:
        # Minimum, maximum and sum side by side: a fold is bound by cache misses, one a cell here.
        self._value = np.empty((buckets, columns, 3, self.width))
        self._bad = np.empty((buckets, columns, self.width), np.uint32)
        self._rows = np.empty((buckets, columns), np.uint32)
        self._time_sum = np.empty((buckets, columns))

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return overview_bytes(self.buckets, self.columns, self.width)

    @property
    def ids(self) -> IntArray:
        """The bucket numbers, ``int64[size]``, ascending."""
        return self._ids[: self.size]

    def resize(self, buckets: int, columns: int) -> None:
        """Move to arrays of another size, which must hold all buckets and columns in use."""
        size, kept = self.size, self.columns
        value, bad, rows, time_sum = self._value, self._bad, self._rows, self._time_sum
        self._allocate(buckets, columns)
        for new, old in enumerate(self._place[:size]):  # a gather would need the memory twice
            self._value[new, :kept] = value[old]
            self._bad[new, :kept] = bad[old]
            self._rows[new, :kept] = rows[old]
            self._time_sum[new, :kept] = time_sum[old]
        self._clear(slice(0, size), slice(kept, columns))
        ids = np.empty(buckets, np.int64)
        ids[:size] = self.ids
        self._ids, self._place = ids, np.arange(buckets)
        self.buckets, self.columns = buckets, columns
        for name, start in (
            ("evicted_step", -1),
            ("last_step", -1),
            ("last_time", -np.inf),
            ("rows_of", 0),
        ):
            array = getattr(self, name)
            fresh = np.full(columns, start, array.dtype)
            fresh[:kept] = array
            setattr(self, name, fresh)

    def _clear(self, places: slice | IntArray, columns: slice) -> None:
        self._value[places, columns] = _NOTHING
        for array in (self._bad, self._rows, self._time_sum):
            array[places, columns] = 0

    def coarsen(self, by: int) -> None:
        """Widen every bucket ``1 << by`` times, in one pass."""
        self.distinct_before = int(np.count_nonzero(np.diff(self.ids >> (by - 1)))) + 1
        ids = self.ids >> by
        starts = group_starts(ids)
        place = self._place[: self.size]
        head = np.zeros(self.size, np.bool_)
        head[starts] = True
        into = place[starts].repeat(np.diff(starts, append=self.size))
        # In place and bucket by bucket: with many ranks the arrays are far larger than the caches,
        # where this takes a tenth of the time of reduceat over the whole.
        with np.errstate(over="ignore", invalid="ignore"):
            for target, source in zip(into[~head], place[~head], strict=True):
                self._merge(target, source)
        self._place[: self.size] = np.concatenate((place[head], place[~head]))
        self.size = starts.size
        self._ids[: self.size] = ids[starts]
        self.shift += by

    def _merge(self, target: int, source: int) -> None:
        into, part = self._value[target], self._value[source]
        np.minimum(into[:, 0], part[:, 0], out=into[:, 0])
        np.maximum(into[:, 1], part[:, 1], out=into[:, 1])
        into[:, 2] += part[:, 2]
        self._bad[target] += self._bad[source]
        self._rows[target] += self._rows[source]
        self._time_sum[target] += self._time_sum[source]

    def shrink(self, buckets: int) -> None:
        """Coarsen until ``buckets`` places are enough, and give the others back."""
        by = finest_shift(self.ids, buckets)
        if by:
            self.coarsen(by)
        self.resize(buckets, self.columns)

    def fold(
        self,
        column: NDArray[np.int32],
        step: IntArray,
        time: FloatArray,
        values: FloatArray,
        grow: Callable[[], bool],
    ) -> None:
        """Add rows.

        Args:
            column: ``int32[S]``, below ``columns``.
            step: ``int64[S]``, 0 to 2**53.
            time: ``float64[S]``, seconds since the epoch.
            values: ``float64[S, K]``.
            grow: Doubles ``buckets`` if the budget allows; says whether it did.
        """
        column = column.astype(np.int64)
        np.maximum.at(self.last_step, column, step)
        np.fmax.at(self.last_time, column, time)
        self.rows_of += np.bincount(column, minlength=self.columns)
        cell = self._places(step, grow)
        cell *= self.columns
        cell += column
        order = cell.argsort(kind="stable")
        cell, time, values = cell[order], time[order], values.take(order, axis=0)
        starts = group_starts(cell)
        if starts.size == cell.size:
            self._rows.reshape(-1)[cell] += np.uint32(1)
            self._time_sum.reshape(-1)[cell] += time
            self._fold_values(cell, values, None)
        else:
            ends = np.append(starts[1:], cell.size)
            cell = cell[starts]
            self._rows.reshape(-1)[cell] += (ends - starts).astype(np.uint32)
            self._time_sum.reshape(-1)[cell] += np.add.reduceat(time, starts)
            self._fold_values(cell, values, starts)

    def _fold_values(
        self, cell: IntArray, values: FloatArray, starts: NDArray[np.intp] | None
    ) -> None:
        """Add values sorted by cell; ``starts`` is None when each cell has one row."""
        low = high = addend = values
        finite = np.isfinite(values)
        if not finite.all():
            low = np.where(finite, values, np.inf)
            high = np.where(finite, values, -np.inf)
            addend = np.where(finite, values, 0.0)
            bad = (~finite).astype(np.uint32)
            if starts is not None:
                bad = np.add.reduceat(bad, starts, axis=0)
            self._bad.reshape(-1, self.width)[cell] += bad
        with np.errstate(over="ignore", invalid="ignore"):
            if starts is not None:
                low = np.minimum.reduceat(low, starts, axis=0)
                high = np.maximum.reduceat(high, starts, axis=0)
                addend = np.add.reduceat(addend, starts, axis=0)
            table = self._value.reshape(-1, 3 * self.width)
            sums = table.take(cell, axis=0)
            each = sums.reshape(-1, 3, self.width)
            np.minimum(each[:, 0], low, out=each[:, 0])
            np.maximum(each[:, 1], high, out=each[:, 1])
            each[:, 2] += addend
            table[cell] = sums

    def absorb(self, column: int, past: Past, grow: Callable[[], bool]) -> None:
        """Add rows of one worker that were reduced before, as by a run's file.

        Args:
            column: The worker's, below ``columns``.
            past: What they were reduced to.
            grow: As for :meth:`fold`.
        """
        self.last_step[column] = max(self.last_step[column], past.last_step)
        self.last_time[column] = max(self.last_time[column], past.last_time)
        self.rows_of[column] += int(past.rows.sum())
        if past.shift > self.shift:
            if self.size:
                self.coarsen(past.shift - self.shift)
            else:
                self.shift = past.shift
        place = self._places(past.bucket << past.shift, grow)
        starts = group_starts(place)  # ascending buckets that fall together lie side by side
        place = place[starts]
        self._rows[place, column] += np.add.reduceat(past.rows, starts).astype(np.uint32)
        self._time_sum[place, column] += np.add.reduceat(past.time_sum, starts)
        self._bad[place, column] += np.add.reduceat(past.bad, starts, axis=0).astype(np.uint32)
        value = self._value
        with np.errstate(over="ignore", invalid="ignore"):
            low = np.minimum.reduceat(past.vmin, starts, axis=0)
            high = np.maximum.reduceat(past.vmax, starts, axis=0)
            value[place, column, 0] = np.minimum(value[place, column, 0], low)
            value[place, column, 1] = np.maximum(value[place, column, 1], high)
            value[place, column, 2] += np.add.reduceat(past.vsum, starts, axis=0)

    def _places(self, step: IntArray, grow: Callable[[], bool]) -> IntArray:
        """Return the place of each step's bucket, ``int64[S]``, making the ones that lack."""
        bucket = step >> self.shift
        missing = self._missing(bucket)
        if missing.size:
            while self.size + missing.size > self.buckets < BUCKETS_MAX and grow():
                pass
            if self.size + missing.size > self.buckets:
                union = np.union1d(self.ids, missing)
                by = finest_shift(union, self.buckets)
                finer = int(np.count_nonzero(np.diff(union >> (by - 1)))) + 1
                if self.size:
                    self.coarsen(by)
                else:
                    self.shift += by
                self.distinct_before = finer
                bucket = step >> self.shift
                missing = self._missing(bucket)
            self._add(missing)
        return self._place[self.ids.searchsorted(bucket)]

    def _missing(self, bucket: IntArray) -> IntArray:
        """Return the distinct buckets that have no place, ascending."""
        if self.size == 0:
            return np.unique(bucket)
        near = self.ids.searchsorted(bucket)
        near[near == self.size] = 0
        lacks = self._ids[near] != bucket
        return np.unique(bucket[lacks]) if lacks.any() else bucket[:0]

    def _add(self, ids: IntArray) -> None:
        begin, end = self.size, self.size + ids.size
        self._clear(self._place[begin:end], slice(None))
        self._ids[begin:end] = ids
        self.size = end
        if 0 < begin < end and ids[0] < self._ids[begin - 1]:
            order = np.argsort(self.ids, kind="stable")
            self._ids[:end] = self._ids[order]
            self._place[:end] = self._place[order]

    def read(self, metric: int, column: IntArray, low: int, high: int) -> tuple[IntArray, Sums]:
        """Return the buckets of one metric from number ``low`` to ``high``, both included.

        Args:
            metric: Which of the K.
            column: ``int64[n]``, the worker columns wanted.
            low: Bucket number at ``shift``.
            high: Bucket number at ``shift``.

        Returns:
            The buckets that hold a row of these columns, ``int64[b]`` ascending, and their sums
            as arrays ``[b, n]``, copied.
        """
        begin, end = np.searchsorted(self.ids, [low, high + 1])
        ids, place = self._ids[begin:end], self._place[begin:end]
        all_in_order = bool((column == np.arange(column.size)).all())

        def pick(array: NDArray[_Scalar], place: IntArray) -> NDArray[_Scalar]:
            if all_in_order:  # ten times as fast
                return array[:, : column.size][place]
            return array[place[:, None], column]

        rows = pick(self._rows, place).astype(np.int64)
        held = rows.any(axis=1)
        if not held.all():
            ids, place, rows = ids[held], place[held], rows[held]
        bad = pick(self._bad[:, :, metric], place).astype(np.int64)
        sums = Sums(
            vmin=pick(self._value[:, :, 0, metric], place),
            vmax=pick(self._value[:, :, 1, metric], place),
            vsum=pick(self._value[:, :, 2, metric], place),
            count=rows - bad,
            bad=bad,
            rows=rows,
            time_sum=pick(self._time_sum, place),
        )
        return ids.copy(), sums
