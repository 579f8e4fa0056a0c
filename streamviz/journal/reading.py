"""One metric of a run's file, as rows or on the step grid.

A reading begins with what stands at the top of each worker's past and goes down until there are as
many buckets as asked for; then it reads the one metric there, and adds the rows that are not in
leaves yet.

Law: the grid is what the store would make of the same rows, means to rounding; a node that cannot
be read is left out and named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from sqlite3 import Connection

import numpy as np

from streamviz.journal.descent import Range, cover, leaves_of, refine
from streamviz.journal.entries import TableRows
from streamviz.journal.nodes import Node, block_axis, block_sums, leaf_axis, leaf_values
from streamviz.journal.schema import BadRow
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
from streamviz.store.query import Rows

__all__ = ["Line", "Reading"]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One worker in one table that holds the metric."""

    table: int
    worker: int
    metric: int
    """The metric's column in the table."""
    column: int
    """The worker's column in the answer."""
    mark: int
    """Rows that are chunked."""
    late: Sequence[TableRows]
    """Rows that are not."""


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A node's axis: of a leaf the rows in the range, of a block the buckets."""

    line: Line
    node: Node | None
    """``None``: rows that are in no leaf yet."""
    keep: IntArray
    """Which of the node's rows or buckets overlap the range."""
    ids: IntArray
    """Steps, or buckets at the node's shift."""
    rows: IntArray
    """Rows of each; empty in a leaf."""
    time: FloatArray
    value: FloatArray | None = None
    """Of rows that are in no leaf yet."""


@dataclass(slots=True, eq=False)
class Reading:
    """A question about one metric, and what is wrong with the answer.

    Owner: one call of one reader, inside one transaction.
    """

    connection: Connection
    lines: Sequence[Line]
    workers: tuple[int, ...]
    """Worker index of each column."""
    steps: Range
    losses: list[str] = field(default_factory=list)
    _axes: dict[int, _Piece | None] = field(default_factory=dict)
    """Read before, by node: ``None`` for one that cannot be read."""

    def rows(self, limit: int) -> Rows | None:
        """Return the rows as sent, ``None`` where a worker has over ``limit`` or not all are left.

        Raises:
            BadRow: The list of nodes is damaged; so with :meth:`grid`.
            sqlite3.DatabaseError: SQLite cannot read the file.
        """
        pieces = []
        for line in self.lines:
            leaves = leaves_of(self.connection, self._tops(line), self.steps, limit)
            if leaves is None:
                return None
            pieces += [self._piece(line, node) for node in leaves]
            pieces += [_late(line, rows, self.steps) for rows in line.late]
        rows = self._gather([piece for piece in pieces if piece is not None])
        each = np.bincount(rows.column, minlength=len(self.workers))
        return None if each.size and int(each.max()) > limit else rows

    def grid(self, points: int) -> Grid:
        """Return the metric in at most ``points`` buckets, the finest that the file has."""
        above = [(line, self._tops(line)) for line in self.lines]
        late = [_late(line, rows, self.steps) for line in self.lines for rows in line.late]
        shift = self._first_guess(above, late, points)
        while True:
            pieces, fine = self._pieces(above, shift)
            pieces += late
            base = max((piece.node.shift for piece in pieces if piece.node), default=0)
            ids = distinct(_moved(pieces, base))
            extra = finest_shift(ids, points)
            if extra or base == 0 or not fine:
                break
            # Room for twice as many buckets is room for one shift less.
            shift = max(0, base - max(1, (points // max(1, ids.size)).bit_length() - 1))
        shift = base + extra
        whole = all(sum(node.rows for node in nodes) == line.mark for line, nodes in above)
        return self._reduce(pieces, shift, distinct(ids >> extra), complete=fine and whole)

    def _tops(self, line: Line) -> list[Node]:
        return cover(self.connection, line.table, line.worker, line.mark)

    def _first_guess(
        self, above: Sequence[tuple[Line, list[Node]]], late: Sequence[_Piece], points: int
    ) -> int:
        """Return one shift below the one that would do if every step of the range had a row."""
        low, high = self.steps[1], self.steps[0]
        for _, nodes in above:
            for node in nodes:
                if node.high >= self.steps[0] and node.low <= self.steps[1]:
                    low, high = min(low, node.low), max(high, node.high)
        for piece in late:
            if piece.ids.size:
                low, high = min(low, int(piece.ids.min())), max(high, int(piece.ids.max()))
        low, high = max(low, self.steps[0]), min(high, self.steps[1])
        return max(0, max(0, high - low).bit_length() - points.bit_length())

    def _pieces(
        self, above: Sequence[tuple[Line, list[Node]]], shift: int
    ) -> tuple[list[_Piece], bool]:
        pieces, all_fine = [], True
        for line, nodes in above:
            chosen, fine = refine(self.connection, nodes, self.steps, shift)
            all_fine &= fine
            for node in chosen:
                piece = self._piece(line, node)
                if piece is not None:
                    pieces.append(piece)
        return pieces, all_fine

    def _piece(self, line: Line, node: Node) -> _Piece | None:
        """Return a node's axis, read once."""
        if node.id not in self._axes:
            try:
                self._axes[node.id] = self._axis(line, node)
            except BadRow as error:
                self._lost(line, node, error)
                self._axes[node.id] = None
        return self._axes[node.id]

    def _axis(self, line: Line, node: Node) -> _Piece:
        start, stop = self.steps
        if node.level == 0:
            steps, times = leaf_axis(self.connection, node)
            keep = np.flatnonzero((steps >= start) & (steps <= stop))
            return _Piece(line, node, keep, steps[keep], np.empty(0, np.int64), times[keep])
        bucket, rows, time = block_axis(self.connection, node)
        keep = np.flatnonzero((bucket >= start >> node.shift) & (bucket <= stop >> node.shift))
        return _Piece(line, node, keep, bucket[keep], rows[keep], time[keep])

    def _gather(self, pieces: Sequence[_Piece]) -> Rows:
        """Return the rows of leaves, and those that are in none."""
        steps, columns, times, values = [], [], [], []
        for piece in pieces:
            value = piece.value
            if piece.node is not None:
                try:
                    value = leaf_values(self.connection, piece.node, piece.line.metric)[piece.keep]
                except BadRow as error:
                    self._lost(piece.line, piece.node, error)
                    continue
            if value is None:
                continue
            steps.append(piece.ids)
            columns.append(np.full(piece.ids.size, piece.line.column, np.int64))
            times.append(piece.time)
            values.append(value)
        if not steps:
            return Rows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))
        return Rows(
            np.concatenate(steps),
            np.concatenate(columns),
            np.concatenate(times),
            np.concatenate(values),
        )

    def _reduce(
        self, pieces: Sequence[_Piece], shift: int, bucket: IntArray, *, complete: bool
    ) -> Grid:
        found = len(self.losses)
        blocks = [(piece, piece.node) for piece in pieces if piece.node and piece.node.level]
        rows = self._gather([piece for piece in pieces if not (piece.node and piece.node.level)])
        with np.errstate(over="ignore", invalid="ignore"):
            cells = rows.step >> shift
            size = len(self.workers)
            sums = reduce_rows(bucket, cells, rows.column, rows.value, rows.time, columns=size)
        sums.rows = sums.rows.copy()  # where all are finite it is the array of the counts
        for piece, node in blocks:
            try:
                part = self._sums(piece, node)
            except BadRow as error:
                self._lost(piece.line, node, error)
                continue
            place = np.searchsorted(bucket, piece.ids >> shift - node.shift)
            merge_sums(sums, place, np.array([piece.line.column]), part)
        held = np.flatnonzero(sums.rows.any(axis=1))
        if held.size < bucket.size:  # of nodes whose metric could not be read
            bucket, sums = bucket[held], _chosen(sums, held)
        return finish(
            sums,
            shift=shift,
            bucket=bucket,
            workers=self.workers,
            complete=complete and len(self.losses) == found,
        )

    def _sums(self, piece: _Piece, node: Node) -> Sums:
        _, rows, time = block_axis(self.connection, node)
        whole = block_sums(self.connection, node, piece.line.metric, rows, time)
        return whole if piece.keep.size == node.size else _chosen(whole, piece.keep)

    def _lost(self, line: Line, node: Node, error: BadRow) -> None:
        what = "rows" if node.level == 0 else "an overview"
        steps = f"steps {node.low} to {node.high}"
        self.losses.append(f"{what} of worker {line.worker}, {steps}, cannot be read: {error}")


def _late(line: Line, rows: TableRows, steps: Range) -> _Piece:
    keep = np.flatnonzero((rows.steps >= steps[0]) & (rows.steps <= steps[1]))
    return _Piece(
        line,
        None,
        keep,
        rows.steps[keep],
        np.empty(0, np.int64),
        rows.times[keep],
        rows.values[keep, line.metric],
    )


def _moved(pieces: Sequence[_Piece], base: int) -> IntArray:
    """Return the buckets of all pieces at one shift."""
    lines = [piece.ids >> base - (piece.node.shift if piece.node else 0) for piece in pieces]
    return np.concatenate(lines) if lines else np.empty(0, np.int64)


def _chosen(sums: Sums, rows: IntArray) -> Sums:
    return Sums(
        vmin=sums.vmin[rows],
        vmax=sums.vmax[rows],
        vsum=sums.vsum[rows],
        count=sums.count[rows],
        bad=sums.bad[rows],
        rows=sums.rows[rows],
        time_sum=sums.time_sum[rows],
    )
