"""Make a sound file of what a damaged one still holds, and say what is missing.

Law: nothing is taken over but what fits its checksum; the damaged file is kept beside the new one.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from sqlite3 import Connection

from streamviz.errors import DamagedFile
from streamviz.journal.columns import last_marks
from streamviz.journal.connection import create
from streamviz.journal.directory import mended_path, set_aside, sync_folder
from streamviz.journal.entries import Head
from streamviz.journal.losses import Found, tell_losses
from streamviz.journal.nodes import PARTS, Node
from streamviz.journal.pages import rows_of
from streamviz.journal.schema import BadRow, Row, head_of, insert, row_of_spare

__all__ = ["finish", "mend", "salvage"]

_BATCH = 256
"""Rows written at a time: a part has a few KiB."""
_WIPED = ("-wal", "-shm", "")


def mend(path: Path, damage: str) -> tuple[str, ...]:
    """Put a sound file in the place of a damaged one, which is kept beside it.

    Args:
        path: The damaged file; nobody has it open.
        damage: What is wrong with it, in words.

    Returns:
        What is lost, a sentence each; at least one.

    Raises:
        DamagedFile: Nothing of it can be read; it is left as it is.
        sqlite3.Error: The disk does not take the new one.
        OSError: The disk does not give the old one.
    """
    draft = path.with_name(path.name + ".draft")
    losses = salvage(path, draft, damage)
    draft.replace(mended_path(path))
    sync_folder(path.parent)
    finish(path)
    return losses


def finish(path: Path) -> None:
    """Put a file that was mended in its place; a power cut may have come in between."""
    mended = mended_path(path)
    if not mended.exists():
        return
    if path.exists():
        set_aside(path)
    mended.replace(path)
    sync_folder(path.parent)


def salvage(path: Path, target: Path, damage: str) -> tuple[str, ...]:
    """Write what a damaged file still holds to another, and return what is lost.

    Args:
        path: The damaged file; it is only read.
        target: A file that is written anew.
        damage: What is wrong with it, in words.

    Raises:
        DamagedFile, sqlite3.Error, OSError: As :func:`mend`.
    """
    for suffix in _WIPED:
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    try:
        connection = create(target, "", 0.0)
        try:
            connection.execute("BEGIN IMMEDIATE")
            losses = _fill(connection, path, damage)
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
    except BaseException:
        for suffix in _WIPED:
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        raise
    handle = os.open(target, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return losses


def _fill(connection: Connection, path: Path, damage: str) -> tuple[str, ...]:
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    parts: set[int] = set()
    batches: dict[str, list[Row]] = {"part": [], "item": []}
    for table, row in rows_of(path):
        if table not in batches:
            rows[table].append(row)
            continue
        if table == "part":
            parts.add(row[0])
        batches[table].append(row)
        if len(batches[table]) == _BATCH:
            insert(connection, table, batches[table])
            batches[table] = []
    for table, batch in batches.items():
        insert(connection, table, batch)
    kept: dict[str, list[Row]] = {
        "meta": _latest(rows["meta"]),
        "metric_set": _best(rows["metric_set"], (0,)),
        "worker": _best(rows["worker"], (0,), newest=(9, 10)),
        "stream": _best(rows["stream"], (0,), newest=(3, 4)),
        "gap": _best(rows["gap"], (0,)),
        "fact": _best(rows["fact"], (0,)),
        "loss": _best(rows["loss"], (0,)),
    }
    kept["spare"] = _best(rows["spare"], (0,))
    copied = _fill_up(kept)
    try:
        head = head_of(kept)
    except BadRow as error:
        raise DamagedFile(
            f"{path} is damaged ({damage}), and nothing can be read of it ({error}): move it away"
        ) from None
    blobs, unreadable = _readable(_in_order(rows["journal"]), head)
    kept["journal"] = list(enumerate(blobs, 1))
    nodes = _distinct(Node(*row) for row in rows["chunk"] if row[0] * PARTS in parts)
    marks = _marks(nodes, rows["chunked"])
    kept["chunk"] = [astuple(node) for node in nodes]
    kept["chunked"] = [(i, *key, rows) for i, (key, rows) in enumerate(marks.items())]
    found = Found(
        head=head,
        nodes=nodes,
        parts=parts,
        marks=marks,
        journal=blobs,
        unreadable=unreadable,
        journal_ids=sorted({number for number, _ in rows["journal"]}),
        items=connection.execute("SELECT worker, ordinal FROM item ORDER BY worker, ordinal"),
    )
    losses = (*tell_losses(found, damage), *copied)
    last = max((number for number, _ in kept["loss"]), default=-1)
    kept["loss"] += [(last + i, sentence) for i, sentence in enumerate(losses, 1)]
    connection.execute("DELETE FROM meta")
    connection.execute("DELETE FROM spare")
    for table, some in kept.items():
        insert(connection, table, some)
    _drop_orphans(connection, nodes, parts)
    return losses


def _fill_up(kept: dict[str, list[Row]]) -> list[str]:
    """Put spare copies in the place of rows that are lost, and say what they may lack."""
    told = []
    for _, table, value in kept["spare"]:
        row = row_of_spare(table, value)
        if row[0] not in {held[0] for held in kept[table]}:
            kept[table] = sorted([*kept[table], row])
            if table == "worker":
                told.append(f"rank {row[1]}, attempt {row[2]}, is known as it began only")
    return told


def _latest(rows: Sequence[Row]) -> list[Row]:
    """Return of each name in ``meta`` the row that was written last."""
    latest = {name: (number, name, value) for number, name, value in sorted(rows)}
    return sorted(latest.values())


def _best(rows: Sequence[Row], key: tuple[int, ...], newest: tuple[int, ...] = ()) -> list[Row]:
    """Return of several rows of one key the one that was written last, by what only grows."""
    best: dict[Row, Row] = {}
    for row in rows:
        name = tuple(row[i] for i in key)
        held = best.get(name)
        if held is None or _age(row, newest) > _age(held, newest):
            best[name] = row
    return [best[name] for name in sorted(best)]


def _age(row: Row, newest: tuple[int, ...]) -> Row:
    return tuple(-1 if row[i] is None else row[i] for i in newest)


def _in_order(rows: Sequence[Row]) -> list[bytes]:
    """Return the journal's records in order, each once."""
    return [blob for _, blob in sorted(set(rows))]


def _readable(blobs: Sequence[bytes], head: Head) -> tuple[list[bytes], int]:
    """Return the journal rows whose records can be told apart, and how many cannot."""
    widths = {table: len(names) for table, names in head.tables.items()}
    found = []
    for blob in blobs:
        try:
            last_marks([blob], widths)
        except ValueError:
            continue
        found.append(blob)
    return found, len(blobs) - len(found)


def _distinct(nodes: Iterable[Node]) -> list[Node]:
    """Leave out nodes whose rows are all in another one of their level, as deleted ones are."""
    kept: list[Node] = []
    end: dict[tuple[int, int, int], int] = {}
    # Of two that begin alike the one that goes on further was written later.
    for node in sorted(nodes, key=lambda node: (node.level, node.first, -node.stop, -node.id)):
        place = node.table, node.worker, node.level
        if node.first >= end.get(place, 0):
            kept.append(node)
            end[place] = node.stop
    return sorted(kept, key=lambda node: node.id)


def _marks(nodes: Sequence[Node], rows: Sequence[Row]) -> dict[tuple[int, int], int]:
    """Return how many rows of each (table, worker) are chunked."""
    marks: dict[tuple[int, int], int] = {}
    for _, table, worker, count in rows:
        marks[table, worker] = max(count, marks.get((table, worker), 0))
    for node in nodes:
        if node.level == 0:
            key = node.table, node.worker
            marks[key] = max(node.stop, marks.get(key, 0))
    return marks


def _drop_orphans(connection: Connection, nodes: Sequence[Node], parts: set[int]) -> None:
    held = {node.id for node in nodes}
    orphans = [(part,) for part in parts if part // PARTS not in held]
    connection.executemany("DELETE FROM part WHERE id = ?", orphans)
