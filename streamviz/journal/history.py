"""Read the past of runs from their files, from any thread, beside the writer.

Every call opens the file, reads within one transaction, and closes it: so it sees one moment of
the run, and holds up neither the writer nor the write-ahead log.

Law: nothing here changes a run's file; what is damaged is left out and named.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from streamviz.errors import DamagedFile, DiskError, NewerFile
from streamviz.journal import items
from streamviz.journal.check import read_head, stated_version
from streamviz.journal.connection import connect_reader, disk_error
from streamviz.journal.directory import run_files, run_path
from streamviz.journal.entries import Head, TableRows
from streamviz.journal.moment import Moment, at_one_moment
from streamviz.journal.reading import Line, Reading
from streamviz.journal.salvage import salvage
from streamviz.journal.scan import Scan, StoredRows
from streamviz.journal.schema import DAMAGE, VERSION
from streamviz.store.grid import Grid
from streamviz.store.items import Item
from streamviz.store.query import Request
from streamviz.store.series import QueryResult, bucket_series, raw_series

__all__ = ["History", "RunSummary", "StoredRows"]

MENDED_BYTES = 1 << 30
"""A damaged file up to this size is made sound in a temporary one to be read; a larger one waits
for a server, which mends it where it is."""
LOSSES_KEPT = 100
"""Sentences about a run."""
_Answer = TypeVar("_Answer")
_Pending = Callable[[str], "Sequence[TableRows] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run on the disk."""

    run: str
    started: float
    """Wall time, seconds since the epoch."""
    last_time: float
    """Wall time of the newest row, as far as the file's entries of workers say."""
    path: Path
    bytes: int


class History:
    """What the files of a data directory hold; safe to use from any thread."""

    def __init__(self, directory: Path, pending: _Pending | None = None) -> None:
        """Read a data directory.

        Args:
            directory: The data directory.
            pending: Rows of a run that a live recorder of this process has committed but not
                chunked, ``None`` for a run it does not record; called from any thread. Without it
                the journal in the file is read.
        """
        self.directory = directory
        self._pending = pending
        self._lock = threading.Lock()
        self._summaries: dict[Path, tuple[tuple[int, ...], RunSummary]] = {}
        self._losses: dict[str, dict[str, None]] = {}
        self._mended: dict[Path, Path] = {}
        self._temporary: Path | None = None

    def runs(self) -> list[RunSummary]:
        """Return the runs on the disk, newest first; unreadable ones are left out and named."""
        found = []
        for path in run_files(self.directory):
            try:
                found.append(self._summary(path))
            except (DiskError, DamagedFile, NewerFile, OSError) as error:
                self._lost(path.parent.name, [str(error)])
        return sorted(found, key=lambda summary: -summary.started)

    def head(self, run: str) -> Head | None:
        """Return all of a run but its rows, ``None`` if it is not on the disk.

        Raises:
            DiskError: The disk does not give it; so with the functions below.
            DamagedFile: Nothing of it can be read.
            NewerFile: A later version wrote it.
        """
        return self._ask(run, lambda moment: moment.head)

    def losses(self, run: str) -> list[str]:
        """Return what was found to be lost of a run, a sentence each."""
        with self._lock:
            return list(self._losses.get(run, ()))

    def query(
        self,
        run: str,
        metric: str,
        *,
        workers: Sequence[int] | None = None,
        start: int | None = None,
        stop: int | None = None,
        points: int = 1000,
    ) -> QueryResult | None:
        """Return the series of a metric: rows as sent where they are few enough, else buckets.

        Args:
            run: Run name.
            metric: Metric name.
            workers: Worker indices; ``None`` for all.
            start: First step wanted; ``None`` for the first there is.
            stop: Last step wanted, included; ``None`` for the last there is.
            points: Most points of a series.

        Returns:
            ``None`` when nothing of it is on the disk.

        Raises:
            ConfigError: ``points`` is below 1.
        """
        request = Request.normalised(workers, start, stop, points)

        def answer(moment: Moment) -> QueryResult | None:
            reading = _reading(moment, metric, request)
            if reading is None:
                return None
            known = moment.head.workers
            who = [(w, known[w].rank, known[w].attempt) for w in reading.workers]
            rows = reading.rows(points)
            if rows is not None:
                result = QueryResult(resolution="raw", series=raw_series(who, rows))
            else:
                grid = reading.grid(points)
                result = QueryResult(resolution=1 << grid.shift, series=bucket_series(who, grid))
            self._lost(run, reading.losses)
            return result

        return self._ask(run, answer)

    def grid(
        self,
        run: str,
        metric: str,
        *,
        workers: Sequence[int],
        start: int | None = None,
        stop: int | None = None,
        points: int = 1024,
    ) -> Grid | None:
        """Return a metric on the step grid, a column for each of ``workers``.

        The grid is ``complete`` unless finer rows than it has were deleted or cannot be read.

        Returns:
            ``None`` when nothing of it is on the disk.

        Raises:
            ConfigError: ``points`` is below 1.
        """
        request = Request.normalised(workers, start, stop, points)

        def answer(moment: Moment) -> Grid | None:
            reading = _reading(moment, metric, request)
            if reading is None:
                return None
            grid = reading.grid(points)
            self._lost(run, reading.losses)
            return grid

        return self._ask(run, answer)

    def rows(self, run: str) -> Iterator[StoredRows]:
        """Yield everything at full resolution, in order per (table, worker), a leaf at a time.

        Each portion is read at a moment of its own, so that a long export never holds the file;
        rows that arrive meanwhile may be among them.
        """
        scan = Scan()
        while True:
            some = self._ask(run, scan.next)
            self._lost(run, scan.losses)
            if not some:
                return
            yield from some

    def items(self, run: str, size: int) -> list[Item] | None:
        """Return a run's newest items, the oldest of them first.

        Args:
            run: Run name.
            size: Bytes that they may have.

        Returns:
            ``None`` when the run is not on the disk.
        """

        def answer(moment: Moment) -> list[Item]:
            known = moment.head.workers
            rows = [row for row in items.newest(moment.connection, size) if row.worker in known]
            return [
                Item(
                    worker=row.worker,
                    rank=known[row.worker].rank,
                    attempt=known[row.worker].attempt,
                    kind=row.kind,
                    name=row.name,
                    step=row.step,
                    time=row.time,
                    body=row.body,
                    number=number,
                )
                for number, row in enumerate(rows)
            ]

        return self._ask(run, answer)

    def _ask(self, run: str, answer: Callable[[Moment], _Answer]) -> _Answer | None:
        """Ask a run's file, once more after mending if it is damaged; ``None``: it is not there."""
        path = run_path(self.directory, run)
        if not path.exists():
            return None
        return self._ask_file(path, None if self._pending is None else self._pending(run), answer)

    def _ask_file(
        self,
        path: Path,
        pending: Sequence[TableRows] | None,
        answer: Callable[[Moment], _Answer],
    ) -> _Answer:
        with self._lock:
            mended = self._mended.get(path)
        try:
            if mended is None:
                try:
                    version = stated_version(path)
                    if version is not None and version > VERSION:
                        raise NewerFile(f"{path} is of version {version}, newer than {VERSION}")
                    return at_one_moment(path, pending, answer)
                except sqlite3.OperationalError:
                    raise
                except DAMAGE as error:
                    mended = self._mend(path, str(error))
            return at_one_moment(mended, pending, answer)
        except (sqlite3.Error, OSError) as error:
            raise disk_error(path, error) from None

    def _mend(self, path: Path, damage: str) -> Path:
        """Make a sound copy of a damaged file, for this process to read."""
        size = path.stat().st_size
        if size > MENDED_BYTES:
            raise DamagedFile(
                f"{path} is damaged ({damage}) and has {size} bytes, more than the {MENDED_BYTES} "
                "that are mended for a reader: serve it, and it is mended where it is"
            )
        with self._lock:
            if path not in self._mended:
                if self._temporary is None:
                    self._temporary = Path(tempfile.mkdtemp(prefix="streamviz-"))
                    weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
                target = self._temporary / f"{len(self._mended)}.db"
                losses = salvage(path, target, damage)
                self._mended[path] = target
                with closing(connect_reader(target)) as connection:
                    run = read_head(connection).run
                self._keep(run, losses)
            return self._mended[path]

    def _summary(self, path: Path) -> RunSummary:
        sizes = []
        for suffix in ("", "-wal"):
            beside = path.with_name(path.name + suffix)
            stat = beside.stat() if beside.exists() else None
            sizes += [0, 0] if stat is None else [stat.st_size, stat.st_mtime_ns]
        state = tuple(sizes)
        with self._lock:
            held = self._summaries.get(path)
        if held is not None and held[0] == state:
            return held[1]
        # Without the rows of its journal, of which a run that is going on has many at any moment.
        head = self._ask_file(path, (), lambda moment: moment.head)
        summary = RunSummary(
            run=head.run,
            started=head.started,
            last_time=max((row.last_time for row in head.workers.values()), default=head.started),
            path=path,
            bytes=state[0] + state[2],
        )
        with self._lock:
            self._summaries[path] = state, summary
        return summary

    def _lost(self, run: str, sentences: Sequence[str]) -> None:
        if sentences:
            with self._lock:
                self._keep(run, sentences)

    def _keep(self, run: str, sentences: Sequence[str]) -> None:
        held = self._losses.setdefault(run, {})
        for sentence in sentences:
            if len(held) < LOSSES_KEPT:
                held[sentence] = None


def _reading(moment: Moment, metric: str, request: Request) -> Reading | None:
    """Return a reading of a metric, ``None`` if no worker that is asked for has it."""
    late: dict[tuple[int, int], list[TableRows]] = {}
    for rows in moment.late:
        late.setdefault((rows.table, rows.worker), []).append(rows)
    held = sorted(
        (table, worker)
        for table, worker in {*moment.marks, *late}
        if metric in moment.head.tables.get(table, ()) and worker in moment.head.workers
    )
    wanted = request.workers
    workers = tuple(sorted({worker for _, worker in held})) if wanted is None else wanted
    column = {worker: i for i, worker in enumerate(workers)}
    lines = [
        Line(
            table,
            worker,
            moment.head.tables[table].index(metric),
            column[worker],
            moment.marks.get((table, worker), 0),
            late.get((table, worker), ()),
        )
        for table, worker in held
        if worker in column
    ]
    if not lines:
        return None
    return Reading(moment.connection, lines, workers, (request.start, request.stop))
