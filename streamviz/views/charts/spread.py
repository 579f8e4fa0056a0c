"""Histograms and box plots: how values are spread."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import DataRange1d, Quad, Range1d, Scatter, Segment, VBar
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from streamviz.views.charts.canvas import (
    add_hover,
    add_legend,
    canvas,
    empty,
    look,
    name_places,
    source_of,
)
from streamviz.views.charts.chart import Chart
from streamviz.views.charts.colours import SERIES

__all__ = ["box", "hist"]


def hist(chart: Chart) -> figure:
    """Draw bins; those of several series through one another."""
    if not any(one.counts.sum() > 0 for one in chart.hists):
        return empty(chart, "no data: no bin has a value in it")
    chart.y_label = chart.y_label or "count"
    plot, entries = canvas(chart), []
    alone = len(chart.hists) == 1
    foot = 0.5 if "y" in chart.log else 0.0
    if isinstance(plot.y_range, DataRange1d):
        plot.y_range.start = foot
    for i, one in enumerate(chart.hists):
        there = one.counts > (0 if foot else -1)
        left, right, counts = one.edges[:-1][there], one.edges[1:][there], one.counts[there]
        glyph = Quad(
            left="left", right="right", bottom=foot, top="y", line_width=1,
            fill_alpha=0.85 if alone else 0.45,
        )  # fmt: skip
        look(glyph, fill_color=SERIES[i % len(SERIES)])
        look(glyph, line_color="surface" if alone else SERIES[i % len(SERIES)])
        source = source_of(f"series {i}", left=left, right=right, y=counts)
        drawn: GlyphRenderer[Any] = plot.add_glyph(source, glyph)
        drawn.name = one.name
        entries.append((one.name, [drawn]))
    tooltips = [("from", "@left"), ("to", "@right"), ("count", "@y{0,0.[00]}")]
    if not alone:
        tooltips = [("", "$name"), *tooltips]
        add_legend(plot, entries)
    add_hover(plot, [one for _, (one,) in entries], tooltips)
    return plot


def box(chart: Chart) -> figure:
    """Draw a box from the lower to the upper quartile for each series, beside one another."""
    known = [one for one in chart.boxes if np.isfinite(one.median)]
    if not known:
        return empty(chart, "no data: no series has a value")
    count = len(chart.boxes)
    plot = canvas(chart, x_range=Range1d(start=-0.6, end=count - 0.4))
    at = [float(i) for i, one in enumerate(chart.boxes) if np.isfinite(one.median)]
    columns: dict[str, Any] = {"x": at, "word": [one.name for one in known]}
    for part in ("low", "q1", "median", "q3", "high"):
        columns[part] = [getattr(one, part) for one in known]
    if "y" in chart.log:
        for part in ("low", "q1", "median", "q3", "high"):
            columns[part] = [value if value > 0 else np.nan for value in columns[part]]
    source = source_of("boxes", **columns)
    hue = SERIES[0]
    for start, end in (("low", "q1"), ("q3", "high")):
        whisker = Segment(x0="x", x1="x", y0=start, y1=end, line_width=1.25)
        plot.add_glyph(source, look(whisker, line_color=hue))
    body = VBar(x="x", bottom="q1", top="q3", width=0.5, line_width=1.25, fill_alpha=0.3)
    drawn: GlyphRenderer[Any] = plot.add_glyph(
        source, look(look(body, fill_color=hue), line_color=hue)
    )
    middle = VBar(x="x", bottom="median", top="median", width=0.5, line_width=2.5)
    plot.add_glyph(source, look(look(middle, fill_color=hue), line_color=hue))
    for end in ("low", "high"):
        cap = VBar(x="x", bottom=end, top=end, width=0.22, line_width=1.25)
        plot.add_glyph(source, look(look(cap, fill_color=hue), line_color=hue))
    beyond = [(i, value) for i, one in enumerate(chart.boxes) for value in one.outliers]
    beyond = [(i, value) for i, value in beyond if value > 0 or "y" not in chart.log]
    dots = Scatter(x="x", y="y", size=4, fill_color=None, line_width=1, line_alpha=0.7)
    dots_source = source_of("outliers", x=[i for i, _ in beyond], y=[value for _, value in beyond])
    plot.add_glyph(dots_source, look(dots, line_color=hue))
    name_places(plot, "x", [one.name for one in chart.boxes])
    tooltips = [("", "@word"), ("high", "@high"), ("upper quartile", "@q3")]
    tooltips += [("median", "@median"), ("lower quartile", "@q1"), ("low", "@low")]
    add_hover(plot, [drawn], tooltips)
    return plot
