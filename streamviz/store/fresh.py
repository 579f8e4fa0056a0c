"""Rows that were appended to a run's tables since somebody looked: for whoever reads them all.

Law: a row is told once to a reader that hands back what it has seen, or counted as missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from streamviz.store.grid import FloatArray, IntArray
from streamviz.store.ring import Slice
from streamviz.store.table import Table

__all__ = ["Fresh", "FreshRows", "fresh_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class FreshRows:
    """Rows of one table, in order of arrival."""

    names: tuple[str, ...]
    """Metric name of each of the K columns that are stored."""
    worker: IntArray
    """``int64[S]``, worker indices."""
    step: IntArray
    time: FloatArray
    """``float64[S]``, wall time in seconds since the epoch, by the sender's clock."""
    values: FloatArray
    """``float64[S, K]``, as sent."""
    missed: int
    """Rows before these that are no longer held, or were too many."""


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """The rows of one table that a reader has not seen, taken under the lock and not copied."""

    table: tuple[str, ...]
    """All names of the table, which tell it from the run's other ones."""
    rows: int
    """Rows ever appended: what the reader will have seen."""
    seen: int
    _cut: tuple[str, ...]
    _workers: IntArray
    _slices: list[Slice]

    def read(self, most: int) -> FreshRows:
        """Copy the newest ones, without the lock.

        Args:
            most: Most values wanted; at least one row is read.
        """
        cut = set(self._cut)
        names = tuple(name for name in self.table if name not in cut)
        wanted = max(1, most // max(1, len(names)))
        parts: list[tuple[IntArray, IntArray, FloatArray, FloatArray]] = []
        got = 0
        for piece in reversed(self._slices):
            begin = max(piece.begin, piece.end - (wanted - got))
            if begin >= piece.end:
                break
            span, segment = slice(begin, piece.end), piece.segment
            worker = self._workers[segment.column[span]]
            parts.append((worker, segment.step[span], segment.time[span], segment.values[span]))
            got += piece.end - begin
        parts.reverse()
        missed = self.rows - self.seen - got
        if not parts:
            none = np.empty(0, np.int64)
            return FreshRows(names, none, none, np.empty(0), np.empty((0, len(names))), missed)
        worker, step, time, values = (np.concatenate(column) for column in zip(*parts, strict=True))
        return FreshRows(names, worker, step, time, values, missed)


def fresh_rows(
    tables: Mapping[tuple[str, ...], Table], seen: Mapping[tuple[str, ...], int]
) -> list[Fresh]:
    """Collect what is new in some tables, under the store's lock.

    Args:
        tables: By their names.
        seen: Rows of each that the reader has seen; 0 of one that is not named.
    """
    found = []
    for names, table in tables.items():
        before = seen.get(names, 0)
        if table.rows > before:
            workers = np.array(table.workers, np.int64)
            slices = table.ring.snapshot(before)
            found.append(Fresh(names, table.rows, before, table.cut, workers, slices))
    return found
