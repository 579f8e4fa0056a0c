"""A run's file at one moment, as a reader sees it.

Law: what is read within a moment is of one commit, whatever the writer does meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from streamviz.journal.check import read_head
from streamviz.journal.columns import gather
from streamviz.journal.connection import connect_reader
from streamviz.journal.entries import Head, TableRows
from streamviz.journal.schema import BadRow, read

__all__ = ["Moment", "at_one_moment", "rows_after"]

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One run, inside one transaction."""

    connection: sqlite3.Connection
    head: Head
    marks: dict[tuple[int, int], int]
    """How many rows of each (table, worker) are chunked."""
    late: Sequence[TableRows]
    """Rows that are not, in order per (table, worker)."""


def at_one_moment(
    path: Path, pending: Sequence[TableRows] | None, answer: Callable[[Moment], _Answer]
) -> _Answer:
    """Ask a file within one transaction.

    Args:
        path: A sound file.
        pending: Rows taken from the recorder before: some may be chunked by now. ``None``: the
            journal in the file has them.
        answer: What to ask.

    Raises:
        BadRow: A row does not fit its checksum.
        sqlite3.Error: SQLite cannot read it.
    """
    with closing(connect_reader(path)) as connection:
        connection.execute("BEGIN")
        head = read_head(connection)
        marks = {(row[1], row[2]): row[3] for row in read(connection, "chunked")}
        if pending is None:
            widths = {table: len(names) for table, names in head.tables.items()}
            blobs = [blob for _, blob in read(connection, "journal")]
            try:
                pending = gather(blobs, widths) if blobs else ()
            except ValueError as error:
                raise BadRow(str(error)) from None
        clipped = (rows_after(rows, marks.get((rows.table, rows.worker), 0)) for rows in pending)
        late = [rows for rows in clipped if rows is not None]
        return answer(Moment(connection, head, marks, late))


def rows_after(rows: TableRows, begin: int) -> TableRows | None:
    """Return the rows from an ordinal on, ``None`` without any."""
    done = max(0, begin - rows.first)
    if done >= rows.steps.size:
        return None
    return replace(
        rows,
        first=rows.first + done,
        steps=rows.steps[done:],
        times=rows.times[done:],
        values=rows.values[done:],
    )
