"""The window of one heatmap: codes by bucket and rank, replaced as a whole or spliced.

Law: what is held is bounded by the points and rows that were asked for, two bytes a cell; rows of
codes mean what :attr:`HeatRows.gauge` says until the whole is replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from streamviz.views.heat import (
    SAMPLE,
    Codes,
    Gauge,
    Scale,
    encode,
    fold,
    gauge_of,
    middles,
    scale_of,
    standing_out,
)
from streamviz.views.pace import Pace

if TYPE_CHECKING:
    from streamviz.store import Grid
    from streamviz.views.encoding import Floats
    from streamviz.views.heat import Flags
    from streamviz.views.models import Choice

__all__ = ["CELLS", "Cells", "HeatRows", "Row"]

Cells = Literal["worst", "mean"]
CELLS: tuple[Cells, ...] = ("worst", "mean")
"""What a cell of several rows shows: an extreme that stands out in place of the mean, or not."""

_MOVED = 0.02
"""Share of their span by which the ends of the colours move before the page is told: each time it
colours every cell anew."""


@dataclass(frozen=True, slots=True)
class Row:
    """The ranks of one row."""

    first: int
    last: int


class HeatRows:
    """The columns (buckets of steps) and rows (ranks) of one heatmap.

    Attributes:
        shift: A bucket spans ``2**shift`` steps.
        rows: Who they are, by rank.
        gauge: What the codes mean.
        scale: Where the colours end.
    """

    def __init__(
        self, rows: int, cells: Cells, *, relative: bool = False, is_pace: bool = False
    ) -> None:
        """Start with nothing.

        Args:
            rows: Most rows: more ranks are folded, each row showing the one furthest away.
            cells: What a cell of several rows shows.
            relative: Whether a cell shows how far it is from the median of its column.
            is_pace: Whether the seconds per step are shown in place of the metric's values.
        """
        self.shift = 0
        self.rows: list[Row] = []
        self.gauge = Gauge()
        self.scale = Scale(0.0, 0.0, 0.0)
        self._most_rows = rows
        self._cells = cells
        self._relative = relative
        self._pace = Pace() if is_pace else None
        self._bin = 1
        self._workers: tuple[int, ...] = ()
        self._current: npt.NDArray[np.intp] = np.empty(0, np.intp)
        self._old: list[tuple[int, int]] = []
        """Column and row of each worker of an earlier attempt, newest attempt first."""
        self._bucket = np.empty(0, np.int64)
        self._codes: Codes = np.empty((0, 0), np.uint16)
        self._counts: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._widths: Floats = np.empty(0)
        """How far the extremes of a cell usually lie apart, by bucket."""

    def __len__(self) -> int:
        return len(self._bucket)

    @property
    def fold(self) -> int:
        """How many ranks a row stands for."""
        return self._bin

    def steps(self, start: int) -> Floats:
        """Return the first step of each bucket from a column on."""
        return (self._bucket[start:] << self.shift).astype(np.float64)

    def counts(self, start: int) -> list[int]:
        """Return how many rows a rank has at most in each bucket from a column on."""
        return [int(count) for count in self._counts[start:]]

    def codes(self, start: int) -> Codes:
        """Return the codes from a column on; shape (columns, rows)."""
        return self._codes[start:]

    def replace(self, grid: Grid, choice: Choice) -> None:
        """Start over with the whole range.

        Args:
            grid: Of the workers of the choice.
            choice: Who stands behind the rows.
        """
        column = {worker: i for i, worker in enumerate(grid.workers)}
        row = {source.rank: i for i, source in enumerate(choice.current)}
        self._workers = tuple(grid.workers)
        self._current = np.array([column[source.worker] for source in choice.current], np.intp)
        self._old = [
            (column[source.worker], row[source.rank])
            for line in choice.old
            for source in line.sources
        ]
        self._bin = -(-len(row) // self._most_rows)
        ranks = [source.rank for source in choice.current]
        bins = [ranks[i : i + self._bin] for i in range(0, len(ranks), self._bin)]
        self.rows = [Row(bin_[0], bin_[-1]) for bin_ in bins]
        self.shift = grid.shift
        self._bucket = grid.bucket
        self._counts = _counts(grid)
        self._widths = _widths(grid)
        pace = None if self._pace is None else self._pace.replace(grid)
        values, bad, absent = self._reduce(grid, pace)
        self.gauge = gauge_of(values)
        self._codes = encode(values, bad, absent, self.gauge)
        self.scale = scale_of(self._codes, self.gauge) or self._span(values)

    def splice(self, grid: Grid) -> int | None:
        """Put a grid in place of the columns from its first bucket on.

        Args:
            grid: With at least one bucket.

        Returns:
            The index of the first column that changed; ``None`` when the whole has to be read.
        """
        if grid.shift != self.shift or tuple(grid.workers) != self._workers:
            return None
        pace = None
        if self._pace is not None:
            pace = self._pace.splice(grid)
            if pace is None:
                return None
        at = int(np.searchsorted(self._bucket, grid.bucket[0]))
        self._bucket = np.concatenate((self._bucket[:at], grid.bucket))
        self._counts = np.concatenate((self._counts[:at], _counts(grid)))
        self._widths = np.concatenate((self._widths[:at], _widths(grid)))
        codes = encode(*self._reduce(grid, pace), self.gauge)
        self._codes = np.concatenate((self._codes[:at], codes))
        return at

    def rescale(self) -> bool | None:
        """Find the ends of the colours again.

        Returns:
            Whether they moved so far that it is to be told; ``None`` when the codes do not suit
            the values any more, so that the whole has to be read.
        """
        found = scale_of(self._codes, self.gauge)
        if found is None:
            return None
        held = self.scale
        much = _MOVED * (held.hi - held.lo)
        moved = max(abs(found.lo - held.lo), abs(found.hi - held.hi))
        if moved > much:
            self.scale = found
        return moved > much

    def _reduce(self, grid: Grid, pace: Floats | None) -> tuple[Floats, Flags, Flags]:
        """Return values, where they are bad and where absent; each of shape (B, rows)."""
        bad = grid.bad > 0
        if pace is not None:
            values, absent = pace, np.isnan(pace)
            bad = np.zeros_like(absent)
        else:
            absent = np.isnan(grid.time)
            values = grid.mean
            if self._cells == "worst" and grid.shift > 0:
                usual = self._widths[~np.isnan(self._widths)]
                if usual.size:
                    width = float(np.median(usual))
                    values = standing_out(grid.mean, grid.vmin, grid.vmax, width)
        of = self._current
        values, bad, absent = values[:, of], bad[:, of], absent[:, of]
        self._add_old(values, bad, absent, grid, pace)
        if self._relative:
            values = values - middles(values, ~(bad | absent))
        return fold(values, bad, absent, self._bin)

    def _add_old(
        self, values: Floats, bad: Flags, absent: Flags, grid: Grid, pace: Floats | None
    ) -> None:
        """Fill in what only earlier attempts of a rank have; changes the first three in place."""
        if not self._old:
            return
        heard = set(np.flatnonzero(np.isfinite(grid.time).any(axis=0)).tolist())
        for column, row in self._old:
            if column not in heard:
                continue
            old = grid.mean[:, column] if pace is None else pace[:, column]
            fill = absent[:, row] & ~np.isnan(grid.time[:, column])
            if pace is not None:
                fill &= ~np.isnan(old)
            values[fill, row] = old[fill]
            bad[fill, row] = (grid.bad[fill, column] > 0) if pace is None else False
            absent[fill, row] = False

    @staticmethod
    def _span(values: Floats) -> Scale:
        """Return the ends of values that no gauge suits: those of the values themselves."""
        finite = values[np.isfinite(values)]
        finite = finite[:: max(1, finite.size // SAMPLE)]
        lo, mid, hi = np.percentile(finite, (1, 50, 99), method="nearest")
        return Scale(float(lo), float(mid), float(hi))


def _counts(grid: Grid) -> npt.NDArray[np.int64]:
    """Return the rows of the worker that has most of them, by bucket."""
    most: npt.NDArray[np.int64] = (grid.count + grid.bad).max(axis=1, initial=0)
    return most


def _widths(grid: Grid) -> Floats:
    """Return how far the extremes of a bucket's cells lie apart, the median over its workers."""
    if grid.shift == 0:
        # Cells of one step need no such measure, and most columns are of them.
        return np.full(len(grid.bucket), np.nan)
    widths = np.full(len(grid.bucket), np.nan)
    there = grid.count > 1
    full = there.any(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.where(there, grid.vmax - grid.vmin, np.nan)
    widths[full] = np.nanmedian(apart[full], axis=1)
    return widths
