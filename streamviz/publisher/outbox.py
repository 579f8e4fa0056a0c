"""The bounded queue between the training threads and the sender.

Law: putting a row in costs an append and a length; the oldest row goes when there are too many,
and is counted. Nobody waits here.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from streamviz.publisher.notes import Note
from streamviz.publisher.values import DeviceValue
from streamviz.wire.frames import Span

__all__ = ["MAX_ROW_VALUES", "Bell", "Lost", "Outbox", "Row"]

MAX_ROW_VALUES = 128
"""Values in a row; a wider call becomes several, so that rows bound memory."""


_CROWD = 512
"""Rows at which the sender is called before its time."""

Row = tuple[int, float, dict[str, float | DeviceValue], list[DeviceValue] | Note | None]
"""One call of ``send``: step, wall time, values by name, and those of them still on their way.

Or an item, which has no values, and -1 for a step that is not known."""


class Bell:
    """Wakes one thread.

    A lock costs a tenth of an event, which counts in a process that has better things to do.
    """

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Wake the thread, or let its next wait return at once; from any thread."""
        if self._silent.locked():
            try:
                self._silent.release()
            except RuntimeError:
                return  # two rang at once

    def wait(self, timeout_s: float) -> None:
        """Wait until it rings, at most ``timeout_s`` seconds; for one thread only."""
        self._silent.acquire(timeout=timeout_s)


class Lost(NamedTuple):
    """Rows that fell out of a full outbox."""

    rows: int
    span: Span


class Outbox:
    """A deque of rows with a limit, and what fell out of it since the sender last asked.

    Attributes:
        rows: The queue itself; ``rows.append`` is the hot path.
        bell: Calls the sender before its time.
        crowd: Rows at which :meth:`crowded` is to be called.
    """

    def __init__(self, limit: int) -> None:
        self.rows: deque[Row] = deque()
        self.bell = Bell()
        self.crowd = self._first_crowd = min(_CROWD, limit)
        self._limit = limit
        self._lock = threading.Lock()
        self._lost: Lost | None = None
        self.lost_rows = 0

    def crowded(self) -> None:
        """The queue has grown: call the sender, and drop the oldest if it is past the limit.

        An eighth of the queue goes at once, so that a loop which only sends pays for it in one
        call of a thousand and not in each.
        """
        self.bell.ring()
        # Called once is enough until the sender has come.
        self.crowd = self._limit + 1
        if len(self.rows) <= self._limit:
            return
        with self._lock:
            gone = []
            for _ in range(len(self.rows) - self._limit * 7 // 8):
                try:
                    gone.append(self.rows.popleft())
                except IndexError:  # the sender was quicker
                    break
            if gone:
                steps = [max(row[0], 0) for row in gone]
                span = Span(min(steps), max(steps), gone[0][1], gone[-1][1])
                lost = self._lost or Lost(0, span)
                self._lost = Lost(lost.rows + len(gone), lost.span.union(span))
                self.lost_rows += len(gone)
                for row in gone:
                    if type(row[3]) is Note:
                        row[3].release()

    def calm(self) -> None:
        """The sender is here: let it be called again when the queue has grown anew."""
        self.crowd = self._first_crowd

    def take_lost(self) -> Lost | None:
        """Return what fell out since the last call, ``None`` if nothing did."""
        if self._lost is None:
            return None
        with self._lock:
            lost, self._lost = self._lost, None
        return lost
