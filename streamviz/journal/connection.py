"""Connections to a run's file, and what the disk says when it will not.

Law: a writer's connection makes each commit durable; a reader's never changes a byte of the file.
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from urllib.parse import quote

from streamviz.errors import DiskError
from streamviz.journal.schema import APPLICATION_ID, CREATE, VERSION, insert, spare_cells
from streamviz.journal.wal import PAGE

__all__ = ["connect", "connect_reader", "create", "disk_error"]

WAL_BYTES = 4 << 20
"""The write-ahead log is moved into the file once it is larger, when nobody waits."""
_BUSY_S = 5.0
"""How long to wait for another process that has the file locked, as a backup may."""
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 0",  # see RunFile.settle
    f"PRAGMA journal_size_limit = {WAL_BYTES}",
    "PRAGMA secure_delete = OFF",  # overwriting what was deleted would double what is written
    "PRAGMA cache_size = -4096",  # KiB
)


def create(path: Path, run: str, started: float) -> sqlite3.Connection:
    """Make a file and return a writer's connection to it.

    Raises:
        sqlite3.Error: The disk does not take it.
    """
    connection = _connect(path.absolute().as_uri() + "?mode=rwc")
    try:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _set_up(connection)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        for statement in CREATE:
            connection.execute(statement)
        facts = {"version": str(VERSION), "run": run, "started": repr(float(started))}
        rows = [(i, *fact) for i, fact in enumerate(facts.items())]
        insert(connection, "meta", rows)
        insert(connection, "spare", [spare_cells(i, "meta", row) for i, row in enumerate(rows)])
        connection.execute("COMMIT")
        # What tells a file's kind and version is in the file itself from its first second on.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Return a writer's connection to a file that there is.

    Raises:
        sqlite3.Error: SQLite cannot open it.
    """
    connection = _connect(path.absolute().as_uri() + "?mode=rw")
    try:
        _set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that reads, beside a writer or where nothing may be written.

    Raises:
        sqlite3.Error: SQLite cannot open it.
    """
    address = "file:" + quote(str(path.absolute()))
    connection = _connect(f"{address}?mode=ro")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        # A folder that may not be written to has no place for what readers share; without a
        # write-ahead log there is nothing to share either.
        connection = _connect(f"{address}?immutable=1")
    except BaseException:
        connection.close()
        raise
    return connection


def disk_error(path: Path, error: Exception) -> DiskError:
    """Return what SQLite or the system said about a file, as one sentence and a kind."""
    said = str(error)
    full = "full" in said or getattr(error, "errno", None) == errno.ENOSPC
    words = "the disk is full: make room" if full else f"the disk failed ({said}): see to it"
    return DiskError("full" if full else "failing", f"{path}: {words}, and it is tried again")


def _connect(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    # Text that is damaged fails its checksum, not the reading of its row.
    connection.text_factory = _text
    return connection


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _set_up(connection: sqlite3.Connection) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma).fetchall()
