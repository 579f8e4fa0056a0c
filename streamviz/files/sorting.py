"""Rows with holes, as rows of sets of names without any.

Law: every value that is there comes once, in order within its name.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamviz.publisher.past import FloatArray, IntArray, Rows

__all__ = ["Sorter"]

SETS = 32
"""Different sets of names of one file; past it, each name goes on its own."""
WIDEST = 1024
"""Names of one set."""


class Sorter:
    """Remembers which sets of names a file has had."""

    def __init__(self) -> None:
        self._sets: set[tuple[str, ...]] = set()

    def rows(
        self,
        names: tuple[str, ...],
        steps: IntArray,
        times: FloatArray,
        values: FloatArray,
        there: NDArray[np.bool_] | None,
        chosen: NDArray[np.int64],
    ) -> list[Rows]:
        """Return some of the rows.

        Args:
            names: K names.
            steps: ``int64[S]``.
            times: ``float64[S]``.
            values: ``float64[S, K]``.
            there: ``bool[S, K]``, where there is a value; ``None``: everywhere.
            chosen: Which rows, ascending.
        """
        if not chosen.size:
            return []
        axis = (steps[chosen], times[chosen])
        if there is None or there[chosen].all():
            return _cut(names, *axis, values[chosen])
        values, there = values[chosen], there[chosen]
        packed = np.packbits(there, axis=1)
        _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        inverse = inverse.reshape(-1)
        sets = {
            code: tuple(name for name, is_there in zip(names, there[at], strict=True) if is_there)
            for code, at in enumerate(first.tolist())
        }
        new = {one for one in sets.values() if one} - self._sets
        if len(new) + len(self._sets) > SETS:
            return _each(names, *axis, values, there)
        self._sets |= new
        found: list[Rows] = []
        for code in np.argsort(first).tolist():
            if sets[code]:
                at = np.flatnonzero(inverse == code)
                columns = np.flatnonzero(there[first[code]])
                part = values[np.ix_(at, columns)]
                found += _cut(sets[code], axis[0][at], axis[1][at], part)
        return found


def _cut(
    names: tuple[str, ...], steps: IntArray, times: FloatArray, values: FloatArray
) -> list[Rows]:
    return [
        Rows(names[i : i + WIDEST], steps, times, values[:, i : i + WIDEST])
        for i in range(0, len(names), WIDEST)
    ]


def _each(
    names: tuple[str, ...],
    steps: IntArray,
    times: FloatArray,
    values: FloatArray,
    there: NDArray[np.bool_],
) -> list[Rows]:
    found = []
    for i, name in enumerate(names):
        at = np.flatnonzero(there[:, i])
        if at.size:
            found.append(Rows((name,), steps[at], times[at], values[at, i : i + 1]))
    return found
