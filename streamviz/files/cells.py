"""The cells of one column, as numbers, steps, times.

Law: a number is exactly what its text says; an empty cell is no value, and ``nan`` is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamviz.publisher.past import FloatArray, IntArray
from streamviz.wire.frames import MAX_STEP

__all__ = ["Column", "numbers", "seconds", "whole"]

BoolArray = NDArray[np.bool_]

_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Numbers above the first are counted in so many parts of a second: no training began after the
year 5138."""
EARLIEST_S = 1e8
"""A time before spring 1973 is a span of time, as that since the start, and no date."""


class Column(NamedTuple):
    """Values of the cells of a column."""

    values: FloatArray
    """``float64[S]``, NaN where there is none."""
    there: BoolArray | None
    """Where there is one; ``None``: everywhere."""
    bad: list[int]
    """Where a cell holds what cannot be read as one."""


def numbers(cells: Sequence[str], *, comma: bool = False) -> Column:
    """Read numbers.

    Args:
        cells: S texts.
        comma: The decimal sign may be a comma.
    """
    try:
        return Column(np.fromiter(map(float, cells), np.float64, len(cells)), None, [])
    except ValueError:
        pass
    values = np.full(len(cells), np.nan)
    there = np.zeros(len(cells), np.bool_)
    bad = []
    for i, cell in enumerate(cells):
        if not cell:
            continue
        try:
            values[i] = float(cell)
            there[i] = True
        except ValueError:
            if cell.isspace():
                continue
            number = _other(cell, comma=comma)
            if number is None:
                bad.append(i)
            else:
                values[i] = number
                there[i] = True
    return Column(values, there, bad)


def _other(cell: str, *, comma: bool) -> float | None:
    text = cell.strip().lower()
    if text in ("true", "false"):
        return float(text == "true")
    if comma and text.count(",") == 1 and "." not in text:
        try:
            return float(text.replace(",", "."))
        except ValueError:
            return None
    return None


def whole(column: Column) -> tuple[IntArray, BoolArray]:
    """Return a column's steps, and where they are steps."""
    values = column.values
    with np.errstate(invalid="ignore"):
        good = (values >= 0) & (values <= MAX_STEP) & (np.floor(values) == values)
    if column.there is not None:
        good &= column.there
    return np.where(good, values, 0).astype(np.int64), good


def seconds(cells: Sequence[str]) -> Column:
    """Read wall times: seconds, or smaller parts, since the epoch, or dates of ISO 8601.

    A date without a zone is of this machine's zone.
    """
    column = numbers(cells)
    values = column.values
    for i in list(column.bad):
        try:
            values[i] = datetime.fromisoformat(cells[i].strip().replace("Z", "+00:00")).timestamp()
        except (ValueError, OverflowError):
            continue
        if column.there is not None:
            column.there[i] = True
    with np.errstate(invalid="ignore"):
        for above, parts in _UNITS:
            large = values > above
            if large.any():
                values[large] /= parts
    there = column.there if column.there is not None else np.ones(values.size, np.bool_)
    left = [i for i in column.bad if not there[i]]
    return Column(values, None if column.there is None else there, left)
