"""Send a recording again, through the same door as live data: a stream for each worker.

Law: every row of the recording is sent once, in its worker's order, bit for bit; no more of it is
held than the server's windows and ``held_bytes`` allow, however long it is.

One thread drives all streams: each has a connection of its own, as the acknowledgements name no
stream, but all connections share one context.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_bytes

from streamviz.clock import monotonic_time, wall_time
from streamviz.publisher.facts import with_facts
from streamviz.publisher.line import Line
from streamviz.publisher.past import FloatArray, PastRun, PastWorker
from streamviz.publisher.transport import Transport
from streamviz.wire.frames import STREAM_ID_BYTES, Hello

__all__ = ["HELD_BYTES", "NO_SERVER_S", "Progress", "Replay"]

HELD_BYTES = 64 * 2**20
"""Frames of all streams that may wait for acknowledgements at a time."""

NO_SERVER_S = 10.0
"""Seconds after which a server that was never there is not waited for any longer."""

REPORT_S = 0.5
_STOP_S = 2.0
"""How long a stopped replay waits for the acknowledgements of what is under way."""

_LEAST_SHARE_BYTES = 128 * 1024
"""What each stream may hold however many there are: two frames, so that one can be made while the
other is under way."""

_BURST_S = 0.02
"""How long rows are framed before the next look at what the server says."""

_POLL_S = 0.005
"""How often to look when something waits for the server."""
_FLUSH_MS = 40
"""How long rows are gathered until the server names its own pace."""
_LONGEST_PAUSE_S = 0.05
"""How long a stop may go unnoticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a replay has come."""

    rows: int
    """Rows sent, those in gaps included."""
    acknowledged: int
    total: int | None
    """Rows of the recording, ``None`` if nobody has counted them."""
    workers: int
    """Workers that are being replayed now."""
    held_bytes: int
    """Bytes of frames that are not acknowledged."""


@dataclass(slots=True)
class _Pace:
    """When rows are due, and which times they are sent with.

    Rows keep the intervals between them, divided by the speed. The first row's time is that at
    which the replay starts, so that it looks live; with no pace to keep, the times are moved so
    that the recording ends when the replay starts: as if it had just been live.
    """

    speed: float
    keep_times: bool
    first: float
    """Recorded time of the first row, seconds."""
    last: float
    """Recorded time of the last one."""
    wall: float = field(default_factory=wall_time)
    mono: float = field(default_factory=monotonic_time)

    def due(self, now: float) -> float:
        """Return up to which recorded time rows are due."""
        if self.speed == math.inf:
            return math.inf
        return self.first + (now - self.mono) * self.speed

    def wait_s(self, due: float, now: float) -> float:
        """Return in how many seconds a recorded time is due."""
        return (due - self.first) / self.speed - (now - self.mono)

    def moved(self, times: FloatArray) -> FloatArray:
        """Return the times to send for recorded ones."""
        if self.keep_times:
            return times
        if self.speed == math.inf:
            return times + (self.wall - self.last)
        return self.wall + (times - self.first) / self.speed


class Replay:
    """Replays one recording. Owner: the thread that calls :meth:`run`."""

    def __init__(
        self,
        recording: PastRun,
        *,
        run: str,
        connect: Callable[[], Transport],
        warn: Callable[[str, str], None],
        speed: float = 1.0,
        keep_times: bool = False,
        loop: bool = False,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        """Look at the first rows of every worker; nothing is sent yet.

        Args:
            recording: What to send.
            run: Name of the run to send it as.
            connect: Makes a connection; called once for each worker.
            warn: Told a cause and a sentence, once per cause.
            speed: Times as fast as recorded; infinite: as fast as acknowledgements allow.
            keep_times: Send the times as recorded.
            loop: Start again at the end, as further attempts.
            held_bytes: Frames of all streams that may wait for acknowledgements.
        """
        self._recording = recording
        self._run = run
        self._connect = connect
        self._speed = speed
        self._keep_times = keep_times
        self._loop = loop
        self._held_bytes = held_bytes
        self._tell = warn
        self._warned: set[str] = set()
        self._stopping = False
        self._round = 0
        self._before = (0, 0)
        self._answered = False
        self._fed_at = 0.0
        self._lines: list[Line] = []
        self.faults: list[str] = []
        """Why some of it could not be delivered, a sentence each; empty: all was acknowledged."""
        self._begin()

    def stop(self) -> None:
        """Ask :meth:`run` to end with goodbyes; may be called from a signal handler."""
        self._stopping = True

    def run(self, report: Callable[[Progress], None] = lambda _: None) -> Progress:
        """Send all of it, and return how far it came.

        Args:
            report: Called about every :data:`REPORT_S` seconds.

        Raises:
            NoTransport: A connection cannot be made.
        """
        pause = threading.Event()
        started = reported = monotonic_time()
        while not self._stopping:
            now = monotonic_time()
            wait_s = self._turn(now)
            if now - reported >= REPORT_S:
                reported = now
                report(self._progress())
            if all(line.is_over for line in self._lines):
                if not self._loop or self.faults or not self._lines:
                    break
                self._begin()
            elif now - started > NO_SERVER_S and not self._was_answered():
                self._give_up(f"no server answered within {NO_SERVER_S:.0f} s: nothing was sent")
                break
            if wait_s > 0:
                pause.wait(wait_s)
        if self._stopping:
            self._drain(pause)
        return self._progress()

    # -- rounds ----------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make the lines of a round, all waiting for their first row to be due."""
        so_far = self._progress()
        self._before = (so_far.rows, so_far.acknowledged)
        workers = sorted(self._recording.workers, key=lambda worker: worker.attempt)
        further = self._round * (workers[-1].attempt + 1) if workers else 0
        lines = [self._line(worker, worker.attempt + further) for worker in workers]
        self._lines = [line for line in lines if line.due < math.inf]
        self._former: dict[int, Line] = {}
        latest: dict[int, Line] = {}
        for line in self._lines:
            if line.worker.rank in latest:
                self._former[id(line)] = latest[line.worker.rank]
            latest[line.worker.rank] = line
        self._queue = [(line.due, number) for number, line in enumerate(self._lines)]
        heapq.heapify(self._queue)
        self._pace = _Pace(
            self._speed,
            self._keep_times,
            first=self._queue[0][0] if self._queue else 0.0,
            last=max((line.worker.last_time for line in self._lines), default=0.0),
        )
        self._round += 1

    def _line(self, worker: PastWorker, attempt: int) -> Line:
        hello = Hello(
            stream=token_bytes(STREAM_ID_BYTES),
            wall=0.0,
            mono=0.0,
            base_seq=0,
            base_row=0,
            base_span=None,
            run=self._run,
            rank=worker.rank,
            world_size=worker.world_size,
            local_rank=worker.local_rank,
            host=worker.host,
            pid=worker.pid,
            attempt=attempt,
            parent=None,
            library=worker.library,
            config=with_facts(self._recording.config, worker.facts)[0],
        )
        return Line(worker, hello, self._connect, lambda times: self._pace.moved(times), self._warn)

    def _may_begin(self, line: Line) -> bool:
        """Whether the rank's earlier attempt has come as far as it had when this one began."""
        former = self._former.get(id(line))
        if former is None or former.is_over:
            return True
        return former.is_greeted and line.due < former.due < math.inf

    # -- turns -----------------------------------------------------------------------------

    def _turn(self, now: float) -> float:
        """Take what is due, say and hear what there is; return how long to wait, in seconds."""
        live = self._live()
        for line in live:
            line.turn(now)
            self._note(line)
        flush_s = max((line.flush_ms or _FLUSH_MS for line in live), default=0) / 1000
        if self._speed < math.inf and now - self._fed_at < flush_s:
            return min(flush_s, _LONGEST_PAUSE_S)
        self._fed_at = now
        share = max(self._held_bytes // max(len(live), 1), _LEAST_SHARE_BYTES)
        waits = self._feed(now, share)
        if not self._was_answered():
            return _LONGEST_PAUSE_S
        if self._queue and self._queue[0][0] <= self._pace.due(now):
            return _POLL_S if waits else 0.0
        return _POLL_S if self._speed == math.inf else min(flush_s, _LONGEST_PAUSE_S)

    def _feed(self, now: float, share: int) -> bool:
        """Let lines take rows that are due, the earliest first; say if some wait for the server."""
        aside: list[tuple[float, int]] = []
        due = self._pace.due(now)
        end = now + _BURST_S
        while self._queue and self._queue[0][0] <= due and monotonic_time() < end:
            entry = heapq.heappop(self._queue)
            line = self._lines[entry[1]]
            if line.is_over:
                continue
            if not line.is_open and self._may_begin(line):
                line.open(now)
                line.turn(now)
            if not line.is_idle or line.held_bytes >= share:
                aside.append(entry)
                continue
            line.feed(due)
            line.turn(now)
            self._note(line)
            if line.due < math.inf:
                heapq.heappush(self._queue, (line.due, entry[1]))
        for entry in aside:
            heapq.heappush(self._queue, entry)
        return bool(aside)

    def _drain(self, pause: threading.Event) -> None:
        """Wait a little for what is under way, then say goodbye."""
        end = monotonic_time() + _STOP_S
        while (now := monotonic_time()) < end and any(line.held_bytes for line in self._live()):
            for line in self._live():
                line.turn(now)
                self._note(line)
            pause.wait(_POLL_S)
        for line in self._live():
            line.stop()
            self._note(line)

    def _give_up(self, why: str) -> None:
        self.faults.append(why)
        for line in self._live():
            line.close()

    def _live(self) -> list[Line]:
        return [line for line in self._lines if line.is_open]

    def _was_answered(self) -> bool:
        self._answered = self._answered or any(line.is_greeted for line in self._lines)
        return self._answered

    def _note(self, line: Line) -> None:
        """Keep why a line that is over could not deliver everything."""
        if line.is_over:
            self.faults.extend(line.faults)

    def _warn(self, cause: str, sentence: str) -> None:
        if cause not in self._warned:
            self._warned.add(cause)
            self._tell(cause, sentence)

    def _progress(self) -> Progress:
        total = self._recording.rows
        return Progress(
            rows=self._before[0] + sum(line.rows for line in self._lines),
            acknowledged=self._before[1] + sum(line.acknowledged for line in self._lines),
            total=None if total is None else total * self._round,
            workers=len(self._live()),
            held_bytes=sum(line.held_bytes for line in self._live()),
        )
