"""Rows of one table as the rules read them: who sent them is said by rank.

Law: columns of one length; a rule never changes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "FloatArray", "IntArray"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Rows of one table, in order of arrival: S of them, with K metrics."""

    names: tuple[str, ...]
    """``[K]``."""
    worker: IntArray
    """``int64[S]``, the workers' indices in the store."""
    rank: IntArray
    attempt: IntArray
    current: NDArray[np.bool_]
    """``bool[S]``, whether the row is of its rank's latest attempt."""
    step: IntArray
    time: FloatArray
    """``float64[S]``, wall time in seconds since the epoch."""
    values: FloatArray
    """``float64[S, K]``."""
