"""Who reads the disk for zoomed views: one after the other, beside the loop.

Law: nobody waits for the disk; a view takes the rows on the loop, whole, and only while they are
still what it shows.
"""

from __future__ import annotations

import asyncio
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from streamviz.clock import monotonic_time
from streamviz.views.depth import Deep, Past, read_deep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streamviz.views.view import LiveView

__all__ = ["DiskReader"]

log = logging.getLogger(__name__)


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
