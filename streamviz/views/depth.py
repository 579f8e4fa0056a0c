"""Rows of a zoomed view that memory no longer holds in full, from the disk.

Law: nobody waits for the disk; reading touches no view, and the view takes the rows on the loop,
whole, and only while they are still what it shows.
"""

from __future__ import annotations

import asyncio
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from streamviz.clock import monotonic_time
from streamviz.views.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streamviz.store import Grid, QueryResult
    from streamviz.views.models import Choice, ViewKey
    from streamviz.views.view import LiveView

__all__ = [
    "DISK_EVERY_S",
    "Deep",
    "DiskReader",
    "Past",
    "is_coarse",
    "is_coarse_result",
    "read_deep",
]

log = logging.getLogger(__name__)

DISK_EVERY_S = 1.0
"""Shortest time between two readings of the same range, and how long after a change the disk is
asked again: by then what was received is committed."""


class Past(Protocol):
    """What is on the disk; see :class:`streamviz.journal.history.History`."""

    def grid(
        self,
        run: str,
        metric: str,
        *,
        workers: Sequence[int],
        start: int | None = None,
        stop: int | None = None,
        points: int = 1024,
    ) -> Grid | None:
        """Return a metric on the step grid, ``None`` when nothing of it is on the disk."""

    def query(
        self,
        run: str,
        metric: str,
        *,
        workers: Sequence[int] | None = None,
        start: int | None = None,
        stop: int | None = None,
        points: int = 1000,
    ) -> QueryResult | None:
        """Return the series of a metric, ``None`` when nothing of it is on the disk."""


@dataclass(frozen=True, slots=True, eq=False)
class Deep:
    """A view's rows as the disk has them."""

    choice: Choice
    rows: Rows
    complete: bool
    """Whether the disk has every row of the range."""


def is_coarse(grid: Grid, points: int) -> bool:
    """Say whether a finer grid would have room, and memory cannot give it."""
    # Half as wide buckets are at most twice as many.
    return not grid.complete and grid.shift > 0 and 2 * len(grid.bucket) <= points


def is_coarse_result(result: QueryResult, points: int) -> bool:
    """Say whether a query's answer has fewer points than were asked for, for want of rows."""
    longest = max((len(series.step) for series in result.series), default=0)
    return result.resolution != "raw" and 2 * longest <= points


def read_deep(past: Past, key: ViewKey, choice: Choice) -> Deep | None:
    """Read a view's range from the disk; ``None`` if nothing of it is there."""
    grid = past.grid(
        key.run,
        key.metric,
        workers=choice.workers,
        start=key.start,
        stop=key.stop,
        points=key.points,
    )
    if grid is None or not len(grid.bucket):
        return None
    rows = Rows(key.mode)
    rows.replace(grid, choice)
    return Deep(choice, rows, grid.complete)


class DiskReader:
    """Reads one view's range after the other, on a thread of its own.

    Owner: the hub, on its loop.
    """

    def __init__(self, past: Past, then: Callable[[], None]) -> None:
        """Start with nothing to do.

        Args:
            past: What is on the disk.
            then: Called on the loop when a view may have new rows.
        """
        self._past = past
        self._then = then
        self._thread = ThreadPoolExecutor(1, "streamviz-past")
        self._busy = False
        self._stopped = False

    def read(self, views: Iterable[LiveView], loop: asyncio.AbstractEventLoop) -> None:
        """Start reading for the view that is longest due, unless one is being read."""
        if self._busy or self._stopped:
            return
        now = monotonic_time()
        due = [view for view in views if not view.reading and view.disk_due <= now]
        if not due:
            return
        view = min(due, key=lambda view: view.disk_due)
        view.disk_due = math.inf
        self._busy = True
        job = loop.run_in_executor(self._thread, read_deep, self._past, view.key, view.choice)
        job.add_done_callback(lambda job: self._done(view, job))

    def _done(self, view: LiveView, job: asyncio.Future[Deep | None]) -> None:
        self._busy = False
        if job.cancelled() or self._stopped:
            return
        try:
            deep = job.result()
            if view.reading:
                # Memory is being read for it: what was found may be another's by then.
                view.disk_due = monotonic_time()
            else:
                view.take_deep(deep)
        except Exception:  # a fault on the disk leaves what memory has, and everybody's clock
            log.exception("the disk could not be read for %s", view.key)
        self._then()

    def stop(self) -> None:
        """Start nothing more; what is being read is left to end by itself."""
        self._stopped = True
        self._thread.shutdown(wait=False, cancel_futures=True)
