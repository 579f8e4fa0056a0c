"""The one mutable heart of the server: every run, worker, metric, row and gap it holds.

Law: a row appended is in the overview for ever, in the ring until evicted, and counted either way;
readers get values that no later write changes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from streamviz.clock import monotonic_time
from streamviz.counters import Counters
from streamviz.errors import BudgetSpent, StoreFull, UnknownSeries
from streamviz.store.budget import Budget
from streamviz.store.changes import Changes, Cursor, prepare_changes, read_changes
from streamviz.store.fresh import Fresh, fresh_rows
from streamviz.store.gaps import GAPS_PER_WORKER, Gap, Gaps
from streamviz.store.grid import FloatArray, IntArray
from streamviz.store.items import NO_ITEMS, Item, Items
from streamviz.store.query import Metric, Request
from streamviz.store.refill import Refill
from streamviz.store.run import Run, Usage, usage_of
from streamviz.store.series import QueryResult, prepare_series, read_series
from streamviz.store.table import Table, table_bytes

__all__ = ["Store", "Usage"]

RUN_BYTES = 8192
"""What a run costs besides its tables."""
WORKER_BYTES = 512
"""What a worker costs a run, its first gap included."""
GAP_BYTES = 256


class Store:
    """All that the server remembers.

    Thread-safe: every public method takes the one lock itself, and the arithmetic of a reading is
    done outside of it. Owner: the server. Holds: at most ``budget_bytes``, by its own account of
    all arrays and a fixed amount per run, worker, table, name and gap.
    """

    def __init__(
        self,
        budget_bytes: int,
        *,
        max_runs: int = 1_000,
        max_workers: int = 20_000,
        max_series_per_run: int = 10_000,
        max_series: int = 200_000,
        counters: Counters | None = None,
    ) -> None:
        """Build an empty store.

        Args:
            budget_bytes: Most bytes to hold, at least 1 MiB.
            max_runs: Most runs.
            max_workers: Most workers over all runs.
            max_series_per_run: Most metric names of a run; the values of others are counted only.
            max_series: Most metric names over all runs.
            counters: Where evictions and overflow are counted.

        Raises:
            ConfigError: The budget is too small to work with.
        """
        self._lock = threading.RLock()
        self._counters = Counters() if counters is None else counters
        self._budget = Budget(budget_bytes, self._counters)
        self._max_runs = max_runs
        self._max_workers = max_workers
        self._max_series_per_run = max_series_per_run
        self._max_series = max_series
        self._runs: dict[str, Run] = {}
        self._workers = 0
        self._metrics = 0
        self._overflowed = 0

    # Writing

    def open_worker(self, run: str, rank: int, attempt: int) -> int:
        """Return the worker's index within the run, the same one each time.

        Raises:
            StoreFull: ``max_runs`` or ``max_workers`` is reached, or the memory budget is spent.
        """
        with self._lock:
            known = self._runs.get(run)
            index = None if known is None else known.worker_of.get((rank, attempt))
            if index is not None:
                return index
            # A run that is opened and has no room for a worker would be left empty.
            if known is not None or len(self._runs) < self._max_runs:
                self._admit_worker()
            held = self._open_run(run)
            if not self._budget.take_for_admission(WORKER_BYTES):
                raise BudgetSpent(f"worker of rank {rank}", self._budget.allowed)
            self._workers += 1
            index = len(held.workers)
            held.workers.append((rank, attempt))
            held.worker_of[rank, attempt] = index
            held.structure += 1
            return index

    def _admit_worker(self) -> None:
        if self._workers >= self._max_workers:
            raise StoreFull("workers", self._max_workers)

    def open_table(self, run: str, names: tuple[str, ...]) -> Table:
        """Return the table for rows with these metrics, the same one each time.

        Names past a cap, or all when the memory budget is spent, are cut: :attr:`Table.cut` tells
        which, and :meth:`append` counts their values instead of storing them.

        Args:
            run: Run name.
            names: Metric names, distinct, in the order of the columns.

        Raises:
            StoreFull: ``max_runs`` is reached, or the memory budget is spent, and the run is new.
        """
        with self._lock:
            held = self._open_run(run)
            table = held.tables.get(names)
            if table is not None:
                return table
            room = min(
                self._max_series_per_run - len(held.metrics), self._max_series - self._metrics
            )
            kept = []
            for column, name in enumerate(names):
                if name in held.metrics:
                    kept.append(column)
                elif room > 0:
                    kept.append(column)
                    room -= 1
            if not kept or not self._budget.take_for_admission(table_bytes(names, len(kept))):
                held.cut(names)
                return Table(run, names, (), self._budget)
            table = Table(run, names, tuple(kept), self._budget)
            held.cut(table.cut)
            self._budget.holders.append(table)
            held.tables[names] = table
            for position, column in enumerate(kept):
                metric = held.metrics.get(names[column])
                if metric is None:
                    metric = Metric(is_partial=held.is_cut(names[column]))
                    held.metrics[names[column]] = metric
                    self._metrics += 1
                    held.names = None
                    held.structure += 1
                metric.tables.append((table, position))
            return table

    def _open_run(self, run: str) -> Run:
        held = self._runs.get(run)
        if held is None:
            if len(self._runs) >= self._max_runs:
                raise StoreFull("runs", self._max_runs)
            if not self._budget.take_for_admission(RUN_BYTES):
                raise BudgetSpent(f"run {run!r}", self._budget.allowed)
            held = self._runs[run] = Run()
        return held

    def append(
        self, table: Table, worker: int, steps: IntArray, times: FloatArray, values: FloatArray
    ) -> None:
        """Add rows of one worker.

        Args:
            table: From :meth:`open_table`.
            worker: From :meth:`open_worker` of the same run.
            steps: ``int64[S]``, 0 to 2**53, in any order.
            times: ``float64[S]``, wall time in seconds since the epoch.
            values: ``float64[S, K]`` in the order of the table's names; NaN and infinities kept.

        Raises:
            ValueError: The arrays do not fit one another or the table.
        """
        with self._lock:
            overflowed = table.append(worker, steps, times, values)
            if overflowed:
                self._overflowed += overflowed
                self._counters.add("series_overflowed_total", overflowed)

    def refill(self, table: Table) -> Refill:
        """Return what brings back what a table held before a restart.

        Args:
            table: From :meth:`open_table`, empty.
        """
        return Refill(table, self._lock)

    def drop(self, run: str) -> None:
        """Let go of all that is held of a run."""
        with self._lock:
            held = self._runs.pop(run, None)
            if held is None:
                return
            budget = self._budget
            for table in held.tables.values():
                budget.holders.remove(table)
                budget.give(table.nbytes)
            gaps = sum(max(len(gaps) - 1, 0) for gaps in held.gaps.values())
            budget.give(held.items.nbytes)
            budget.give(RUN_BYTES + WORKER_BYTES * len(held.workers) + GAP_BYTES * gaps)
            self._workers -= len(held.workers)
            self._metrics -= len(held.metrics)

    def relieve(self) -> None:
        """Give back about half of the rings, and of what they may take from now on."""
        with self._lock:
            self._budget.relieve()

    def room(self) -> int:
        """Return the bytes that are free."""
        with self._lock:
            return self._budget.allowed - self._budget.held

    def add_gap(self, run: str, worker: int, gap: Gap) -> None:
        """Remember a gap; past 256 of a worker, or when memory is spent, neighbours merge.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            held = self._run(run)
            gaps = held.gaps.setdefault(worker, Gaps())
            before = len(gaps)
            fits = before == 0 or (before < GAPS_PER_WORKER and self._budget.take(GAP_BYTES))
            gaps.add(gap, limit=GAPS_PER_WORKER if fits else before)
            held.gaps_version += 1

    def add_item(
        self, run: str, worker: int, kind: str, name: str, step: int, time: float, body: bytes
    ) -> None:
        """Remember an :class:`Item`; older ones give way where there are too many, and are counted.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            held = self._run(run)
            if held.items is NO_ITEMS:
                held.items = Items(self._budget.take_for_overview, self._budget.give)
            gone = held.items.add(worker, *held.workers[worker], kind, name, step, time, body)
            if gone:
                self._counters.add("items_evicted_total", gone)

    # The catalogue

    def _run(self, run: str) -> Run:
        held = self._runs.get(run)
        if held is None:
            raise UnknownSeries(run)
        return held

    def _metric(self, run: str, metric: str) -> tuple[Run, Metric]:
        held = self._run(run)
        found = held.metrics.get(metric)
        if found is None:
            raise UnknownSeries(run, metric)
        return held, found

    def runs(self) -> list[str]:
        """Return the run names, oldest first."""
        with self._lock:
            return list(self._runs)

    def metrics(self, run: str) -> list[str]:
        """Return the run's metric names in natural order: ``layer2`` before ``layer10``.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            return list(self._run(run).sorted_names())

    def workers(self, run: str) -> list[tuple[int, int, int]]:
        """Return index, rank and attempt of the run's workers, in the order of their index.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            return [(i, rank, attempt) for i, (rank, attempt) in enumerate(self._run(run).workers)]

    def structure(self, run: str) -> int:
        """Return a number that grows whenever a metric or a worker of the run appears.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            return self._run(run).structure

    def written(self, run: str, metric: str) -> int:
        """Return the rows ever stored in tables that hold the metric.

        Raises:
            UnknownSeries: There is no such run or metric.
        """
        with self._lock:
            return sum(table.rows for table, _ in self._metric(run, metric)[1].tables)

    def last_step(self, run: str, worker: int) -> int | None:
        """Return the highest step that the worker has sent, ``None`` before its first row.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            steps = [table.last_step(worker) for table in self._run(run).tables.values()]
            highest = max(steps, default=-1)
            return None if highest < 0 else highest

    def gaps(self, run: str, workers: Sequence[int] | None = None) -> list[tuple[int, Gap]]:
        """Return worker index and gap, sorted by worker, then by first step.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            held = self._run(run).gaps
            wanted = sorted(held if workers is None else set(workers) & held.keys())
            return [(worker, gap) for worker in wanted for gap in held[worker]]

    def gaps_version(self, run: str) -> int:
        """Return a number that grows with every gap added to the run.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            return self._run(run).gaps_version

    def items(self, run: str, kind: str | None = None, name: str | None = None) -> list[Item]:
        """Return a run's items, of one kind and name or of all, in the order in which they came.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            return self._run(run).items.chosen(kind, name)

    def items_version(self, run: str, *, payloads: bool = False) -> int:
        """Return a number that grows with every item of the run, or all but marks and alerts.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            held = self._run(run).items
            return held.payloads_version if payloads else held.version

    def items_gone(self, run: str) -> dict[tuple[str, str, int], int]:
        """Return by kind, name and worker how many of a run's items made room for others.

        Raises:
            UnknownSeries: There is no such run.
        """
        with self._lock:
            return self._run(run).items.gone()

    def usage(self) -> Usage:
        """Return what is held and what may be held."""
        with self._lock:
            return usage_of(self._runs, self._budget, self._overflowed)

    # Reading

    def changes(
        self,
        run: str,
        metric: str,
        cursor: Cursor | None,
        *,
        workers: Sequence[int] | None = None,
        start: int | None = None,
        stop: int | None = None,
        points: int = 1024,
    ) -> Changes:
        """Return what happened to a metric since ``cursor``, as buckets of a shared step grid.

        Args:
            run: Run name.
            metric: Metric name.
            cursor: From the call before, with the same arguments; ``None`` for everything.
            workers: Worker indices, one column each, in this order; ``None`` for all that send
                the metric, by index. One without rows gives a column of NaN.
            start: First step wanted; ``None`` for the first there is.
            stop: Last step wanted, included; ``None`` for the last there is. Where the range is
                read from the overview, buckets that overlap an end are returned whole.
            points: Most buckets in the reader's hands.

        Raises:
            UnknownSeries: There is no such run or metric.
            ConfigError: ``points`` is below 1.
        """
        request = Request.normalised(workers, start, stop, points)
        while True:
            with self._lock:
                found = self._watch(run, metric)
                prepared = prepare_changes(run, metric, found, cursor, request)
            changes = read_changes(prepared)
            if changes is not None:
                return changes
            cursor = None  # the tail takes more buckets than the reader has room for

    def query(
        self,
        run: str,
        metric: str,
        *,
        workers: Sequence[int] | None = None,
        start: int | None = None,
        stop: int | None = None,
        points: int = 1000,
    ) -> QueryResult:
        """Return the series of a metric: rows as sent where they are few enough, else buckets.

        Args:
            run: Run name.
            metric: Metric name.
            workers: Worker indices; ``None`` for all.
            start: First step wanted; ``None`` for the first there is.
            stop: Last step wanted, included; ``None`` for the last there is.
            points: Most points of a series.

        Raises:
            UnknownSeries: There is no such run or metric.
            ConfigError: ``points`` is below 1.
        """
        request = Request.normalised(workers, start, stop, points)
        with self._lock:
            found = self._watch(run, metric)
            prepared = prepare_series(found, self._runs[run].workers, request)
        return read_series(prepared, request)

    def fresh(self, run: str, seen: Mapping[tuple[str, ...], int]) -> list[Fresh]:
        """Return what was appended to the run's tables after the first ``seen`` rows of each."""
        with self._lock:
            return fresh_rows(self._run(run).tables, seen)

    def _watch(self, run: str, metric: str) -> Metric:
        """Return a metric, stamped as read just now."""
        found = self._metric(run, metric)[1]
        for table, _ in found.tables:
            table.watched = monotonic_time()
        return found
