"""Find the ranks that keep away from the others.

Law: a rank is named only while it differs from most others in one direction, by more than they
differ among themselves; and once named it stays until it has clearly come back.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

__all__ = ["outliers"]

FloatArray = NDArray[np.float64]

WINDOW = 32
"""Buckets looked at: long enough to tell a rank that is apart from one that jumped once."""
RANKS_MIN = 4
"""With fewer there is no telling who is apart from whom."""
ENTER = 5.0
"""Robust standard deviations at which a rank is named; one in a million ranks by chance."""
LEAVE = 3.0
FAVOUR = 1.5
"""A named rank gives its place to one that is this much further out, so that names rest."""
SIGMA_OF_MAD = 1.4826
FLOOR = 1e-3
"""Spread that counts as agreement, relative to the values: below it nobody is apart."""


def outliers(values: FloatArray, previous: Collection[int] = (), k: int = 3) -> list[int]:
    """Return the columns that stand out most from the median over the last buckets.

    Args:
        values: ``float64[B, N]``, one value for each bucket and rank, NaN where there is none.
        previous: What the call before returned: those stay more easily than others enter.
        k: Most columns to return.

    Returns:
        At most ``k`` columns, ascending; none when the ranks agree or are fewer than four.
    """
    if values.shape[1] < RANKS_MIN or k < 1:
        return []
    score = _scores(values)
    named = np.zeros(score.size, np.bool_)
    named[[column for column in previous if column < score.size]] = True
    stands_out = score >= np.where(named, LEAVE, ENTER)
    weight = np.where(stands_out, score * np.where(named, FAVOUR, 1.0), 0.0)
    furthest = np.argsort(-weight, kind="stable")[:k]
    return sorted(int(column) for column in furthest if stands_out[column])


def _scores(values: FloatArray) -> FloatArray:
    """Return how far each column is from the others, in robust standard deviations."""
    # Ranks do not arrive together: the newest buckets may hold the fastest few only.
    told = np.flatnonzero(np.isfinite(values).sum(axis=1) >= RANKS_MIN)[-WINDOW:]
    if told.size == 0:
        return np.zeros(values.shape[1])
    window = np.where(np.isfinite(values[told]), values[told], np.nan)
    middle = _median(window)
    away = window - middle[:, None]
    spread = SIGMA_OF_MAD * _median(np.abs(away))
    size = float(np.median(np.abs(middle)))
    # A spread of nothing at all would make rounding errors stand out.
    spread = np.maximum(spread, max(FLOOR * size, np.finfo(np.float64).tiny))
    with np.errstate(over="ignore"):
        score: FloatArray = np.abs(_median((away / spread[:, None]).T))
    enough = 2 * np.isfinite(window).sum(axis=0) >= told.size
    score[~enough | np.isnan(score)] = 0.0
    return score


def _median(values: FloatArray) -> FloatArray:
    """Return the median of each row without its NaN; NaN for a row of nothing else."""
    ordered = np.sort(values, axis=1)
    last = np.maximum(values.shape[1] - 1 - np.isnan(values).sum(axis=1), 0)
    row = np.arange(values.shape[0])
    low: FloatArray = ordered[row, last // 2]
    high: FloatArray = ordered[row, (last + 1) // 2]
    return low / 2 + high / 2
