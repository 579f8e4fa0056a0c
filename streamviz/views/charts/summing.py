"""What is held of a column's values while they come: counts, means, quartiles, a fair sample.

Law: each takes a bounded memory, however many values come; counts, sums, least and greatest are
exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Counted", "Means", "Quartiles", "Sampled", "Totals"]

_Array = NDArray[np.float64]

_FINE = 4_096
"""Cells in which values are counted before they are put together as bins."""
_RAW = 1 << 16
"""Values that are kept as they are, for bins as good as they can be."""
_SAMPLE = 200_000
"""Values of which quartiles are taken, when there are more."""
_OUTLIERS = 400
"""Outliers of a box that are drawn: the farthest."""
_WHOLE_BINS = 60
"""Whole numbers that have a bin each."""
_GREATEST = 1e250


def _usable(values: _Array) -> _Array:
    with np.errstate(invalid="ignore"):
        usable: _Array = values[np.abs(values) <= _GREATEST]
    return usable


@dataclass
class Counted:
    """How often values come, for a histogram: raw while they are few, then in cells that grow."""

    _raw: list[_Array] = field(default_factory=list)
    _held: int = 0
    _cells: NDArray[np.int64] | None = None
    _low: float = 0.0
    _step: float = 1.0

    def add(self, values: _Array) -> None:
        """Take further values; what is not finite is none."""
        values = _usable(values)
        if not len(values):
            return
        if self._cells is None:
            self._raw.append(values)
            self._held += len(values)
            if self._held > _RAW:
                self._begin()
            return
        self._count(values)

    def histogram(self, bins: int) -> tuple[_Array, _Array]:
        """Return edges ``float64[n + 1]`` and counts ``float64[n]``, ``n`` about ``bins``."""
        if self._cells is not None:
            return self._put_together(self._cells, bins)
        if not self._raw:
            return np.empty(0), np.empty(0)
        values = np.concatenate(self._raw)
        low, high = float(values.min()), float(values.max())
        whole = high - low < _WHOLE_BINS and bool((values == np.round(values)).all())
        edges = np.arange(low - 0.5, high + 1) if whole else np.linspace(low, high, bins + 1)
        if not (np.diff(edges) > 0).all():  # they are too close for so many bins
            edges = np.array([np.nextafter(low, -np.inf), np.nextafter(high, np.inf)])
        counts, _ = np.histogram(values, edges)
        return np.asarray(edges, np.float64), np.asarray(counts, np.float64)

    def _begin(self) -> None:
        values = np.concatenate(self._raw)
        self._raw = []
        self._low = float(values.min())
        span = float(values.max()) - self._low
        least = max(abs(self._low) * 1e-12, 1e-300)
        # Half of the cells stay free for what is beyond.
        self._step = max(2 * span / _FINE, least)
        self._cells = np.zeros(_FINE, np.int64)
        self._count(values)

    def _count(self, values: _Array) -> None:
        low, high = float(values.min()), float(values.max())
        while low < self._low:
            self._double(downwards=True)
        while high >= self._low + self._step * _FINE:
            self._double(downwards=False)
        assert self._cells is not None  # noqa: S101 - counting has begun
        places = np.clip((values - self._low) / self._step, 0, _FINE - 1).astype(np.int64)
        self._cells += np.bincount(places, minlength=_FINE)

    def _double(self, *, downwards: bool) -> None:
        """Make each cell twice as wide, and the free half the one below or above."""
        assert self._cells is not None  # noqa: S101 - counting has begun
        halves = self._cells.reshape(-1, 2).sum(1)
        free = np.zeros_like(halves)
        if downwards:
            self._low -= self._step * _FINE
        self._cells = np.concatenate([free, halves] if downwards else [halves, free])
        self._step *= 2

    def _put_together(self, cells: NDArray[np.int64], bins: int) -> tuple[_Array, _Array]:
        used = np.flatnonzero(cells)
        first, last = int(used[0]), int(used[-1])
        width = -(-(last - first + 1) // bins)
        count = -(-(last - first + 1) // width)
        some = np.zeros(count * width)
        taken = cells[first : first + count * width]
        some[: len(taken)] = taken
        edges: _Array = self._low + self._step * (first + width * np.arange(count + 1.0))
        return edges, some.reshape(count, width).sum(1)


@dataclass
class Sampled:
    """Rows of which each is kept with the same chance, and the outermost of each column surely."""

    limit: int
    columns: int
    count: int = 0
    _rows: _Array | None = None
    _outer: _Array | None = None
    _chance: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @property
    def is_sampled(self) -> bool:
        """Whether there were more rows than are kept."""
        return self.count > self.limit

    def add(self, rows: _Array) -> None:
        """Take further rows, ``float64[n, columns]``."""
        if self._rows is None:
            self._rows = np.empty((0, self.columns))
        room = self.limit - len(self._rows)
        if room > 0:
            self._rows = np.concatenate([self._rows, rows[:room]])
        rest = rows[max(room, 0) :]
        if len(rest):
            at = self.count + max(room, 0) + np.arange(len(rest)) + 1
            chosen = rest[self._chance.random(len(rest)) * at < self.limit]
            self._rows[self._chance.integers(self.limit, size=len(chosen))] = chosen
        self.count += len(rows)
        held = rows if self._outer is None else np.concatenate([self._outer, rows])
        held = held[np.isfinite(held).all(1)]
        if len(held):
            self._outer = held[np.concatenate([held.argmin(0), held.argmax(0)])]

    def rows(self) -> _Array:
        """Return what is kept, ``float64[m, columns]``."""
        if self._rows is None:
            return np.empty((0, self.columns))
        if self._outer is None or not self.is_sampled:
            return self._rows
        return np.concatenate([self._rows, self._outer])


@dataclass
class Quartiles:
    """A box plot's numbers: of all values while they are few, then of a fair sample."""

    _held: Sampled = field(default_factory=lambda: Sampled(_SAMPLE, 1))

    @property
    def is_sampled(self) -> bool:
        """Whether there were more values than the quartiles are of."""
        return self._held.is_sampled

    def add(self, values: _Array) -> None:
        """Take further values; what is not finite is none."""
        values = _usable(values)
        if len(values):
            self._held.add(values[:, None])

    def box(self) -> dict[str, object]:
        """Return low, q1, median, q3, high and outliers: whiskers reach 1.5 times the box's height.

        ``beyond`` is how many outliers there are besides.
        """
        values = self._held.rows()[:, 0]
        if not len(values):
            return {}
        q1, median, q3 = (float(one) for one in np.quantile(values, (0.25, 0.5, 0.75)))
        reach = 1.5 * (q3 - q1)
        inside = values[(values >= q1 - reach) & (values <= q3 + reach)]
        low = min(float(inside.min()), q1) if len(inside) else q1
        high = max(float(inside.max()), q3) if len(inside) else q3
        outside = np.unique(values[(values < low) | (values > high)])
        farthest = outside[np.argsort(-np.abs(outside - median))][:_OUTLIERS]
        return {
            "low": low, "q1": q1, "median": median, "q3": q3, "high": high,
            "outliers": farthest, "beyond": len(outside) - len(farthest),
        }  # fmt: skip


@dataclass
class Means:
    """Means of stretches of rows of one width, which doubles when there are too many."""

    limit: int
    width: int = 1
    _sums: _Array = field(default_factory=lambda: np.empty((0, 3)))
    """Per stretch: x of its first row, the sum of its values, how many they are."""
    _part: _Array = field(default_factory=lambda: np.empty((0, 3)))
    """Rows, as stretches of one, that are not a whole stretch yet."""

    def __post_init__(self) -> None:
        # Even, so that stretches are merged two by two and none is left over.
        self.limit = max(self.limit - self.limit % 2, 2)

    def add(self, x: _Array, y: _Array) -> None:
        """Take further rows: ``float64[n]`` each."""
        finite = np.isfinite(y)
        rows = np.stack([x, np.where(finite, y, 0.0), finite.astype(np.float64)], axis=1)
        rows = np.concatenate([self._part, rows])
        while len(rows):
            room = (self.limit - len(self._sums)) * self.width
            if not room:
                self._sums = _in_groups(self._sums, 2)
                self.width *= 2
                continue
            taken = min(room, len(rows)) // self.width * self.width
            if not taken:
                break
            self._sums = np.concatenate([self._sums, _in_groups(rows[:taken], self.width)])
            rows = rows[taken:]
        self._part = rows

    def points(self) -> tuple[_Array, _Array]:
        """Return x and mean of each stretch, NaN where a stretch has no number."""
        return self.widened(self.width)

    def widened(self, width: int) -> tuple[_Array, _Array]:
        """Return the same in stretches as wide as another's: a power of two, no less than ours."""
        sums = self._sums
        if len(self._part):
            sums = np.concatenate([sums, _in_groups(self._part, self.width)])
        sums = _in_groups(sums, width // self.width)
        means = np.full(len(sums), np.nan)
        np.divide(sums[:, 1], sums[:, 2], out=means, where=sums[:, 2] > 0)
        return sums[:, 0], means


def _in_groups(rows: _Array, size: int) -> _Array:
    """Return groups of so many neighbours as one row each, the last as long as it is."""
    if size == 1 or not len(rows):
        return rows
    starts = np.arange(0, len(rows), size)
    grouped: _Array = np.add.reduceat(rows, starts, axis=0)
    grouped[:, 0] = rows[starts, 0]
    return grouped


@dataclass
class Totals:
    """Sums and counts by word, in the order in which words came first.

    Attributes:
        limit: Words that are kept apart at most.
        further: Rows of words beyond it.
    """

    limit: int
    further: int = 0
    sums: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    several: bool = False
    _places: dict[str, int] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """The words."""
        return list(self._places)

    def add(self, words: Iterable[str], values: _Array) -> None:
        """Take further rows; a value that is not finite brings its word alone."""
        places, sums, counts = self._places, self.sums, self.counts
        for word, value in zip(words, values.tolist(), strict=True):
            place = places.get(word)
            if place is None:
                if len(places) >= self.limit:
                    self.further += 1
                    continue
                place = places[word] = len(places)
                sums.append(0.0)
                counts.append(0)
            if abs(value) <= _GREATEST:
                sums[place] += value
                counts[place] += 1
                if counts[place] > 1:
                    self.several = True

    def means(self, words: Sequence[str]) -> _Array:
        """Return the mean of each word, NaN where it has none."""
        found = np.full(len(words), np.nan)
        for i, word in enumerate(words):
            place = self._places.get(word)
            if place is not None and self.counts[place]:
                found[i] = self.sums[place] / self.counts[place]
        return found
