"""Which runs lie on the disk only, for the list that a page chooses from.

Law: the loop never waits for the disk; what is said may be some seconds old.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from streamviz.clock import monotonic_time

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from streamviz.journal.history import RunSummary

__all__ = ["MAX_RECORDED", "Shelf"]

MAX_RECORDED = 500
"""Runs on the disk that a page is told of, the newest first; the others are there by their name."""

_EVERY_S = 10.0
"""Seconds between two looks at the disk."""

log = logging.getLogger(__name__)


class Listed(Protocol):
    """What can say which runs it has."""

    def runs(self) -> list[RunSummary]:
        """Return the runs on the disk, newest first."""


class Shelf:
    """Rows of runs that are on the disk; owner: the hub, on its loop."""

    def __init__(self, past: Listed | None) -> None:
        """Start with nothing known.

        Args:
            past: What is on the disk; ``None`` when nothing is recorded.
        """
        self._past = past
        self._found: Sequence[RunSummary] = ()
        self._looked_at = float("-inf")
        self._looking: Future[list[RunSummary]] | None = None
        self._thread = None if past is None else ThreadPoolExecutor(1, "streamviz-shelf")

    def rows(self, known: Container[str]) -> list[dict[str, object]]:
        """Return an entry of the page's list for each run that memory does not have.

        Args:
            known: Names of the runs that it has.
        """
        self._look()
        on_disk = [found for found in self._found if found.run not in known]
        return [
            {
                "run": found.run,
                "state": "recorded",
                "ranks_live": 0,
                "ranks_expected": 0,
                "attempts": 1,
                "attempt": 0,
                "started": found.started,
                "last_time": found.last_time,
            }
            for found in on_disk[:MAX_RECORDED]
        ]

    def _look(self) -> None:
        """Take in what was found, and look again from time to time."""
        looking = self._looking
        if looking is not None and looking.done():
            self._looking = None
            if not looking.cancelled():
                try:
                    self._found = looking.result()
                except Exception:  # a fault on the disk leaves what was known, and the clock
                    log.exception("the list of recorded runs could not be read")
        due = monotonic_time() - self._looked_at >= _EVERY_S
        if self._looking is None and due and self._thread is not None and self._past is not None:
            self._looked_at = monotonic_time()
            self._looking = self._thread.submit(self._past.runs)

    def stop(self) -> None:
        """Look no more."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
