"""Fill the store from a run's file: the newest rows into the rings, the rest into the overviews.

Rows lie on the disk worker by worker; they come into a ring in the order of their times, and each
worker's in the order in which it sent them.

Law: every row that can be read is in the overview, once; a ring that does not begin with a
worker's first row says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

import numpy as np

from streamviz.errors import BudgetSpent, StoreFull
from streamviz.journal.chunks import load_leaf
from streamviz.journal.descent import cover
from streamviz.journal.entries import Head, TableRows
from streamviz.journal.nodes import WINDOW, Node, block_axis, block_sums, find
from streamviz.journal.schema import BadRow
from streamviz.store.grid import FloatArray, IntArray
from streamviz.store.pyramid import BUCKETS_MAX, Past, overview_bytes
from streamviz.store.ring import row_bytes
from streamviz.store.store import RUN_BYTES, WORKER_BYTES, Store
from streamviz.store.table import Table, table_bytes

__all__ = ["Share", "refill"]

_LEAVES = 16
"""Leaves that are folded into an overview at a time."""
_FOLD_ROWS = _LEAVES * WINDOW
_Key = tuple[int, int]
"""Table and worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a run may take when it is called back."""

    values: int
    """Values that may come into rings: what the time allows to decode."""
    bytes: int
    """Memory for rings and overviews."""
    is_strict: bool
    """Whether a run whose overviews take more is refused instead of given coarser ones."""


@dataclass(slots=True)
class _Rows:
    """Rows of one worker, in order of arrival."""

    steps: list[IntArray]
    times: list[FloatArray]
    values: list[FloatArray]

    def add(self, steps: IntArray, times: FloatArray, values: FloatArray) -> None:
        self.steps.append(steps)
        self.times.append(times)
        self.values.append(values)


def refill(
    store: Store,
    connection: Connection,
    head: Head,
    marks: Mapping[_Key, int],
    late: Sequence[TableRows],
    share: Share,
) -> tuple[int, list[str]]:
    """Bring a run into the store, which must not have it.

    Args:
        store: Where it goes.
        connection: A reader's, to the run's file.
        head: What the file says.
        marks: Rows of each (table, worker) that are chunked.
        late: Rows that are not.
        share: What it may take.

    Returns:
        How many values came into rings, and what could not be read, a sentence each.

    Raises:
        StoreFull: The store does not take it.
    """
    late_of = {(rows.table, rows.worker): rows for rows in late}
    counts: dict[_Key, int] = {}
    for key in sorted({*marks, *late_of}):
        if key[0] in head.tables and key[1] in head.workers:
            rows = late_of.get(key)
            end = 0 if rows is None else rows.first + rows.steps.size
            counts[key] = max(marks.get(key, 0), end)
    part = _part(head, counts, share)
    try:
        _open_workers(store, head)
    except StoreFull:
        store.drop(head.run)
        raise
    losses: list[str] = []
    values = 0
    for number in sorted(head.tables):
        names = head.tables[number]
        table = store.open_table(head.run, names)
        filler = _Filler(store, table, connection, losses)
        for key, count in counts.items():
            if key[0] == number:
                filler.worker(key, count, marks.get(key, 0), part, late_of.get(key))
        values += filler.finish()
    for worker, gap in head.gaps:
        store.add_gap(head.run, worker, gap)
    return values, losses


def _part(head: Head, counts: Mapping[_Key, int], share: Share) -> float:
    """Return which part of each worker's rows the rings get.

    Raises:
        BudgetSpent: The overviews alone take more than may be taken.
    """
    fixed = RUN_BYTES + WORKER_BYTES * len(head.workers)
    ring_bytes = values = 0
    for number, names in head.tables.items():
        width = len(names)
        rows = [count for key, count in counts.items() if key[0] == number]
        columns = 1 << max(len(rows) - 1, 0).bit_length()
        buckets = min(max(rows, default=0), BUCKETS_MAX)
        fixed += table_bytes(names, width) + overview_bytes(buckets, columns, width)
        ring_bytes += sum(rows) * row_bytes(width)
        values += sum(rows) * width
    if fixed > share.bytes:
        if share.is_strict:
            raise BudgetSpent(f"run {head.run!r}", share.bytes)
        return 0.0
    return min(1.0, (share.bytes - fixed) / max(ring_bytes, 1), share.values / max(values, 1))


def _open_workers(store: Store, head: Head) -> None:
    for index in range(1 + max(head.workers, default=-1)):
        row = head.workers.get(index)
        # One whose entry is lost keeps its number, and nothing of it can be shown.
        rank, attempt = (-1 - index, 0) if row is None else (row.rank, row.attempt)
        store.open_worker(head.run, rank, attempt)


class _Filler:
    """Fills one table."""

    def __init__(
        self, store: Store, table: Table, connection: Connection, losses: list[str]
    ) -> None:
        self._refill = store.refill(table)
        self._table = table
        self._width = len(table.names)
        self._connection = connection
        self._losses = losses
        self._recent: dict[int, _Rows] = {}

    def worker(self, key: _Key, count: int, mark: int, part: float, late: TableRows | None) -> None:
        """Put the past of a worker into the overview, and take its newest rows in hand.

        Args:
            key: Table and worker.
            count: Its rows on the disk.
            mark: Those that are chunked.
            part: Which part of them the ring gets.
            late: Those that are not chunked.
        """
        wanted = mark if part < 1 else 0
        if 0 < part < 1:
            wanted = min(mark, int(count * (1 - part)) // WINDOW * WINDOW)
        begin, rows = self._leaves(key, wanted, mark)
        self._absorb(key, begin)
        if late is not None:
            done = max(0, mark - late.first)
            rows.add(late.steps[done:], late.times[done:], late.values[done:])
        if rows.steps:
            self._recent[key[1]] = rows

    def finish(self) -> int:
        """Put what is in hand into the ring, and return how many values that is."""
        recent, self._recent = self._recent, {}
        if not recent:
            return 0
        times = {worker: np.concatenate(rows.times) for worker, rows in recent.items()}
        # A worker's rows keep their order even where its clock went back.
        keys = np.concatenate([np.maximum.accumulate(line) for line in times.values()])
        workers = np.repeat(list(times), [line.size for line in times.values()]).astype(np.int64)
        steps = np.concatenate([one for rows in recent.values() for one in rows.steps])
        time = np.concatenate(list(times.values()))
        values = np.concatenate([one for rows in recent.values() for one in rows.values])
        if len(recent) > 1:
            order = np.argsort(keys, kind="stable")
            workers, steps, time, values = workers[order], steps[order], time[order], values[order]
        self._refill.append(workers, steps, time, values)
        return values.size

    def _leaves(self, key: _Key, wanted: int, mark: int) -> tuple[int, _Rows]:
        """Return the chunked rows from about ``wanted`` on, and the ordinal they begin at.

        They begin later where what lies between has been deleted, or cannot be read.
        """
        found = _Rows([], [], [])
        begin = mark
        for node in reversed(find(self._connection, *key, 0, wanted, mark)):
            if node.first + node.size != begin:
                break
            try:
                leaf = load_leaf(self._connection, node, self._width)
            except BadRow as error:
                self._lose(node, error)
                break
            found.add(leaf.steps, leaf.times, np.stack(list(leaf.values), 1))
            begin = node.first
        for line in (found.steps, found.times, found.values):
            line.reverse()
        return begin, found

    def _absorb(self, key: _Key, end: int) -> None:
        """Put the rows before an ordinal into the overview."""
        worker = key[1]
        rows = _Rows([], [], [])
        size = 0
        for node in cover(self._connection, *key, end):
            try:
                if node.level:
                    self._refill.absorb(worker, self._past(node))
                    continue
                leaf = load_leaf(self._connection, node, self._width)
            except BadRow as error:
                self._lose(node, error)
                continue
            rows.add(leaf.steps, leaf.times, np.stack(list(leaf.values), 1))
            size += node.size
            if size >= _FOLD_ROWS:
                self._absorb_rows(worker, rows)
                rows, size = _Rows([], [], []), 0
        if size:
            self._absorb_rows(worker, rows)

    def _absorb_rows(self, worker: int, rows: _Rows) -> None:
        self._refill.absorb_rows(
            worker,
            np.concatenate(rows.steps),
            np.concatenate(rows.times),
            np.concatenate(rows.values),
        )

    def _past(self, node: Node) -> Past:
        bucket, rows, time = block_axis(self._connection, node)
        sums = [
            block_sums(self._connection, node, metric, rows, time) for metric in range(self._width)
        ]
        return Past(
            shift=node.shift,
            bucket=bucket,
            rows=rows,
            time_sum=time * rows,
            vmin=np.concatenate([one.vmin for one in sums], 1),
            vmax=np.concatenate([one.vmax for one in sums], 1),
            vsum=np.concatenate([one.vsum for one in sums], 1),
            bad=np.concatenate([one.bad for one in sums], 1),
            last_step=node.high,
            last_time=float(time.max()),
        )

    def _lose(self, node: Node, error: BadRow) -> None:
        self._refill.miss(node.worker, node.high)
        self._losses.append(
            f"run {self._table.run!r}: {node.rows:,} rows of worker {node.worker} cannot be read "
            f"({error})"
        )
