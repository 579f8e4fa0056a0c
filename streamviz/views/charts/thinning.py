"""Fewer points than were measured, for a screen that has fewer pixels.

Law: the least and the greatest value are kept with the places where they stood, a value that is
no number leaves a gap, and first and last point stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_POINTS", "Thinned", "thin"]

MAX_POINTS = 50_000
"""Points of a series that are drawn, gaps included."""

_Array = NDArray[np.float64]
_BUCKET_POINTS = 3
"""Of a bucket: its least, its greatest, and a gap where something was no number."""


def thin(x: _Array, y: _Array, points: int = MAX_POINTS) -> tuple[_Array, _Array]:
    """Return at most ``points`` points of a line, in the order in which they came.

    Args:
        x: ``float64[n]``.
        y: ``float64[n]``; NaN is a gap.
        points: At least 8.
    """
    if len(y) <= points:
        return x, y
    held = Thinned(points)
    held.add(x, y)
    return held.points()


@dataclass
class Thinned:
    """A line of any length within a bounded memory: raw while it is short, then buckets of rows.

    Attributes:
        limit: Points that are handed out at most.
        count: Rows that came.
        not_finite: Of these, rows whose y is no finite number.
    """

    limit: int = MAX_POINTS
    count: int = 0
    not_finite: int = 0
    _raw: list[tuple[_Array, _Array]] = field(default_factory=list)
    _width: int = 0
    """Rows of a bucket; 0 while nothing has been left out."""
    _buckets: _Array = field(default_factory=lambda: np.empty((0, 6)))
    """Per bucket: x and y of the least, x and y of the greatest, which came first, any gap."""
    _first: tuple[float, float] = (np.nan, np.nan)
    _last: tuple[float, float] = (np.nan, np.nan)

    @property
    def is_thinned(self) -> bool:
        """Whether there are fewer points than rows."""
        return self._width > 0

    def add(self, x: _Array, y: _Array) -> None:
        """Take further rows: ``float64[n]`` each."""
        if not len(y):
            return
        finite = np.isfinite(y)
        self.not_finite += int(len(y) - np.count_nonzero(finite))
        y = np.where(finite, y, np.nan)
        if not self.count:
            self._first = float(x[0]), float(y[0])
        self._last = float(x[-1]), float(y[-1])
        self.count += len(y)
        self._raw.append((x, y))
        if self.count > self.limit:
            self._fold()

    def points(self) -> tuple[_Array, _Array]:
        """Return x and y of what is to be drawn, ``float64[m]`` each, ``m`` at most the limit."""
        x, y = self._waiting()
        if not self.is_thinned:
            return x, y
        buckets = self._buckets
        if len(y):
            buckets = np.concatenate([buckets, _buckets_of(x[None], y[None])])
        xs, ys = _drawn(buckets)
        ends = np.array([self._first, self._last])
        return (
            np.concatenate([ends[:1, 0], xs, ends[1:, 0]]),
            np.concatenate([ends[:1, 1], ys, ends[1:, 1]]),
        )

    def _waiting(self) -> tuple[_Array, _Array]:
        if not self._raw:
            return np.empty(0), np.empty(0)
        x, y = (np.concatenate(part) for part in zip(*self._raw, strict=True))
        return x, y

    def _fold(self) -> None:
        """Put whole buckets of what waits to the others, and merge them if they are too many."""
        most = max((self.limit - 2) // _BUCKET_POINTS - 1, 2)
        x, y = self._waiting()
        if not self._width:
            self._width = 1 << max((len(y) // most).bit_length(), 1)
        whole = len(y) // self._width * self._width
        if whole:
            shape = (-1, self._width)
            added = _buckets_of(x[:whole].reshape(shape), y[:whole].reshape(shape))
            self._buckets = np.concatenate([self._buckets, added])
        self._raw = [(x[whole:].copy(), y[whole:].copy())] if whole < len(y) else []
        while len(self._buckets) > most:
            self._buckets = _merged(self._buckets)
            self._width *= 2


def _buckets_of(x: _Array, y: _Array) -> _Array:
    """Return a bucket for each row of ``float64[buckets, rows]``."""
    at = np.arange(len(y))
    gap = np.isnan(y)
    least = np.where(gap, np.inf, y).argmin(1)
    greatest = np.where(gap, -np.inf, y).argmax(1)
    empty = gap.all(1)
    columns = (x[at, least], y[at, least], x[at, greatest], y[at, greatest], least <= greatest)
    buckets: _Array = np.stack([*columns, gap.any(1)], axis=1).astype(np.float64)
    buckets[empty, 1] = np.inf
    buckets[empty, 3] = -np.inf
    return buckets


def _merged(buckets: _Array) -> _Array:
    """Return half as many: each two neighbours as one, an odd last one as it is."""
    pairs = len(buckets) // 2
    a, b = buckets[: 2 * pairs : 2], buckets[1 : 2 * pairs : 2]
    out = np.empty_like(a)
    low, high = a[:, 1] <= b[:, 1], a[:, 3] >= b[:, 3]
    out[:, :2] = np.where(low[:, None], a[:, :2], b[:, :2])
    out[:, 2:4] = np.where(high[:, None], a[:, 2:4], b[:, 2:4])
    alike = np.where(low, a[:, 4], b[:, 4])
    out[:, 4] = np.where(low == high, alike, low)
    out[:, 5] = np.maximum(a[:, 5], b[:, 5])
    return np.concatenate([out, buckets[2 * pairs :]])


def _drawn(buckets: _Array) -> tuple[_Array, _Array]:
    """Return the points of buckets, each with a gap after it where it has one."""
    first = buckets[:, 4] > 0
    least, greatest = buckets[:, :2], buckets[:, 2:4]
    points = np.empty((len(buckets), _BUCKET_POINTS, 2))
    points[:, 0] = np.where(first[:, None], least, greatest)
    points[:, 1] = np.where(first[:, None], greatest, least)
    points[:, 2, 0] = points[:, 1, 0]
    points[:, 2, 1] = np.nan
    keep = np.ones((len(buckets), _BUCKET_POINTS), bool)
    keep[:, 2] = buckets[:, 5] > 0
    xs, ys = points[keep].T
    return xs, np.where(np.isfinite(ys), ys, np.nan)
