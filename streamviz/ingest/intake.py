"""What becomes of what was accepted: the store has it, the run's log has it, and it is counted.

Law: what is counted as stored is in the store, and what is not stored is drawn as a gap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from streamviz.counters import Counters
from streamviz.ingest.batches import columns_of, count_nonfinite
from streamviz.ingest.recording import Recording
from streamviz.ingest.stream import Stream, Worker
from streamviz.ingest.workers import Workers
from streamviz.store.gaps import Gap
from streamviz.store.store import Store
from streamviz.store.table import Table
from streamviz.wire.delivery import BUFFER_FULL, SPILL_LOST
from streamviz.wire.frames import Batch, Item, Span

__all__ = ["FORMER_SERVER", "UNDELIVERED", "Intake"]

FORMER_SERVER, UNDELIVERED = "former server", "undelivered"
_REFUSED = "refused"
_GAP_REASONS = {FORMER_SERVER, _REFUSED, UNDELIVERED, BUFFER_FULL, SPILL_LOST, "outbox full"}
"""Reasons that are counted by name: what a sender writes is not to grow the counters."""


class Intake:
    """Owner: the collector.

    Attributes:
        tallies: Counts without the counters' lock, which is taken once a burst.
        rows_stored: Rows and items stored so far.
    """

    def __init__(
        self, store: Store, recording: Recording | None, workers: Workers, counters: Counters
    ) -> None:
        """Begin with nothing.

        Args:
            store: Where rows, items and gaps go.
            recording: The journal, ``None`` without one.
            workers: Who learns of progress.
            counters: Where gaps and bad columns are counted.
        """
        self.tallies: defaultdict[str, int] = defaultdict(int)
        self.rows_stored = 0
        self._store = store
        self._recording = recording
        self._workers = workers
        self._counters = counters

    def rows(
        self,
        stream: Stream,
        worker: Worker,
        tables: Sequence[tuple[Table, int | None]],
        batches: Sequence[Batch],
        now: float,
    ) -> None:
        """Take in the rows of a frame.

        Args:
            stream: Whose.
            worker: For whom it speaks.
            tables: Of each batch its table, and the table's number in the run's file.
            batches: The rows.
            now: Wall time, seconds since the epoch.
        """
        stored = 0
        for (table, number), batch in zip(tables, batches, strict=True):
            count = len(batch.steps) // 8
            if not self._store_batch(worker, table, batch):
                self.gap(stream, worker, worker.end(now), count, _REFUSED)
                continue
            stored += count
            if self._recording is not None:
                self._recording.rows(stream, worker, number, batch)
        self._count(worker, stored)

    def item(self, stream: Stream, worker: Worker, item: Item) -> None:
        """Take in an item.

        Args:
            stream: Whose.
            worker: For whom it speaks.
            item: The item.
        """
        about = (item.kind, item.name, item.step, item.time)
        self._store.add_item(worker.run, worker.index, *about, item.body)
        if self._recording is not None:
            self._recording.item(stream, worker, about, item.body)
        self.tallies["items_received_total"] += 1
        self._count(worker, 1)

    def _count(self, worker: Worker, stored: int) -> None:
        self.tallies["rows_received_total"] += stored
        self.rows_stored += stored
        worker.tally.stored += stored

    def _store_batch(self, worker: Worker, table: Table, batch: Batch) -> bool:
        """Write one batch; false if its columns hold what no sender may send."""
        columns = columns_of(batch, len(table.names))
        if columns is None:
            self._counters.add("frames_bad_total", reason="bad column")
            return False
        steps, times, values, last = columns
        self._store.append(table, worker.index, steps, times, values)
        if worker.last_step is None or last > worker.last_step:
            worker.last_step = last
        self.tallies["samples_received_total"] += values.size
        bad = count_nonfinite(values)
        if bad:
            self.tallies["nonfinite_total"] += bad
        return True

    def gap(self, stream: Stream, worker: Worker, span: Span, rows: int, reason: str) -> None:
        """Draw a gap.

        Args:
            stream: Whose rows are missing.
            worker: For whom it speaks.
            span: Where.
            rows: How many.
            reason: Why.
        """
        gap = Gap(*span, rows, reason)
        self._store.add_gap(worker.run, worker.index, gap)
        if self._recording is not None:
            self._recording.gap(stream, worker, gap)
        worker.tally.missing += rows
        counted = reason if reason in _GAP_REASONS else "other"
        self._counters.add("gaps_total", reason=counted)
        self._counters.add("gap_rows_total", rows, reason=counted)
        self._workers.advanced(worker)
