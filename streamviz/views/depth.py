"""Rows of a zoomed view that memory no longer holds in full, from the disk.

Law: reading touches no view, so that any thread may do it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from streamviz.views.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamviz.journal.history import RunSummary
    from streamviz.store import Grid, QueryResult
    from streamviz.views.models import Choice, ViewKey

__all__ = [
    "DISK_EVERY_S",
    "Deep",
    "Past",
    "is_coarse",
    "is_coarse_result",
    "read_deep",
]

DISK_EVERY_S = 1.0
"""Shortest time between two readings of the same range, and how long after a change the disk is
asked again: by then what was received is committed."""


class Past(Protocol):
    """What is on the disk; see :class:`streamviz.journal.history.History`."""

    def runs(self) -> list[RunSummary]:
        """Return the runs on the disk, newest first."""

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
