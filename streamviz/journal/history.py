"""Read the past of runs from their files, from any thread, beside the writer.

Law: nothing here writes; what is damaged is left out and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamviz.journal.entries import TableRows
from streamviz.store.grid import FloatArray, Grid, IntArray
from streamviz.store.series import QueryResult

__all__ = ["History", "RunSummary", "StoredRows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run on the disk."""

    run: str
    started: float
    """Wall time, seconds since the epoch."""
    last_time: float
    path: Path
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredRows:
    """Rows of one worker in one table at full resolution, in order of arrival."""

    worker: int
    rank: int
    attempt: int
    names: tuple[str, ...]
    first: int
    steps: IntArray
    times: FloatArray
    values: FloatArray


class History:
    """What the files of a data directory hold."""

    def __init__(
        self, directory: Path, pending: Callable[[str], Sequence[TableRows]] | None = None
    ) -> None:
        """Read a data directory.

        Args:
            directory: The data directory.
            pending: Rows that a live recorder of this process has committed but not chunked; may
                be called from any thread. When absent the journal in the file is read.
        """

    def runs(self) -> list[RunSummary]:
        """Return the runs on the disk, newest first."""
        raise NotImplementedError

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
        raise NotImplementedError

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
        raise NotImplementedError

    def rows(self, run: str) -> Iterator[StoredRows]:
        """Yield everything at full resolution, in order per (table, worker)."""
        raise NotImplementedError
