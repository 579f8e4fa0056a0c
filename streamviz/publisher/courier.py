"""Delivers what earlier processes left in spill files, each as the stream that it was.

Law: it has a connection of its own for each stream, since an acknowledgement does not say whose it
is; beside a training it takes a small share of a core, and its own time. A file is removed only
when all of it is acknowledged.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streamviz.clock import monotonic_time, worked_time
from streamviz.errors import DecodeError, StreamvizError
from streamviz.publisher.leftovers import LeftOver, find_left_overs
from streamviz.publisher.transport import NoTransport, Transport
from streamviz.wire.codec import decode_ack, encode
from streamviz.wire.delivery import Outgoing
from streamviz.wire.frames import Gap, Hello
from streamviz.wire.parcels import Parcel

__all__ = ["Backlog", "Delivery", "deliver"]

_log = logging.getLogger("streamviz.publisher")

_HELD_BYTES = 2**20
"""What is in memory of a file at a time: a window."""

_POLL_S = 0.01
_HELLO_AGAIN_S = 2.0
"""How long an answer to a hello is waited for."""
_GOODBYE_S = 1.0
"""How long the acknowledgement of a goodbye is waited for; without it all is delivered too."""

_STUCK_S = 30.0
"""How long a server may take in nothing before a file is left for another time."""

_SHARE = 0.05
"""The part of a core that old files may cost a training that runs."""
_LOOK_S = 0.5
"""How often to look whether a server is there for them."""


@dataclass(slots=True)
class Delivery:
    """What became of a file."""

    frames: int
    """Frames in it."""
    known: int | None = None
    """Numbers among theirs that the server had before; ``None`` if it never said."""
    left_rows: int = 0
    """Rows that are not acknowledged."""
    fault: str = ""
    """Why there are any, in words."""
    was_connected: bool = False

    @property
    def is_done(self) -> bool:
        """Whether all of it is acknowledged."""
        return not self.fault


class Backlog:
    """A thread that delivers the left-over files of one rank while the training goes on."""

    def __init__(
        self,
        directory: Path,
        run: str,
        rank: int,
        connect: Callable[[], Transport],
        is_server_there: Callable[[], bool],
    ) -> None:
        """Do nothing yet.

        Args:
            directory: Where spill files lie.
            run: Whose are to be delivered.
            rank: Likewise.
            connect: Makes a connection; may raise ``NoTransport``.
            is_server_there: Says whether it is worth a try.
        """
        self._directory = directory
        self._rank = (run, rank)
        self._connect = connect
        self._is_server_there = is_server_there
        self._stop = threading.Event()
        self._worked_s = 0.0
        self._thread = threading.Thread(target=self._run, name="streamviz-courier", daemon=True)

    def start(self) -> None:
        """Look for files, and start the thread if there are any; say nothing if that fails."""
        try:
            if find_left_overs(self._directory, *self._rank):
                self._thread.start()
        except (OSError, RuntimeError):
            # No such directory yet, or no thread left: the files stay for the next start.
            return

    def stop(self, timeout_s: float) -> None:
        """End soon; what is not delivered stays for the next start.

        Args:
            timeout_s: Seconds to wait at most.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._is_server_there():
                if self._stop.wait(_LOOK_S):
                    return
            for path in find_left_overs(self._directory, *self._rank):
                if self._stop.is_set():
                    return
                self._deliver(path)
        except Exception:  # noqa: BLE001
            # Promise 1: whatever goes wrong here must not reach the training.
            _log.exception("left-over spill files in %s are left where they are", self._directory)

    def _deliver(self, path: Path) -> None:
        try:
            left_over = LeftOver.claim(path, self._breathe)
        except (OSError, StreamvizError) as error:
            _log.info("streamviz: %s is left where it is: %s", path, error)
            return
        if left_over is None:
            return
        try:
            hello = left_over.hello
            if hello is not None and (hello.run, hello.rank) != self._rank:
                return
            if (
                hello is None
                or deliver(left_over, self._connect, self._stop, self._breathe).is_done
            ):
                left_over.remove()
        except NoTransport as error:
            _log.info("streamviz: %s is left where it is: %s", path, error)
        finally:
            left_over.close()

    def _breathe(self) -> None:
        """Rest for as long as the share of a core asks for the work done since the last rest."""
        worked_s = worked_time()
        self._stop.wait((worked_s - self._worked_s) * (1 / _SHARE - 1))
        self._worked_s = worked_s


def deliver(
    left_over: LeftOver,
    connect: Callable[[], Transport],
    stop: threading.Event,
    breathe: Callable[[], None] = lambda: None,
    patience_s: float = _STUCK_S,
) -> Delivery:
    """Deliver a file's stream until the server has all of it.

    Args:
        left_over: The file; it must have a hello.
        connect: Makes a connection for it alone.
        stop: Ends it early.
        breathe: Called after each round of frames.
        patience_s: Seconds without progress after which it is given up.

    Raises:
        NoTransport: No connection can be made from this process.
    """
    transport = connect()
    try:
        return _Errand(left_over, transport, stop, breathe, patience_s).run()
    finally:
        transport.close(0.2)


class _Errand:
    """One file on its way."""

    def __init__(
        self,
        left_over: LeftOver,
        transport: Transport,
        stop: threading.Event,
        breathe: Callable[[], None],
        patience_s: float,
    ) -> None:
        assert left_over.hello is not None  # noqa: S101 - the caller has seen it
        self._left_over = left_over
        self._hello: Hello = left_over.hello
        self._transport = transport
        self._stop = stop
        self._breathe = breathe
        self._patience_s = patience_s
        self._out = Outgoing(_HELD_BYTES, left_over)
        base = (self._hello.base_seq, self._hello.base_row, self._hello.base_span)
        self._out.resume(base, left_over.end_seq, left_over.end_row)
        self._delivery = Delivery(left_over.frames)
        self._greeted_at: float | None = None
        self._announced = 0
        self._was_answered = False
        self._complaint = ""

    def run(self) -> Delivery:
        """Deliver it."""
        progress_at = monotonic_time()
        while True:
            now = monotonic_time()
            before = self._out.base_seq
            self._listen(now)
            if self._out.base_seq != before:
                progress_at = now
            if self._was_answered and self._out.is_empty:
                break
            if self._stop.is_set() or now - progress_at > self._patience_s:
                return self._given_up()
            if self._send(now):
                self._breathe()
            if self._out.lost_rows:
                return self._given_up("it cannot be read any more")
            self._transport.wait(_POLL_S)
        self._say_goodbye()
        return self._delivery

    def _listen(self, now: float) -> None:
        if self._transport.connections():
            self._delivery.was_connected = True
            self._out.connected()
            self._was_answered = False
        if (complaint := self._transport.complaint()) is not None:
            self._complaint = complaint[1]
        while (data := self._transport.receive()) is not None:
            try:
                ack = decode_ack(data)
            except DecodeError as error:
                self._complaint = f"the server answered: {error}"
                continue
            if not self._was_answered:
                # Frames that the server had before anything was sent.
                self._was_answered = True
                if self._delivery.known is None:
                    end = min(ack.next_seq, self._out.next_seq)
                    self._delivery.known = max(end - self._hello.base_seq, 0)
            self._out.acknowledged(ack, now)
        self._out.tick(now)
        if self._out.needs_hello:
            self._greeted_at = None

    def _send(self, now: float) -> bool:
        """Send what may be sent; say whether there was anything."""
        out, transport = self._out, self._transport
        is_unanswered = not self._was_answered and self._greeted_at is not None
        if is_unanswered and now - (self._greeted_at or now) > _HELLO_AGAIN_S:
            out.needs_hello = True
        if out.needs_hello:
            hello = self._hello._replace(
                base_seq=out.base_seq, base_row=out.base_row, base_span=out.base_span
            )
            if not transport.send(encode(hello)):
                return False
            out.needs_hello = False
            self._greeted_at, self._announced = now, 0
        announcements = self._left_over.announcements
        while self._announced < len(announcements):
            if not transport.send(announcements[self._announced]):
                return False
            self._announced += 1
        if not self._was_answered:
            # What the server has already need not be sent; its answer tells.
            return False
        sent = False
        while not out.lost_rows and (parcel := out.peek()) is not None:
            if out.lost_rows or not transport.send(self._bytes_of(parcel)):
                break
            out.sent(now)
            sent = True
        return sent

    def _bytes_of(self, parcel: Parcel) -> bytes:
        if parcel.data is not None:
            return parcel.data
        hello = self._hello
        rows = parcel.row, parcel.end_row
        times = hello.wall, hello.mono
        return encode(
            Gap(
                hello.stream,
                parcel.seq,
                *times,
                parcel.last_seq,
                *rows,
                parcel.span,
                parcel.reason,
            )
        )

    def _say_goodbye(self) -> None:
        """Tell how the stream ended, as its process would have."""
        end = monotonic_time() + _GOODBYE_S
        for frame in self._left_over.farewell:
            while not self._transport.send(frame) and monotonic_time() < end:
                self._transport.wait(_POLL_S)
        if self._left_over.bye is None:
            return
        while monotonic_time() < end and not self._stop.is_set():
            if self._transport.receive() is not None:
                return
            self._transport.wait(_POLL_S)

    def _given_up(self, fault: str = "") -> Delivery:
        delivery = self._delivery
        delivery.left_rows = self._out.held_rows
        if self._stop.is_set():
            fault = fault or "stopped"
        elif not delivery.was_connected:
            fault = fault or self._complaint or "no streamviz server is there"
        else:
            fault = fault or self._complaint or "the server does not take it in"
        delivery.fault = fault
        return delivery
