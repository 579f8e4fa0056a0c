"""The way to the disk, as the ingest thread sees it: a log per run, sealed when it is time.

The ingest thread gathers what frames bring in the run's log and seals it when it is due; the writer
brings what was sealed to the disk, a transaction a run, and says so. Only then is a stream
acknowledged.

Law: what is told as committed is on the disk; whatever the disk does, nothing waits for it but
acknowledgements, and what waits is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streamviz.clock import monotonic_time
from streamviz.counters import Counters
from streamviz.errors import DamagedFile, JournalError, StoreFull
from streamviz.journal.directory import refuse_network_disk, run_files, run_path, set_aside
from streamviz.journal.entries import TableRows
from streamviz.journal.lock import DirectoryLock
from streamviz.journal.refill import Share
from streamviz.journal.restore import Restored, read_run
from streamviz.journal.runlog import Room, RunLog
from streamviz.journal.runwriter import RunWriter
from streamviz.journal.state import JournalState
from streamviz.journal.writer import Writer
from streamviz.store.store import Store

__all__ = ["JournalState", "Recorder"]

COMMIT_EVERY_S = 0.1
"""Most that a row waits for its commit: one takes about a millisecond, so ten a second cost a
hundredth of the writer's time."""
COMMIT_BYTES = 256 << 10
"""What is committed at once, whenever the last commit was: a quarter of a stream's window, so that
a flood never waits for the clock."""
PENDING_BYTES = 64 << 20
"""What may wait for a disk that is full or failing, over all runs; further frames are left with
their publishers. As much as one publisher holds."""
RESTORE_S = 4.0
"""How long a start may call runs back; the older ones stay on the disk until they are wanted."""
RESTORE_VALUES = 10_000_000
"""Values that a start brings into rings, over all runs: about a second of decoding."""
RECALL_VALUES = 1_000_000
"""The same of a run that is called back while others go on: their frames wait meanwhile."""
RESTORE_SHARE = 0.75
"""Part of the memory that a start may fill: the rest is for what comes."""
RECALL_SHARE = 0.125
_STOP_S = 3.0


class Recorder:
    """Records runs below a data directory.

    Owner: the ingest thread; :attr:`state` and :meth:`pending` are anybody's.
    """

    def __init__(
        self,
        directory: Path,
        disk_limit: int,
        counters: Counters,
        *,
        pending_bytes: int = PENDING_BYTES,
    ) -> None:
        """Take the directory; nothing is written before :meth:`start`.

        Args:
            directory: The data directory, made if there is none.
            disk_limit: Bytes that all runs may take.
            counters: Where commits and errors are counted.
            pending_bytes: What may wait for the disk.

        Raises:
            DirectoryInUse: Another server records there.
            UnfitDisk: It lies on a network file system.
            DiskError: It cannot be written.
        """
        refuse_network_disk(directory)
        self.directory = directory
        self.room = Room(pending_bytes)
        self._lock = DirectoryLock(directory)
        self._writer = Writer(self._lock, disk_limit, counters)
        self._logs: dict[str, RunLog] = {}
        self._dirty: dict[RunLog, None] = {}
        self._sealed_at = 0.0
        self._hurried = False

    @property
    def state(self) -> JournalState:
        """How it goes; callable from any thread."""
        return self._writer.state

    @property
    def is_committing(self) -> bool:
        """Whether something is on its way to a disk that takes it."""
        return self.room.taken > self.room.unsealed and self.state.kind == "ok"

    def pending(self, run: str) -> list[TableRows] | None:
        """Return a run's rows that are committed and not chunked; callable from any thread.

        Returns:
            ``None`` when nobody has begun to write the run: its file says all.
        """
        writer = self._writer.find(run)
        return None if writer is None else writer.pending()

    @property
    def writers(self) -> list[RunWriter]:
        """Every run's writer."""
        return self._writer.all()

    # -- runs ------------------------------------------------------------------------------

    def has(self, run: str) -> bool:
        """Tell whether a run lies on the disk."""
        return run_path(self.directory, run).exists()

    def log(self, run: str) -> RunLog | None:
        """Return the log of a run that was begun or called back, else ``None``."""
        return self._logs.get(run)

    def begin(self, run: str, started: float) -> RunLog:
        """Begin a run that is not on the disk.

        Args:
            run: Run name.
            started: Wall time, seconds since the epoch.
        """
        log = RunLog(run, started, self.room, self._dirty, None)
        self._adopt(log, RunWriter(run_path(self.directory, run), log))
        return log

    def restore(self, run: str, store: Store) -> Restored:
        """Call a run back from the disk.

        Args:
            run: Run name.
            store: Where it goes.

        Raises:
            StoreFull: Memory does not take it.
            JournalError: Its file cannot be used.
        """
        allowed = store.usage().bytes_allowed
        share = Share(
            values=RECALL_VALUES,
            bytes=max(store.room(), int(allowed * RECALL_SHARE)),
            is_strict=False,
        )
        return self._call_back(run_path(self.directory, run), store, share)

    def restore_all(self, store: Store) -> Iterator[Restored | str]:
        """Call back what memory and a few seconds allow, the run written last first.

        Args:
            store: Where they go.

        Yields:
            Each run, and a sentence for whatever stays on the disk or cannot be read.
        """
        paths = sorted(run_files(self.directory), key=_written, reverse=True)
        deadline = monotonic_time() + RESTORE_S
        values, left = RESTORE_VALUES, 0
        for path in paths:
            usage = store.usage()
            room = int(usage.bytes_allowed * RESTORE_SHARE) - usage.bytes_held
            if monotonic_time() > deadline or room <= 0:
                left += 1
                continue
            share = Share(values=max(values, 0), bytes=room, is_strict=usage.runs > 0)
            try:
                restored = self._call_back(path, store, share)
            except StoreFull:
                left += 1
            except JournalError as error:
                yield str(error)
            else:
                values -= restored.values
                yield restored
        if left:
            yield (
                f"{left} run{'s' * (left > 1)} written earlier stay{'s' * (left == 1)} on the disk "
                "until wanted: memory or time at the start is spent"
            )

    def _call_back(self, path: Path, store: Store, share: Share) -> Restored:
        try:
            restored = read_run(path, store, share)
        except DamagedFile as error:
            # Out of the way of what is sent from now on.
            raise DamagedFile(f"{error}; it was renamed to {set_aside(path).name}") from None
        head = restored.head
        log = RunLog(head.run, head.started, self.room, self._dirty, head)
        log.recall_rows(restored.counts)
        log.recall_items(restored.items)
        writer = RunWriter(
            path,
            log,
            tables=list(head.tables.items()),
            workers=list(head.workers.values()),
            streams=list(head.streams.values()),
            journal=restored.journal,
            last_id=restored.last_id,
        )
        self._adopt(log, writer)
        return restored

    def _adopt(self, log: RunLog, writer: RunWriter) -> None:
        self._logs[log.run] = log
        self._writer.adopt(writer)

    # -- commits ---------------------------------------------------------------------------

    def hurry(self) -> None:
        """Let the next turn commit, whenever the last commit was."""
        self._hurried = True

    def turn(self, now: float) -> list[bytes]:
        """Hand over what is due, and say what has reached the disk.

        Args:
            now: Monotonic time, seconds.

        Returns:
            The streams whose committed mark moved.
        """
        if self._dirty and (
            self._hurried
            or now - self._sealed_at >= COMMIT_EVERY_S
            or self.room.unsealed >= COMMIT_BYTES
        ):
            self._seal(now)
        done = self._writer.done
        moved: list[bytes] = []
        while done:
            bundle = done.popleft()
            bundle.log.committed(bundle)
            moved.extend(logged.stream for logged, _, _ in bundle.moved)
        return moved

    def _seal(self, now: float) -> None:
        ready = [log for log in self._dirty if not log.in_flight]
        self._hurried = len(ready) < len(self._dirty)
        if ready:
            self._sealed_at = now
        for log in ready:
            del self._dirty[log]
            self._writer.take(log.seal())

    def flush(self, timeout_s: float) -> list[bytes]:
        """Bring everything to the disk, as far as that goes in time.

        Args:
            timeout_s: Most seconds to wait.

        Returns:
            As :meth:`turn`.
        """
        deadline = monotonic_time() + timeout_s
        progress = self._writer.progress
        moved: list[bytes] = []
        while True:
            progress.clear()
            self.hurry()
            now = monotonic_time()
            moved += self.turn(now)
            if self.room.taken == 0 or now >= deadline or self.state.kind != "ok":
                return moved
            progress.wait(deadline - now)

    # -- start and end ---------------------------------------------------------------------

    def start(self) -> None:
        """Start the writer."""
        self._writer.start()

    def stop(self) -> None:
        """Commit what is sealed, chunk what time allows, let go of the directory."""
        self._writer.stop(_STOP_S)
        self._lock.release()


def _written(path: Path) -> float:
    """Return when a run's file was last written to, seconds since the epoch."""
    times = []
    for suffix in ("", "-wal"):
        try:
            times.append(path.with_name(path.name + suffix).stat().st_mtime)
        except OSError:  # not there
            continue
    return max(times, default=0.0)
