"""Whether a run's file is sound, as far as can be told in a moment.

Law: of a small file every row and every page is checked; of a large one what a writer relies on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from sqlite3 import Connection

from streamviz.journal.columns import Mark, last_marks
from streamviz.journal.entries import Head
from streamviz.journal.records import Record, iterate
from streamviz.journal.schema import (
    APPLICATION_ID,
    COLUMNS,
    CREATE,
    VERSION,
    BadRow,
    head_of,
    read,
)
from streamviz.journal.wal import PAGE, Wal

__all__ = [
    "damage_before_opening",
    "damage_of",
    "marks_of",
    "read_head",
    "stated_version",
    "unchunked",
]

CHECKED_BYTES = 32 << 20
"""A file up to this size is read as a whole when it is opened: about 0.1 s."""
_SMALL_TABLES = ("meta", "metric_set", "worker", "stream", "gap", "fact", "loss")
_MAGIC = b"SQLite format 3\0"
_FIXED = struct.Struct(">16sHBBBBBB")
"""The first bytes of a file: they are the same in all of ours."""
_FIXED_VALUES = (_MAGIC, PAGE, 2, 2, 0, 64, 32, 32)
_VERSION_AT = 60
_NUMBERS = struct.Struct(">I")
_NUMBERS_AT = {44: 4, 56: 1, 68: APPLICATION_ID, **dict.fromkeys(range(72, 92, 4), 0)}
"""Further numbers that are the same in all of ours, by where they lie: format of the schema, UTF-8,
our mark, and what SQLite keeps for later."""


def stated_version(path: Path) -> int | None:
    """Return the version that a file's first bytes state, ``None`` if they are not of ours.

    Raises:
        OSError: The disk does not give it.
    """
    with path.open("rb") as file:
        start = file.read(100)
    if len(start) < 100 or _FIXED.unpack_from(start) != _FIXED_VALUES:
        return None
    if any(_NUMBERS.unpack_from(start, at) != (number,) for at, number in _NUMBERS_AT.items()):
        return None
    (version,) = _NUMBERS.unpack_from(start, _VERSION_AT)
    return int(version)


def damage_before_opening(path: Path) -> str | None:
    """Return what is wrong with a file that SQLite would change or lose when it opens it."""
    if stated_version(path) != VERSION:
        return "its first bytes are not those of a run's file"
    return Wal(path).damage


def damage_of(path: Path, connection: Connection) -> str | None:
    """Return what is wrong with an open file in words, ``None`` if nothing is.

    Raises:
        BadRow: A row does not fit its checksum.
        sqlite3.DatabaseError: SQLite cannot read it.
    """
    found = [row[0] for row in connection.execute("SELECT sql FROM sqlite_master")]
    if found != list(CREATE):
        return "the list of its tables is damaged"
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if pages * PAGE <= CHECKED_BYTES:
        (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            return f"its pages do not fit together ({said.splitlines()[-1]})"
        for table in COLUMNS:
            for _ in read(connection, table):
                pass
    elif path.stat().st_size < pages * PAGE and not Wal(path).pages:
        return f"it has {path.stat().st_size} bytes instead of {pages * PAGE}"
    head = read_head(connection)
    for _ in read(connection, "chunked"):
        pass
    marks_of(connection, head)
    return None


def read_head(connection: Connection) -> Head:
    """Return all of a run but its rows.

    Raises:
        BadRow: A row does not fit its checksum.
        sqlite3.DatabaseError: SQLite cannot read it.
    """
    return head_of({table: list(read(connection, table)) for table in _SMALL_TABLES})


def marks_of(connection: Connection, head: Head) -> dict[int, Mark]:
    """Return per stream number how far the rows in the journal bring it, chunked ones too.

    Raises:
        BadRow: A row does not fit its checksum, or its records are cut.
    """
    widths = {table: len(names) for table, names in head.tables.items()}
    marks: dict[int, Mark] = {}
    for _, blob in read(connection, "journal"):
        try:
            marks.update(last_marks([blob], widths))
        except ValueError as error:
            raise BadRow(str(error)) from None
    return marks


def unchunked(
    connection: Connection, widths: Mapping[int, int], marks: Mapping[tuple[int, int], int]
) -> Iterator[tuple[int, Record]]:
    """Yield journal row and record of what is not chunked, in order of arrival.

    Args:
        connection: A reader's or the writer's.
        widths: K of each table.
        marks: How many rows of each (table, worker) are chunked.

    Raises:
        BadRow: A row does not fit its checksum, or its records are cut.
    """
    for number, blob in read(connection, "journal"):
        try:
            for record in iterate(blob, widths):
                done = max(0, marks.get((record.table, record.worker), 0) - record.first)
                if not done:
                    yield number, record
                elif done < record.steps.size:
                    yield (
                        number,
                        record._replace(
                            first=record.first + done,
                            steps=record.steps[done:],
                            times=record.times[done:],
                            values=record.values[done:],
                        ),
                    )
        except ValueError as error:
            raise BadRow(str(error)) from None
