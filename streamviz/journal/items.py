"""The items of a run's file: added with a commit, the oldest deleted where there are too many.

Law: of each worker the newest stays, so how many it had is known whatever was deleted; marks and
alerts go last, as they are small and others are made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

from streamviz.journal.entries import ItemRow
from streamviz.journal.schema import BadRow, Cell, checksum, has_table, insert, read_rows
from streamviz.wire.kinds import ALERT, MARK

__all__ = [
    "DISK_ITEMS_BYTES",
    "add",
    "at",
    "bytes_of",
    "counts",
    "held",
    "last_of",
    "newest",
    "numbers_of",
    "shed",
    "shrink",
]

DISK_ITEMS_BYTES = 64 << 20
"""Bytes of a run's items on the disk; past it the oldest go."""
KEPT_SHARE = 10
"""One in so many of the newest items is not touched to make room for other runs."""
_SLACK = 16
"""When there are too many, a 16th more than needed goes, so that not every commit deletes."""
_ITEM_BYTES = 64
"""What an item is reckoned at besides its body."""


def add(connection: Connection, first: int, rows: Sequence[ItemRow]) -> int:
    """Write items; return the bytes they are reckoned at.

    Args:
        connection: Inside a transaction.
        first: Number of the first of them within the run.
        rows: In the order in which they came.
    """
    insert(connection, "item", [_cells(first + i, row) for i, row in enumerate(rows)])
    return sum(_ITEM_BYTES + len(row.body) for row in rows)


def bytes_of(connection: Connection) -> int:
    """Return the bytes that a file's items are reckoned at."""
    query = f"SELECT coalesce(sum({_ITEM_BYTES} + length(body)), 0) FROM item"  # noqa: S608 - ours
    (size,) = connection.execute(query).fetchone()
    return int(size)


def counts(connection: Connection) -> dict[int, int]:
    """Return how many items each worker has had, deleted ones among them."""
    found = connection.execute("SELECT worker, max(ordinal) + 1 FROM item GROUP BY worker")
    return dict(found.fetchall())


def held(connection: Connection) -> dict[int, int]:
    """Return how many items of each worker a file of any version has."""
    if not has_table(connection, "item"):
        return {}
    return dict(connection.execute("SELECT worker, count(*) FROM item GROUP BY worker").fetchall())


def last_of(connection: Connection) -> int:
    """Return the number of the newest item of a file of any version, -1 without any."""
    if not has_table(connection, "item"):
        return -1
    (last,) = connection.execute("SELECT coalesce(max(id), -1) FROM item").fetchone()
    return int(last)


def numbers_of(connection: Connection, worker: int, last: int) -> list[int]:
    """Return the numbers of a worker's items up to one, in the order in which they came."""
    if not has_table(connection, "item"):
        return []
    query = "SELECT id FROM item WHERE worker = ? AND id <= ? ORDER BY ordinal"
    return [number for (number,) in connection.execute(query, (worker, last))]


def at(connection: Connection, number: int) -> ItemRow | None:
    """Return an item by its number, ``None`` if there is none.

    Raises:
        BadRow: It does not fit its checksum; so with :func:`newest`.
        sqlite3.DatabaseError: SQLite cannot read it.
    """
    row = connection.execute("SELECT * FROM item WHERE id = ?", (number,)).fetchone()
    if row is None:
        return None
    if checksum("item", row[:-1]) != row[-1]:
        raise BadRow(f"item {number} does not fit its checksum")
    return ItemRow(*row[1:-1])


def newest(connection: Connection, size: int) -> list[ItemRow]:
    """Return the newest items, as many as a number of bytes holds, the oldest of them first."""
    found: list[ItemRow] = []
    for row in read_rows(connection, "item", newest_first=True):
        item = ItemRow(*row[1:])
        size -= _ITEM_BYTES + len(item.body)
        if size < 0:
            break
        found.append(item)
    return found[::-1]


def shed(connection: Connection, held: int) -> tuple[int, int]:
    """Delete the oldest items where they take more than they may.

    Args:
        connection: A writer's, inside a transaction.
        held: Bytes that they take.

    Returns:
        The bytes that were deleted, and the items.
    """
    excess = held - DISK_ITEMS_BYTES
    return (0, 0) if excess <= 0 else _delete(connection, excess + held // _SLACK, keep=0)


def shrink(connection: Connection, amount: int) -> tuple[int, int]:
    """Delete the oldest items to make room for others than items, but not the newest tenth.

    Returns:
        As :func:`shed`.
    """
    (held,) = connection.execute("SELECT count(*) FROM item").fetchone()
    return _delete(connection, amount, keep=held // KEPT_SHARE + 1)


def _delete(connection: Connection, amount: int, *, keep: int) -> tuple[int, int]:
    last = {number for (number,) in connection.execute("SELECT max(id) FROM item GROUP BY worker")}
    query = (
        f"SELECT id, {_ITEM_BYTES} + length(body) FROM item "  # noqa: S608 - ours
        f"ORDER BY kind IN ('{MARK}', '{ALERT}'), id"
    )
    found: list[tuple[int, int]] = connection.execute(query).fetchall()
    gone: list[tuple[int]] = []
    freed = 0
    for number, size in found[: len(found) - keep]:
        if freed >= amount:
            break
        if number not in last:
            gone.append((number,))
            freed += size
    connection.executemany("DELETE FROM item WHERE id = ?", gone)
    return freed, len(gone)


def _cells(number: int, row: ItemRow) -> tuple[Cell, ...]:
    about = (row.kind, row.name, row.step, float(row.time))
    return (number, row.worker, row.ordinal, *about, row.body)
