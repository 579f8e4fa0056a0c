"""Frames in, store writes and acknowledgements out.

Law: no socket, no thread, no clock of its own; the same frames in the same order always leave
the same store. Whatever a peer sends, only its own stream can suffer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from streamviz.counters import Counters
from streamviz.errors import BudgetSpent, DecodeError, JournalError, StoreFull
from streamviz.ingest.acknowledger import Acknowledger
from streamviz.ingest.batches import steps_of
from streamviz.ingest.intake import FORMER_SERVER, UNDELIVERED, Intake
from streamviz.ingest.liveness import WorkerEvent, WorkerState
from streamviz.ingest.recording import Recording
from streamviz.ingest.roster import Roster
from streamviz.ingest.stream import Stream, Worker
from streamviz.ingest.workers import Workers, family_of
from streamviz.store.store import Store
from streamviz.wire.codec import decode
from streamviz.wire.delivery import Verdict
from streamviz.wire.frames import (
    Ack,
    Bye,
    Frame,
    Gap,
    Heartbeat,
    Hello,
    Item,
    Samples,
    Schema,
    Span,
)

if TYPE_CHECKING:
    from streamviz.journal.recorder import Recorder

__all__ = ["Collector"]

_log = logging.getLogger("streamviz.ingest")

PRESSED, MUCH_PRESSED, HARD_PRESSED = 0.7, 0.8, 0.9
"""Parts of the process's memory limit from which no new stream is let in, windows are at their
least, and the oldest rows in full resolution go."""

_FORGET_S = 3600.0
"""How long a stream that ended or is gone stays known, for late frames of it."""


class Collector:
    """Decodes frames, keeps delivery in order, writes the store, knows who is alive.

    Owner: the ingest thread. Holds one :class:`Stream` per stream, up to ``max_streams``.

    Attributes:
        recording: The journal, ``None`` when everything is kept in memory only.
        reaches: Sends an acknowledgement, and says whether a connection is still there.
    """

    def __init__(
        self,
        store: Store,
        roster: Roster,
        counters: Counters,
        *,
        epoch: int,
        max_streams: int = 20_000,
        is_watched: Callable[[], bool] = lambda: True,
        recorder: Recorder | None = None,
    ) -> None:
        """Start with nobody known.

        Args:
            store: Where samples go.
            roster: Where snapshots of the workers go.
            counters: Where frames are counted.
            epoch: Random number of this server start.
            max_streams: Streams known at a time; further ones are refused and counted.
            is_watched: Says whether anybody looks at the page.
            recorder: The way to the disk, which acknowledgements then wait for; ``None`` keeps
                everything in memory only.
        """
        self._store = store
        self._counters = counters
        self._max_streams = max_streams
        self._streams: dict[bytes, Stream] = {}
        self._workers = Workers(store, roster, counters, self._is_reached)
        self.reaches: Callable[[bytes, Ack], bool] = lambda _peer, _ack: True
        self.recording = None if recorder is None else Recording(recorder, store, self._workers)
        self._acks = Acknowledger(
            epoch=epoch, streams=lambda: len(self._streams), is_watched=is_watched
        )
        self._pressure = 0.0
        self._intake = Intake(store, self.recording, self._workers, counters)
        self._tallies = self._intake.tallies

    @property
    def rows_stored(self) -> int:
        """Rows and items stored so far."""
        return self._intake.rows_stored

    # -- frames ----------------------------------------------------------------------------

    def receive(self, peer: bytes, data: bytes, now: float) -> None:
        """Take one message.

        Args:
            peer: The socket's name for the connection it came on.
            data: The message.
            now: Wall time of its arrival, seconds since the epoch.
        """
        self._tallies["frames_received_total"] += 1
        self._tallies["bytes_received_total"] += len(data)
        try:
            frame = decode(data)
        except DecodeError as error:
            self._counters.add("frames_bad_total", reason=error.reason)
            return
        try:
            self._take(peer, frame, len(data), now)
        except StoreFull as error:
            # Let go of, the stream is refused again when it next says hello.
            self._streams.pop(frame.stream, None)
            self._acks.due.pop(frame.stream, None)
            self._refuse("memory" if isinstance(error, BudgetSpent) else f"too many {error.what}")
        except JournalError:
            # Its run's file is another version's, or cannot be read just now.
            self._refuse("journal")

    def _take(self, peer: bytes, frame: Frame, size: int, now: float) -> None:
        if type(frame) is Hello:
            self._greet(peer, frame, now)
            return
        stream = self._streams.get(frame.stream)
        if stream is None:
            # Its sender met an earlier server: the new epoch in the answer tells it to say hello.
            self._acks.answer(peer, 0)
            return
        stream.peer = peer
        if type(frame) is Samples:
            self._take_samples(stream, frame, size, now)
        elif type(frame) is Item:
            self._take_item(stream, frame, size, now)
        else:
            self._take_other(stream, frame, now)

    def _take_other(self, stream: Stream, frame: Frame, now: float) -> None:
        if isinstance(frame, Schema):
            table = self._store.open_table(stream.hello.run, frame.names)
            number = None if self.recording is None else self.recording.number(stream, table)
            stream.tables[frame.schema] = table, number
        elif isinstance(frame, Heartbeat):
            self._take_heartbeat(stream, frame, now)
        elif isinstance(frame, Gap):
            self._take_gap(stream, frame, now)
        elif isinstance(frame, Bye):
            self._take_bye(stream, frame, now)

    def _greet(self, peer: bytes, hello: Hello, now: float) -> None:
        stream = self._streams.get(hello.stream)
        if stream is None:
            if len(self._streams) >= self._max_streams:
                self._refuse("too many streams")
                return
            if self._pressure >= PRESSED:
                self._refuse("memory")
                return
            stream = self._open_stream(peer, hello, now)
            if stream.worker is not None and stream.worker.rank != hello.rank:
                self._refuse("another identity")  # than the disk knows it by
                return
            self._streams[hello.stream] = stream
            self._tallies["streams_opened_total"] += 1
        elif family_of(hello) != family_of(stream.hello):
            self._refuse("another identity")
            return
        news = self._workers.note_config(stream, hello)
        if self.recording is not None:
            self.recording.config(hello.run, news)
        # Thousands of ranks say the same configuration: the run keeps it once.
        stream.peer, stream.hello = peer, hello._replace(config={})
        stream.tables.clear()
        incoming, span = stream.incoming, hello.base_span
        if hello.base_seq > incoming.next_seq:
            if hello.base_row > incoming.next_row and span is not None:
                self._speaker(stream, span.first_step, span.last_step, now)
            missing = incoming.hello(hello.base_seq, hello.base_row)
            if missing and span is not None:
                self._draw_gap(stream, span, missing, FORMER_SERVER, now)
            self._mark(stream)
        if stream.speaks_for is not None:
            self._workers.meet(stream.speaks_for, WorkerEvent.HEARTBEAT, now)
        self._acks.answer(peer, stream.committed)
        self._note_changes()

    def _open_stream(self, peer: bytes, hello: Hello, now: float) -> Stream:
        """Return a stream that nobody knows, or that only the disk knows.

        Raises:
            StoreFull: It would be one too many.
            JournalError: Its run's file cannot be used.
        """
        stream = Stream(peer, hello)
        recording = self.recording
        stream.log = None if recording is None else recording.open(hello.run, now)
        recalled = recording is not None and stream.log is not None and recording.recall(stream)
        if not recalled or stream.worker is None:
            stream.worker = self._workers.find(hello, now)
        if recording is not None and stream.log is None:
            recording.begin(stream, now)
        return stream

    def _mark(self, stream: Stream) -> None:
        if self.recording is not None:
            self.recording.mark(stream)

    def _note_changes(self) -> None:
        if self.recording is not None:
            self.recording.settle()
        else:
            self._workers.changed.clear()
            self._workers.placed.clear()

    def _take_samples(self, stream: Stream, frame: Samples, size: int, now: float) -> None:
        try:
            tables = [stream.tables[batch.schema] for batch in frame.batches]
        except KeyError:
            # Its announcement was lost with a connection; it will be announced again.
            self._tallies["frames_ahead_total"] += 1
            return
        worker = self._admit(stream, frame, frame.rows, size, now)
        if worker is not None:
            self._intake.rows(stream, worker, tables, frame.batches, now)

    def _take_item(self, stream: Stream, frame: Item, size: int, now: float) -> None:
        worker = self._admit(stream, frame, 1, size, now)
        if worker is not None:
            self._intake.item(stream, worker, frame)

    def _admit(
        self, stream: Stream, frame: Samples | Item, rows: int, size: int, now: float
    ) -> Worker | None:
        """Judge a numbered frame; return for whom it speaks if it is to be stored."""
        incoming, recording = stream.incoming, self.recording
        if recording is not None and not recording.takes(stream, frame.seq):
            self._tallies["frames_put_off_total"] += 1
            return None
        worker = speaker = stream.speaks_for
        if worker is None and (frame.seq, frame.row) == (incoming.next_seq, incoming.next_row):
            worker = self._speaker(stream, *steps_of(frame), now)
            speaker = stream.speaks_for
        verdict = incoming.samples(frame.seq, frame.row, rows)
        stream.unacknowledged_bytes += size
        if recording is None or verdict is not Verdict.ACCEPT:
            self._acks.due[frame.stream] = stream
        elif stream.unacknowledged_bytes > self._acks.half_window:
            recording.recorder.hurry()
        if verdict is not Verdict.ACCEPT:
            self._leave_aside(stream, verdict)
            return None
        if speaker is not None:
            self._workers.meet(speaker, WorkerEvent.SAMPLES, now)
        return worker

    def _leave_aside(self, stream: Stream, verdict: Verdict) -> None:
        """Count a numbered frame that changed nothing."""
        if verdict is Verdict.DUPLICATE:
            self._tallies["frames_duplicate_total"] += 1
            if stream.worker is not None:
                stream.worker.tally.repeated += 1
        elif verdict is Verdict.AHEAD:
            self._tallies["frames_ahead_total"] += 1
        else:
            self._counters.add("frames_bad_total", reason="row numbers")

    def _take_gap(self, stream: Stream, gap: Gap, now: float) -> None:
        recording = self.recording
        if recording is not None and not recording.takes(stream, gap.seq):
            self._tallies["frames_put_off_total"] += 1
            return
        incoming = stream.incoming
        if gap.seq <= incoming.next_seq <= gap.last_seq and gap.end_row > incoming.next_row:
            self._speaker(stream, gap.span.first_step, gap.span.last_step, now)
        verdict, missing = incoming.gap(gap.seq, gap.last_seq, gap.end_row)
        if recording is None or verdict is not Verdict.ACCEPT:
            self._acks.due[gap.stream] = stream
        if verdict is Verdict.ACCEPT:
            if missing:
                self._draw_gap(stream, gap.span, missing, gap.reason, now)
            self._mark(stream)
        elif verdict is Verdict.AHEAD:
            self._tallies["frames_ahead_total"] += 1
        elif verdict is Verdict.BROKEN:
            self._counters.add("frames_bad_total", reason="row numbers")

    def _speaker(self, stream: Stream, first: int, last: int, now: float) -> Worker:
        """Return the worker that rows from one step to another are of.

        Ask before the stream's marks move.

        Raises:
            StoreFull: It would be one too many.
        """
        worker = stream.speaks_for
        if worker is None:
            worker = self._workers.decide(stream, first, last, now)
            self._note_changes()
        return worker

    def _is_reached(self, worker: Worker) -> bool:
        """Say whether the process that a worker is has its connection still."""
        stream = self._streams.get(worker.hello.stream)
        return stream is None or self.reaches(stream.peer, self._acks.ack(stream.committed))

    def _draw_gap(self, stream: Stream, span: Span, rows: int, reason: str, now: float) -> None:
        worker = self._speaker(stream, span.first_step, span.last_step, now)
        self._intake.gap(stream, worker, span, rows, reason)

    def _take_heartbeat(self, stream: Stream, beat: Heartbeat, now: float) -> None:
        stream.sent = beat.sent
        if stream.logged is not None:
            stream.logged.sent = beat.sent
        worker = stream.counts_for
        if worker is None:
            return
        worker.tally.hear(stream.beat, beat)
        stream.beat = beat
        if stream.speaks_for is None:
            return
        if stream.hello.parent is None:
            worker.heartbeat = beat
        self._workers.meet(worker, WorkerEvent.HEARTBEAT, now)

    def _take_bye(self, stream: Stream, bye: Bye, now: float) -> None:
        incoming, worker = stream.incoming, stream.counts_for
        self._acks.answer(stream.peer, stream.committed)
        is_spilled = stream.beat is not None and stream.beat.spilled > 0
        if not is_spilled:
            # Nothing comes after a goodbye: what has not come by now has ended with its process.
            last_seq = max(bye.next_seq, incoming.next_seq) - 1
            end_row = max(stream.sent, incoming.next_row)
            _, missing = incoming.gap(incoming.next_seq, last_seq, end_row)
            if missing and worker is not None:
                self._intake.gap(stream, worker, worker.end(now), missing, UNDELIVERED)
        self._mark(stream)
        if self.recording is not None:
            self.recording.recorder.hurry()
        if worker is not None and stream.beat is not None and not is_spilled:
            stream.beat = worker.tally.let_go(stream.beat)
        # A forked child that ends leaves its rank alive.
        if stream.speaks_for is None or stream.hello.parent is not None:
            return
        self._workers.end(stream.speaks_for, bye.how, now)
        self._note_changes()

    # -- the clock's turn ------------------------------------------------------------------

    def acknowledgements(self, now: float) -> list[tuple[bytes, Ack]]:
        """Return the acknowledgements that are due, with the connections they go to.

        Args:
            now: Monotonic time, seconds.
        """
        if self.recording is not None:
            self._now_due(self.recording.recorder.turn(now))
        # What waited for a commit has been gathered by that.
        acks = self._acks.take(now, gathers=self.recording is None)
        self._tallies["acks_sent_total"] += len(acks)
        return acks

    def _now_due(self, streams: list[bytes]) -> None:
        for name in streams:
            stream = self._streams.get(name)
            if stream is not None:
                self._acks.due[name] = stream

    def last_acknowledgements(self, timeout_s: float) -> list[tuple[bytes, Ack]]:
        """Bring what was taken in to the disk, and return all acknowledgements that are due.

        Args:
            timeout_s: Most seconds to wait for the disk.
        """
        if self.recording is not None:
            self._now_due(self.recording.recorder.flush(timeout_s))
        return self._acks.take_all()

    def tick(self, mono: float) -> None:
        """Find out who has fallen silent, and publish how far everybody is.

        Args:
            mono: Monotonic time, seconds: no jump of the wall clock makes anybody silent.
        """
        self._workers.tick(mono)
        self.settle()
        self._forget()

    def settle(self) -> None:
        """Publish the counts, and the runs in which a worker appeared or changed its state.

        Progress within a state is published once a tick.
        """
        for name, amount in self._tallies.items():
            self._counters.add(name, amount)
        self._tallies.clear()
        self._workers.publish()

    def _forget(self) -> None:
        """Let go of streams whose worker has long ended, when there are many."""
        if len(self._streams) < self._max_streams // 2:
            return
        over = (WorkerState.DONE, WorkerState.FAILED, WorkerState.GONE)
        self._streams = {
            name: stream
            for name, stream in self._streams.items()
            if stream.worker is None
            or stream.worker.state not in over
            or self._workers.silence_of(stream.worker) < _FORGET_S
        }
        self._workers.keep_families_of(self._streams.values())

    def press(self, share: float) -> None:
        """Give way while this process takes nearly all that it may.

        Args:
            share: What it takes, as a part of what it may.
        """
        if share >= PRESSED > self._pressure:
            _log.warning(
                "%.0f %% of the memory limit is taken: no new stream is let in", 100 * share
            )
        self._pressure = share
        self._acks.is_short = share >= MUCH_PRESSED
        if share >= HARD_PRESSED:
            self._store.relieve()

    def _refuse(self, reason: str) -> None:
        self._counters.add("streams_refused_total", reason=reason)
