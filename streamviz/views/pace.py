"""Seconds per step of each rank, from the times of the rows that it sends anyway.

Law: what a tail gives is what a whole reading would give; who needs more of the past than is kept
here is told to read it all again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from streamviz.store import Grid
    from streamviz.views.encoding import Floats

__all__ = ["TIME_PER_STEP", "Pace"]

TIME_PER_STEP = "time/step"
"""The name under which a page asks for it."""

_KEPT = 64
"""Buckets of which it is remembered where each worker stood: tails begin within these."""


class Pace:
    """Where each worker stood at the end of each of the newest buckets."""

    def __init__(self) -> None:
        self._bucket = np.empty(0, np.int64)
        self._time: Floats = np.empty((0, 0))
        """Wall time of each worker's newest row up to the bucket, seconds; NaN before any."""
        self._step: Floats = np.empty((0, 0))
        """The step that this time is of."""
        self._most: npt.NDArray[np.int64] = np.empty(0, np.int64)
        """The most rows that each worker has in a bucket."""
        self._is_whole = True
        """Whether nothing was forgotten."""

    def replace(self, grid: Grid) -> Floats:
        """Start over; return the seconds per step, shape (B, N), NaN where they are not known."""
        workers = len(grid.workers)
        self._bucket = np.empty(0, np.int64)
        self._time = self._step = np.empty((0, workers))
        self._most = np.ones(workers, np.int64)
        self._is_whole = True
        return self._extend(grid)

    def splice(self, grid: Grid) -> Floats | None:
        """Go on from a grid's first bucket on; ``None`` if that lies too far back.

        Args:
            grid: Of the same workers and shift as the one before.
        """
        kept = int(np.searchsorted(self._bucket, grid.bucket[0]))
        if kept == 0 and not self._is_whole:
            return None
        self._bucket = self._bucket[:kept]
        self._time, self._step = self._time[:kept], self._step[:kept]
        return self._extend(grid)

    def _extend(self, grid: Grid) -> Floats:
        rows = grid.count + grid.bad
        self._most = np.maximum(self._most, rows.max(axis=0, initial=1))
        # The newest bucket may be half full, and then its mean time is not that of its middle.
        stride = (1 << grid.shift) / self._most
        step = (grid.bucket << grid.shift)[:, None] + (rows - 1) / 2 * stride
        there = ~np.isnan(grid.time)
        before = self._time[-1:], self._step[-1:]
        if not len(self._bucket):
            before = (np.full((1, len(grid.workers)), np.nan),) * 2
        times = np.concatenate((before[0], np.where(there, grid.time, np.nan)))
        steps = np.concatenate((before[1], np.where(there, step, np.nan)))
        # Of each cell the row of the newest time up to it; the first row stands for the past.
        newest = np.where(np.concatenate((np.ones((1, there.shape[1]), np.bool_), there)), 1, 0)
        newest = np.maximum.accumulate(newest * np.arange(len(times))[:, None], axis=0)
        last_time = np.take_along_axis(times, newest, axis=0)
        last_step = np.take_along_axis(steps, newest, axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            seconds: Floats = (times[1:] - last_time[:-1]) / (steps[1:] - last_step[:-1])
            # A clock that was set back says nothing of how long a step took.
            seconds[~(seconds >= 0) | np.isinf(seconds)] = np.nan
        self._remember(grid.bucket, last_time[1:], last_step[1:])
        return seconds

    def _remember(self, bucket: npt.NDArray[np.int64], time: Floats, step: Floats) -> None:
        self._is_whole = self._is_whole and len(self._bucket) + len(bucket) <= _KEPT
        self._bucket = np.concatenate((self._bucket, bucket))[-_KEPT:]
        self._time = np.concatenate((self._time, time))[-_KEPT:]
        self._step = np.concatenate((self._step, step))[-_KEPT:]
