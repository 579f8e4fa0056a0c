"""The thread that brings what was sealed to the disk, and keeps house in its pauses.

Commits come first. Between them it moves journals into chunks, a slice at a time, asks a disk that
took nothing again, and deletes what is over the limit.

Law: a bundle is done once the disk has it, and never given up; bundles of one run go to the disk in
order.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import replace

from streamviz.clock import monotonic_time, wall_time
from streamviz.counters import Counters
from streamviz.errors import DiskError, JournalError
from streamviz.journal.allowance import Allowance
from streamviz.journal.lock import DirectoryLock
from streamviz.journal.runlog import Bundle
from streamviz.journal.runwriter import RunWriter
from streamviz.journal.state import JournalState

__all__ = ["Writer"]

_log = logging.getLogger("streamviz.journal")

CHECKPOINT_BYTES = 16 << 20
"""Journal of one run that is worth chunking: a restart reads it in a fraction of a second."""
CHECKPOINT_ROWS = 64
"""Rows of each worker that are worth it: what chunking costs is by the column, however short."""
CHECKPOINT_S = 600.0
"""How long less than that may wait."""
RETAINED_BYTES = 64 << 20
"""Journal of all runs together, which is held in memory for readers: past it the largest goes, and
checkpoints and commits take turns."""
MOST_RETAINED_BYTES = 2 * RETAINED_BYTES
"""Past it commits wait for checkpoints: what comes in is faster than it can be chunked."""
RETRY_S = 5.0
"""How often a disk that took nothing is asked again."""
OPEN_FILES = 64
"""Files of runs that are open at a time: three descriptors each."""
_REST_S = 1.0
_QUIET_S = 0.06
"""How long no commit may come before a checkpoint takes its turn."""
_HOUSEKEEPING_S = 10.0
_STOP_CHECKPOINT_S = 1.5
"""What a clean stop may take to chunk what is journaled; the rest stays in the journal."""


class Writer:
    """Owner: the recorder. Every file of a run is written by its thread alone.

    Attributes:
        done: Bundles that are on the disk, for the ingest thread to take out.
        progress: Set when something was done, or failed.
        state: How it goes, for anybody to read.
    """

    def __init__(self, directory: DirectoryLock, disk_limit: int, counters: Counters) -> None:
        """Measure what is there; nothing is written before :meth:`start`.

        Args:
            directory: The data directory, locked.
            disk_limit: Bytes that all runs may take.
            counters: Where commits and errors are counted.
        """
        self.done: deque[Bundle] = deque()
        self.progress = threading.Event()
        self._directory = directory
        self._counters = counters
        self._inbox: queue.SimpleQueue[Bundle | None] = queue.SimpleQueue()
        self._writers: dict[str, RunWriter] = {}
        self._open: OrderedDict[str, None] = OrderedDict()
        self._stuck: dict[str, Bundle] = {}
        self._retry_at = 0.0
        self._checkpoint: tuple[RunWriter, Iterator[None]] | None = None
        self._no_checkpoint_before = 0.0
        self._kept_at = 0.0
        self._allowance = Allowance(directory.directory, disk_limit, counters)
        self.state = JournalState(
            kind="ok",
            since=None,
            detail="",
            bytes_used=self._allowance.measure(),
            bytes_allowed=disk_limit,
            path=str(directory.directory),
        )
        self._thread = threading.Thread(target=self._run, name="streamviz-journal", daemon=True)

    def adopt(self, writer: RunWriter) -> None:
        """Take a run in; before its first bundle."""
        # Replaced whole: the thread and readers go through it meanwhile.
        self._writers = {**self._writers, writer.log.run: writer}

    def find(self, run: str) -> RunWriter | None:
        """Return who writes a run, ``None`` if nobody does."""
        return self._writers.get(run)

    def all(self) -> list[RunWriter]:
        """Return who writes which run, for all of them."""
        return list(self._writers.values())

    def take(self, bundle: Bundle) -> None:
        """Take a bundle; no other of its run is under way."""
        self._inbox.put(bundle)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Commit what was taken, chunk what time allows, close the files.

        Args:
            timeout_s: Most seconds to wait for it.
        """
        if self._thread.is_alive():
            self._inbox.put(None)
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            pause_s = _REST_S
            while True:
                try:
                    bundle = self._inbox.get(timeout=pause_s)
                except queue.Empty:
                    pause_s = 0.0 if self._rest(monotonic_time()) else _REST_S
                    continue
                if bundle is None:
                    break
                self._take(bundle, monotonic_time())
                # A checkpoint keeps out of the way of a burst while memory takes what that brings.
                pause_s = 0.0 if self._retained_bytes() >= RETAINED_BYTES else _QUIET_S
            self._end(monotonic_time())
        except Exception:
            # A dead writer must be heard of: nobody would be acknowledged any more.
            _log.exception("recording stopped")
            self._fail("failing", "recording stopped by an error of its own; see the server's log")
            raise

    def _take(self, bundle: Bundle, now: float) -> None:
        run = bundle.log.run
        writer = self._writers[run]
        while writer.retained_bytes > CHECKPOINT_BYTES and self._is_crowded():
            # What comes in is faster than it is chunked: its publishers wait for us.
            if not self._slice(now):
                break
        if self._stuck and now < self._retry_at and self.state.kind == "full":
            self._stuck[run] = bundle
            return
        if self._commit(writer, bundle, now):
            self._recover()
        else:
            self._stuck[run] = bundle
            self._retry_at = now + RETRY_S

    def _is_crowded(self) -> bool:
        return self._retained_bytes() > MOST_RETAINED_BYTES

    def _retained_bytes(self) -> int:
        return sum(writer.retained_bytes for writer in self._writers.values())

    def _commit(self, writer: RunWriter, bundle: Bundle, now: float) -> bool:
        """Bring a bundle to the disk; say whether it is there."""
        try:
            self._directory.check()
            self._admit(writer)
            writer.commit(bundle, now)
        except JournalError as error:
            kind = error.kind if isinstance(error, DiskError) else "failing"
            self._fail(kind, str(error))
            return False
        self._tell_losses(writer)
        shed = writer.take_shed()
        if shed:
            self._counters.add("items_shed_total", shed)
        self._counters.add("journal_commits_total")
        self._counters.add("journal_bytes_total", sum(map(len, bundle.parts)))
        self.done.append(bundle)
        self.progress.set()
        return True

    def _admit(self, writer: RunWriter) -> None:
        """Keep the number of open files bounded: the one used longest ago is closed."""
        run = writer.log.run
        self._open[run] = None
        self._open.move_to_end(run)
        busy = self._checkpoint[0].log.run if self._checkpoint is not None else None
        while len(self._open) > OPEN_FILES:
            oldest = next(name for name in self._open if name not in (run, busy))
            del self._open[oldest]
            self._writers[oldest].close()

    def _rest(self, now: float) -> bool:
        """Do a piece of what can wait; say whether there may be more."""
        if self._stuck and now >= self._retry_at:
            self._retry(now)
        if self._checkpoint is not None or self._begin_checkpoint(now):
            return self._slice(now)
        if now - self._kept_at >= _HOUSEKEEPING_S:
            self._kept_at = now
            self._keep_house(now)
        return False

    def _retry(self, now: float) -> None:
        for run, bundle in list(self._stuck.items()):
            if self._commit(self._writers[run], bundle, now):
                del self._stuck[run]
            else:
                self._retry_at = monotonic_time() + RETRY_S
                if self.state.kind == "full":
                    return
        self._recover()

    def _begin_checkpoint(self, now: float) -> bool:
        """Choose a run whose journal is to be chunked; say whether there is one."""
        if self._stuck or now < self._no_checkpoint_before:
            return False
        due = [
            writer
            for writer in self._writers.values()
            if writer.retained_bytes >= _worth(writer)
            or (writer.retained_at is not None and now - writer.retained_at >= CHECKPOINT_S)
        ]
        if not due and self._retained_bytes() >= RETAINED_BYTES:
            due = list(self._writers.values())
        if not due:
            return False
        writer = max(due, key=lambda one: one.retained_bytes)
        self._checkpoint = (writer, writer.checkpoint(now))
        return True

    def _slice(self, now: float) -> bool:
        """Do a slice of a checkpoint; say whether there was one to do."""
        if self._checkpoint is None and not self._begin_checkpoint(now):
            return False
        assert self._checkpoint is not None  # noqa: S101 - just begun
        writer, slices = self._checkpoint
        try:
            self._admit(writer)
            if next(slices, self) is self:
                self._checkpoint = None
        except JournalError as error:
            # What was to be chunked stays in the journal; that commits fail too is told then.
            self._checkpoint = None
            self._no_checkpoint_before = now + RETRY_S
            self._counters.add("journal_errors_total", reason="checkpoint")
            _log.warning("a checkpoint of run %r failed: %s", writer.log.run, error)
            return False
        self._tell_losses(writer)
        return True

    def _keep_house(self, now: float) -> None:
        """Measure, and make room within what is allowed."""
        try:
            used = self._allowance.keep(self._writers, now)
        except JournalError as error:
            _log.warning("nothing could be deleted: %s", error)
            return
        if used != self.state.bytes_used:
            self.state = replace(self.state, bytes_used=used)

    def _end(self, now: float) -> None:
        self._retry_at = now
        self._retry(now)
        deadline = now + _STOP_CHECKPOINT_S
        while monotonic_time() < deadline and not self._stuck:
            # Less is left for the next start to read.
            if self._checkpoint is None:
                left = [one for one in self._writers.values() if one.retained_bytes]
                if not left:
                    break
                writer = max(left, key=lambda one: one.retained_bytes)
                self._checkpoint = (writer, writer.checkpoint(now))
            if not self._slice(now):
                break
        for run in self._open:
            try:
                self._writers[run].close()
            except JournalError as error:
                _log.warning("a file was not closed cleanly: %s", error)

    # -- how it goes -----------------------------------------------------------------------

    def _fail(self, kind: str, detail: str) -> None:
        self._counters.add("journal_errors_total", reason=kind)
        state = self.state
        if state.kind == "ok":
            _log.error("recording waits: %s", detail)
        self.state = replace(
            state,
            kind="full" if kind == "full" else "failing",
            since=state.since or wall_time(),
            detail=detail,
        )
        self.progress.set()

    def _recover(self) -> None:
        if self.state.kind != "ok" and not self._stuck:
            _log.warning("recording goes on")
            self.state = replace(self.state, kind="ok", since=None, detail="")

    def _tell_losses(self, writer: RunWriter) -> None:
        losses, writer.losses = writer.losses, []
        for sentence in losses:
            _log.warning("run %r: %s", writer.log.run, sentence)


def _worth(writer: RunWriter) -> int:
    """Return the bytes of journal that are worth chunking."""
    return max(CHECKPOINT_BYTES, min(CHECKPOINT_ROWS * writer.row_bytes, RETAINED_BYTES))
