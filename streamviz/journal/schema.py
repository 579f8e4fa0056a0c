"""The tables of a run's file, and the checksum that every row of them carries.

SQLite tells when its own structure is broken, not when a number in it has changed; the checksum
does, and it tells which table a row belongs to when nothing but the row is left.

Law: a row whose checksum fits is a row that was written; no other is believed.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from sqlite3 import Connection
from typing import Any, TypeAlias

from streamviz.journal.entries import Head, StreamRow, WorkerRow
from streamviz.store.gaps import Gap

__all__ = [
    "APPLICATION_ID",
    "COLUMNS",
    "CREATE",
    "CREATE_IN_2",
    "DAMAGE",
    "VERSION",
    "BadRow",
    "Cell",
    "Row",
    "checksum",
    "fact_cells",
    "gap_cells",
    "has_table",
    "head_of",
    "insert",
    "read",
    "read_rows",
    "row_of_spare",
    "spare_cells",
    "stream_cells",
    "worker_cells",
]

VERSION = 2
"""``PRAGMA user_version``: raised when an older program could not read the file."""
APPLICATION_ID = 0x5356495A
"""``SVIZ``, by which ``file`` and we know our files."""

Cell: TypeAlias = "int | float | str | bytes | None"
Row: TypeAlias = tuple[Any, ...]
"""A row's id and its columns, of the types that :data:`COLUMNS` says: SQLite has no type for it."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "meta": ("name TEXT", "value TEXT"),
    "metric_set": ("names TEXT",),
    "worker": (
        *("rank INTEGER", "attempt INTEGER", "world_size INTEGER", "local_rank INTEGER"),
        *("host TEXT", "pid INTEGER", "library TEXT", "started REAL", "last_time REAL"),
        *("last_step INTEGER", "ended TEXT", "stream BLOB"),
    ),
    "stream": (
        *("stream BLOB", "worker INTEGER", "next_seq INTEGER", "next_row INTEGER"),
        "sent INTEGER",
    ),
    "gap": (
        *("worker INTEGER", "first_step INTEGER", "last_step INTEGER", "first_time REAL"),
        *("last_time REAL", "rows INTEGER", "reason TEXT"),
    ),
    "journal": ("records BLOB",),
    "chunked": ("metric_set INTEGER", "worker INTEGER", "rows INTEGER"),
    "chunk": (
        *("metric_set INTEGER", "worker INTEGER", "level INTEGER", "first INTEGER"),
        *("stop INTEGER", "rows INTEGER", "low INTEGER", "high INTEGER", "shift INTEGER"),
        "size INTEGER",
    ),
    "part": ("data BLOB",),
    "loss": ("sentence TEXT",),
    "spare": ("name TEXT", "value TEXT"),
    "item": (
        *("worker INTEGER", "ordinal INTEGER", "kind TEXT", "name TEXT", "step INTEGER"),
        *("time REAL", "body BLOB"),
    ),
    "fact": ("worker INTEGER", "value TEXT"),
}
"""The columns of each table between its ``id INTEGER PRIMARY KEY`` and its ``crc INTEGER``."""

_SINCE_2 = ("item", "fact")
"""Tables that a file of version 1 has not."""


def _create(table: str) -> str:
    columns = ", ".join(COLUMNS[table])
    return f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {columns}, crc INTEGER)"


CREATE_IN_2 = (
    *(_create(table) for table in _SINCE_2),
    "CREATE INDEX item_worker ON item (worker, ordinal)",
)
"""What the step from version 1 to 2 makes."""
CREATE = (
    *(_create(table) for table in COLUMNS if table not in _SINCE_2),
    "CREATE UNIQUE INDEX chunk_place ON chunk (metric_set, worker, level, first)",
    "CREATE INDEX chunk_age ON chunk (level, id)",
    *CREATE_IN_2,
)
"""A new file's tables, in the order that a migrated one has them in."""

_NUMBERS = struct.Struct("<cq")
_REALS = struct.Struct("<cd")
_LENGTHS = struct.Struct("<cI")
_PART = struct.Struct("<4scqcI")
INSERT = {
    table: f"INSERT OR REPLACE INTO {table} VALUES (?, {'?, ' * len(columns)}?)"  # noqa: S608 - names are ours
    for table, columns in COLUMNS.items()
}


class BadRow(ValueError):
    """A row does not fit its checksum, or what it says cannot be."""


DAMAGE = (sqlite3.DatabaseError, BadRow, UnicodeDecodeError)
"""What reading a damaged file raises: the last when SQLite quotes it in an error of its own. The
errors of a failing disk, ``sqlite3.OperationalError``, are among them and to be caught before."""


def checksum(table: str, cells: Sequence[Cell]) -> int:
    """Return the CRC-32 of a row.

    It covers the table's name and each cell, packed as a letter and, little-endian: ``n`` nothing;
    ``i`` an ``int64``; ``f`` a ``float64``; ``t`` and ``b`` a ``uint32`` length and that many
    bytes, of UTF-8 text or as they are.

    Args:
        table: The row's table.
        cells: The row's id, then its columns without the checksum.
    """
    pieces: list[bytes] = [table.encode()]
    for cell in cells:
        if isinstance(cell, int):
            pieces.append(_NUMBERS.pack(b"i", cell))
        elif isinstance(cell, float):
            pieces.append(_REALS.pack(b"f", cell))
        elif isinstance(cell, bytes):
            pieces.append(_LENGTHS.pack(b"b", len(cell)))
            pieces.append(cell)
        elif cell is None:
            pieces.append(b"n")
        else:
            text = cell.encode()
            pieces.append(_LENGTHS.pack(b"t", len(text)))
            pieces.append(text)
    return zlib.crc32(b"".join(pieces))


def part_checksum(number: int, data: bytes) -> int:
    """Return the same of a row of ``part``, of which there are many, in a fraction of the time."""
    return zlib.crc32(data, zlib.crc32(_PART.pack(b"part", b"i", number, b"b", len(data))))


def insert(connection: Connection, table: str, rows: Sequence[Sequence[Cell]]) -> None:
    """Write rows, over those of the same id.

    Args:
        connection: Inside a transaction.
        table: Of :data:`COLUMNS`.
        rows: Of each row its id, then its columns without the checksum.
    """
    connection.executemany(INSERT[table], [(*row, checksum(table, row)) for row in rows])


def read(connection: Connection, table: str) -> Iterator[Row]:
    """Yield a table's rows in order, each its id and its columns.

    Raises:
        BadRow: A row does not fit its checksum.
        sqlite3.DatabaseError: SQLite cannot read it.
    """
    return read_rows(connection, table)


def read_rows(connection: Connection, table: str, *, newest_first: bool = False) -> Iterator[Row]:
    """Yield a table's rows as :func:`read` does, or in the other order.

    There are none in a file of an older version that has no such table.
    """
    if not has_table(connection, table):
        return
    order = "DESC" if newest_first else "ASC"
    query = f"SELECT * FROM {table} ORDER BY id {order}"  # noqa: S608 - names are ours
    for row in connection.execute(query):
        if checksum(table, row[:-1]) != row[-1]:
            raise BadRow(f"row {row[0]} of table {table} does not fit its checksum")
        yield row[:-1]


def has_table(connection: Connection, table: str) -> bool:
    """Say whether a file of this version has a table, which older ones may not."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return table not in _SINCE_2 or version >= 2


def spare_cells(number: int, table: str, row: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return a copy of a row as a row of ``spare``: what many rows need to be understood.

    One damaged byte then does not take the name of a run, of a table's metrics or of a rank away.
    """
    cells = [cell.hex() if isinstance(cell, bytes) else cell for cell in row]
    return (number, table, json.dumps(cells))


def row_of_spare(table: str, value: str) -> Row:
    """Return the row that a row of ``spare`` is the copy of."""
    cells = json.loads(value)
    kinds = ("INTEGER", *(column.split()[1] for column in COLUMNS[table]))
    return tuple(
        bytes.fromhex(cell) if kind == "BLOB" and cell is not None else cell
        for cell, kind in zip(cells, kinds, strict=True)
    )


def worker_cells(row: WorkerRow) -> tuple[Cell, ...]:
    """Return a worker as a row of its table."""
    return (
        *(row.index, row.rank, row.attempt, row.world_size, row.local_rank, row.host, row.pid),
        *(row.library, float(row.started), float(row.last_time), row.last_step, row.ended),
        row.stream,
    )


def stream_cells(row: StreamRow) -> tuple[Cell, ...]:
    """Return a stream as a row of its table."""
    return (row.index, row.stream, row.worker, row.next_seq, row.next_row, row.sent)


def gap_cells(number: int, worker: int, gap: Gap) -> tuple[Cell, ...]:
    """Return a gap as a row of its table."""
    return (
        *(number, worker, gap.first_step, gap.last_step, float(gap.first_time)),
        *(float(gap.last_time), gap.rows, gap.reason),
    )


def fact_cells(worker: int | None, value: Mapping[str, object]) -> tuple[Cell, ...]:
    """Return a run's facts, or a worker's coordinates, as a row of their table."""
    return (0 if worker is None else 1 + worker, worker, json.dumps(value))


def head_of(tables: Mapping[str, Sequence[Row]]) -> Head:
    """Return what the small tables say.

    Args:
        tables: The rows of ``meta``, ``metric_set``, ``worker``, ``stream``, ``gap``, ``fact`` and
            ``loss``, by id: of a name that ``meta`` has twice the later holds.

    Raises:
        BadRow: The run's name is missing.
    """
    meta: dict[str, str] = {name: value for _, name, value in tables["meta"]}
    if "run" not in meta:
        raise BadRow("the file does not say which run it is of")
    return Head(
        run=meta["run"],
        started=float(meta.get("started", "0")),
        config=json.loads(meta["config"]) if "config" in meta else None,
        tables={number: tuple(json.loads(names)) for number, names in tables["metric_set"]},
        workers={row[0]: WorkerRow(**_named("worker", row)) for row in tables["worker"]},
        streams={row[0]: StreamRow(**_named("stream", row)) for row in tables["stream"]},
        gaps=[(row[1], Gap(*row[2:])) for row in tables["gap"]],
        facts=next((json.loads(row[2]) for row in tables["fact"] if row[1] is None), {}),
        meshes={row[1]: json.loads(row[2]) for row in tables["fact"] if row[1] is not None},
        losses=tuple(sentence for _, sentence in tables["loss"]),
    )


def _named(table: str, row: Row) -> dict[str, Any]:
    names = ["index", *(column.split()[0] for column in COLUMNS[table])]
    return dict(zip(names, row, strict=True))
