"""The rows that a view shows: replaced as a whole, or spliced from some bucket on.

Law: what is held is bounded by the view's points and lines, never by the number of ranks but for
the few rows by which outliers are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamviz.insight.outliers import outliers
from streamviz.views.models import (
    COLUMNS,
    MAX_LINES,
    Choice,
    Line,
    Mode,
    Source,
    evenly,
    reduce_old,
    reduce_ranks,
)

if TYPE_CHECKING:
    from streamviz.store import Grid
    from streamviz.views.encoding import Floats

__all__ = ["MAX_OUTLIERS", "MAX_STARTS", "OUTLIER_ROWS", "Rows", "Start"]

MAX_OUTLIERS = 3
OUTLIER_ROWS = 32
"""Buckets by which outliers are judged."""

MAX_STARTS = 16
"""Most starts of attempts that a view marks, the newest ones."""

Start = tuple[int, float, str]
"""Step and wall time (seconds since the epoch) of an attempt's first bucket, and its name."""

_NO_COLUMNS = np.empty(0, np.intp)


class Rows:
    """The buckets of one view.

    Attributes:
        shift: A bucket spans ``2**shift`` steps.
        lines: Who is drawn by name, in the order of their values; earlier attempts last.
        ranks: How many ranks the band is made of.
        attempt: The newest attempt among them.
        starts: Where attempts begin but for the first, by step.
    """

    def __init__(self, mode: Mode) -> None:
        self.shift = 0
        self.lines: list[Line] = []
        self.ranks = 0
        self.attempt = 0
        self.starts: list[Start] = []
        self._mode = mode
        self._workers: tuple[int, ...] = ()
        self._bucket = np.empty(0, np.int64)
        self._values: Floats = np.empty((len(COLUMNS), 0))
        """The columns, the lines, the times of the old ones; shape (all of these, rows)."""
        self._band: npt.NDArray[np.intp] = _NO_COLUMNS
        self._drawn: npt.NDArray[np.intp] = _NO_COLUMNS
        self._old: list[list[npt.NDArray[np.intp]]] = []
        """For each line of earlier attempts its columns, by attempt."""
        self._absent: npt.NDArray[np.intp] = _NO_COLUMNS
        self._recent: Floats = np.empty((0, 0))
        self._standing_out: set[int] = set()

    def __len__(self) -> int:
        return len(self._bucket)

    def fits(self, grid: Grid) -> bool:
        """Say whether a grid can be spliced in.

        It has the same steps a bucket and the same workers, and no rank of it has its first sample
        of this metric.
        """
        if grid.shift != self.shift or grid.workers != self._workers:
            return False
        return not np.isfinite(grid.time[:, self._absent]).any()

    def replace(self, grid: Grid, choice: Choice) -> None:
        """Start over with the whole range; who stands out is judged anew."""
        column = {worker: i for i, worker in enumerate(grid.workers)}
        silent: npt.NDArray[np.bool_] = np.asarray(np.isnan(grid.time).all(axis=0))
        self._absent = np.flatnonzero(silent)

        def heard(sources: Sequence[Source]) -> list[Source]:
            # A rank that never sent this metric is none of those that agree or differ in it.
            return [source for source in sources if not silent[column[source.worker]]]

        def columns_of(sources: Iterable[Source]) -> npt.NDArray[np.intp]:
            return np.array([column[source.worker] for source in sources], np.intp)

        shown = heard(choice.current)
        old = [replace(line, sources=tuple(heard(line.sources))) for line in choice.old]
        old = [line for line in old if line.sources]
        self.shift, self._workers, self.ranks = grid.shift, tuple(grid.workers), len(shown)
        self.attempt = max((source.attempt for source in shown), default=0)
        self._band = columns_of(shown)
        self._recent = grid.mean[-OUTLIER_ROWS:, self._band]
        if self._mode == "lines":
            named = [Line.of(shown[i], "rank") for i in evenly(len(shown), MAX_LINES)]
        else:
            self._standing_out = self._judge()
            named = [Line.of(shown[i], "outlier") for i in sorted(self._standing_out)]
        self.lines = named + old
        self._drawn = columns_of(line.sources[0] for line in named)
        self._old = [
            [columns_of(of) for _, of in groupby(line.sources, lambda source: source.attempt)]
            for line in old
        ]
        self.starts = self._find_starts(
            grid, [*shown, *(one for line in old for one in line.sources)]
        )
        self._bucket = grid.bucket
        self._values = self._reduce(grid)

    def _find_starts(self, grid: Grid, sources: Sequence[Source]) -> list[Start]:
        """Find the first bucket of every attempt but the first of all."""
        column = {worker: i for i, worker in enumerate(grid.workers)}
        by_attempt: dict[int, list[Source]] = {}
        for source in sources:
            by_attempt.setdefault(source.attempt, []).append(source)
        several = len({source.rank for source in sources}) > 1
        found: list[Start] = []
        for attempt in sorted(by_attempt, reverse=True)[:MAX_STARTS]:
            if attempt == min(by_attempt):
                break
            of = by_attempt[attempt]
            times = grid.time[:, [column[source.worker] for source in of]]
            row = int(np.argmax(~np.isnan(times).all(axis=1)))
            whose = f"r{of[0].rank} " if several and len(of) == 1 else ""
            name = f"{whose}attempt {attempt}"
            found.append((int(grid.bucket[row]) << grid.shift, float(np.nanmin(times[row])), name))
        return sorted(found)

    def splice(self, grid: Grid) -> int:
        """Put a grid in place of the rows from its first bucket on.

        Args:
            grid: One that :meth:`fits`, with at least one bucket.

        Returns:
            The index of the first row that changed.
        """
        at = int(np.searchsorted(self._bucket, grid.bucket[0]))
        kept = self._recent[: len(self._recent) - (len(self._bucket) - at)]
        recent = grid.mean[-OUTLIER_ROWS:, self._band]
        if len(self._bucket) - at >= len(self._recent):
            kept = self._recent[:0]
        self._recent = np.concatenate((kept, recent))[-OUTLIER_ROWS:]
        self._bucket = np.concatenate((self._bucket[:at], grid.bucket))
        self._values = np.concatenate((self._values[:, :at], self._reduce(grid)), axis=1)
        return at

    def outliers_moved(self) -> bool:
        """Say whether other ranks stand out by now than the ones that are drawn."""
        return self._mode != "lines" and self._judge() != self._standing_out

    def values(self, start: int) -> Floats:
        """Return what there is from a row on: the columns, the lines, the times of the old ones."""
        return self._values[:, start:]

    @property
    def times(self) -> int:
        """How many of the lines, the last ones, have times of their own."""
        return len(self._old)

    def _judge(self) -> set[int]:
        if not len(self._band):
            return set()
        return set(outliers(self._recent, self._standing_out, MAX_OUTLIERS))

    def _reduce(self, grid: Grid) -> Floats:
        if not len(self._band):
            # None of the latest attempts has sent this metric; earlier ones may have.
            columns = np.full((len(COLUMNS), len(grid.bucket)), np.nan)
            columns[0], columns[-1] = grid.bucket << grid.shift, 0
        else:
            columns = reduce_ranks(grid, self._band, self._mode)
        old = np.array([reduce_old(grid, of) for of in self._old])
        old = old.reshape(len(self._old), 2, len(grid.bucket))
        return np.concatenate((columns, grid.mean[:, self._drawn].T, old[:, 0], old[:, 1]))
