"""One run's file in the writer's hands: commits as they come, checkpoints in slices.

Law: what a commit brought stays in the journal until a checkpoint has it in chunks, so that a
checkpoint may stop after any slice.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from streamviz.errors import DamagedFile, DiskError
from streamviz.journal.columns import gather
from streamviz.journal.entries import Commit, StreamRow, TableRows, WorkerRow
from streamviz.journal.nodes import WINDOW
from streamviz.journal.runfile import RunFile
from streamviz.journal.runlog import Bundle, RunLog

__all__ = ["RunWriter"]

SLICE_VALUES = 1 << 16
"""Values that a slice of a checkpoint encodes: tens of milliseconds, which an acknowledgement may
wait for."""
_LATE_SHARE = 4
"""Gathered again for each reader: what came since most was gathered, up to this part of all."""


class RunWriter:
    """Owner: the writer thread, but for :meth:`pending`.

    Attributes:
        log: Where its bundles come from.
        retained_bytes: Bytes of journal that are not chunked.
        retained_at: Monotonic time of the oldest of them, seconds; ``None`` without any.
        losses: What opening the file found to be lost, a sentence each, until taken.
    """

    def __init__(
        self,
        path: Path,
        log: RunLog,
        *,
        tables: Sequence[tuple[int, tuple[str, ...]]] = (),
        workers: Sequence[WorkerRow] = (),
        streams: Sequence[StreamRow] = (),
        journal: Sequence[bytes] = (),
        last_id: int = 0,
    ) -> None:
        """Take over a run.

        Args:
            path: Its file.
            log: The run's log.
            tables: Those that the file has.
            workers: Those that the file has.
            streams: Those that the file has, as far as its journal brings them.
            journal: What of the file is not chunked.
            last_id: Number of the newest row of that journal.
        """
        self.path = path
        self.log = log
        self.retained_bytes = sum(map(len, journal))
        self.retained_at: float | None = 0.0 if journal else None
        self.losses: list[str] = []
        self._file: RunFile | None = None
        self._identity: tuple[int, int] | None = None
        self._widths = {number: len(names) for number, names in tables}
        self._workers = {row.index: row for row in workers}
        # The journal that was called back carries marks: they are written when it is chunked.
        self._streams = {row.index: row for row in streams}
        self._last_id = last_id
        self._lock = threading.Lock()
        self._retained: list[bytes] = list(journal)
        self._columns: tuple[int, list[TableRows]] = (0, [])
        """How many of the retained are gathered already, and their columns."""

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of every worker, about: of a large job they are many, in few rows each."""
        return 8 * (2 + max(self._widths.values(), default=0)) * len(self._workers)

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._file is not None

    def take_shed(self) -> int:
        """Return the items that were deleted to make room, once."""
        if self._file is None:
            return 0
        shed, self._file.items_shed = self._file.items_shed, 0
        return shed

    @property
    def bytes_used(self) -> int:
        """Bytes that the run takes on the disk."""
        return 0 if self._file is None else self._file.bytes_used

    def commit(self, bundle: Bundle, now: float) -> None:
        """Bring a bundle to the disk.

        Args:
            bundle: What the run's log sealed.
            now: Monotonic time, seconds.

        Raises:
            DiskError: Nothing of it is there; try again later.
        """
        records = b"".join(bundle.parts)
        try:
            self._opened().commit(dataclasses.replace(bundle.commit, records=records))
        except DamagedFile:
            self.close()
            self._opened().commit(dataclasses.replace(bundle.commit, records=records))
        with self._lock:
            self._widths.update((number, len(names)) for number, names in bundle.commit.tables)
        self._workers.update((row.index, row) for row in bundle.commit.workers)
        self._streams.update((row.index, row) for row in bundle.streams)
        if not records:
            return
        self._last_id = self._opened().last_journal_id
        with self._lock:
            self._retained.append(records)
        self.retained_bytes += len(records)
        if self.retained_at is None:
            self.retained_at = now

    def checkpoint(self, now: float) -> Iterator[None]:
        """Move what is retained now into chunks, a slice each time the iterator is asked.

        Args:
            now: Monotonic time, seconds.

        Raises:
            DiskError: The rest stays in the journal, for another checkpoint.
        """
        with self._lock:
            blobs = list(self._retained)
        last_id = self._last_id
        streams = dict(self._streams)
        rows = gather(blobs, self._widths)
        yield
        for some in _slices(rows):
            self._opened().checkpoint(some, None)
            yield
        # The journal's rows carried the marks and the last steps; they go with them.
        workers = self._advance(rows)
        self._opened().commit(Commit(streams=list(streams.values()), workers=workers))
        self._opened().checkpoint((), last_id)
        for index, row in streams.items():
            if self._streams.get(index) is row:
                del self._streams[index]
        with self._lock:
            del self._retained[: len(blobs)]
            self._columns = (0, [])
        self.retained_bytes -= sum(map(len, blobs))
        self.retained_at = now if self._retained else None
        yield
        self._opened().settle()

    def _advance(self, rows: Sequence[TableRows]) -> list[WorkerRow]:
        """Return the workers that these rows bring further, with their new last step and time."""
        moved: dict[int, WorkerRow] = {}
        for some in rows:
            row = moved.get(some.worker) or self._workers.get(some.worker)
            if row is None:
                continue
            last_step = int(some.steps.max())
            moved[some.worker] = dataclasses.replace(
                row,
                last_time=max(row.last_time, float(some.times[-1])),
                last_step=last_step if row.last_step is None else max(row.last_step, last_step),
            )
        self._workers.update(moved)
        return list(moved.values())

    def pending(self) -> list[TableRows]:
        """Return the rows that are committed and not chunked; callable from any thread.

        Rows of one worker may come in two pieces, in order.
        """
        with self._lock:
            blobs, widths = list(self._retained), dict(self._widths)
            gathered, columns = self._columns
        late = blobs[gathered:]
        if sum(map(len, late)) * _LATE_SHARE <= sum(map(len, blobs)):
            return columns + gather(late, widths)
        columns = gather(blobs, widths)
        with self._lock:
            if self._retained[: len(blobs)] == blobs:  # no checkpoint has taken them meanwhile
                self._columns = (len(blobs), columns)
        return columns

    def shrink(self, amount: int) -> int:
        """Delete the oldest full resolution; return the bytes freed.

        Raises:
            DiskError: It could not be deleted.
        """
        return self._opened().shrink(amount)

    def close(self) -> None:
        """Close the file; it is opened again when it is needed.

        Raises:
            DiskError: What was to be settled was not; nothing committed is lost.
        """
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _opened(self) -> RunFile:
        if self._file is None:
            if self.log.is_new and not self.path.exists():
                self._file = RunFile.create(self.path, self.log.run, self.log.started)
            else:
                self._found()
                self._file = RunFile.open(self.path)
                self.losses.extend(self._file.losses)
            self._identity = self._found()
        elif self._found() != self._identity:
            raise DiskError(
                "failing", f"the file of run {self.log.run!r} was replaced: {self.path}"
            )
        return self._file

    def _found(self) -> tuple[int, int]:
        """Return which file lies at the path: SQLite would go on writing to a deleted one."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise DiskError(
                "failing",
                f"the file of run {self.log.run!r} is gone ({error.strerror}): "
                f"{self.path}; put it back, or restart the server to begin anew",
            ) from None
        return found.st_dev, found.st_ino


def _slices(rows: Sequence[TableRows]) -> Iterator[list[TableRows]]:
    """Yield the rows in portions of about :data:`SLICE_VALUES`, in order."""
    portion: list[TableRows] = []
    room = SLICE_VALUES
    for some in rows:
        width, done = some.values.shape[1], 0
        while done < some.steps.size:
            # Up to the end of a window, so that no window is written twice.
            end = some.first + done + max(room // width, 1)
            end = max(end // WINDOW * WINDOW, (some.first + done) // WINDOW * WINDOW + WINDOW)
            end = min(end - some.first, some.steps.size)
            portion.append(
                TableRows(
                    table=some.table,
                    worker=some.worker,
                    first=some.first + done,
                    steps=some.steps[done:end],
                    times=some.times[done:end],
                    values=some.values[done:end],
                )
            )
            room -= (end - done) * width
            done = end
            if room <= 0:
                yield portion
                portion, room = [], SLICE_VALUES
    if portion:
        yield portion
