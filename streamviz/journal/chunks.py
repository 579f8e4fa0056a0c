"""Turn rows into leaves, full leaves into blocks, blocks into coarser blocks.

Law: what a block holds is what the rows of its windows reduce to: extremes and counts exactly,
means and times to rounding; which checkpoint brought which row makes no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

import numpy as np

from streamviz.journal.entries import TableRows
from streamviz.journal.nodes import (
    BUCKETS,
    WINDOW,
    Block,
    Leaf,
    Node,
    add_block,
    add_leaf,
    all_leaf_values,
    block_axis,
    block_sums,
    delete,
    find,
    leaf_axis,
    leaf_values,
    span,
)
from streamviz.journal.schema import insert, read
from streamviz.store.grid import (
    FloatArray,
    Sums,
    distinct,
    finest_shift,
    merge_sums,
    reduce_rows,
)

__all__ = ["Chunks", "load_leaf", "write_block"]

SEGMENTS_MAX = 16
"""Segments of an open window before they are joined: what a reader of the newest rows looks up."""


class Chunks:
    """The writer of leaves and blocks.

    Owner: the run's file, inside a transaction of its own. After a transaction that failed it is
    to be built anew: it numbers nodes and counts rows ahead of the file.
    """

    def __init__(self, connection: Connection) -> None:
        """Take up where the file is.

        Raises:
            BadRow: A row of the file does not fit its checksum.
        """
        self._connection = connection
        self.marks: dict[tuple[int, int], int] = {}
        """How many rows of each (table, worker) are chunked, or lost for good."""
        self._ids: dict[tuple[int, int], int] = {}
        for number, table, worker, rows in read(connection, "chunked"):
            self._ids[table, worker] = number
            self.marks[table, worker] = rows
        (last,) = connection.execute("SELECT max(id) FROM chunk").fetchone()
        self._next_id = 1 + (last or 0)

    def append(self, rows: TableRows) -> None:
        """Add rows, but for those that are chunked already."""
        table, worker, size = rows.table, rows.worker, rows.steps.size
        mark = self.marks.get((table, worker), 0)
        done = max(0, mark - rows.first)
        if done >= size:
            return
        while done < size:
            first = rows.first + done
            end = min(size, done + WINDOW - first % WINDOW)
            leaf = Leaf(
                rows.steps[done:end],
                np.ascontiguousarray(rows.times[done:end]),
                list(rows.values[done:end].T),
            )
            self._add(table, worker, first, leaf)
            self._close(table, worker, mark, rows.first + end, len(leaf.values))
            mark, done = rows.first + end, end
        self.marks[table, worker] = mark
        number = self._ids.setdefault((table, worker), len(self._ids))
        insert(self._connection, "chunked", [(number, table, worker, mark)])

    def number(self) -> int:
        """Return a number that no node had before, so that no part is taken for another's."""
        self._next_id += 1
        return self._next_id - 1

    def _add(self, table: int, worker: int, first: int, leaf: Leaf) -> None:
        """Write rows of one window, joined with the segments before them when it is time."""
        begin = first // WINDOW * WINDOW
        before: list[Node] = []
        if first > begin:
            before = find(self._connection, table, worker, 0, begin, first)
        stop = first + leaf.steps.size
        if before and (stop == begin + WINDOW or len(before) >= SEGMENTS_MAX):
            leaves = [load_leaf(self._connection, node, len(leaf.values)) for node in before]
            first, leaf = before[0].first, _joined([*leaves, leaf])
            delete(self._connection, before)
        add_leaf(self._connection, self.number(), (table, worker), (first, stop), leaf)

    def _close(self, table: int, worker: int, mark: int, end: int, width: int) -> None:
        """Build the blocks that rows up to ``end`` complete; those before went up to ``mark``.

        Where rows are lost between the two, the block that ``mark`` lies in is complete as well.
        """
        level = 1
        while span(level) <= end:
            size = span(level)
            for place in sorted({mark // size, (end - 1) // size}):
                if place < end // size:
                    self._build(table, worker, level, place, width)
            level += 1

    def _build(self, table: int, worker: int, level: int, place: int, width: int) -> None:
        """Write the block of a place, or of what of the place has none yet."""
        begin, end = place * span(level), (place + 1) * span(level)
        for node in find(self._connection, table, worker, level, begin, end):
            begin = max(begin, node.stop)
        below = find(self._connection, table, worker, level - 1, begin, end)
        if below:
            write_block(self._connection, self.number(), below, (begin, end), width)


def write_block(
    connection: Connection,
    number: int,
    below: Sequence[Node],
    ends: tuple[int, int],
    width: int,
    buckets: int = BUCKETS,
) -> None:
    """Write the block that stands for some nodes.

    Args:
        connection: Inside a transaction.
        number: That no node had before.
        below: Nodes of one level, in order; at least one.
        ends: Ordinal of the first row, and the one after the last.
        width: K of the table.
        buckets: Most buckets.

    Raises:
        BadRow: A node cannot be read.
    """
    reduce = _reduce_leaves if below[0].level == 0 else _reduce_blocks
    block = reduce(connection, below, width, buckets)
    node = Node(
        *(number, below[0].table, below[0].worker, below[0].level + 1, *ends),
        *(sum(node.rows for node in below), min(node.low for node in below)),
        *(max(node.high for node in below), block.shift, block.bucket.size),
    )
    add_block(connection, node, block)


def load_leaf(connection: Connection, node: Node, width: int) -> Leaf:
    """Return a leaf with all its metrics.

    Raises:
        BadRow: It cannot be read.
    """
    steps, times = leaf_axis(connection, node)
    return Leaf(steps, times, all_leaf_values(connection, node, width))


def _joined(leaves: Sequence[Leaf]) -> Leaf:
    return Leaf(
        np.concatenate([leaf.steps for leaf in leaves]),
        np.concatenate([leaf.times for leaf in leaves]),
        [np.concatenate(lines) for lines in zip(*(leaf.values for leaf in leaves), strict=True)],
    )


def _reduce_leaves(
    connection: Connection, nodes: Sequence[Node], width: int, buckets: int
) -> Block:
    axes = [leaf_axis(connection, node) for node in nodes]
    steps = np.concatenate([steps for steps, _ in axes])
    times = np.concatenate([times for _, times in axes])
    union = distinct(steps)
    shift = finest_shift(union, buckets)
    bucket, column = distinct(union >> shift), np.zeros(steps.size, np.int64)

    def reduced(line: FloatArray) -> Sums:
        return reduce_rows(bucket, steps >> shift, column, line, times, columns=1)

    axis = reduced(np.zeros(steps.size))
    metrics = (
        reduced(np.concatenate([leaf_values(connection, node, metric) for node in nodes]))
        for metric in range(width)
    )
    rows = axis.rows.ravel()
    return Block(shift, bucket, rows, axis.time_sum.ravel() / rows, metrics)


def _reduce_blocks(
    connection: Connection, nodes: Sequence[Node], width: int, buckets: int
) -> Block:
    axes = [block_axis(connection, node) for node in nodes]
    base = max(node.shift for node in nodes)
    moved = [axis[0] >> base - node.shift for axis, node in zip(axes, nodes, strict=True)]
    union = np.unique(np.concatenate(moved))
    extra = finest_shift(union, buckets)
    bucket = np.unique(union >> extra)
    places = [np.searchsorted(bucket, ids >> extra) for ids in moved]

    def reduced(metric: int) -> Sums:
        sums = Sums.empty(bucket.size, 1)
        for node, (_, rows, time), place in zip(nodes, axes, places, strict=True):
            part = block_sums(connection, node, metric, rows, time)
            merge_sums(sums, place, np.zeros(1, np.int64), part)
        return sums

    place = np.concatenate(places)
    all_rows = np.concatenate([rows for _, rows, _ in axes])
    all_time = np.concatenate([rows * time for _, rows, time in axes])
    rows = np.bincount(place, all_rows, bucket.size).astype(np.int64)
    time = np.bincount(place, all_time, bucket.size) / rows
    return Block(base + extra, bucket, rows, time, map(reduced, range(width)))
