"""Rows of one schema from all workers of a run: recent ones as sent, all of them as an overview.

Law: a row is folded into the overview before the ring lets go of it, and exactly once.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streamviz.store.budget import Budget
from streamviz.store.grid import FloatArray, IntArray
from streamviz.store.pyramid import BUCKETS_MAX, BUCKETS_MIN, Overview, Past, overview_bytes
from streamviz.store.ring import FIRST_ROWS, Ring, Segment, row_bytes

__all__ = ["Table", "table_bytes"]

FOLD_ROWS = 2048
"""Rows that may wait: half of the cost of folding 512 is per call; a reader folds what waits."""
TABLE_BYTES = 4096
"""What a table costs besides its arrays: objects and dictionaries."""
NAME_BYTES = 400
"""What each metric name of a table costs besides its letters."""
COLUMN_BYTES = 128
"""What a worker costs a table besides its columns."""


def table_bytes(names: tuple[str, ...], width: int) -> int:
    """Return the bytes of a table with one worker when it is opened, ``width`` columns stored."""
    return (
        _fixed_bytes(names)
        + COLUMN_BYTES
        + FIRST_ROWS * row_bytes(width)
        + overview_bytes(BUCKETS_MIN, 1, width)
    )


def _fixed_bytes(names: tuple[str, ...]) -> int:
    return TABLE_BYTES + sum(NAME_BYTES + len(name) for name in names)


class Table:
    """The rows of one schema of one run.

    Opaque outside the store. Owner: the store, under its lock.
    """

    def __init__(
        self, run: str, names: tuple[str, ...], kept: tuple[int, ...], budget: Budget
    ) -> None:
        """Build an empty table, for which the budget has granted :func:`table_bytes`.

        Args:
            run: Run name.
            names: All metric names of the schema, K of them.
            kept: Which of the K columns are stored; the others went over a cap and are counted.
                With none the table holds nothing, and the budget need not know of it.
            budget: Where growth is asked for.
        """
        self.run = run
        self.names = names
        held = set(kept)
        self.cut = tuple(name for i, name in enumerate(names) if i not in held)
        """Names whose values are only counted."""
        self.width = len(kept)
        self.watched = float("-inf")
        self.workers: list[int] = []
        """Worker index of each column."""
        self.columns: dict[int, int] = {}
        self.ring = Ring(self.width)
        self.overview = Overview(self.width)
        self._sent = len(names)
        self._keep = np.array(kept, np.intp) if self.cut else None
        self._budget = budget
        self._pending = 0
        """Rows at the end of the open segment that are not folded yet."""
        self._ask_again_at = 0
        """Row number before which a refused ring does not ask others to give way again."""

    @property
    def rows(self) -> int:
        """Rows ever appended."""
        return self.ring.head

    @property
    def ring_bytes(self) -> int:
        """Bytes of the rows in full resolution."""
        return self.ring.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes that the budget has granted."""
        workers = COLUMN_BYTES * max(1, len(self.workers))
        return _fixed_bytes(self.names) + workers + self.ring.nbytes + self.overview.nbytes

    def append(self, worker: int, steps: IntArray, times: FloatArray, values: FloatArray) -> int:
        """Add rows of one worker.

        Returns:
            How many values could not be stored, only counted.

        Raises:
            ValueError: The arrays do not fit one another or the schema.
        """
        count = steps.shape[0]
        if values.shape != (count, self._sent):
            raise ValueError(f"values: found shape {values.shape}, expected {(count, self._sent)}")
        column = self.columns.get(worker)
        if column is None:
            column = self._admit(worker)
            if column < 0:
                return values.size
        cut = 0
        if self._keep is not None:
            cut = count * (self._sent - self.width)
            values = values[:, self._keep]
        segment = self.ring.open
        begin = segment.size
        end = begin + count
        if end < segment.rows:
            if count == 1:  # the usual frame of a slow loop; a slice costs four times an item
                segment.column[begin] = column
                segment.step[begin] = steps[0]
                segment.time[begin] = times[0]
            else:
                segment.column[begin:end] = column
                segment.step[begin:end] = steps
                segment.time[begin:end] = times
            segment.values[begin:end] = values
            segment.size = end
            self._pending += count
            if self._pending >= FOLD_ROWS:
                self.fold()
        else:
            self._append_across(column, steps, times, values)
        return cut

    def append_many(
        self, workers: IntArray, steps: IntArray, times: FloatArray, values: FloatArray
    ) -> None:
        """Add rows of several workers, in this order; values that have no room are left out.

        Args:
            workers: ``int64[S]``, the worker of each row.
            steps: ``int64[S]``.
            times: ``float64[S]``, seconds since the epoch.
            values: ``float64[S, K]``.
        """
        known = np.unique(workers)
        columns = np.array([self._column(int(worker)) for worker in known], np.int64)
        column = columns[np.searchsorted(known, workers)]
        held = column >= 0
        if not held.all():
            column, steps, times, values = column[held], steps[held], times[held], values[held]
        if column.size:
            values = values if self._keep is None else values[:, self._keep]
            self._append_across(column, steps, times, values)

    def absorb(self, worker: int, past: Past) -> None:
        """Add rows of one worker that only the overview is to have; the ring holds none yet.

        Args:
            worker: The worker's index.
            past: What they were reduced to, with all K metrics of the schema.
        """
        column = self._column(worker)
        if column < 0:
            return
        if self._keep is not None:
            keep = self._keep
            past = replace(
                past,
                vmin=past.vmin[:, keep],
                vmax=past.vmax[:, keep],
                vsum=past.vsum[:, keep],
                bad=past.bad[:, keep],
            )
        self.overview.absorb(column, past, self._grow_overview)
        self._passed(column, int(past.rows.sum()), past.last_step)

    def absorb_rows(
        self, worker: int, steps: IntArray, times: FloatArray, values: FloatArray
    ) -> None:
        """Add rows of one worker, as sent, that only the overview is to have.

        Args:
            worker: The worker's index.
            steps: ``int64[S]``, at least one.
            times: ``float64[S]``, seconds since the epoch.
            values: ``float64[S, K]``.
        """
        column = self._column(worker)
        if column < 0:
            return
        values = values if self._keep is None else values[:, self._keep]
        columns = np.full(steps.size, column, np.int32)
        self.overview.fold(columns, steps, times, values, self._grow_overview)
        self._passed(column, steps.size, int(steps.max()))

    def miss(self, worker: int, last_step: int) -> None:
        """Note that rows of a worker up to a step are not held."""
        column = self._column(worker)
        if column >= 0:
            self._passed(column, 0, last_step)

    def _passed(self, column: int, rows: int, last_step: int) -> None:
        """Note rows that the ring, which is empty, does not hold."""
        evicted = self.overview.evicted_step
        evicted[column] = max(evicted[column], last_step)
        self.ring.skip(rows)
        self._budget.evicted_rows += rows

    def _column(self, worker: int) -> int:
        column = self.columns.get(worker)
        return self._admit(worker) if column is None else column

    def _append_across(
        self, column: int | IntArray, steps: IntArray, times: FloatArray, values: FloatArray
    ) -> None:
        """Add rows that fill the open segment, or several."""
        done, count = 0, steps.shape[0]
        while done < count:
            segment = self.ring.open
            begin = segment.size
            end = min(begin + count - done, segment.rows)
            upto = done + end - begin
            if isinstance(column, int):
                segment.column[begin:end] = column
            else:
                segment.column[begin:end] = column[done:upto]
            segment.step[begin:end] = steps[done:upto]
            segment.time[begin:end] = times[done:upto]
            segment.values[begin:end] = values[done:upto]
            segment.size = end
            self._pending += upto - done
            done = upto
            if end == segment.rows:
                self._begin_segment()

    def _admit(self, worker: int) -> int:
        """Return a column for a worker that is here for the first time, -1 if there is no room."""
        if self.width == 0:
            return -1
        column = len(self.workers)
        if column and not self._budget.take_for_admission(COLUMN_BYTES):
            return -1
        if column == self.overview.columns and not self._resize_overview(columns=2 * column):
            self._budget.give(COLUMN_BYTES)
            return -1
        self.workers.append(worker)
        self.columns[worker] = column
        return column

    def _resize_overview(self, *, columns: int) -> bool:
        """Make room for more workers; the old arrays live until the new ones are filled."""
        self.fold()
        while True:
            buckets = self.overview.buckets
            cost = overview_bytes(buckets, columns, self.width)
            if not self._budget.take_for_admission(cost):
                return False
            if self.overview.buckets == buckets:
                break
            self._budget.give(cost)  # our own overview gave way meanwhile: ask for less
        old = self.overview.nbytes
        self.overview.resize(buckets, columns)
        self._budget.give(old)
        return True

    def _grow_overview(self) -> bool:
        """Double the overview's buckets if the budget allows."""
        buckets = min(2 * self.overview.buckets, BUCKETS_MAX)
        cost = overview_bytes(buckets, self.overview.columns, self.width)
        if not self._budget.take_for_overview(cost):
            return False
        old = self.overview.nbytes
        self.overview.resize(buckets, self.overview.columns)
        self._budget.give(old)
        return True

    def fold(self) -> None:
        """Bring the overview up to date with the ring."""
        if not self._pending:
            return
        segment = self.ring.open
        end = segment.size
        begin = end - self._pending
        self.overview.fold(
            segment.column[begin:end],
            segment.step[begin:end],
            segment.time[begin:end],
            segment.values[begin:end],
            self._grow_overview,
        )
        self._pending = 0

    def _begin_segment(self) -> None:
        """Seal the full segment and open the next, over the oldest rows if it must be."""
        self.fold()
        ring, budget = self.ring, self._budget
        if ring.open.size < ring.open.rows:
            return
        ring.seal()
        rows = ring.next_rows(growing=True)
        cost = rows * row_bytes(self.width)
        granted = budget.take(cost)
        if not granted and ring.head >= self._ask_again_at:
            granted = budget.take_for_ring(cost, self)
            self._ask_again_at = ring.head + max(ring.capacity, 4096)
        if not granted:
            stride = ring.next_rows(growing=False)
            rows = max(stride, FIRST_ROWS - ring.capacity)
            while not budget.take(rows * row_bytes(self.width)):
                self._evict_oldest()
                rows = max(stride, FIRST_ROWS - ring.capacity)
        ring.begin(rows)

    def _evict_oldest(self) -> int:
        segment = self.ring.drop_oldest()
        self._note_evicted(segment, np.arange(segment.size))
        self._budget.give(segment.nbytes)
        return segment.nbytes

    def _note_evicted(self, segment: Segment, rows: NDArray[np.intp]) -> None:
        if rows.size:
            np.maximum.at(self.overview.evicted_step, segment.column[rows], segment.step[rows])
            self._budget.evicted(rows.size)

    def shrink_ring(self) -> int:
        """Give back about half of the ring; return the bytes, 0 when it is at its smallest."""
        ring = self.ring
        freed = 0
        target = max(FIRST_ROWS, ring.capacity // 2)
        while ring.sealed and ring.capacity - ring.sealed[0].rows >= target:
            freed += self._evict_oldest()
        if freed == 0 and ring.capacity > FIRST_ROWS:
            while ring.sealed:
                freed += self._evict_oldest()
            before, segment = ring.nbytes, ring.open
            gone = ring.squeeze(self._pending)
            self._note_evicted(segment, np.arange(gone))
            self._budget.give(before - ring.nbytes)
            freed += before - ring.nbytes
        return freed

    def shrink_overview(self) -> int:
        """Give back half of the overview; return the bytes, 0 when it is at its smallest."""
        overview = self.overview
        if overview.buckets <= BUCKETS_MIN:
            return 0
        before = overview.nbytes
        overview.shrink(max(BUCKETS_MIN, overview.buckets // 2))
        self._budget.give(before - overview.nbytes)
        return before - overview.nbytes

    def last_step(self, worker: int) -> int:
        """Return the highest step of a worker's rows, -1 without any."""
        column = self.columns.get(worker)
        if column is None:
            return -1
        self.fold()
        return int(self.overview.last_step[column])

    def is_complete(self, columns: IntArray, start: int | None) -> bool:
        """Tell whether the ring holds every row of these columns from step ``start`` on."""
        if columns.size == 0:
            return True
        evicted = int(self.overview.evicted_step[columns].max())
        return evicted < (0 if start is None else start)
