"""The rows that a view shows: replaced as a whole, or spliced from some bucket on.

Law: what is held is bounded by the view's points and lines, never by the number of ranks but for
the few rows by which outliers are found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamviz.insight.outliers import outliers
from streamviz.views.models import COLUMNS, MAX_LINES, Choice, Line, Mode, evenly, reduce_ranks

if TYPE_CHECKING:
    from streamviz.store import Grid
    from streamviz.views.encoding import Floats

__all__ = ["MAX_OUTLIERS", "OUTLIER_ROWS", "Rows"]

MAX_OUTLIERS = 3
OUTLIER_ROWS = 32
"""Buckets by which outliers are judged."""

_NO_COLUMNS = np.empty(0, np.intp)


class Rows:
    """The buckets of one view.

    Attributes:
        shift: A bucket spans ``2**shift`` steps.
        lines: Who is drawn by name, in the order of their values.
        ranks: How many ranks the band is made of.
    """

    def __init__(self, mode: Mode) -> None:
        self.shift = 0
        self.lines: list[Line] = []
        self.ranks = 0
        self._mode = mode
        self._workers: tuple[int, ...] = ()
        self._bucket = np.empty(0, np.int64)
        self._values: Floats = np.empty((len(COLUMNS), 0))
        """The columns, then the lines; shape (columns + lines, rows)."""
        self._band: npt.NDArray[np.intp] = _NO_COLUMNS
        self._drawn: npt.NDArray[np.intp] = _NO_COLUMNS
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
        # A rank that never sent this metric is none of the ranks that agree or differ in it.
        shown = [source for source in choice.current if not silent[column[source.worker]]]
        old = [source for source in choice.old if not silent[column[source.worker]]]
        self.shift, self._workers, self.ranks = grid.shift, tuple(grid.workers), len(shown)
        self._band = np.array([column[source.worker] for source in shown], np.intp)
        self._recent = grid.mean[-OUTLIER_ROWS:, self._band]
        if self._mode == "lines":
            named = [Line(shown[i], "rank") for i in evenly(len(shown), MAX_LINES)]
        else:
            self._standing_out = self._judge()
            named = [Line(shown[i], "outlier") for i in sorted(self._standing_out)]
        self.lines = named + [Line(source, "old") for source in old]
        self._drawn = np.array([column[line.source.worker] for line in self.lines], np.intp)
        self._bucket = grid.bucket
        self._values = self._reduce(grid)

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
        return self._mode == "band" and self._judge() != self._standing_out

    def values(self, start: int) -> Floats:
        """Return the columns and then the lines from a row on: shape (columns + lines, rows)."""
        return self._values[:, start:]

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
            columns = reduce_ranks(grid, self._band)
        return np.concatenate((columns, grid.mean[:, self._drawn].T))
