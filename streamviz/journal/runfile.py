"""One run's file: what a commit adds, what a checkpoint moves, and how much it takes.

Rows arrive in the journal, a row of ``journal`` each commit; a checkpoint moves them to leaves and
blocks. In SQLite's write-ahead log with ``synchronous=FULL`` a commit is one write and one fsync.

Law: ``commit`` returns once the disk has it; a failed one leaves nothing behind, and the same file
works again once the disk does.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from streamviz.errors import DamagedFile, DiskError
from streamviz.journal import items, migrations, retention, salvage
from streamviz.journal.check import (
    damage_before_opening,
    damage_of,
    marks_of,
    read_head,
    unchunked,
)
from streamviz.journal.chunks import Chunks, load_leaf
from streamviz.journal.connection import WAL_BYTES, connect, create, disk_error
from streamviz.journal.directory import make_folder, sync_folder
from streamviz.journal.entries import Commit, Head, StreamRow, TableRows, WorkerRow
from streamviz.journal.nodes import WINDOW, find
from streamviz.journal.records import Record
from streamviz.journal.schema import (
    DAMAGE,
    Cell,
    fact_cells,
    gap_cells,
    insert,
    spare_cells,
    stream_cells,
    worker_cells,
)

__all__ = ["Commit", "Head", "RunFile", "StreamRow", "TableRows", "WorkerRow"]

_Result = TypeVar("_Result")

WAL_BYTES_MAX = 16 * WAL_BYTES
"""The write-ahead log is moved within a commit once it is larger: nobody settled before."""


class RunFile:
    """The writer's side of a run's file; used by one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Take over a connection: use :meth:`create` or :meth:`open`."""
        self.path = path
        self.losses: tuple[str, ...] = ()
        """What opening it found to be lost, a sentence each; empty for a sound file."""
        self.items_shed = 0
        """Items that were deleted to make room, since it was opened."""
        self._open: sqlite3.Connection | None = None
        self._load(connection)

    @classmethod
    def create(cls, path: Path, run: str, started: float) -> RunFile:
        """Make a new file, and its folder.

        Args:
            path: Where there is no file.
            run: The run's name.
            started: Wall time, seconds since the epoch.

        Raises:
            DiskError: The disk does not take it; nothing is left of it.
        """
        make_folder(path)
        draft = path.with_name(path.name + ".draft")
        try:
            for suffix in ("-wal", "-shm", ""):
                draft.with_name(draft.name + suffix).unlink(missing_ok=True)
            # Under its name there is a whole file or none.
            create(draft, run, started).close()
            draft.replace(path)
            sync_folder(path.parent)
            return cls(path, connect(path))
        except (sqlite3.Error, OSError) as error:
            raise disk_error(path, error) from None

    @classmethod
    def open(cls, path: Path) -> RunFile:
        """Open a file for writing.

        A damaged one is mended first: what can be read of it goes into a new file, the damaged one
        is set aside, and :attr:`losses` says what is missing. An older version is migrated, with a
        copy of what it was beside it.

        Raises:
            NewerFile: A later version wrote it; it is untouched.
            DamagedFile: Nothing of it can be read; it is untouched.
            DiskError: The disk does not take or give it.
        """
        losses: tuple[str, ...] = ()
        try:
            salvage.finish(path)
            migrations.bring_up(path)
            found = _open_sound(path)
            if isinstance(found, str):
                losses = salvage.mend(path, found)
                found = connect(path)
            file = cls(path, found)
        except (sqlite3.Error, OSError) as error:
            raise disk_error(path, error) from None
        file.losses = losses
        return file

    def commit(self, commit: Commit) -> None:
        """Add to the run in one transaction, on the disk when this returns.

        Raises:
            DiskError: Nothing was added; the same call may succeed later.
            DamagedFile: The file broke while it was open; open it again to mend it.
        """
        spares: list[tuple[str, Sequence[Cell]]] = []

        def write(connection: sqlite3.Connection) -> None:
            spares.extend(self._add(connection, commit))
            copies = [spare_cells(self._next_spare + i, *one) for i, one in enumerate(spares)]
            insert(connection, "spare", copies)

        self._write(write)
        self._last_journal_id += bool(commit.records)
        self._next_gap += len(commit.gaps)
        self._next_item += len(commit.items)
        self._next_spare += len(spares)
        self._workers.update(row.index for row in commit.workers)
        self._next_meta += commit.config is not None
        if self._wal_bytes() > WAL_BYTES_MAX:
            self.settle()

    def _add(
        self, connection: sqlite3.Connection, commit: Commit
    ) -> list[tuple[str, Sequence[Cell]]]:
        """Write what a commit has, and return the rows that are to have a copy."""
        spares: list[tuple[str, Sequence[Cell]]] = []
        if commit.records:
            insert(connection, "journal", [(self._last_journal_id + 1, commit.records)])
        if commit.tables:
            named = [(number, json.dumps(names)) for number, names in commit.tables]
            insert(connection, "metric_set", named)
            spares += [("metric_set", row) for row in named]
        if commit.workers:
            rows = [worker_cells(row) for row in commit.workers]
            insert(connection, "worker", rows)
            spares += [("worker", row) for row in rows if row[0] not in self._workers]
        if commit.streams:
            insert(connection, "stream", [stream_cells(row) for row in commit.streams])
        if commit.gaps:
            first = self._next_gap
            insert(
                connection,
                "gap",
                [gap_cells(first + i, *gap) for i, gap in enumerate(commit.gaps)],
            )
        if commit.items:
            size = items.add(connection, self._next_item, commit.items)
            freed, gone = items.shed(connection, self._item_bytes + size)
            self._item_bytes += size - freed
            self.items_shed += gone
        facts = [fact_cells(*mesh) for mesh in commit.meshes.items()]
        if commit.facts is not None:
            facts.append(fact_cells(None, commit.facts))
        insert(connection, "fact", facts)
        if commit.config is not None:
            connection.execute("DELETE FROM meta WHERE name = 'config'")
            text = json.dumps(commit.config, default=str)
            insert(connection, "meta", [(self._next_meta, "config", text)])
        return spares

    def checkpoint(self, rows: Sequence[TableRows], last_journal_id: int | None) -> None:
        """Move rows from the journal to leaves and blocks, in one transaction.

        Args:
            rows: Rows that follow those chunked so far; rows chunked before are skipped.
            last_journal_id: Journal rows up to it are deleted; ``None``: none is.

        Raises:
            DiskError: Nothing was moved; the same call may succeed later.
            DamagedFile: The file broke while it was open; open it again to mend it.
        """

        def write(connection: sqlite3.Connection) -> None:
            for some in rows:
                self._chunks.append(some)
            if last_journal_id is not None:
                connection.execute("DELETE FROM journal WHERE id <= ?", (last_journal_id,))

        self._write(write)

    def settle(self) -> None:
        """Move the write-ahead log into the file if it is long; no commit waits meanwhile.

        Raises:
            DiskError: The disk does not take it; nothing is lost.
        """
        if self._wal_bytes() <= WAL_BYTES:
            return
        try:
            self._connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            raise disk_error(self.path, error) from None

    def shrink(self, amount: int) -> int:
        """Delete the oldest full resolution, then the finest overviews.

        Returns:
            Bytes freed, which may be more or fewer than asked for; 0 when nothing may go.

        Raises:
            DiskError: Nothing was deleted.
        """
        freed = 0

        def write(connection: sqlite3.Connection) -> None:
            nonlocal freed
            freed = retention.shrink(connection, self._chunks, amount)
            if freed < amount:
                size, gone = items.shrink(connection, amount - freed)
                self._item_bytes -= size
                self.items_shed += gone
                freed += size

        self._write(write)
        connection = self._connection()
        try:
            if freed:
                retention.give_back(connection, freed)
        except sqlite3.Error as error:
            raise disk_error(self.path, error) from None
        return freed

    @property
    def last_journal_id(self) -> int:
        """Number of the newest journal row ever, 0 before the first."""
        return self._last_journal_id

    @property
    def bytes_used(self) -> int:
        """Bytes that the run takes on the disk."""
        return self._size("") + self._wal_bytes()

    def marks(self) -> Mapping[tuple[int, int], int]:
        """Return how many rows of each (table, worker) are chunked.

        Raises:
            DiskError, DamagedFile: As :meth:`head`.
        """

        def read(_: sqlite3.Connection) -> dict[tuple[int, int], int]:
            return dict(self._chunks.marks)

        return self._read(read)

    def head(self) -> Head:
        """Return all of the run but its rows; streams as far as the journal brings them.

        Raises:
            DiskError: The disk does not give it.
            DamagedFile: It cannot be read; open the file again to mend it.
        """

        def read(connection: sqlite3.Connection) -> Head:
            head = read_head(connection)
            streams = dict(head.streams)
            for index, mark in marks_of(connection, head).items():
                row = streams.get(index)
                if row is not None and mark.next_seq > row.next_seq:
                    streams[index] = replace(
                        row, worker=mark.worker, next_seq=mark.next_seq, next_row=mark.next_row
                    )
            return replace(head, streams=streams)

        return self._read(read)

    def journal(self) -> Iterator[tuple[int, Record]]:
        """Yield what is not chunked yet, in order: journal row, record.

        Raises:
            DiskError, DamagedFile: As :meth:`head`.
        """
        widths = {table: len(names) for table, names in self.head().tables.items()}

        def read(connection: sqlite3.Connection) -> list[tuple[int, Record]]:
            return list(unchunked(connection, widths, self._chunks.marks))

        yield from self._read(read)

    def recent(self, table: int, worker: int, rows: int) -> TableRows | None:
        """Return the newest chunked rows of a worker, ``None`` without any.

        Args:
            table: Number of the table.
            worker: Index of the worker.
            rows: How many are wanted; whole leaves are read, so there may be more.

        Raises:
            DiskError, DamagedFile: As :meth:`head`.
        """

        def read(connection: sqlite3.Connection) -> TableRows | None:
            mark = self._chunks.marks.get((table, worker), 0)
            begin = max(0, mark - rows) // WINDOW * WINDOW
            nodes = find(connection, table, worker, 0, begin, mark)
            if not nodes:
                return None
            width = len(read_head(connection).tables[table])
            leaves = [load_leaf(connection, node, width) for node in nodes]
            return TableRows(
                table=table,
                worker=worker,
                first=nodes[0].first,
                steps=np.concatenate([leaf.steps for leaf in leaves]),
                times=np.concatenate([leaf.times for leaf in leaves]),
                values=np.concatenate([np.stack(list(leaf.values), 1) for leaf in leaves]),
            )

        return self._read(read)

    def close(self) -> None:
        """Close the file: SQLite moves its write-ahead log into it."""
        connection, self._open = self._open, None
        if connection is not None:
            with suppress(sqlite3.Error):  # what is committed stays in the write-ahead log
                connection.close()

    def _load(self, connection: sqlite3.Connection) -> None:
        """Take up where the file is."""
        self._open = connection
        try:
            self._chunks = Chunks(connection)
            last: dict[str, int | None] = {}
            for table in ("journal", "gap", "meta", "spare", "item"):
                query = f"SELECT max(id) FROM {table}"  # noqa: S608 - the names are above
                (last[table],) = connection.execute(query).fetchone()
            self._item_bytes = items.bytes_of(connection)
            self._workers = {row[0] for row in connection.execute("SELECT id FROM worker")}
        except BaseException:
            self.close()
            raise
        self._next_spare = 0 if last["spare"] is None else 1 + last["spare"]
        self._last_journal_id = last["journal"] or 0
        self._next_gap = 0 if last["gap"] is None else 1 + last["gap"]
        self._next_item = 0 if last["item"] is None else 1 + last["item"]
        self._next_meta = 0 if last["meta"] is None else 1 + last["meta"]

    def _connection(self) -> sqlite3.Connection:
        """Return the connection; after a failure of the disk a new one."""
        if self._open is None:
            self._load(connect(self.path))
        assert self._open is not None  # noqa: S101 - _load sets it
        return self._open

    def _write(self, write: Callable[[sqlite3.Connection], None]) -> None:
        """Run a transaction; after a failed one all is as it was."""
        try:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            write(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            # Nodes and rows are numbered ahead of the file: what is counted is read again.
            self.close()
            if isinstance(error, (*DAMAGE, OSError)):
                raise _told(self.path, error) from None
            raise

    def _read(self, read: Callable[[sqlite3.Connection], _Result]) -> _Result:
        try:
            return read(self._connection())
        except (*DAMAGE, OSError) as error:
            raise _told(self.path, error) from None

    def _wal_bytes(self) -> int:
        return self._size("-wal")

    def _size(self, suffix: str) -> int:
        try:
            return self.path.with_name(self.path.name + suffix).stat().st_size
        except OSError:
            return 0


def _open_sound(path: Path) -> sqlite3.Connection | str:
    """Return a writer's connection to a sound file, of a damaged one what is wrong with it."""
    damage = damage_before_opening(path)
    if damage is not None:
        return damage
    connection = None
    try:
        connection = connect(path)
        damage = damage_of(path, connection)
        if damage is None:
            return connection
    except sqlite3.OperationalError:
        if connection is not None:
            connection.close()
        raise
    except DAMAGE as error:
        damage = str(error)
    if connection is not None:
        with suppress(sqlite3.Error):  # it may not take its write-ahead log any more
            connection.close()
    return damage


def _told(path: Path, error: Exception) -> DiskError | DamagedFile:
    """Return what stopped a reading or a transaction, as one of our errors."""
    if isinstance(error, (sqlite3.OperationalError, OSError)):
        return disk_error(path, error)
    return DamagedFile(f"{path} is damaged ({error}): close and open it, and it is mended")
