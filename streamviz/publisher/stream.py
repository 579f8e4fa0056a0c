"""One stream of a process: its name, its rows on their way, and the thread that works on them.

Law: what belongs to one stream is made together and let go of together; a fork or a new attempt
gets another, and shares nothing with the one before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from streamviz import __version__
from streamviz.clock import monotonic_time, wall_time
from streamviz.config import PublisherConfig
from streamviz.publisher.identity import Identity
from streamviz.publisher.outbox import Outbox
from streamviz.publisher.sender import Sender
from streamviz.publisher.spill import SpillFile
from streamviz.publisher.transport import NoTransport, Transport
from streamviz.wire.delivery import BUFFER_FULL, SPILL_LOST, Outgoing
from streamviz.wire.frames import STREAM_ID_BYTES, Heartbeat, Hello, Span
from streamviz.wire.names import name_fault

__all__ = ["Origin", "Report", "Stream", "Totals"]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a publisher has counted so far."""

    sent: int
    """Rows handed over that had anything usable in them."""
    held: int
    """Rows among them that no server has acknowledged yet."""
    dropped: Mapping[str, int]
    """Rows given up, by reason; each is drawn as a gap once a server is there."""
    refused: Mapping[str, int]
    """Values that could not be used, by reason."""
    spilled: int = 0
    """Rows among the held that lie in spill files."""

    def plus(self, other: Totals) -> Totals:
        """Return the sum of two streams; what was refused is the process's and counted once."""
        reasons = {**self.dropped, **other.dropped}
        dropped = {
            reason: self.dropped.get(reason, 0) + other.dropped.get(reason, 0) for reason in reasons
        }
        return replace(
            self,
            sent=self.sent + other.sent,
            held=self.held + other.held,
            dropped=dropped,
            spilled=self.spilled + other.spilled,
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """Who a stream speaks for, as its hello says."""

    run: str
    identity: Identity
    parent: bytes | None
    """The stream of the process that this one was forked from."""
    hyperparameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Report:
    """What a heartbeat tells besides the stream's own counts."""

    refused: Mapping[str, int]
    last_step: int | None
    phase: str | None
    phase_s: float


class Stream:
    """The rows of one attempt in one process.

    Attributes:
        name: Its id on the wire.
        outbox: Where the training threads put rows.
        outgoing: The state of delivery.
        spill: The file for what memory has no room for, ``None`` if none is wanted.
        sender: Who delivers; ``None`` before :meth:`start` and when nobody can.
        lacks_thread: Whether the sender has no thread yet, as there could be no more.
    """

    def __init__(
        self,
        config: PublisherConfig,
        origin: Origin,
        report: Callable[[], Report],
        warn: Callable[[str, str], None],
    ) -> None:
        """Make one; nothing is connected, written or started.

        Args:
            config: The publisher's settings.
            origin: Whom it speaks for.
            report: Called for each heartbeat.
            warn: Called with a cause and a sentence.
        """
        self.name = os.urandom(STREAM_ID_BYTES)
        self._config = config
        self._origin = origin
        self._report = report
        self._warn = warn
        self.outbox = Outbox(config.outbox_rows)
        self.spill: SpillFile | None = None
        if config.spill_dir is not None and config.mode != "off":
            directory = Path(config.spill_dir).expanduser().absolute()
            self.spill = SpillFile(directory, config.spill_bytes, self.hello, warn)
        self.outgoing = Outgoing(config.buffer_bytes, self.spill)
        self.sender: Sender | None = None
        self.lacks_thread = False
        self._former: Sender | None = None

    def start(
        self,
        connect: Callable[[], Transport] | None,
        refuse: Callable[[str, str, int], None],
        former: Stream | None = None,
    ) -> str:
        """Start delivering: to a server, or else to the spill file.

        Args:
            connect: Makes a connection, or raises ``NoTransport``; ``None``: only to the file.
            refuse: Called with a reason, a metric's name and a number of values.
            former: The attempt before, which goes first.

        Returns:
            Why rows go nowhere at all; nothing if they go somewhere, now or at the end.
        """
        transport: Transport | None = None
        self._former = None if former is None else former.sender
        if connect is not None:
            try:
                transport = connect()
                self._work(transport, refuse)
            except (NoTransport, RuntimeError) as error:
                if transport is not None:
                    transport.close(0.0)
                self.sender = None
                return self._turn_to_file(str(error), refuse)
            return ""
        with suppress(RuntimeError):
            self._work(None, refuse)
        return ""

    def start_late(self) -> bool:
        """Try again to start the thread that could not be started; say whether there is one."""
        if self.lacks_thread and self.sender is not None:
            try:
                self.sender.start()
            except RuntimeError:
                return False
            self.lacks_thread = False
        return True

    def _turn_to_file(self, error: str, refuse: Callable[[str, str, int], None]) -> str:
        message = f"no connection can be made ({error}); training goes on, but"
        # Now, while there is a descriptor for it.
        if self.spill is None or not self.spill.open():
            message = f"{message} this process is not shown. Raise ulimit -n or -u"
            self._warn("no connection", message)
            return message
        self._warn("no connection", f"{message} what it sends goes to {self.spill.path}")
        with suppress(RuntimeError):
            self._work(None, refuse)
        return ""

    def _work(self, transport: Transport | None, refuse: Callable[[str, str, int], None]) -> None:
        self.sender = Sender(
            outbox=self.outbox,
            transport=transport,
            outgoing=self.outgoing,
            hello=self.hello,
            heartbeat=self.heartbeat,
            refuse=refuse,
            warn=self._warn,
            flush_ms=self._config.flush_ms,
            endpoint=self._config.endpoint,
            spill=self.spill,
            former=self._former,
        )
        self._former = None
        self.lacks_thread = True
        self.sender.start()
        self.lacks_thread = False

    def close(self, deadline: float, how: str) -> None:
        """Ask it to end; see :meth:`~streamviz.publisher.sender.Sender.close`."""
        if self.sender is None:
            return
        self.sender.close(deadline, how)
        if self.lacks_thread:
            self.lacks_thread = False
            self.sender.end_here()

    def wait(self, timeout_s: float) -> None:
        """Wait for its end, at most ``timeout_s`` seconds."""
        if self.sender is not None:
            self.sender.ended.wait(max(timeout_s, 0.0))

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will be delivered."""
        return self.sender is None or self.sender.ended.is_set()

    @property
    def is_safe(self) -> bool:
        """Whether all that was sent is acknowledged, or in the file where that is meant."""
        totals = self.totals()
        to_file = self.sender is not None and self.sender.is_for_file
        return totals.held == (totals.spilled if to_file else 0)

    def totals(self) -> Totals:
        """Return its counts; what was refused is not among them."""
        out = self.outgoing
        waiting = len(self.outbox.rows) + (self.sender.unready_rows if self.sender else 0)
        dropped = {
            "outbox full": self.outbox.lost_rows,
            BUFFER_FULL: out.dropped_rows,
            SPILL_LOST: out.lost_rows,
        }
        return Totals(
            sent=out.next_row + waiting,
            held=out.held_rows + waiting,
            dropped={reason: rows for reason, rows in dropped.items() if rows},
            refused={},
            spilled=out.spilled_rows,
        )

    def hello(self, base_seq: int, base_row: int, base_span: Span | None) -> Hello:
        """Return its greeting.

        Args:
            base_seq: The oldest frame still held.
            base_row: Rows in all frames before it.
            base_span: Where those rows lie.
        """
        origin, identity = self._origin, self._origin.identity
        return Hello(
            stream=self.name,
            wall=wall_time(),
            mono=monotonic_time(),
            base_seq=base_seq,
            base_row=base_row,
            base_span=base_span,
            run=origin.run,
            rank=identity.rank,
            world_size=identity.world_size,
            local_rank=identity.local_rank,
            host=identity.host,
            pid=os.getpid(),
            attempt=identity.attempt,
            parent=origin.parent,
            library=__version__,
            config=origin.hyperparameters,
        )

    def heartbeat(self, sent: int, held: int) -> Heartbeat:
        """Return its totals.

        Args:
            sent: Rows handed over.
            held: Rows not acknowledged.
        """
        report = self._report()
        return Heartbeat(
            stream=self.name,
            wall=wall_time(),
            mono=monotonic_time(),
            sent=sent,
            held=held,
            spilled=self.outgoing.spilled_rows,
            dropped=self.totals().dropped,
            refused={
                reason: n for reason, n in report.refused.items() if name_fault(reason) is None
            },
            last_step=report.last_step,
            phase=report.phase if name_fault(report.phase) is None else None,
            phase_s=report.phase_s,
        )
