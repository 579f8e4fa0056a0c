"""Send what is read from elsewhere as it is read: a stream for each rank and attempt that turns up.

A replay knows its workers beforehand and reads each on its own; here one reader finds rows of any
worker in any order and hands them in.

Law: what is handed in is sent once, in its worker's order, bit for bit, with the times it has; no
more of it is held than ``held_bytes`` and one portion.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from secrets import token_bytes
from typing import NamedTuple

from streamviz import __version__
from streamviz.clock import monotonic_time
from streamviz.publisher.line import Line
from streamviz.publisher.past import Kept, PastWorker, Piece
from streamviz.publisher.replay import HELD_BYTES, NO_SERVER_S
from streamviz.publisher.transport import Transport
from streamviz.wire.frames import STREAM_ID_BYTES, Hello

__all__ = ["Pour", "Who"]

_POLL_S = 0.002
"""How often to look while something waits for the server."""
_STOP_S = 2.0
"""How long a stopped one waits for the acknowledgements of what is under way."""
_TEND_S = 0.5
"""How often lines that have nothing to say are looked after: twice a heartbeat."""


class Who(NamedTuple):
    """Whose rows they are."""

    run: str
    rank: int = 0
    attempt: int = 0
    """At least this one: a server that has it already opens the next."""
    host: str = "unknown"
    pid: int = 0


class _Open(Line):
    """A line that is fed from outside, until it is told that there is no more."""

    def more(self, pieces: Sequence[Piece]) -> None:
        """Take pieces, in order."""
        self._frame(pieces)

    def end(self) -> None:
        """Let it say goodbye once everything is acknowledged."""
        self.due = math.inf


class Pour:
    """Owner: the thread that calls it.

    Attributes:
        items: Items among the rows that were handed in.
        faults: Why some of it could not be delivered, a sentence each; empty: all was acknowledged.
    """

    def __init__(
        self,
        connect: Callable[[], Transport],
        warn: Callable[[str, str], None],
        *,
        most: int,
        is_stopped: Callable[[], bool] = lambda: False,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        """Connect to nobody yet.

        Args:
            connect: Makes a connection; called once for each worker.
            warn: Told a cause and a sentence, once per cause.
            most: Workers that may be open at a time; past it, those that came first say goodbye.
            is_stopped: Asked while waiting: true to wait no longer.
            held_bytes: Frames of all streams that may wait for acknowledgements.
        """
        self._connect = connect
        self._tell = warn
        self._most = most
        self._is_stopped = is_stopped
        self._held_bytes = held_bytes
        self._lines: dict[tuple[str, int, int], _Open] = {}
        self._over: list[_Open] = []
        self._rows = self._acknowledged = 0
        self._warned: set[str] = set()
        self._pause = threading.Event()
        self._tended_at = 0.0
        self._since: float | None = None
        self._answered = False
        self.items = 0
        self.faults: list[str] = []

    @property
    def rows(self) -> int:
        """Rows and items handed in."""
        return self._rows + sum(line.rows for line in self._lines.values())

    @property
    def acknowledged(self) -> int:
        """Rows and items that the server has acknowledged."""
        return self._acknowledged + sum(line.acknowledged for line in self._lines.values())

    @property
    def workers(self) -> int:
        """Workers that are open."""
        return len(self._lines)

    def put(self, who: Who, pieces: Sequence[Piece]) -> bool:
        """Hand in what comes next of a worker, and wait until there is room for more.

        Returns:
            False when nothing more can be delivered, or somebody wants to stop.

        Raises:
            NoTransport: A connection cannot be made.
        """
        key = (who.run, who.rank, who.attempt)
        if key not in self._lines and not self._open(key, who):
            return False
        line = self._lines[key]
        line.more(pieces)
        self.items += sum(isinstance(piece, Kept) for piece in pieces)
        now = monotonic_time()
        line.turn(now)
        if now - self._tended_at >= _TEND_S:
            self.tend()
        return self._wait_for(lambda: self._held() < self._held_bytes)

    def tend(self) -> None:
        """Hear what the server says, and say what is due; to be called twice a second."""
        now = self._tended_at = monotonic_time()
        for key, line in list(self._lines.items()):
            line.turn(now)
            self._answered = self._answered or line.is_greeted
            if line.is_over:
                self._drop(key)

    def finish(self) -> bool:
        """Wait until everything is acknowledged, and say goodbye; false: not all of it was."""
        for line in self._lines.values():
            line.end()
        self._wait_for(lambda: not self._lines, patience_s=_STOP_S)
        for key, line in list(self._lines.items()):
            line.stop()
            self._drop(key)
        return not self.faults

    # -- lines -----------------------------------------------------------------------------

    def _open(self, key: tuple[str, int, int], who: Who) -> bool:
        """Make a worker's line; an attempt begins once the rank's earlier ones have arrived."""
        former = [line for (run, rank, _), line in self._lines.items() if (run, rank) == key[:2]]
        if not self._wait_for(lambda: not any(line.held_bytes for line in former)):
            return False
        while len(self._lines) >= self._most:
            first = next(iter(self._lines))
            self._lines[first].end()
            if not self._wait_for(lambda first=first: first not in self._lines):  # type: ignore[misc]
                return False
        self._since = monotonic_time() if self._since is None else self._since
        line = _Open(_worker(who), _hello(who), self._connect, lambda times: times, self._warn)
        line.due = 0.0
        line.open(monotonic_time())
        self._lines[key] = line
        return True

    def _drop(self, key: tuple[str, int, int]) -> None:
        line = self._lines.pop(key)
        self._rows += line.rows
        self._acknowledged += line.acknowledged
        self.faults.extend(line.faults)

    def _held(self) -> int:
        return sum(line.held_bytes for line in self._lines.values())

    def _wait_for(self, done: Callable[[], bool], patience_s: float = 0.0) -> bool:
        """Look after all lines until something is so; false: it will not be.

        Args:
            done: Whether it is so.
            patience_s: How long to go on waiting when somebody wants to stop.
        """
        stop_at: float | None = None
        while not done():
            self.tend()
            if self._is_stopped():
                now = monotonic_time()
                stop_at = now + patience_s if stop_at is None else stop_at
                if now >= stop_at:
                    return False
            if self._is_unanswered():
                self._give_up(f"no server answered within {NO_SERVER_S:.0f} s: nothing was sent")
            if self.faults:
                return False
            if not done():
                self._pause.wait(_POLL_S)
        return not self.faults

    def _is_unanswered(self) -> bool:
        """Say whether a server that was never there has been waited for long enough."""
        if self._answered or self._since is None:
            return False
        return monotonic_time() - self._since > NO_SERVER_S

    def _give_up(self, why: str) -> None:
        for key, line in list(self._lines.items()):
            line.close()
            self._drop(key)
        self.faults.append(why)

    def _warn(self, cause: str, sentence: str) -> None:
        if cause not in self._warned:
            self._warned.add(cause)
            self._tell(cause, sentence)


def _worker(who: Who) -> PastWorker:
    return PastWorker(
        rank=who.rank,
        attempt=who.attempt,
        world_size=who.rank + 1,
        local_rank=0,
        host=who.host,
        pid=who.pid,
        library=__version__,
        ended="ok",
        last_time=0.0,
        rows=None,
        lanes=(),
    )


def _hello(who: Who) -> Hello:
    return Hello(
        stream=token_bytes(STREAM_ID_BYTES),
        wall=0.0,
        mono=0.0,
        base_seq=0,
        base_row=0,
        base_span=None,
        run=who.run,
        rank=who.rank,
        world_size=who.rank + 1,
        local_rank=0,
        host=who.host,
        pid=who.pid,
        attempt=who.attempt,
        parent=None,
        library=__version__,
        config={},
    )
