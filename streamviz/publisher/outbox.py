"""The bounded queue between the training threads and the sender.

Law: putting a row in costs an append and a length; the oldest row goes when there are too many,
and is counted. Nobody waits here.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from streamviz.publisher.values import DeviceValue
from streamviz.wire.frames import Span

__all__ = ["MAX_ROW_VALUES", "Lost", "Outbox", "Row"]

MAX_ROW_VALUES = 128
"""Values in a row; a wider call becomes several, so that rows bound memory."""


class Row(NamedTuple):
    """One call of ``send``, as it was at the call.

    On the hot path a plain tuple of the same shape is queued: a quarter of the price.
    """

    step: int
    time: float
    metrics: dict[str, float | DeviceValue]
    pending: list[DeviceValue] | None


class Lost(NamedTuple):
    """Rows that fell out of a full outbox."""

    rows: int
    span: Span


class Outbox:
    """A deque of rows with a limit, and what fell out of it since the sender last asked.

    Attributes:
        rows: The queue itself; ``rows.append`` is the hot path.
        wake: Set to call the sender before its time.
    """

    def __init__(self, limit: int) -> None:
        self.rows: deque[
            tuple[int, float, dict[str, float | DeviceValue], list[DeviceValue] | None]
        ]
        self.rows = deque()
        self.wake = threading.Event()
        self._limit = limit
        self._lock = threading.Lock()
        self._lost: Lost | None = None
        self.lost_rows = 0

    def crowded(self) -> None:
        """The queue has grown: call the sender, and drop the oldest if it is past the limit."""
        if not self.wake.is_set():
            self.wake.set()
        while len(self.rows) > self._limit:
            with self._lock:
                try:
                    step, time, _, _ = self.rows.popleft()
                except IndexError:
                    return
                self.lost_rows += 1
                span = Span(step, step, time, time)
                lost = self._lost
                self._lost = (
                    Lost(1, span) if lost is None else Lost(lost.rows + 1, lost.span.union(span))
                )

    def take_lost(self) -> Lost | None:
        """Return what fell out since the last call, ``None`` if nothing did."""
        if self._lost is None:
            return None
        with self._lock:
            lost, self._lost = self._lost, None
        return lost
