"""Values as a histogram: binned where they are, so that only counts travel.

Law: at most :data:`MOST_BINS` bins with increasing, finite edges; of many values a part is binned
and scaled up, so that a call takes some milliseconds whatever it is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamviz.publisher.arrays import numbers
from streamviz.publisher.values import Unusable

__all__ = ["MOST_BINNED", "MOST_BINS", "Bins", "binned", "common_bins", "given_bins"]

MOST_BINS = 512
"""Bins of a histogram: more than a chart has pixels for."""
MOST_BINNED = 1 << 20
"""Values that are binned, ten milliseconds' worth; of more, every so manieth."""
_ESTIMATORS = ("auto", "doane", "fd", "rice", "scott", "sqrt", "sturges")
_TENSORFLOW = "tensorflow"


@dataclass(frozen=True, slots=True)
class Bins:
    """A histogram."""

    edges: np.ndarray
    """float64[n + 1], increasing."""
    counts: np.ndarray
    """float64[n]."""
    low: float
    high: float
    total: float
    """Sum of the values."""
    squares: float
    """Sum of their squares."""
    count: float
    """How many values there were, those that are not finite left out."""
    not_finite: int = 0
    """How many of those there were."""

    def body(self) -> dict[str, object]:
        """Return it as the body of an item."""
        body: dict[str, object] = {
            "edges": self.edges.astype("<f8").tobytes(),
            "counts": self.counts.astype("<f8").tobytes(),
            "min": self.low,
            "max": self.high,
            "total": self.total,
            "squares": self.squares,
            "count": self.count,
        }
        if self.not_finite:
            body["not_finite"] = self.not_finite
        return body


def binned(value: object, bins: object = 64, max_bins: int = MOST_BINS) -> Bins:
    """Return a histogram of values of any shape.

    Args:
        value: Real numbers; those that are not finite are left out and counted.
        bins: How many of equal width; or the edges; or one of NumPy's estimators by name; or
            ``tensorflow``: TensorBoard's, whose widths grow by a tenth.
        max_bins: How many may be left; neighbours are merged.

    Raises:
        Unusable: There is nothing to be binned, or the bins are none.
    """
    array = numbers(value, "values").reshape(-1)
    if not array.size:
        raise Unusable("a histogram of no values", "found an empty array")
    whole = array.size
    low, high = _extremes(array)
    if whole > MOST_BINNED:
        array = array[:: (-(-whole // MOST_BINNED)) | 1]
    sample = array.astype(np.float64)
    not_finite = 0
    if not (math.isfinite(low) and math.isfinite(high)):
        kept = sample[np.isfinite(sample)]
        if not kept.size:
            raise Unusable("a histogram of no finite values", f"found {whole} values, none finite")
        not_finite = round((sample.size - kept.size) * whole / sample.size)
        sample = kept
        low, high = float(kept.min()), float(kept.max())
    edges, counts = _fewer(*_counted(sample, low, high, bins), _whole_bins(max_bins))
    scale = (whole - not_finite) / sample.size
    with np.errstate(all="ignore"):
        total, squares = float(sample.sum()) * scale, float(sample @ sample) * scale
    return Bins(
        edges, counts * scale, low, high, total, squares, float(whole - not_finite), not_finite
    )


def given_bins(
    edges: object,
    counts: object,
    low: float | None = None,
    high: float | None = None,
    total: float | None = None,
    squares: float | None = None,
) -> Bins:
    """Return a histogram that somebody else has counted; see ``Publisher.histogram_raw``.

    Raises:
        Unusable: It is none.
    """
    sides = numbers(edges, "edges").reshape(-1)
    heights = numbers(counts, "counts").reshape(-1)
    if not heights.size or sides.size != heights.size + 1:
        raise Unusable(
            "a histogram whose edges and counts do not fit",
            f"found {sides.size} edges and {heights.size} counts; n + 1 and n are expected",
        )
    if sides.size > MOST_BINNED:
        raise Unusable(
            "a histogram of too many bins", f"found {heights.size}; {MOST_BINS} are kept"
        )
    sides, heights = sides.astype(np.float64), heights.astype(np.float64)
    if not (np.isfinite(sides).all() and (sides[1:] > sides[:-1]).all()):
        raise Unusable("a histogram whose edges do not increase", "each is to be above the last")
    if not (np.isfinite(heights).all() and (heights >= 0).all()):
        raise Unusable("a histogram with counts below zero or not finite", "counts are 0 or more")
    middles = sides[:-1] / 2 + sides[1:] / 2
    full = np.flatnonzero(heights)
    first, last = (full[0], full[-1]) if full.size else (0, heights.size - 1)
    with np.errstate(all="ignore"):
        return Bins(
            *_fewer(sides, heights),
            low=float(sides[first]) if low is None else float(low),
            high=float(sides[last + 1]) if high is None else float(high),
            total=float(heights @ middles) if total is None else float(total),
            squares=float(heights @ middles**2) if squares is None else float(squares),
            count=float(heights.sum()),
        )


def common_bins(values: Sequence[np.ndarray], bins: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return edges that several sets of finite values share, and the counts of each.

    Raises:
        Unusable: There are no values.
    """
    found = [one for one in values if one.size]
    if not found:
        raise Unusable("a histogram of no values", "found no finite value")
    low = min(float(one.min()) for one in found)
    high = max(float(one.max()) for one in found)
    edges = _even(low, high, _whole_bins(bins))
    return edges, [np.histogram(one, edges)[0].astype(np.float64) for one in values]


def _extremes(array: np.ndarray) -> tuple[float, float]:
    with np.errstate(all="ignore"):
        return float(array.min()), float(array.max())


def _whole_bins(bins: object) -> int:
    if isinstance(bins, bool) or not hasattr(bins, "__index__"):
        raise Unusable("bins that are none", f"found {str(bins)[:80]!r}")
    count = int(bins.__index__())
    if not 1 <= count <= MOST_BINS:
        raise Unusable("a number of bins that cannot be", f"found {count}; 1 to {MOST_BINS} can")
    return count


def _counted(
    sample: np.ndarray, low: float, high: float, bins: object
) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(bins, str):
        if bins == _TENSORFLOW:
            return _trimmed(sample, _growing(low, high))
        return _even_counts(sample, low, high, _estimated(sample, low, high, bins))
    if hasattr(bins, "__index__") and not isinstance(bins, bool) and np.ndim(bins) == 0:  # type: ignore[arg-type]
        return _even_counts(sample, low, high, _whole_bins(bins))
    edges = numbers(bins, "bins").reshape(-1).astype(np.float64)
    if not 2 <= edges.size <= MOST_BINNED or not np.isfinite(edges).all():
        raise Unusable("bins that are none", f"found {edges.size} edges; two finite ones or more")
    if not (edges[1:] > edges[:-1]).all():
        raise Unusable("bins whose edges do not increase", "each is to be above the last")
    return edges, np.histogram(sample, edges)[0].astype(np.float64)


def _even_counts(
    sample: np.ndarray, low: float, high: float, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    # NumPy's way for bins of equal width needs no sorting, but takes no range near the limits.
    span = high - low
    if math.isfinite(span) and (not span or span / bins > 4 * np.spacing(max(-low, high))):
        try:
            counts, edges = np.histogram(sample, bins, (low, high))
            return edges.astype(np.float64), counts.astype(np.float64)
        except ValueError:  # too close together to be told apart
            pass
    edges = _even(low, high, bins)
    return edges, np.histogram(sample, edges)[0].astype(np.float64)


def _even(low: float, high: float, bins: int) -> np.ndarray:
    """Return increasing edges between any two finite numbers."""
    most = np.finfo(np.float64).max
    if low == high:
        half = max(0.5, abs(low) * 1e-6)
        low, high = max(low - half, -most), min(high + half, most)
    edges = np.clip(np.linspace(low / 2, high / 2, bins + 1) * 2, low, high)
    edges[0], edges[-1] = low, high
    return np.unique(edges)


def _estimated(sample: np.ndarray, low: float, high: float, name: str) -> int:
    """Return how many bins an estimator wants, as far as there may be as many."""
    if name == "stone":
        name = "auto"  # it tries hundreds of histograms
    if name not in _ESTIMATORS:
        raise Unusable(
            "bins of an unknown name",
            f"found {name[:40]!r}, expected {_TENSORFLOW}, {', '.join(_ESTIMATORS)}",
        )
    span = high - low
    if not math.isfinite(span) or not span:
        return 1 if not span else MOST_BINS
    if name in ("auto", "fd", "scott"):
        # One value far away makes these ask for more bins than there is memory.
        quarter, three = np.percentile(sample, (25, 75))
        width = 2 * (three - quarter) if name != "scott" else 3 * float(sample.std())
        if width and span / width * sample.size ** (1 / 3) > MOST_BINS * 2:
            return MOST_BINS
    try:
        return min(len(np.histogram_bin_edges(sample, name)) - 1, MOST_BINS)
    except (ValueError, MemoryError):
        return MOST_BINS


def _growing(low: float, high: float) -> np.ndarray:
    """Return TensorBoard's edges: from 1e-12 to 1e20 and below zero alike, each a tenth wider."""
    sides = []
    edge = 1e-12
    while edge < 1e20:
        sides.append(edge)
        edge *= 1.1
    right = np.array(sides)
    edges = np.concatenate((-right[::-1], [0.0], right))
    if low < edges[0]:
        edges = np.concatenate(([low], edges))
    if high > edges[-1]:
        edges = np.concatenate((edges, [high]))
    return edges


def _trimmed(sample: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return edges and counts from the first bin that has any to the last."""
    counts = np.histogram(sample, edges)[0].astype(np.float64)
    full = np.flatnonzero(counts)
    return edges[full[0] : full[-1] + 2], counts[full[0] : full[-1] + 1]


def _fewer(
    edges: np.ndarray, counts: np.ndarray, most: int = MOST_BINS
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same histogram with no more bins than there may be.

    Empty neighbours become one, which loses nothing; then the emptiest pairs of neighbours do.
    """
    if counts.size <= most:
        return edges, counts
    keep = np.ones(edges.size, dtype=bool)
    keep[1:-1] = (counts[1:] > 0) | (counts[:-1] > 0)
    edges, counts = edges[keep], np.add.reduceat(counts, np.flatnonzero(keep[:-1]))
    while counts.size > most:
        pairs = counts[: counts.size // 2 * 2].reshape(-1, 2).sum(axis=1)
        merged = np.argsort(pairs, kind="stable")[: min(counts.size - most, pairs.size)]
        keep = np.ones(edges.size, dtype=bool)
        keep[merged * 2 + 1] = False
        edges, counts = edges[keep], np.add.reduceat(counts, np.flatnonzero(keep[:-1]))
    return edges, counts
