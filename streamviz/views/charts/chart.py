"""A chart that can be drawn, by kind, and how much of everything it may have at most."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamviz.views.charts.thinning import MAX_POINTS

__all__ = [
    "KINDS",
    "MAX_BARS",
    "MAX_BINS",
    "MAX_CELLS",
    "MAX_SERIES",
    "MAX_TOTAL",
    "Box",
    "Cells",
    "Chart",
    "Hist",
    "Series",
]

KINDS: tuple[str, ...] = (
    "line", "bar", "scatter", "hist", "pie", "heatmap", "box", "confusion",
)  # fmt: skip

MAX_SERIES = 64
"""Series of a chart: with eight colours and four dashes more cannot be told apart."""
MAX_TOTAL = 4 * MAX_POINTS
"""Points of all series of a chart together that are drawn."""
MAX_BARS = 2_000
"""Bars, boxes and slices of a chart."""
MAX_BINS = 4_096
"""Bins of a series of a histogram."""
MAX_CELLS = 1 << 16
"""Cells of a heatmap: 256 by 256."""

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """Points of a line, a scatter or bars: ``float64[n]`` each, NaN where there is none."""

    name: str
    x: _Array
    y: _Array


@dataclass(frozen=True)
class Hist:
    """A histogram: ``edges`` ``float64[n + 1]`` increasing, ``counts`` ``float64[n]``."""

    name: str
    edges: _Array
    counts: _Array


@dataclass(frozen=True)
class Box:
    """A box plot: the whiskers' ends, the quartiles, and what lies beyond, ``float64[n]``."""

    name: str
    low: float
    q1: float
    median: float
    q3: float
    high: float
    outliers: _Array


@dataclass(frozen=True)
class Cells:
    """A table of numbers: ``z`` is ``float64[rows, columns]``, NaN where there is none."""

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    z: _Array


@dataclass
class Chart:
    """A chart that can be drawn.

    Attributes:
        kind: Of :data:`KINDS`.
        title: Above it, as text.
        x_label: Below the x axis, as text.
        y_label: Beside the y axis, as text.
        x_type: What x is; of categories x is the place in ``categories``, of a datetime the
            seconds since the epoch.
        categories: The words of a category axis, or of a pie.
        log: The axes that are logarithmic: ``"x"``, ``"y"``.
        series: Of line, scatter, bar; and of a pie, which has one.
        hists: Of hist.
        boxes: Of box.
        cells: Of heatmap and confusion.
        notes: What a reader has to know, a sentence each.
    """

    kind: str
    title: str
    x_label: str
    y_label: str
    x_type: Literal["number", "datetime", "category"] = "number"
    categories: tuple[str, ...] = ()
    log: frozenset[str] = frozenset()
    series: list[Series] = field(default_factory=list)
    hists: list[Hist] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    cells: Cells | None = None
    notes: list[str] = field(default_factory=list)
