"""All rows of a run at full resolution, portion by portion.

Law: each row that can be read comes once, in order of arrival per (table, worker), however the
writer joins leaves in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from streamviz.journal.entries import TableRows, WorkerRow
from streamviz.journal.moment import Moment, rows_after
from streamviz.journal.nodes import FAN, WINDOW, Node, find, leaf_axis, leaf_values, span
from streamviz.journal.schema import BadRow
from streamviz.store.grid import FloatArray, IntArray

__all__ = ["Scan", "StoredRows", "choose"]

PORTION_VALUES = 1 << 20
"""Values of a portion: 8 MiB, against which looking up where the run stands is little."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredRows:
    """Rows of one worker in one table, in order of arrival."""

    worker: int
    rank: int
    attempt: int
    names: tuple[str, ...]
    """K metric names, of those that can be read."""
    first: int
    """Ordinal of the first row within (table, worker)."""
    steps: IntArray
    """``int64[S]``."""
    times: FloatArray
    """``float64[S]``, seconds since the epoch."""
    values: FloatArray
    """``float64[S, K]``."""


class Scan:
    """Where a reading of a whole run stands.

    Attributes:
        losses: What could not be read, a sentence each.
    """

    def __init__(self) -> None:
        self.losses: list[str] = []
        self._done: set[tuple[int, int]] = set()
        self._position: dict[tuple[int, int], int] = {}

    def next(self, moment: Moment) -> list[StoredRows]:
        """Return the next portion, nothing at the end.

        Raises:
            BadRow: The list of leaves is damaged; nothing has moved.
        """
        late = {(rows.table, rows.worker) for rows in moment.late}
        for table, worker in sorted({*moment.marks, *late} - self._done):
            names, who = moment.head.tables.get(table), moment.head.workers.get(worker)
            if names is not None and who is not None:
                portion = self._portion(moment, table, worker, names)
                if portion:
                    return [_stored(who, *one) for one in portion]
            self._done.add((table, worker))
        return []

    def _portion(
        self, moment: Moment, table: int, worker: int, names: tuple[str, ...]
    ) -> list[tuple[TableRows, tuple[str, ...]]]:
        """Return the next rows of a worker: of some leaves, after the last those in none."""
        begin = self._position.get((table, worker), 0)
        mark = moment.marks.get((table, worker), 0)
        found: list[tuple[TableRows, tuple[str, ...]]] = []
        values = 0
        for node in _leaves_from(moment, table, worker, begin, mark):
            leaf = self._leaf(moment, node, names)
            rest = None if leaf is None else rows_after(leaf[0], begin)
            if node.first > begin and not _is_deleted(moment, table, worker, begin, node.first):
                hole = f"{node.first - begin:,} rows before step {node.low}"
                self.losses.append(f"{hole} of worker {worker} are not in the file")
            begin = self._position[table, worker] = node.stop
            if rest is not None and leaf is not None:
                found.append((rest, leaf[1]))
                values += rest.values.size
                if values >= PORTION_VALUES:
                    break
        if found:
            return found
        begin = max(begin, mark)
        for some in moment.late:
            if (some.table, some.worker) == (table, worker):
                rest = rows_after(some, begin)
                if rest is not None:
                    found.append((rest, names))
                    begin = rest.first + rest.steps.size
        self._position[table, worker] = begin
        return found

    def _leaf(
        self, moment: Moment, node: Node, names: tuple[str, ...]
    ) -> tuple[TableRows, tuple[str, ...]] | None:
        """Return the rows of a leaf and the metrics that can be read of it."""
        where = f"steps {node.low} to {node.high} of worker {node.worker}"
        try:
            steps, times = leaf_axis(moment.connection, node)
        except BadRow as error:
            self.losses.append(f"{where} cannot be read: {error}")
            return None
        lines, kept = [np.empty((node.size, 0))], []
        for metric, name in enumerate(names):
            try:
                lines.append(leaf_values(moment.connection, node, metric).reshape(-1, 1))
                kept.append(name)
            except BadRow as error:
                self.losses.append(f"{name}, {where}, cannot be read: {error}")
        rows = TableRows(
            table=node.table,
            worker=node.worker,
            first=node.first,
            steps=steps,
            times=times,
            values=np.concatenate(lines, axis=1),
        )
        return rows, tuple(kept)


def choose(rows: StoredRows, names: Collection[str]) -> StoredRows:
    """Return the rows with only those of their metrics that are named."""
    kept = [i for i, name in enumerate(rows.names) if name in names]
    return replace(rows, names=tuple(rows.names[i] for i in kept), values=rows.values[:, kept])


def _stored(who: WorkerRow, rows: TableRows, names: tuple[str, ...]) -> StoredRows:
    return StoredRows(
        worker=who.index,
        rank=who.rank,
        attempt=who.attempt,
        names=names,
        first=rows.first,
        steps=rows.steps,
        times=rows.times,
        values=rows.values,
    )


def _is_deleted(moment: Moment, table: int, worker: int, begin: int, end: int) -> bool:
    """Tell whether blocks stand for all rows from one ordinal to another, as after shrinking."""
    (top,) = moment.connection.execute("SELECT max(level) FROM chunk").fetchone()
    for level in range(1, top + 1):
        size = span(level)
        first = begin // size * size
        for node in find(moment.connection, table, worker, level, first, end):
            if node.first <= begin:
                begin = max(begin, node.stop)
    return begin >= end


def _leaves_from(moment: Moment, table: int, worker: int, begin: int, mark: int) -> Iterator[Node]:
    """Yield the leaves with rows from an ordinal on."""
    first = begin // WINDOW * WINDOW
    while first < mark:
        end = first + WINDOW * FAN
        for node in find(moment.connection, table, worker, 0, first, end):
            if node.stop > begin:
                yield node
        first = end
