"""Lines, scatters and bars: what has an x and a y."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from bokeh.models import DataRange1d, Line, Scatter, VBar
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from numpy.typing import NDArray

from streamviz.views.charts.canvas import (
    add_hover,
    add_legend,
    canvas,
    empty,
    look,
    name_places,
    source_of,
)
from streamviz.views.charts.chart import MAX_TOTAL, Chart, Series
from streamviz.views.charts.colours import SERIES
from streamviz.views.charts.thinning import MAX_POINTS, thin

__all__ = ["bar", "line", "scatter"]

_Array = NDArray[np.float64]
_DASHES = ("solid", "dashed", "dotted", "dotdash")
_MARKERS = ("circle", "square", "triangle", "diamond")
_DOTTED_UP_TO = 30
"""Points of a line of which each has its dot."""
_SEVERAL_TOLD = 6
"""Series whose values at one x are all told at once."""


def line(chart: Chart) -> figure:
    """Draw lines; a value that is no number is a gap, and a point between gaps a dot."""
    series = _drawable(chart)
    if series is None:
        return _nothing(chart)
    plot, entries = canvas(chart), []
    for i, one in enumerate(series):
        token = SERIES[i % len(SERIES)]
        source = source_of(f"series {i}", **_columns(chart, one))
        glyph = Line(
            x="x", y="y", line_width=1.75, line_join="bevel",
            line_dash=_DASHES[i // len(SERIES) % len(_DASHES)],
        )  # fmt: skip
        drawn: GlyphRenderer[Any] = plot.add_glyph(source, look(glyph, line_color=token))
        dots = Scatter(x="x", y="y", size=5, line_color=None)
        lone = plot.add_glyph(
            source_of(f"dots {i}", **_columns(chart, _lone(one))), look(dots, fill_color=token)
        )
        drawn.name = lone.name = one.name
        entries.append((one.name, [drawn, lone]))
    _finish(chart, plot, entries, hovered=[both[0] for _, both in entries])
    return plot


def scatter(chart: Chart) -> figure:
    """Draw points."""
    series = _drawable(chart)
    if series is None:
        return _nothing(chart)
    plot, entries = canvas(chart), []
    crowded = sum(len(one.y) for one in series) > 2_000
    for i, one in enumerate(series):
        there = np.isfinite(one.x) & np.isfinite(one.y)
        kept = Series(one.name, one.x[there], one.y[there])
        glyph = Scatter(
            x="x", y="y", size=4 if crowded else 7, line_color=None,
            fill_alpha=0.4 if crowded else 0.75,
            marker=_MARKERS[i // len(SERIES) % len(_MARKERS)],
        )  # fmt: skip
        source = source_of(f"series {i}", **_columns(chart, kept))
        drawn: GlyphRenderer[Any] = plot.add_glyph(
            source, look(glyph, fill_color=SERIES[i % len(SERIES)])
        )
        drawn.name = one.name
        entries.append((one.name, [drawn]))
    _finish(chart, plot, entries, hovered=[both[0] for _, both in entries])
    return plot


def bar(chart: Chart) -> figure:
    """Draw bars, side by side where several stand at one x."""
    series = _drawable(chart)
    if series is None:
        return _nothing(chart)
    values = np.concatenate([one.y for one in series])
    plot = canvas(chart)
    scale = 1000.0 if chart.x_type == "datetime" else 1.0
    room = scale * 0.8 * _least_distance(np.concatenate([one.x for one in series]))
    width = room / len(series)
    foot = 0.0
    if "y" in chart.log:
        foot = float(np.nanmin(values)) / 2
    elif not (values < 0).any() and isinstance(plot.y_range, DataRange1d):
        plot.y_range.start = 0
    entries = []
    for i, one in enumerate(series):
        there = np.isfinite(one.x) & np.isfinite(one.y)
        columns = _columns(chart, Series(one.name, one.x[there], one.y[there]))
        at = np.asarray(columns["x"], float) + (i + 0.5) * width - room / 2
        source = source_of(f"series {i}", at=at, **columns)
        glyph = VBar(x="at", top="y", bottom=foot, width=width * 0.94, line_color=None)
        drawn: GlyphRenderer[Any] = plot.add_glyph(
            source, look(glyph, fill_color=SERIES[i % len(SERIES)])
        )
        drawn.name = one.name
        entries.append((one.name, [drawn]))
    _finish(chart, plot, entries, hovered=[both[0] for _, both in entries], mode="mouse")
    return plot


def _drawable(chart: Chart) -> list[Series] | None:
    """Return the series as they can be drawn, ``None`` if not a single point can."""
    most = max(min(MAX_POINTS, MAX_TOTAL // max(len(chart.series), 1)), 8)
    drawn = []
    rows = points = gaps = below = 0
    for one in chart.series:
        x, y = one.x, one.y
        for axis, values in (("x", x), ("y", y)):
            if axis in chart.log:
                with np.errstate(invalid="ignore"):
                    bad = values <= 0
                below += int(np.count_nonzero(bad))
                y = np.where(bad, np.nan, y)
        gaps += int(np.count_nonzero(np.isnan(one.y)))
        there = ~np.isnan(x)
        x, y = x[there], y[there]
        rows += len(y)
        if chart.kind == "scatter" and len(y) > most:
            x, y = _spread(x, y, most)
        elif chart.kind == "line":
            x, y = thin(x, y, most)
        points += len(y)
        drawn.append(Series(one.name, x, y))
    if gaps:
        chart.notes.append(f"{gaps:,} missing or not finite")
    if below:
        chart.notes.append(f"{below:,} of 0 or less: not on a log axis")
    if points < rows:
        how = "least and greatest of each stretch" if chart.kind == "line" else "extremes included"
        chart.notes.append(f"{points:,} of {rows:,} points, {how}")
    if not any(np.isfinite(one.y).any() for one in drawn):
        return None
    return drawn


def _spread(x: _Array, y: _Array, most: int) -> tuple[_Array, _Array]:
    """Return points at even distances in the order of arrival, and the outermost ones."""
    kept = np.linspace(0, len(y) - 1, most - 4).astype(np.int64)
    least = np.where(np.isnan(y), np.inf, y).argmin()
    greatest = np.where(np.isnan(y), -np.inf, y).argmax()
    outer = np.array([least, greatest, x.argmin(), x.argmax()])
    chosen = np.unique(np.concatenate([kept, outer]))
    return x[chosen], y[chosen]


def _nothing(chart: Chart) -> figure:
    if not chart.series:
        return empty(chart, "no data: there is no series")
    names = ", ".join(one.name for one in chart.series[:3])
    some = any(len(one.y) for one in chart.series)
    return empty(chart, f"no data: {names} has no {'number' if some else 'values'} yet")


def _columns(chart: Chart, one: Series) -> dict[str, Sequence[Any]]:
    """Return a source's columns: x in the axis's unit, and its word where it has one."""
    x = one.x * 1000.0 if chart.x_type == "datetime" else one.x
    columns: dict[str, Any] = {"x": x, "y": one.y}
    if chart.x_type == "category":
        columns["word"] = [chart.categories[int(i)] for i in one.x]
    return columns


def _lone(one: Series) -> Series:
    """Return the points that a line does not show, or all if they are few."""
    there = np.isfinite(one.y)
    if len(one.y) > _DOTTED_UP_TO:
        padded = np.concatenate([[False], there, [False]])
        there = there & ~padded[:-2] & ~padded[2:]
    return Series(one.name, one.x[there], one.y[there])


def _least_distance(x: _Array) -> float:
    """Return the least distance between two places, 1 if there is but one."""
    apart = np.diff(np.unique(x[np.isfinite(x)]))
    return float(apart.min()) if len(apart) else 1.0


def _finish(
    chart: Chart,
    plot: figure,
    entries: list[tuple[str, list[GlyphRenderer[Any]]]],
    *,
    hovered: list[GlyphRenderer[Any]],
    mode: Literal["mouse", "vline"] | None = None,
) -> None:
    """Add what all three have: words at the places, values under the pointer, names."""
    if chart.x_type == "category":
        name_places(plot, "x", chart.categories)
    told = "@word" if chart.x_type == "category" else "@x"
    if chart.x_type == "datetime":
        told = "@x{%F %T}"
    tooltips = [("x", told), ("y", "@y")]
    if len(entries) > 1:
        tooltips = [("", "$name"), *tooltips]
        add_legend(plot, entries)
    if mode is None:
        mode = "vline" if chart.kind == "line" and len(entries) <= _SEVERAL_TOLD else "mouse"
    dates = ("x",) if chart.x_type == "datetime" else ()
    add_hover(plot, hovered, tooltips, mode=mode, dates=dates)
