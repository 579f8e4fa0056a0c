"""What is deleted first when a run takes too much: the oldest full resolution, overviews last.

Law: a node is deleted only while a block stands for it, together with all that this block stands
for; the newest tenth of every worker's rows stays as it is.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from sqlite3 import Connection

from streamviz.journal.chunks import Chunks, write_block
from streamviz.journal.nodes import FAN, Node, delete, find, part_bytes, span
from streamviz.journal.schema import read
from streamviz.journal.wal import PAGE

__all__ = ["give_back", "shrink"]

KEPT_SHARE = 10
"""One in so many of the newest rows is not touched."""
SHORT_ROWS = 256
"""Rows that have no block yet, for being few, and are worth one of a sixteenth of their size."""
_GROUPS_AT_ONCE = 256
"""Groups a call deletes at most: a few tens of MiB, and a second of the writer's time."""


def shrink(connection: Connection, chunks: Chunks, amount: int) -> int:
    """Delete what is oldest, the finest level first.

    Args:
        connection: A writer's, inside a transaction.
        chunks: The writer of blocks.
        amount: Bytes wanted.

    Returns:
        Bytes of what was deleted: 0 when nothing may go.

    Raises:
        BadRow: A node cannot be read.
        sqlite3.Error: The disk does not take it.
    """
    freed = 0
    for group in itertools.islice(_candidates(connection, chunks), _GROUPS_AT_ONCE):
        freed += sum(part_bytes(connection, node) for node in group)
        delete(connection, group)
        if freed >= amount:
            break
    return freed


def give_back(connection: Connection, amount: int) -> None:
    """Make the file shorter by what was deleted.

    Raises:
        sqlite3.Error: The disk does not take it; the room is used for what comes next.
    """
    # It gives a page back each step, and says so by a row without cells, at which execute stops.
    connection.executescript(f"PRAGMA incremental_vacuum({amount // PAGE + 1})")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _candidates(connection: Connection, chunks: Chunks) -> Iterator[list[Node]]:
    """Yield nodes that a block stands for, in the order in which they may go."""
    (top,) = connection.execute("SELECT max(level) FROM chunk").fetchone()
    for level in range(top or 0):
        yield from _groups(connection, level, chunks.marks)
        if level == 0:
            yield from _short(connection, chunks)
    if top == 0:
        yield from _short(connection, chunks)


def _groups(
    connection: Connection, level: int, marks: dict[tuple[int, int], int]
) -> Iterator[list[Node]]:
    """Yield the nodes of a level below each block that is old enough, oldest first."""
    query = "SELECT id FROM chunk WHERE level = ? ORDER BY id"
    blocks = [number for (number,) in connection.execute(query, (level + 1,))]
    for number in blocks:
        (row,) = connection.execute("SELECT * FROM chunk WHERE id = ?", (number,))
        block = Node(*row[:-1])
        mark = marks.get((block.table, block.worker), 0)
        if block.stop <= mark - mark // KEPT_SHARE:
            below = find(connection, block.table, block.worker, level, block.first, block.stop)
            if below:
                yield below


def _short(connection: Connection, chunks: Chunks) -> Iterator[list[Node]]:
    """Yield the leaves of workers with too few rows for a block, once they have one after all.

    A run of many ranks may take much though each of them has few rows.
    """
    widths = {number: len(json.loads(names)) for number, names in read(connection, "metric_set")}
    for (table, worker), mark in sorted(chunks.marks.items()):
        end = mark - mark // KEPT_SHARE
        begin = end // span(1) * span(1)
        for block in find(connection, table, worker, 1, begin, begin + span(1)):
            begin = max(begin, block.stop)
        leaves = find(connection, table, worker, 0, begin, end)
        leaves = [node for node in leaves if node.stop <= end]
        rows = sum(node.rows for node in leaves)
        if rows >= SHORT_ROWS and table in widths:
            ends = leaves[0].first, leaves[-1].stop
            write_block(connection, chunks.number(), leaves, ends, widths[table], rows // FAN)
            yield leaves
