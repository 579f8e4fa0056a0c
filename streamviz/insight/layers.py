"""One measure of many layers over the steps, folded over ranks: which layer explodes or dies.

Law: a cell is the median over the ranks of their means in it; where any of them was NaN or infinite
the cell is NaN, and where none came there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LayerGrid", "Samples", "fold", "newest"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """One rank's values of one layer, ascending by step."""

    step: IntArray
    """``int64[P]``."""
    value: FloatArray
    """``float64[P]``, NaN where none was finite."""
    bad: IntArray
    """``int64[P]``, how many were NaN or infinite."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerGrid:
    """Layer by step."""

    steps: IntArray
    """``int64[S]``, the first step that each column may hold."""
    width: int
    """Steps of a column."""
    values: FloatArray
    """``float64[L, S]``."""
    there: NDArray[np.bool_]
    """``bool[L, S]``, where any rank sent something."""


def fold(layers: Sequence[Sequence[Samples]], columns: int, width: int = 1) -> LayerGrid:
    """Lay the ranks' values of each layer onto common steps.

    Args:
        layers: Of each layer what its ranks sent.
        columns: At most so many; of more steps 2, 4, 8 … share one.
        width: Steps that a sample stands for at most, a power of two.
    """
    sent = [samples.step for ranks in layers for samples in ranks]
    every = np.unique(np.concatenate(sent)) if sent else np.empty(0, np.int64)
    shift = width.bit_length() - 1
    every = np.unique(every >> shift)
    while every.size > columns:
        shift += 1
        every = np.unique(every >> 1)
    values = np.full((len(layers), every.size), np.nan)
    there = np.zeros(values.shape, np.bool_)
    for row, ranks in enumerate(layers):
        if ranks:
            values[row], there[row] = _row(ranks, every, shift)
    return LayerGrid(steps=every << shift, width=1 << shift, values=values, there=there)


def newest(ranks: Sequence[Samples]) -> tuple[int, float] | None:
    """Return the last step of any rank, and the median of what the ranks sent last.

    NaN if any of them sent what is not finite; ``None`` without anything.
    """
    last = [samples for samples in ranks if samples.step.size]
    if not last:
        return None
    step = max(int(samples.step[-1]) for samples in last)
    if any(samples.bad[-1] for samples in last):
        return step, float("nan")
    return step, float(np.median([samples.value[-1] for samples in last]))


def _row(
    ranks: Sequence[Samples], every: IntArray, shift: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return one layer's cells, and where there are any."""
    means = np.full((len(ranks), every.size), np.nan)
    bad = np.zeros(every.size, np.bool_)
    there = np.zeros(every.size, np.bool_)
    for mean, samples in zip(means, ranks, strict=True):
        at = np.searchsorted(every, samples.step >> shift)
        there[at] = True
        bad[at[samples.bad > 0]] = True
        finite = np.isfinite(samples.value)
        counts = np.bincount(at[finite], minlength=every.size)
        sums = np.bincount(at[finite], weights=samples.value[finite], minlength=every.size)
        np.divide(sums, counts, out=mean, where=counts > 0)
    cells = np.full(every.size, np.nan)
    known = ~np.isnan(means).all(axis=0) & ~bad
    cells[known] = np.nanmedian(means[:, known], axis=0)
    return cells, there
