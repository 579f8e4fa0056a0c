"""Fold the values of many ranks into a band: the extremes, the middle and the bulk.

Law: quantiles are numpy's (linear), mean and deviation numpy's too, over the ranks that have a
value; where none has, NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Band", "band", "spread"]

FloatArray = NDArray[np.float64]

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """Five lines, each ``float64[B]``, NaN where no rank has a value.

    They are named after quantiles; of :func:`spread` the three in the middle are the mean and what
    lies one standard deviation beside it.
    """

    lo: FloatArray
    """Lowest sample of any rank within the bucket."""
    p10: FloatArray
    """A tenth of the ranks have a mean below."""
    mid: FloatArray
    """Median over the ranks."""
    p90: FloatArray
    hi: FloatArray
    """Highest sample of any rank within the bucket."""


def band(values: FloatArray, vmin: FloatArray, vmax: FloatArray) -> Band:
    """Fold ranks into a band.

    Args:
        values: ``float64[B, N]``, one value for each bucket and rank, NaN where there is none.
        vmin: ``float64[B, N]``, the lowest sample behind each value.
        vmax: ``float64[B, N]``, the highest.
    """
    buckets, ranks = values.shape
    if ranks == 0:
        nothing = np.full(buckets, np.nan)
        return Band(lo=nothing, p10=nothing, mid=nothing, p90=nothing, hi=nothing)
    p10, mid, p90 = _quantiles(values)
    return Band(
        lo=np.fmin.reduce(vmin, axis=1),
        p10=p10,
        mid=mid,
        p90=p90,
        hi=np.fmax.reduce(vmax, axis=1),
    )


def spread(values: FloatArray, vmin: FloatArray, vmax: FloatArray) -> Band:
    """Fold ranks into their mean and one standard deviation to either side.

    Args:
        values: ``float64[B, N]``, one value for each bucket and rank, NaN where there is none.
        vmin: ``float64[B, N]``, the lowest sample behind each value.
        vmax: ``float64[B, N]``, the highest.

    Returns:
        The mean as :attr:`Band.mid`, and the mean less and plus the standard deviation of the
        ranks that are there (of all of them: no correction) as ``p10`` and ``p90``. One rank alone
        is its own mean, without a deviation.
    """
    if values.shape[1] == 0:
        return band(values, vmin, vmax)
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    # A bucket that no rank has, and ranks at both infinities: NaN is the answer to both.
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.where(there, values, 0.0).sum(axis=1) / count
        away = np.where(there, values - mean[:, None], 0.0)
        deviation = np.sqrt((away * away).sum(axis=1) / count)
        low, high = mean - deviation, mean + deviation
    return Band(
        lo=np.fmin.reduce(vmin, axis=1),
        p10=low,
        mid=mean,
        p90=high,
        hi=np.fmax.reduce(vmax, axis=1),
    )


def _quantiles(values: FloatArray) -> list[FloatArray]:
    """Return :data:`QUANTILES` of each row, with numpy's own arithmetic."""
    # One sort for all three; it puts NaN last, so a row's values are its first ones. numpy's
    # nanquantile goes through the rows one by one, which takes a hundred times as long.
    ordered = np.sort(values, axis=1)
    last = values.shape[1] - 1 - np.isnan(values).sum(axis=1)
    row = np.arange(values.shape[0])
    quantiles = []
    for q in QUANTILES:
        at = np.maximum(last, 0) * q
        below = np.floor(at).astype(np.intp)
        low = ordered[row, below]
        high = ordered[row, np.minimum(below + 1, np.maximum(last, 0))]
        share = at - below
        step = high - low
        quantiles.append(np.where(share < 0.5, low + step * share, high - step * (1 - share)))
    return quantiles
