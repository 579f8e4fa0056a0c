"""The one thread of a publisher: takes rows from the outbox, makes frames, sees them delivered.

Law: it waits on nothing that the training needs, and nothing it does can raise into the training.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

from streamviz.clock import monotonic_time, wall_time
from streamviz.errors import DecodeError
from streamviz.publisher.framer import Framer, ItemLoad, Load, is_ready
from streamviz.publisher.nowhere import Nowhere
from streamviz.publisher.outbox import Outbox, Row
from streamviz.publisher.spill import SpillFile
from streamviz.publisher.transport import Transport
from streamviz.wire.codec import decode_ack, encode
from streamviz.wire.delivery import Outgoing, Parcel
from streamviz.wire.frames import Bye, Frame, Gap, Heartbeat, Hello, Schema, Span

__all__ = ["Sender", "Ticket"]

_log = logging.getLogger("streamviz.publisher")

HEARTBEAT_S = 1.0
LISTEN_S = 0.1
"""How often to look for acknowledgements and new connections while nothing waits for them. What
is sent before a new connection is seen may reach a server that wants an earlier frame, which leaves
it aside and gets it again."""
NO_SERVER_WARNING_S = 5.0
"""How long no server may be found before that is said, once."""

_DRAIN_POLL_S, _UNHURRIED_POLL_S = 0.005, 0.05
_NEVER_CONNECTED_S = 0.5
"""How long the end of a process waits for a server that was never there."""
_BYE_LINGER_S = 0.2
_FORMER_S, _UNANSWERED_S = 1.0, 10.0
"""How long a new attempt lets the one before it go first, so that the server numbers them in their
order: until that has ended, or so long if it was answered, or if it was not."""
_SPILL_S, _SPILL_SHARE = 0.8, 0.4
"""How much of the time to end in is kept for writing to disk what no server took: a full buffer at
80 MB/s, and at most this part of the whole."""


_STEPLESS_S = 5.0
"""How long an item that was sent before the first row waits for that to tell it its step; then it
is 0."""


@dataclass(slots=True)
class Ticket:
    """Somebody waits until everything sent before it is acknowledged."""

    done: threading.Event
    row: int | None = None
    """The row that must be acknowledged, once it is known."""


@dataclass(frozen=True, slots=True)
class _Closing:
    """When and how to end."""

    deliver_until: float
    """Monotonic time until which the server is waited for."""
    deadline: float
    """Monotonic time by which everything is let go of; infinite if there is no hurry."""
    how: str


class Sender:
    """Owns the transport and the publisher's end of the delivery protocol.

    Attributes:
        ended: Set when the thread is through.
        was_connected: Whether a server was ever there.
        was_answered: Whether one has answered.
        is_for_file: Whether everything goes to the spill file.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        transport: Transport | None,
        outgoing: Outgoing,
        hello: Callable[[int, int, Span | None], Hello],
        heartbeat: Callable[[int, int], Heartbeat],
        refuse: Callable[[str, str, int], None],
        warn: Callable[[str, str], None],
        flush_ms: int,
        endpoint: str,
        spill: SpillFile | None = None,
        former: Sender | None = None,
    ) -> None:
        """Make the thread ready.

        Args:
            outbox: Where rows come from.
            transport: Where frames go; ``None``: to the spill file, all of them.
            outgoing: The state of delivery.
            hello: Gives the stream's hello for what was acknowledged so far.
            heartbeat: Gives the totals for the rows sent and the rows held.
            refuse: Called with a reason, a metric's name and a number of values.
            warn: Called with a cause and a sentence.
            flush_ms: The pace until a server names one.
            endpoint: The server's address, to be named.
            spill: The shelf of ``outgoing``.
            former: The sender of the attempt before, which is to be known to the server first.
        """
        self.ended = threading.Event()
        self._outbox = outbox
        self.is_for_file = transport is None
        self._transport: Transport = transport or Nowhere()
        self._spill = spill
        self._out = outgoing
        self._framer = Framer(refuse)
        if spill is not None:
            spill.schemas = self._framer.schemas
        self._hello = hello
        self._heartbeat = heartbeat
        self._warn = warn
        self._flush_ms = flush_ms
        self._endpoint = endpoint
        self._stream = hello(0, 0, None).stream
        self._announced: set[int] = set()
        self._unready: Row | None = None
        self._tickets: list[Ticket] = []
        self._lock = threading.Lock()
        self._closing: _Closing | None = None
        self._started_at = self._stepless_since = monotonic_time()
        self._heartbeat_at = 0.0
        self._listened_at = 0.0
        self._waits = True
        self.was_connected = False
        self.was_answered = False
        self._former = former
        self._connected_at = 0.0
        self._refused = False

    @property
    def unready_rows(self) -> int:
        """Rows taken from the outbox that wait for a device, and items that wait for a step."""
        return int(self._unready is not None) + len(self._framer.stepless)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: There can be no more threads.
        """
        threading.Thread(target=self._run, name="streamviz-sender", daemon=True).start()

    def end_here(self) -> None:
        """Do in the caller's thread what is left to do, where none could be started."""
        self._run()

    def ask(self) -> Ticket:
        """Ask to be told when everything put into the outbox so far is acknowledged."""
        ticket = Ticket(threading.Event())
        with self._lock:
            self._tickets = [*self._tickets, ticket]
        self._outbox.bell.ring()
        return ticket

    def close(self, deadline: float, how: str) -> None:
        """Ask the thread to end, or to end sooner.

        Args:
            deadline: Monotonic time by which it has let go of everything; infinite: when all is
                delivered.
            how: What the goodbye says, unless that was said before.
        """
        deliver_until = deadline
        if self._spill is not None and deadline < math.inf:
            left_s = max(deadline - monotonic_time(), 0.0)
            deliver_until -= min(_SPILL_S, _SPILL_SHARE * left_s)
        if self._closing is not None:
            how = self._closing.how
        self._closing = _Closing(deliver_until, deadline, how)
        self._outbox.bell.ring()

    def _run(self) -> None:
        try:
            while self._closing is None:
                self._pause()
                self._turn(monotonic_time())
            self._drain()
        except Exception:  # noqa: BLE001
            # Promise 1: whatever goes wrong here must not reach the training; it is told once.
            _log.exception("the streamviz sender stopped; this process is no longer shown")
        finally:
            self.ended.set()

    def _pause(self) -> None:
        if self._tickets and not self.is_for_file:
            self._transport.wait(_DRAIN_POLL_S)
        else:
            self._outbox.bell.wait((self._out.flush_ms or self._flush_ms) / 1000)

    def _turn(self, now: float) -> None:
        tickets = self._tickets
        self._gather()
        self._settle(now)
        for load in self._framer.take():
            self._hold(load)
        if self.is_for_file:
            self._out.shelve()
        if tickets and self._unready is None:
            for ticket in tickets:
                if ticket.row is None:
                    ticket.row = self._out.next_row
        if self._waits or tickets or now - self._listened_at >= LISTEN_S:
            self._listened_at = now
            self._listen(now)
        if now - self._heartbeat_at >= HEARTBEAT_S:
            self._heartbeat_at = now
            self._beat()
        self._deliver(now)
        if tickets:
            self._answer()

    def _gather(self) -> None:
        """Take rows from the outbox until it is empty or a device value is not there yet."""
        self._outbox.calm()
        lost = self._outbox.take_lost()
        if lost is not None:
            self._out.add_gap(lost.rows, lost.span, "outbox full")
            self._warn("outbox full", "rows were sent faster than they could be framed")
        if self._unready is not None:
            if not is_ready(self._unready):
                return
            step, time, metrics, _ = self._unready
            self._unready = None
            self._framer.settle(step)
            self._framer.add(step, time, metrics)
        # Rows that come while we are here are the next turn's: a loop that only sends must not
        # keep this one from delivering.
        rows = self._outbox.rows
        self._unready = self._framer.gather(rows, len(rows))

    def _settle(self, now: float) -> None:
        """Let items go that have waited for a row, and its step, for long enough."""
        if not self._framer.stepless:
            self._stepless_since = now
        elif self._tickets or self._closing or now - self._stepless_since >= _STEPLESS_S:
            self._framer.settle(0)

    def _hold(self, load: Load | ItemLoad) -> None:
        wall, mono = wall_time(), monotonic_time()

        def make(seq: int, row: int) -> bytes:
            return encode(load.frame(self._stream, seq, row, wall, mono))

        dropped = self._out.dropped_rows
        self._out.add(make, load.rows, load.span)
        if self._out.dropped_rows > dropped and self._spill is None:
            self._warn("buffer full", "the server has been away or slow for too long")

    def _listen(self, now: float) -> None:
        if self._transport.connections():
            if not self.was_connected:
                self.was_connected, self._connected_at = True, now
            self._out.connected()
        if (complaint := self._transport.complaint()) is not None:
            self._refused = True
            self._warn(*complaint)
        while (data := self._transport.receive()) is not None:
            try:
                self._out.acknowledged(decode_ack(data), now)
                self.was_answered = True
            except DecodeError as error:
                self._warn("bad answer", f"the server at {self._endpoint} answered: {error}")
        self._out.tick(now)
        alone = not self.was_connected and not self._refused and not self.is_for_file
        if alone and now - self._started_at > NO_SERVER_WARNING_S:
            self._warn(
                "no server",
                f"no streamviz server at {self._endpoint}; training goes on, and what is sent is "
                "kept for it. Start one with: streamviz serve",
            )

    def _greet(self) -> bool:
        if not self._out.needs_hello:
            return True
        if not self._is_next():
            return False
        hello = self._hello(self._out.base_seq, self._out.base_row, self._out.base_span)
        if not self._transport.send(encode(hello)):
            return False
        self._out.needs_hello = False
        self._announced.clear()
        return True

    def _is_next(self) -> bool:
        """Say whether the attempt before has come first, or has had its time."""
        former = self._former
        if former is not None and not former.ended.is_set():
            since_s = monotonic_time() - self._connected_at
            patience_s = _FORMER_S if former.was_answered else _UNANSWERED_S
            if not self.was_connected or since_s < patience_s:
                return False
        self._former = None
        return True

    def _beat(self) -> None:
        if self._greet():
            waiting = len(self._outbox.rows) + self.unready_rows
            beat = self._heartbeat(self._out.next_row + waiting, self._out.held_rows + waiting)
            self._transport.send(encode(beat))

    def _deliver(self, now: float) -> None:
        """Send what may be sent; remember whether more waits for the server's word."""
        self._waits = True
        if not self._greet() or not self._announce():
            return
        while (parcel := self._out.peek()) is not None:
            data = parcel.data if parcel.data is not None else encode(self._gap(parcel))
            if not self._transport.send(data):
                return
            self._out.sent(now)
        self._waits = self._out.has_waiting

    def _announce(self) -> bool:
        if len(self._announced) == len(self._framer.schemas):
            return True
        for schema, names in enumerate(self._framer.schemas):
            if schema in self._announced:
                continue
            frame: Frame = Schema(self._stream, wall_time(), monotonic_time(), schema, names)
            if not self._transport.send(encode(frame)):
                return False
            self._announced.add(schema)
        return True

    def _gap(self, parcel: Parcel) -> Gap:
        return Gap(
            self._stream,
            parcel.seq,
            wall_time(),
            monotonic_time(),
            parcel.last_seq,
            parcel.row,
            parcel.end_row,
            parcel.span,
            parcel.reason,
        )

    def _answer(self) -> None:
        safe_row = self._out.shelved_row if self.is_for_file else self._out.base_row
        with self._lock:
            waiting = self._tickets
            self._tickets = [
                ticket for ticket in waiting if ticket.row is None or safe_row < ticket.row
            ]
        for ticket in waiting:
            if ticket.row is not None and safe_row >= ticket.row:
                ticket.done.set()

    def _drain(self) -> None:
        """Deliver what is left until it is acknowledged or time is up, then say goodbye."""
        while (closing := self._closing) is not None:
            now = monotonic_time()
            self._waits = True
            self._turn(now)
            if self._is_through() or now >= self._give_up_at(closing):
                break
            hurried = closing.deadline < math.inf
            self._transport.wait(_DRAIN_POLL_S if hurried else _UNHURRIED_POLL_S)
        assert closing is not None  # noqa: S101 - it is asked to end only once it is closing
        left = self._out.held_rows + self.unready_rows + len(self._outbox.rows)
        bye = Bye(self._stream, wall_time(), monotonic_time(), self._out.next_seq, closing.how)
        # A goodbye tells the server that nothing more will come; what lies in a file will.
        if not left or not self._keep(left, bye):
            self._tell_undelivered(left)
            self._beat()
            self._transport.send(encode(bye))
        left_s = closing.deadline - monotonic_time()
        self._transport.close(max(min(_BYE_LINGER_S, left_s), 0.0))

    def _is_through(self) -> bool:
        is_safe = self._out.is_empty or self.is_for_file
        return is_safe and self._unready is None and not self._outbox.rows

    def _give_up_at(self, closing: _Closing) -> float:
        if self.was_connected or closing.deadline == math.inf:
            return closing.deliver_until
        return min(closing.deliver_until, self._started_at + _NEVER_CONNECTED_S)

    def _keep(self, left: int, bye: Bye) -> bool:
        """Write what no server took to the spill file; say if it is to be found there.

        Args:
            left: Rows that are not acknowledged.
            bye: How the stream ends.
        """
        spill, out = self._spill, self._out
        if spill is None:
            return False
        spill.prepare_end()
        is_whole = out.shelve_or_give_up()
        kept = out.spilled_rows
        if not kept:
            spill.remove()
            return False
        self._beat()
        waiting = len(self._outbox.rows) + self.unready_rows
        beat = self._heartbeat(out.next_row + waiting, out.held_rows + waiting)
        if not is_whole:
            spill.leave()
        elif not spill.finish(beat, bye):
            return False
        words = (
            f"{_rows(kept)} sent to {spill.path}; deliver with: streamviz sync {spill.path.parent}"
        )
        if kept < left:
            words = f"{_rows(left - kept)} lost, as the disk took no more; {words}"
        if self.is_for_file and kept == left:
            _log.info("streamviz: %s", words)
        else:
            self._warn("spilled", words)
        return True

    def _tell_undelivered(self, left: int) -> None:
        if self._spill is not None:
            self._spill.remove()
        if not left:
            return
        if self.is_for_file:
            self._warn("undelivered", f"{_rows(left)} lost, as no spill file could be written")
        elif not self.was_connected and not self._refused:
            # Said before, if the process lived long enough to wonder.
            self._warn(
                "no server", f"no streamviz server at {self._endpoint}; {_rows(left)} not sent"
            )
        else:
            self._warn("undelivered", f"{_rows(left)} not acknowledged before the process ended")


def _rows(count: int) -> str:
    return "1 row was" if count == 1 else f"{count} rows were"
