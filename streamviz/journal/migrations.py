"""Bring the file of an older version up to this one.

Law: a copy of the file as it was lies beside it before anything in it changes; a file of a later
version is not touched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from streamviz.errors import DamagedFile, NewerFile
from streamviz.journal.check import stated_version
from streamviz.journal.connection import connect
from streamviz.journal.pages import rows_of
from streamviz.journal.schema import CREATE_IN_2, DAMAGE, VERSION, insert, read, spare_cells

__all__ = ["STEPS", "bring_up"]


def _add_items(connection: sqlite3.Connection) -> None:
    for statement in CREATE_IN_2:
        connection.execute(statement)


STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _add_items}
"""What turns a file of a version into one of the next, inside a transaction."""


def bring_up(path: Path, version: int = VERSION) -> None:
    """Migrate a file if it is of an older version.

    Args:
        path: The file; nobody has it open.
        version: The version wanted.

    Raises:
        NewerFile: A later version wrote it.
        DamagedFile: It cannot be migrated; it is as it was, and so is the copy.
        sqlite3.OperationalError: The disk does not take it; the file is as it was.
        OSError: The disk does not give it.
    """
    stated = stated_version(path)
    if stated is None or stated == version:
        return
    if stated > version:
        # A damaged byte can make a file look like a later version's; a row of its own tells.
        told = {row[2] for table, row in rows_of(path) if table == "meta" and row[1] == "version"}
        if told == {str(version)}:
            return
        raise NewerFile(
            f"{path} is of version {stated}, and this program reads up to {version}: "
            "serve it with a newer streamviz; it was left as it is"
        )
    if stated not in STEPS:
        return
    connection = connect(path)
    try:
        _back_up(connection, path.with_name(f"{path.name}.version-{stated}"))
        connection.execute("BEGIN IMMEDIATE")
        for step in range(stated, version):
            STEPS[step](connection)
        _state(connection, str(version))
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except (*DAMAGE, IndexError) as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise DamagedFile(
            f"{path} of version {stated} is damaged ({error}) and cannot be migrated: "
            "move it away, or mend it with the version that wrote it"
        ) from None
    finally:
        connection.close()


def _state(connection: sqlite3.Connection, version: str) -> None:
    """Write the version into the row that says it, and into the copy of that."""
    told = [row for row in read(connection, "meta") if row[1] == "version"]
    row = (told[0][0], "version", version)
    before = spare_cells(0, "meta", told[0])
    insert(connection, "meta", [row])
    copies = [spare[0] for spare in read(connection, "spare") if spare[1:] == before[1:]]
    insert(connection, "spare", [spare_cells(number, "meta", row) for number in copies])


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    if path.exists():
        return  # of a migration that was cut short: the file is still what it was
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    target = sqlite3.connect(draft)
    try:
        connection.backup(target)
    finally:
        target.close()
    draft.replace(path)
