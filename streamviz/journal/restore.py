"""A run on the disk back into memory: who was there, how far they came, and what they sent.

Law: the store answers as one that was never stopped, but for what its rings have no room for; a
stream goes on at its committed marks.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from streamviz.errors import DamagedFile
from streamviz.journal import items
from streamviz.journal.columns import gather
from streamviz.journal.connection import connect_reader, disk_error
from streamviz.journal.entries import Head, TableRows, WorkerRow
from streamviz.journal.refill import Share, refill
from streamviz.journal.runfile import RunFile
from streamviz.journal.schema import BadRow, read
from streamviz.store.items import ITEMS_BYTES
from streamviz.store.store import Store

__all__ = ["Restored", "read_run"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Restored:
    """A run as its file has it, journal included."""

    head: Head
    stored: Mapping[int, int]
    """Rows on the disk of each worker, and the items it has had."""
    counts: Mapping[tuple[int, int], int]
    """Rows on the disk of each (table, worker), those that were lost included."""
    journal: Sequence[bytes]
    """Records that are not chunked."""
    last_id: int
    """Number of the newest row of the journal."""
    items: Mapping[int, int]
    """Items that each worker has had."""
    losses: Sequence[str]
    """What could not be read, a sentence each."""
    values: int
    """Values that came into rings."""


def read_run(path: Path, store: Store, share: Share) -> Restored:
    """Read a run's file, and fill the store from it.

    Args:
        path: The file; a damaged one is mended.
        store: Where the run goes; it must not have it.
        share: What the run may take there.

    Raises:
        StoreFull: Memory does not take it.
        NewerFile, DamagedFile, DiskError: As :meth:`RunFile.open`.
    """
    file = RunFile.open(path)
    try:
        head, marks, losses = file.head(), dict(file.marks()), list(file.losses)
        connection = connect_reader(path)
        try:
            journal = [blob for _, blob in read(connection, "journal")]
            late = gather(journal, {number: len(names) for number, names in head.tables.items()})
            values, lost = refill(store, connection, head, marks, late, share)
            losses += lost
            had = items.counts(connection)
            _bring_items(store, connection, head)
        finally:
            connection.close()
        last_id = file.last_journal_id
    except (BadRow, ValueError) as error:
        raise DamagedFile(f"{path} cannot be read: {error}") from None
    except sqlite3.Error as error:
        raise disk_error(path, error) from None
    finally:
        file.close()
    for rows in late:
        key = rows.table, rows.worker
        marks[key] = max(marks.get(key, 0), rows.first + rows.steps.size)
    stored: defaultdict[int, int] = defaultdict(int)
    for (_, worker), number in marks.items():
        stored[worker] += number
    for worker, number in had.items():
        stored[worker] += number
    return Restored(
        head=replace(head, workers=_with_last_steps(head.workers, late)),
        stored=stored,
        counts=marks,
        items=had,
        journal=journal,
        last_id=last_id,
        losses=losses,
        values=values,
    )


def _bring_items(store: Store, connection: sqlite3.Connection, head: Head) -> None:
    """Bring the newest items into memory."""
    for row in items.newest(connection, ITEMS_BYTES):
        if row.worker in head.workers:
            about = (row.kind, row.name, row.step, row.time)
            store.add_item(head.run, row.worker, *about, row.body)


def _with_last_steps(
    workers: Mapping[int, WorkerRow], late: Sequence[TableRows]
) -> dict[int, WorkerRow]:
    """Bring workers as far as the journal's rows do."""
    moved = dict(workers)
    for rows in late:
        row = moved.get(rows.worker)
        if row is not None:
            last = int(rows.steps.max())
            moved[rows.worker] = replace(
                row,
                last_step=last if row.last_step is None else max(last, row.last_step),
                last_time=max(row.last_time, float(rows.times[-1])),
            )
    return moved
