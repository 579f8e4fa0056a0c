"""One recorded worker as a live stream: hello, schemas, rows, heartbeats, gaps and bye.

Law: it takes rows only while none waits, so that what it holds is bounded by the server's window;
nothing is ever given up to make room.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from streamviz.clock import monotonic_time, wall_time
from streamviz.errors import DecodeError
from streamviz.publisher.framer import FRAME_BYTES
from streamviz.publisher.past import FloatArray, Kept, Missing, PastWorker, Piece, Reader, Rows
from streamviz.publisher.transport import Transport
from streamviz.wire.codec import MAX_BATCHES, MAX_TOTALS, decode_ack, encode
from streamviz.wire.delivery import Outgoing, Parcel
from streamviz.wire.frames import (
    Batch,
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

__all__ = ["GIVE_UP_S", "Line"]

HEARTBEAT_S = 1.0

GIVE_UP_S = 60.0
"""Seconds without an acknowledgement after which what is under way counts as undelivered: longer
than a server takes to restart, or to get room on its disk back by retrying."""

_BYE_LINGER_S = 0.5
"""How long ZeroMQ may go on sending a goodbye while we close."""

_NEVER_FULL = sys.maxsize
"""What is held is bounded by what is taken in, so nothing has to make room."""


class Line:
    """Speaks for one recorded worker. Owner: the thread of the replay.

    Attributes:
        worker: Whom it speaks for.
        is_open: It has a connection and rows to send or to be acknowledged.
        is_over: It has been closed.
        faults: Why some of it could not be delivered, a sentence each.
    """

    def __init__(
        self,
        worker: PastWorker,
        hello: Hello,
        connect: Callable[[], Transport],
        move: Callable[[FloatArray], FloatArray],
        warn: Callable[[str, str], None],
    ) -> None:
        """Look at its first row; nothing is sent yet.

        Args:
            worker: Whom to speak for.
            hello: What to greet with; sequence, rows and times are filled in.
            connect: Makes a connection of its own.
            move: Turns recorded times into those to send, seconds.
            warn: Told a cause and a sentence.
        """
        self.worker = worker
        self.due = Reader(worker.lanes).due
        """Recorded time at which the next row is due, seconds; infinite after the last."""
        self.is_open = False
        self.is_over = False
        self.faults: list[str] = []
        self._hello = hello
        self._connect = connect
        self._move = move
        self._warn = warn
        self._out = Outgoing(_NEVER_FULL)
        self._schemas: dict[tuple[str, ...], int] = {}
        self._announced = 0
        self._dropped: Counter[str] = Counter()
        self._last_step: int | None = None
        self._heartbeat_at = 0.0
        self._progress = (0, 0.0)

    @property
    def rows(self) -> int:
        """Rows taken so far, those in gaps included."""
        return self._out.next_row

    @property
    def acknowledged(self) -> int:
        """Rows among them that the server has acknowledged."""
        return self._out.base_row

    @property
    def is_greeted(self) -> bool:
        """Whether the server has answered."""
        return self._out.flush_ms is not None

    @property
    def flush_ms(self) -> int | None:
        """The pace that the server asked for, ``None`` before its first answer."""
        return self._out.flush_ms

    @property
    def held_bytes(self) -> int:
        """Bytes of frames that are not acknowledged."""
        return self._out.held_bytes

    @property
    def is_idle(self) -> bool:
        """Whether it waits for rows, and not for the server."""
        return self.is_greeted and not self._out.has_waiting

    @property
    def is_done(self) -> bool:
        """Whether all of the worker's rows are sent and acknowledged."""
        return self.due == math.inf and self.is_greeted and self._out.is_empty

    def open(self, now: float) -> None:
        """Connect, and read from the first row on.

        Raises:
            NoTransport: No connection can be made.
        """
        self._transport = self._connect()
        self._reader = Reader(self.worker.lanes)
        self._progress = (0, now)
        self.is_open = True

    # -- rows in ---------------------------------------------------------------------------

    def feed(self, until: float) -> None:
        """Take about a frame's worth of the rows that are due.

        Args:
            until: Recorded time up to which rows are due, seconds.
        """
        self._frame(self._reader.take(until, FRAME_BYTES))
        self.due = self._reader.due

    def _frame(self, pieces: Iterable[Piece]) -> None:
        batches: list[Batch] = []
        spans: list[Span] = []
        size = 0
        for piece in pieces:
            if isinstance(piece, Missing):
                self._hold(batches, spans)
                batches, spans, size = [], [], 0
                self._out.add_gap(piece.rows, self._moved_span(piece.span), piece.reason)
                if piece.reason in self._dropped or len(self._dropped) < MAX_TOTALS:
                    self._dropped[piece.reason] += piece.rows
                continue
            if isinstance(piece, Kept):
                self._hold(batches, spans)
                batches, spans, size = [], [], 0
                self._hold_item(piece)
                continue
            width = 16 + 8 * len(piece.names)
            most = max(FRAME_BYTES // width, 1)
            for start in range(0, piece.steps.size, most):
                batch, span = self._batch(piece, slice(start, start + most))
                batches.append(batch)
                spans.append(span)
                size += width * min(most, piece.steps.size - start)
                if size >= FRAME_BYTES or len(batches) >= MAX_BATCHES // 4:
                    self._hold(batches, spans)
                    batches, spans, size = [], [], 0
        self._hold(batches, spans)

    def _batch(self, rows: Rows, part: slice) -> tuple[Batch, Span]:
        schema = self._schemas.setdefault(rows.names, len(self._schemas))
        steps, times = rows.steps[part], self._move(rows.times[part])
        self._last_step = int(steps[-1])
        span = Span(int(steps.min()), int(steps.max()), float(times.min()), float(times.max()))
        columns = (
            steps.astype("<i8", copy=False),
            times.astype("<f8", copy=False),
            rows.values[part].astype("<f8", copy=False),
        )
        return Batch(schema, *(column.tobytes() for column in columns)), span

    def _moved_span(self, span: Span) -> Span:
        first, last = self._move(np.array([span.first_time, span.last_time]))
        return span._replace(first_time=float(first), last_time=float(last))

    def _hold(self, batches: list[Batch], spans: list[Span]) -> None:
        if not batches:
            return
        span = spans[0]
        for other in spans[1:]:
            span = span.union(other)
        rows = sum(len(batch.steps) // 8 for batch in batches)

        def make(seq: int, row: int) -> bytes:
            return encode(
                Samples(self._hello.stream, seq, *_clock(), row, tuple(batches), rows),
            )

        self._out.add(make, rows, span)

    def _hold_item(self, item: Kept) -> None:
        time = float(self._move(np.array([item.time]))[0])

        def make(seq: int, row: int) -> bytes:
            wall, mono = _clock()
            stream, kind, name = self._hello.stream, item.kind, item.name
            return encode(
                Item(stream, seq, wall, mono, row, kind, name, item.step, time, item.body)
            )

        self._out.add(make, 1, Span(item.step, item.step, time, time))

    # -- frames out, acknowledgements in ---------------------------------------------------

    def turn(self, now: float) -> None:
        """Hear what the server says, say what may be said.

        Args:
            now: Monotonic time, seconds.
        """
        self._listen(now)
        if now - self._heartbeat_at >= HEARTBEAT_S:
            self._heartbeat_at = now
            self._beat()
        self._deliver(now)
        if self.is_done and self._say_bye(self.worker.ended):
            self.close()
        elif now - self._progress[1] >= GIVE_UP_S:
            self.give_up(f"nothing was acknowledged for {GIVE_UP_S:.0f} s")

    def _listen(self, now: float) -> None:
        if self._transport.connections():
            self._out.connected()
        complaint = self._transport.complaint()
        if complaint is not None:
            self._warn(*complaint)
        while (data := self._transport.receive()) is not None:
            try:
                self._out.acknowledged(decode_ack(data), now)
            except DecodeError as error:
                self._warn("bad answer", f"the server answered: {error}")
        self._out.tick(now)
        idle = self.is_greeted and self._out.is_empty
        if idle or self._out.base_seq != self._progress[0]:
            self._progress = (self._out.base_seq, now)

    def _greet(self) -> bool:
        if not self._out.needs_hello:
            return True
        wall, mono = _clock()
        hello = self._hello._replace(
            wall=wall,
            mono=mono,
            base_seq=self._out.base_seq,
            base_row=self._out.base_row,
            base_span=self._out.base_span,
        )
        if not self._transport.send(encode(hello)):
            return False
        self._out.needs_hello = False
        self._announced = 0
        return True

    def _announce(self) -> bool:
        for schema, names in list(enumerate(self._schemas))[self._announced :]:
            frame = Schema(self._hello.stream, *_clock(), schema, names)
            if not self._transport.send(encode(frame)):
                return False
            self._announced += 1
        return True

    def _beat(self) -> bool:
        wall, mono = _clock()
        beat = Heartbeat(
            stream=self._hello.stream,
            wall=wall,
            mono=mono,
            sent=self._out.next_row,
            held=self._out.held_rows,
            spilled=0,
            dropped=dict(self._dropped),
            refused={},
            last_step=self._last_step,
            phase=None,
            phase_s=0.0,
        )
        return self._greet() and self._transport.send(encode(beat))

    def _deliver(self, now: float) -> None:
        if not self._greet() or not self._announce():
            return
        while (parcel := self._out.peek()) is not None:
            data = parcel.data if parcel.data is not None else encode(self._gap(parcel))
            if not self._transport.send(data):
                return
            self._out.sent(now)

    def _gap(self, parcel: Parcel) -> Frame:
        return Gap(
            self._hello.stream,
            parcel.seq,
            *_clock(),
            parcel.last_seq,
            parcel.row,
            parcel.end_row,
            parcel.span,
            parcel.reason,
        )

    # -- the end ---------------------------------------------------------------------------

    def give_up(self, why: str) -> None:
        """Let go of what is not acknowledged, without a goodbye."""
        left = self._out.held_rows
        rest = "" if self.due == math.inf else ", and what comes after it was not sent"
        self._fault(f"{why}; {left} rows are undelivered{rest}")
        self.close()

    def stop(self) -> None:
        """Say goodbye before the recording is over."""
        left = self._out.held_rows
        if left:
            self._fault(f"{left} rows were not acknowledged before it was stopped")
        self._say_bye("stopped")
        self.close()

    def _fault(self, what: str) -> None:
        self.faults.append(f"rank {self.worker.rank}, attempt {self.worker.attempt}: {what}")

    def _say_bye(self, how: str | None) -> bool:
        """Say goodbye, if there is anything to say; false if it must be tried again."""
        if how is None:
            return True
        bye = Bye(self._hello.stream, *_clock(), self._out.next_seq, how)
        return self._beat() and self._transport.send(encode(bye))

    def close(self) -> None:
        """Let go of the connection."""
        self._transport.close(_BYE_LINGER_S)
        self.is_open, self.is_over = False, True


def _clock() -> tuple[float, float]:
    return wall_time(), monotonic_time()
