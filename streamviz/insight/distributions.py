"""Histograms of one name, over steps and ranks, on one grid: what changes from step to step.

Law: no grid makes or loses mass: the counts of a step sum to what its ranks counted, and below any
edge lies what lay there if each bin is evenly filled; percentiles never decrease.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MOST_EDGES",
    "PERCENTILES",
    "Distribution",
    "Histogram",
    "distribution",
    "grid",
    "is_usable",
    "merged",
    "percentiles",
    "rebinned",
]

FloatArray = NDArray[np.float64]

PERCENTILES = (0.0, 7.0, 16.0, 31.0, 50.0, 69.0, 84.0, 93.0, 100.0)
"""The ends, the median, and what half, one and one and a half deviations are of a normal one."""
MOST_EDGES = 1024
"""Edges that one step's histogram has once its ranks are merged; of more every so many."""
_MOST = 1e300
"""Edges and counts beyond would overflow when they are subtracted or summed."""
_BULK = 0.005
"""What may lie on either side of the even bins where a few values would stretch the others flat."""
_STRETCH = 4.0
"""How many times as wide as the bulk the whole may be before its tails get bins of their own."""
_MANTISSAS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts between edges."""

    edges: FloatArray
    """``float64[n + 1]``, increasing."""
    counts: FloatArray
    """``float64[n]``, none below zero."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distribution:
    """Histograms on one grid.

    Attributes:
        edges: ``float64[B + 1]``; evenly spaced but for the bins of tails.
        counts: ``float64[S, B]``.
        values: ``float64[S, P]``, the percentiles of each step; NaN where nothing was counted.
        tails: Whether the first and whether the last bin are such wider ones.
    """

    edges: FloatArray
    counts: FloatArray
    values: FloatArray
    tails: tuple[bool, bool]


def is_usable(edges: FloatArray, counts: FloatArray) -> bool:
    """Say whether a histogram can be computed with: finite, in order, nothing below zero."""
    return bool(
        counts.size > 0
        and edges.size == counts.size + 1
        and np.isfinite(counts).all()
        and (np.abs(edges) < _MOST).all()
        and (edges[1:] > edges[:-1]).all()
        and (counts >= 0).all()
        and counts.max() < _MOST / counts.size
    )


def distribution(
    steps: Sequence[Sequence[Histogram]], bins: int, at: Sequence[float] = PERCENTILES
) -> Distribution:
    """Lay the histograms of several steps onto one grid.

    Args:
        steps: Of each step the histograms of its ranks, at least one, each usable.
        bins: At most so many, 4 or more.
        at: Which percentiles, 0 to 100, in order.
    """
    whole = [merged(histograms) for histograms in steps]
    edges, tails = grid(whole, bins)
    counts = np.empty((len(whole), edges.size - 1))
    values = np.empty((len(whole), len(at)))
    for row, one in enumerate(whole):
        counts[row] = rebinned(one, edges)
        values[row] = percentiles(one, at)
    return Distribution(edges=edges, counts=counts, values=values, tails=tails)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """Return one histogram of several, on the edges of all of them, at most :data:`MOST_EDGES`."""
    found = list(histograms)
    edges = (
        found[0].edges if len(found) == 1 else np.unique(np.concatenate([h.edges for h in found]))
    )
    if edges.size > MOST_EDGES:
        # Edges lie close where the ranks' values do, and so do every so many of them.
        edges = edges[np.linspace(0, edges.size - 1, MOST_EDGES).round().astype(np.intp)]
    counts = np.zeros(edges.size - 1)
    for one in found:
        counts += rebinned(one, edges)
    return Histogram(edges, counts)


def rebinned(histogram: Histogram, edges: FloatArray) -> FloatArray:
    """Return the counts between other edges, each bin split in proportion.

    Args:
        histogram: A usable one.
        edges: ``float64[m + 1]``, increasing, around all of the histogram.
    """
    if edges is histogram.edges:
        return histogram.counts
    return np.diff(_below(histogram, edges))


def percentiles(histogram: Histogram, at: Sequence[float]) -> FloatArray:
    """Return where so many hundredths lie below, ``float64[P]``; NaN of an empty histogram."""
    reached = np.concatenate([[0.0], np.cumsum(histogram.counts)])
    total = reached[-1]
    if not total > 0:
        return np.full(len(at), np.nan)
    wanted = np.asarray(at, np.float64) / 100.0 * total
    # The first bin that reaches it: not an empty one before, nor one after.
    bins = np.searchsorted(reached[1:], wanted, side="left")
    filled = np.flatnonzero(histogram.counts)
    is_first, is_last = np.asarray(at) <= 0.0, np.asarray(at) >= 100.0
    bins = np.where(is_last, filled[-1], np.clip(bins, filled[0], filled[-1]))
    edges = histogram.edges
    share = np.clip((wanted - reached[bins]) / histogram.counts[bins], 0.0, 1.0)
    low, high = edges[bins], edges[bins + 1]
    # The ends to the last digit, which sums have not.
    share = np.where(is_first, 0.0, np.where(is_last, 1.0, share))
    found = np.where(share < 1.0, low + share * (high - low), high)
    return np.maximum.accumulate(np.clip(found, low, high))


def grid(histograms: Sequence[Histogram], bins: int) -> tuple[FloatArray, tuple[bool, bool]]:
    """Return edges around all histograms, and whether the first and the last bin hold tails.

    The bins are even and their edges round numbers, so that one more step seldom moves them. Where
    a few far values would leave nothing but a bin or two to the rest, what is far out has a bin at
    each end instead.
    """
    low, high = _span(histograms)
    inner_low, inner_high = _bulk(histograms, low, high)
    tails = (inner_low > low, inner_high < high)
    even = _even(inner_low, inner_high, max(bins - sum(tails), 2))
    has_first = tails[0] and low < float(even[0])
    has_last = tails[1] and high > float(even[-1])
    edges = np.concatenate([[low] if has_first else [], even, [high] if has_last else []])
    return edges, (has_first, has_last)


def _below(histogram: Histogram, at: FloatArray) -> FloatArray:
    """Return how many lie below each of some increasing values, ``float64`` as they are."""
    edges, counts = histogram.edges, histogram.counts
    reached = np.concatenate([[0.0], np.cumsum(counts)])
    bins = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, counts.size - 1)
    low, high = edges[bins], edges[bins + 1]
    share = (np.clip(at, low, high) - low) / (high - low)
    below = np.minimum(reached[bins] + share * counts[bins], reached[bins + 1])
    return np.maximum.accumulate(below)


def _span(histograms: Sequence[Histogram]) -> tuple[float, float]:
    """Return the least and the greatest edge of a bin that is not empty; of any, if all are."""
    lows, highs = [], []
    for one in histograms:
        filled = np.flatnonzero(one.counts)
        if filled.size:
            lows.append(one.edges[filled[0]])
            highs.append(one.edges[filled[-1] + 1])
    if not lows:
        return float(histograms[0].edges[0]), float(histograms[0].edges[-1])
    return float(min(lows)), float(max(highs))


def _bulk(histograms: Sequence[Histogram], low: float, high: float) -> tuple[float, float]:
    """Return the span that even bins are made for: all of it unless tails stretch it too far."""
    shares = [
        Histogram(one.edges, one.counts / total)
        for one in histograms
        if (total := one.counts.sum()) > 0
    ]
    if not shares:
        return low, high
    first, last = percentiles(merged(shares), (100 * _BULK, 100 - 100 * _BULK))
    width = float(last - first)
    if not width > 0 or high - low <= _STRETCH * width:
        return low, high
    return max(low, float(first) - width / 4), min(high, float(last) + width / 4)


def _even(low: float, high: float, bins: int) -> FloatArray:
    """Return at most ``bins + 1`` evenly spaced round numbers around a span."""
    power = np.floor(np.log10(max((high - low) / bins, 1e-300)))
    for exponent in (power, power + 1, power + 2):
        for mantissa in _MANTISSAS:
            width = mantissa * 10.0**exponent
            first, last = np.floor(low / width), np.ceil(high / width)
            if last - first > bins or abs(first) > 1e15 or abs(last) > 1e15:
                continue
            edges: FloatArray = np.arange(first, last + 1) * width
            is_around = edges.size > 1 and edges[0] <= low and edges[-1] >= high
            if is_around and (edges[1:] > edges[:-1]).all():
                return edges
    # Closer together than round numbers are at their size.
    share = np.linspace(0.0, 1.0, bins + 1)
    edges = np.unique(np.clip(low * (1.0 - share) + high * share, low, high))
    edges[0], edges[-1] = low, high
    return edges if edges.size > 1 else np.array([low, np.nextafter(low, np.inf)])
