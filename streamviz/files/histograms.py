"""Histograms of others as those that we send: edges that increase, of at most so many bins.

Law: no count is lost; bins are joined where there are too many.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["MAX_BINS", "histogram_body"]

MAX_BINS = 512


def histogram_body(
    edges: np.ndarray, counts: np.ndarray, low: float, high: float
) -> Mapping[str, object]:
    """Return the body of a histogram.

    Args:
        edges: ``float64[n + 1]``, not decreasing; those at the ends may be infinite.
        counts: ``float64[n]``.
        low: The least value; the first bin that has any begins there.
        high: The greatest.

    Raises:
        ValueError: It has no values, or what it has is no histogram.
    """
    if len(edges) != len(counts) + 1 or not (np.asarray(counts) >= 0).all():
        raise ValueError(f"a histogram of {len(edges)} edges and {len(counts)} counts")
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("a histogram without a least or a greatest value")
    filled = np.flatnonzero(counts)
    if not filled.size:
        raise ValueError("it has no values")
    first, last = int(filled[0]), int(filled[-1])
    counts = np.array(counts[first : last + 1], np.float64)
    edges = np.clip(np.array(edges[first : last + 2], np.float64), low, high)
    edges[0], edges[-1] = low, high
    # Bins without a width hold what lies exactly on an edge: their counts go to the neighbour.
    wide = np.diff(edges) > 0
    if not wide.any():
        least = max(abs(low) * 1e-6, 1e-12)
        edges, counts = np.array([low - least, low + least]), np.array([counts.sum()])
    elif not wide.all():
        # A count goes to the wide bin that begins at or before its edge, else to the first.
        target = np.maximum(np.cumsum(wide) - 1, 0)
        counts = np.bincount(target, counts, minlength=int(wide.sum()))
        edges = np.append(edges[:-1][wide], edges[-1])
    while len(counts) > MAX_BINS:
        joined = -(-len(counts) // 2)
        counts = np.add.reduceat(counts, np.arange(0, len(counts), 2))
        edges = np.append(edges[:-1][::2], edges[-1])
        assert len(edges) == joined + 1  # noqa: S101
    return {
        "edges": edges.astype("<f8").tobytes(),
        "counts": counts.astype("<f8").tobytes(),
        "min": float(low),
        "max": float(high),
        "count": float(counts.sum()),
    }
