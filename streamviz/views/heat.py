"""A heatmap's cells: which value a cell shows, the two bytes it is sent as, the colours' ends.

A cell is sent as a half-precision number of steps of size ``2**exponent`` away from ``base``, so
that what lies close together is told apart wherever on the number line it lies.

Law: NaN, absence and what lies out of range have codes of their own and are never coloured as a
value; a value comes back within 1/2048 of its distance from the base.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from streamviz.views.encoding import Floats

__all__ = [
    "ABSENT",
    "BAD",
    "SAMPLE",
    "Codes",
    "Gauge",
    "Scale",
    "decode",
    "encode",
    "fold",
    "gauge_of",
    "middles",
    "sample_of",
    "scale_of",
    "standing_out",
]

Codes = npt.NDArray[np.uint16]
Flags = npt.NDArray[np.bool_]

BAD = 0x7E00
"""Code of a cell in which NaN or an infinity came."""

ABSENT = 0x7FFF
"""Code of a cell without any row."""

SAMPLE = 16_384
"""Cells by which the ends of the colours are found: the percentiles of these take half a
millisecond, and are as good as those of a million."""

_HEADROOM = 8
"""Powers of two between what is usual and the largest code: a spike of 256 times fits."""

_COARSE = 64
"""Steps of the codes over the range of colours below which they are too coarse for it."""

_STANDS_OUT = 2.0
"""An extreme this many usual widths of a bucket away from its mean is shown in its place: with
normal noise the width of 32 rows is four standard deviations, so that is eight of them."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """What a code means: ``base + code * 2**exponent``."""

    base: float = 0.0
    exponent: int = 0


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the colours end, and what there is beyond."""

    lo: float
    """The first percentile of the window."""
    mid: float
    """Its median."""
    hi: float
    """Its 99th percentile."""


def gauge_of(values: Floats) -> Gauge:
    """Return the gauge that suits some values.

    Args:
        values: Any shape; NaN for cells without a value.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Gauge()
    finite = finite[:: max(1, finite.size // SAMPLE)]
    base = float(np.percentile(finite, 50, method="nearest"))
    # Two values near the ends of the range lie further apart than any number.
    with np.errstate(over="ignore"):
        usual = float(np.percentile(np.abs(finite - base), 99))
    usual = usual or abs(base) or 1.0
    usual = min(usual, 1e300)
    return Gauge(base, max(math.frexp(usual)[1] - _HEADROOM, -1000))


def encode(values: Floats, bad: Flags, absent: Flags, gauge: Gauge) -> Codes:
    """Turn values into codes; beyond what the gauge holds they become an infinity.

    Args:
        values: Finite where neither ``bad`` nor ``absent``; all three of one shape.
        bad: Where NaN or an infinity came.
        absent: Where there is no row.
        gauge: What the codes are to mean.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        halves = np.ldexp(values - gauge.base, -gauge.exponent).astype(np.float16)
    codes = halves.view(np.uint16)
    codes[bad] = BAD
    codes[absent] = ABSENT
    return codes


def decode(codes: Codes, gauge: Gauge) -> Floats:
    """Turn codes back: NaN for what is bad or absent, an infinity for what lies out of range."""
    with np.errstate(over="ignore"):
        far = np.ldexp(codes.view(np.float16).astype(np.float64), gauge.exponent)
        return np.asarray(gauge.base + far)


def sample_of(codes: Codes) -> Codes:
    """Return at most :data:`SAMPLE` cells or few more, spread over all rows and columns.

    Args:
        codes: Shape (columns, rows).
    """
    every = codes.size // SAMPLE
    if every <= 1:
        return codes.ravel()
    # With a common divisor the same rows would be taken in each column, and others never.
    while math.gcd(every, codes.shape[1]) > 1:
        every += 1
    return codes.ravel()[::every]


def scale_of(codes: Codes, gauge: Gauge) -> Scale | None:
    """Find the ends of the colours.

    Args:
        codes: Shape (columns, rows).
        gauge: What they mean.

    Returns:
        ``None`` when the gauge does not suit these cells any more.
    """
    values = decode(sample_of(codes), gauge)
    values = values[~np.isnan(values)]
    if not values.size:
        return Scale(0.0, 0.0, 0.0)
    lo, mid, hi = (float(end) for end in np.percentile(values, (1, 50, 99), method="nearest"))
    if not (math.isfinite(lo) and math.isfinite(hi)):
        return None
    # Codes lie 1/1024 of their distance from the base apart.
    furthest = max(abs(lo - gauge.base), abs(hi - gauge.base))
    # All alike and away from the base may be many values that became one.
    if furthest / 1024 > (hi - lo) / _COARSE:
        return None
    return Scale(lo, mid, hi)


def standing_out(mean: Floats, vmin: Floats, vmax: Floats, usual: float) -> Floats:
    """Return what each cell shows: its mean, or the extreme that a mean would hide.

    Args:
        mean: Of the finite values of each cell, any shape; NaN where there is none.
        vmin: Their least, of the same shape.
        vmax: Their greatest.
        usual: How far a cell's extremes usually lie apart.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        over, under = vmax - mean, mean - vmin
        extreme = np.where(over >= under, vmax, vmin)
        shown: Floats = np.where(np.maximum(over, under) > _STANDS_OUT * usual, extreme, mean)
    return shown


def middles(values: Floats, usable: Flags) -> Floats:
    """Return the median of each column over the rows that are usable, shape (columns, 1).

    Args:
        values: Shape (columns, rows).
        usable: Where they count, of the same shape; a column without any has 0.
    """
    middle = np.zeros((len(values), 1))
    full = usable.any(axis=1)
    kept = np.where(usable, values, np.nan)
    middle[full, 0] = np.nanmedian(kept[full], axis=1)
    return middle


def fold(values: Floats, bad: Flags, absent: Flags, size: int) -> tuple[Floats, Flags, Flags]:
    """Join neighbouring rows: of each bin the value furthest from its column's median is shown.

    Args:
        values: Shape (columns, rows); so are ``bad`` and ``absent``.
        bad: Where NaN or an infinity came: a bin is bad if any of it is.
        absent: Where there is no row: a bin is absent if all of it is.
        size: Rows of a bin; the last one may have fewer.

    Returns:
        The same three, of shape (columns, ceil(rows / size)).
    """
    if size <= 1:
        return values, bad, absent
    columns, rows = values.shape
    room = ((0, 0), (0, -rows % size))
    usable = ~(bad | absent)
    kept = np.where(usable, values, np.nan)
    away = np.where(usable, np.abs(kept - middles(values, usable)), -1.0)
    shape = (columns, -1, size)
    away = np.pad(away, room, constant_values=-1.0).reshape(shape)
    kept = np.pad(kept, room, constant_values=np.nan).reshape(shape)
    chosen = away.argmax(axis=2)[..., None]
    return (
        np.take_along_axis(kept, chosen, axis=2)[..., 0],
        np.asarray(np.pad(bad, room).reshape(shape).any(axis=2)),
        np.asarray(np.pad(absent, room, constant_values=True).reshape(shape).all(axis=2)),
    )
