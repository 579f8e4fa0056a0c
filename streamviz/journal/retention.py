"""What is deleted first when a run takes too much: the oldest full resolution, overviews last.

Law: a node is deleted only while the block above it stands, together with all that this block
stands for; the newest tenth of every worker's rows stays as it is.
"""

from __future__ import annotations

from sqlite3 import Connection

from streamviz.journal.nodes import Node, delete, find, part_bytes, span
from streamviz.journal.schema import checksum
from streamviz.journal.wal import PAGE

__all__ = ["give_back", "shrink"]

KEPT_SHARE = 10
"""One in so many of the newest rows is not touched."""
_GROUPS_AT_ONCE = 256
"""Groups a call deletes at most: a few tens of MiB, and a second of the writer's time."""


def shrink(connection: Connection, amount: int) -> int:
    """Delete what is oldest, the finest level first.

    Args:
        connection: A writer's, inside a transaction.
        amount: Bytes wanted.

    Returns:
        Bytes of what was deleted: 0 when nothing may go.

    Raises:
        sqlite3.Error: The disk does not take it.
    """
    freed = groups = 0
    (top,) = connection.execute("SELECT max(level) FROM chunk").fetchone()
    marks = _marks(connection)
    for level in range(top or 0):
        for group in _groups(connection, level, marks):
            if freed >= amount or groups >= _GROUPS_AT_ONCE:
                break
            freed += sum(part_bytes(connection, node) for node in group)
            delete(connection, group)
            groups += 1
    return freed


def give_back(connection: Connection, amount: int) -> None:
    """Make the file shorter by what was deleted.

    Raises:
        sqlite3.Error: The disk does not take it; the room is used for what comes next.
    """
    connection.execute(f"PRAGMA incremental_vacuum({amount // PAGE + 1})").fetchall()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _marks(connection: Connection) -> dict[tuple[int, int], int]:
    rows = connection.execute("SELECT metric_set, worker, rows FROM chunked")
    return {(table, worker): count for table, worker, count in rows}


def _groups(
    connection: Connection, level: int, marks: dict[tuple[int, int], int]
) -> list[list[Node]]:
    """Return the nodes of a level that may go, oldest first, by the block that stands for them."""
    above = span(level + 1)
    places: dict[tuple[int, int, int], None] = {}
    for row in connection.execute("SELECT * FROM chunk WHERE level = ? ORDER BY id", (level,)):
        if checksum("chunk", row[:-1]) == row[-1]:
            node = Node(*row[:-1])
            mark = marks.get((node.table, node.worker), 0)
            place = node.first // above
            if (place + 1) * above <= mark - mark // KEPT_SHARE:
                places[node.table, node.worker, place] = None
    groups = []
    for table, worker, place in places:
        begin, end = place * above, (place + 1) * above
        if find(connection, table, worker, level + 1, begin, end):
            groups.append(find(connection, table, worker, level, begin, end))
            if len(groups) == _GROUPS_AT_ONCE:
                break
    return groups
