"""The collector's hand on the journal: which log a stream's frames go to, and what is recalled.

Law: a stream that the disk knows goes on at the disk's marks, whoever was its server.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from streamviz.errors import DamagedFile, JournalError, StoreFull
from streamviz.ingest.stream import Stream, Worker
from streamviz.ingest.workers import News, Workers
from streamviz.journal.entries import WorkerRow
from streamviz.journal.runlog import RunLog
from streamviz.store.gaps import Gap
from streamviz.store.store import Store
from streamviz.store.table import Table
from streamviz.wire.frames import Batch, Heartbeat

if TYPE_CHECKING:  # a server that records nothing needs none of these
    from streamviz.journal.recorder import Recorder
    from streamviz.journal.restore import Restored

__all__ = ["Recording"]

_log = logging.getLogger("streamviz.ingest")

MAX_WANTED = 16
"""Runs on the disk that viewers may wait for at a time."""
MAX_STREAMS_PER_RUN = 200_000
"""Streams of a run that its file remembers: ten times what may be there at once. Each has brought
rows of its own."""


class Recording:
    """Owner: the collector."""

    def __init__(self, recorder: Recorder, store: Store, workers: Workers) -> None:
        """Start with no run at hand.

        Args:
            recorder: The way to the disk.
            store: Where a run goes that is called back from the disk.
            workers: Who learns of its workers.
        """
        self.recorder = recorder
        self.room = recorder.room
        self._wanted: deque[str] = deque(maxlen=MAX_WANTED)
        self._store = store
        self._workers = workers

    def open(self, run: str, now: float) -> RunLog | None:
        """Return a run's log, called back from the disk if it must be; ``None``: a new run.

        Args:
            run: Run name.
            now: Wall time, seconds since the epoch.

        Raises:
            StoreFull: Memory does not take it.
            NewerFile: A later version wrote its file.
            DiskError: The disk does not give it.
        """
        log = self.recorder.log(run)
        if log is not None or not self.recorder.has(run):
            return log
        try:
            restored = self.recorder.restore(run, self._store)
        except DamagedFile as error:
            _log.warning("%s", error)
            return None
        for sentence in restored.losses:
            _log.warning("%s", sentence)
        self.take_back(restored, now)
        return self.recorder.log(run)

    def want(self, run: str) -> None:
        """Ask for a run to be called back from the disk; callable from any thread.

        Of many wishes at once the oldest are forgotten: who looks at such a run asks again.
        """
        self._wanted.append(run)

    def call_back(self, now: float) -> None:
        """Call back one of the runs that were asked for.

        Args:
            now: Wall time, seconds since the epoch.
        """
        if not self._wanted:
            return
        run = self._wanted.popleft()
        try:
            self.open(run, now)
        except (StoreFull, JournalError) as error:
            _log.warning("run %r stays on the disk: %s", run, error)

    def take_back(self, restored: Restored, now: float) -> None:
        """Let the workers of a run that was called back be known.

        Args:
            restored: The run.
            now: Wall time, seconds since the epoch.
        """
        self._workers.restore(restored.head, restored.stored, now)

    def begin(self, stream: Stream, now: float) -> None:
        """Give a new run its log, and a stream that of its run.

        Args:
            stream: The stream.
            now: Wall time, seconds since the epoch.
        """
        run = stream.hello.run
        log = self.recorder.log(run)
        stream.log = self.recorder.begin(run, now) if log is None else log

    def recall(self, stream: Stream) -> bool:
        """Let a stream go on where the disk has it; say whether the disk knows it.

        Raises:
            StoreFull: It does not, and knows too many.
        """
        if stream.log is None:
            return False
        logged = stream.log.find(stream.hello.stream)
        if logged is None:
            if stream.log.streams >= MAX_STREAMS_PER_RUN:
                raise StoreFull("streams", MAX_STREAMS_PER_RUN)
            return False
        stream.logged = logged
        stream.incoming = logged.incoming
        stream.sent = max(logged.sent, logged.incoming.next_row)
        # What it sent so far is in its worker's tally.
        stream.beat = Heartbeat(logged.stream, 0.0, 0.0, stream.sent, 0, 0, {}, {}, None, None, 0.0)
        if logged.worker is not None:
            stream.worker = self._workers.at(stream.hello.run, logged.worker)
        return True

    def takes(self, stream: Stream, seq: int) -> bool:
        """Tell whether a frame may come in.

        One that was taken before may, and any while there is room for what waits for the disk.
        """
        room = self.room
        if room.taken >= room.allowed:
            return seq < stream.incoming.next_seq
        if stream.logged is None and stream.log is not None:
            stream.logged = stream.log.open_stream(stream.hello.stream, stream.incoming)
        return True

    @staticmethod
    def rows(stream: Stream, worker: Worker, table: int | None, batch: Batch) -> None:
        """Write down rows of a frame that was just taken in.

        Args:
            stream: Whose.
            worker: For whom it speaks.
            table: Number of their table, ``None`` if they are not recorded.
            batch: The rows.
        """
        log, logged = stream.log, stream.logged
        if log is None or logged is None:
            return
        if logged.worker != worker.index:
            logged.worker = worker.index
            log.mark(logged)
        if table is None:
            log.mark(logged)
        else:
            log.rows(logged, table, worker.index, batch.steps, batch.times, batch.values)

    @staticmethod
    def item(
        stream: Stream, worker: Worker, about: tuple[str, str, int, float], body: bytes
    ) -> None:
        """Write down an item that was just taken in.

        Args:
            stream: Whose.
            worker: For whom it speaks.
            about: Its kind, name, step and time.
            body: What it carries.
        """
        log, logged = stream.log, stream.logged
        if log is not None and logged is not None:
            logged.worker = worker.index
            log.item(logged, worker.index, about, body)

    def number(self, stream: Stream, table: Table) -> int | None:
        """Return a table's number in the file; ``None``: its values are only counted."""
        log = stream.log
        if log is None or not (table.width or log.knows_table(table.names)):
            return None
        return log.table(table.names)

    def mark(self, stream: Stream) -> None:
        """Write down where a stream stands."""
        log = stream.log
        if log is None:
            return
        if stream.logged is None:
            stream.logged = log.open_stream(stream.hello.stream, stream.incoming)
        stream.logged.sent = stream.sent
        stream.logged.worker = None if stream.worker is None else stream.worker.index
        log.mark(stream.logged)

    def gap(self, stream: Stream, worker: Worker, gap: Gap) -> None:
        """Write down a gap, and where the stream stands after it."""
        if stream.log is not None:
            stream.log.gap(worker.index, gap)
            self.mark(stream)

    def settle(self) -> None:
        """Write down which workers are new or have changed."""
        changed, self._workers.changed = self._workers.changed, []
        for worker in changed:
            log = self.recorder.log(worker.run)
            if log is not None:
                log.worker(_row_of(worker))
        placed, self._workers.placed = self._workers.placed, []
        for worker in placed:
            log = self.recorder.log(worker.run)
            if log is not None:
                log.mesh(worker.index, worker.mesh)

    def config(self, run: str, news: News) -> None:
        """Write down what a hello changed of a run's configuration and facts."""
        log = self.recorder.log(run)
        if log is None:
            return
        if news.config is not None:
            log.config(news.config)
        if news.facts is not None:
            log.facts(news.facts)


def _row_of(worker: Worker) -> WorkerRow:
    hello = worker.hello
    return WorkerRow(
        index=worker.index,
        rank=worker.rank,
        attempt=worker.attempt,
        world_size=hello.world_size,
        local_rank=hello.local_rank,
        host=hello.host,
        pid=hello.pid,
        library=hello.library,
        started=worker.started,
        last_time=worker.last_time,
        last_step=worker.last_step,
        ended=worker.ended,
        stream=worker.family,
    )
