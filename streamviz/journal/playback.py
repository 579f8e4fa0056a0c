"""A run's file read from the first row to the last, as it was at one moment, for a replay.

Each worker's rows in each table are read on their own, a leaf at a time, so that many of them can
be read side by side in the order of their times. The file may be written meanwhile, by a server in
another process: what is not in leaves yet is taken at the start, the leaves when their turn comes.

Law: rows come as they were sent, in order of arrival; what cannot be read is counted, never
guessed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from streamviz.errors import DamagedFile, NewerFile
from streamviz.journal import items
from streamviz.journal.check import stated_version
from streamviz.journal.connection import connect_reader
from streamviz.journal.entries import ItemRow, TableRows
from streamviz.journal.moment import Moment, at_one_moment
from streamviz.journal.nodes import WINDOW, Node, find, leaf_axis, leaf_values
from streamviz.journal.schema import VERSION, BadRow

__all__ = ["Playback", "is_run_file"]

_MAGIC = b"SQLite format 3\0"
_KEPT = (
    "SELECT metric_set, worker, sum(size) FROM chunk WHERE level = 0 GROUP BY metric_set, worker"
)


def is_run_file(path: Path) -> bool:
    """Say whether a file begins as those of runs do.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


class Playback:
    """One file, open for reading. Owner: the thread that made it.

    Attributes:
        head: All of the run but its rows.
        kept: How many rows of each (table, worker) are there at full resolution.
        gone: Rows of which only the overview is left, or nothing.
        items: How many items of each worker are there.
    """

    def __init__(self, path: Path) -> None:
        """Open it, and note what there is.

        Args:
            path: A run's file.

        Raises:
            DamagedFile: It is no run's file, or what it says of the run cannot be read.
            NewerFile: A later version wrote it.
        """
        self.path = path
        self._bad: dict[tuple[int, int, int], int] = {}
        try:
            version = stated_version(path)
            if version is not None and version > VERSION:
                raise NewerFile(
                    f"{path} is of version {version}, and this streamviz reads up to {VERSION}: "
                    "use a newer one"
                )
            at_one_moment(path, None, self._begin)
            self._connection = connect_reader(path)
        except (sqlite3.Error, BadRow) as error:
            raise DamagedFile(
                f"{path} cannot be read ({error}): 'streamviz serve' on its data directory mends "
                "what can be mended"
            ) from None

    def _begin(self, moment: Moment) -> None:
        self.head = moment.head
        self._marks = moment.marks
        self._late = {(rows.table, rows.worker): rows for rows in moment.late}
        kept: dict[tuple[int, int], int] = {
            (table, worker): rows for table, worker, rows in moment.connection.execute(_KEPT)
        }
        self.gone = sum(self._marks.values()) - sum(kept.values())
        for key, rows in self._late.items():
            kept[key] = kept.get(key, 0) + rows.steps.size
        self.kept: Mapping[tuple[int, int], int] = kept
        self._last_item = items.last_of(moment.connection)
        self.items: Mapping[int, int] = items.held(moment.connection)

    @property
    def unreadable(self) -> int:
        """About how many rows could not be read when their turn came."""
        return sum(self._bad.values())

    def rows(
        self, table: int, worker: int, *, start: int = 0, stop: int | None = None
    ) -> Iterator[TableRows]:
        """Yield a worker's rows in a table, in order of arrival.

        Args:
            table: Number of the table within the run.
            worker: Number of the worker within the run.
            start: Leaves without a step from it on are passed over.
            stop: Leaves without a step up to it are, too; ``None``: there is no last step.
        """
        mark = self._marks.get((table, worker), 0)
        for begin in range(0, mark, WINDOW):
            for rows in self._window(table, worker, begin, (start, stop)):
                # The newest leaf may have been joined with later rows; the journal had those.
                yield rows if rows.first + rows.steps.size <= mark else _before(rows, mark)
        late = self._late.get((table, worker))
        if late is not None:
            yield late

    def items_of(self, worker: int) -> Iterator[ItemRow]:
        """Yield a worker's items, in the order in which they came.

        Those that are deleted meanwhile, or cannot be read, are passed over.
        """
        for number in items.numbers_of(self._connection, worker, self._last_item):
            try:
                row = items.at(self._connection, number)
            except (BadRow, sqlite3.DatabaseError):
                continue
            if row is not None:
                yield row

    def _window(
        self, table: int, worker: int, begin: int, steps: tuple[int, int | None]
    ) -> list[TableRows]:
        """Return the leaves of a window, as they are now: they may have been joined meanwhile."""
        found = []
        self._connection.execute("BEGIN")
        try:
            for node in find(self._connection, table, worker, 0, begin, begin + WINDOW):
                if node.high < steps[0] or (steps[1] is not None and node.low > steps[1]):
                    continue
                try:
                    found.append(self._leaf(node))
                except BadRow:
                    self._bad[table, worker, node.first] = node.size
        except (BadRow, sqlite3.DatabaseError):
            # Which rows the window had is not known any more.
            self._bad[table, worker, begin] = WINDOW
        finally:
            self._connection.execute("COMMIT")
        return found

    def _leaf(self, node: Node) -> TableRows:
        steps, times = leaf_axis(self._connection, node)
        lines = [
            leaf_values(self._connection, node, metric)
            for metric in range(len(self.head.tables[node.table]))
        ]
        return TableRows(
            table=node.table,
            worker=node.worker,
            first=node.first,
            steps=steps,
            times=times,
            values=np.column_stack(lines),
        )

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _before(rows: TableRows, end: int) -> TableRows:
    """Return the rows before an ordinal."""
    part = slice(end - rows.first)
    return replace(rows, steps=rows.steps[part], times=rows.times[part], values=rows.values[part])
