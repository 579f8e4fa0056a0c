"""Pies: the parts of a whole, with their percentages."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import Range1d, Text, Wedge
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from streamviz.views.charts.canvas import (
    add_hover,
    add_legend,
    canvas,
    clipped,
    empty,
    look,
    source_of,
)
from streamviz.views.charts.chart import Chart
from streamviz.views.charts.colours import SERIES

__all__ = ["pie"]

_MOST_SLICES = len(SERIES)
"""Slices with a colour of their own; the last is for the others when there are more."""
_RADIUS = 108
_INSIDE = 0.08
"""The least share whose percentage has room within its slice."""


def pie(chart: Chart) -> figure:
    """Draw wedges, the greatest first and clockwise from the top; small ones are one "other"."""
    sizes = chart.series[0].y if chart.series else np.empty(0)
    there = np.isfinite(sizes) & (sizes > 0)
    # By halves, since the sum of two greatest numbers is none.
    total = float((sizes[there] / max(sizes[there].max(), 1e-300)).sum()) if there.any() else 0.0
    if total <= 0:
        return empty(chart, "no data: no part is greater than 0")
    left_out = len(sizes) - int(np.count_nonzero(np.isfinite(sizes)))
    if left_out:
        chart.notes.append(f"{left_out:,} missing or not finite")
    parts = _parts(chart.categories, sizes, there, total)
    plot = canvas(
        chart, bare=True, x_range=Range1d(start=-1, end=1), y_range=Range1d(start=-1, end=1)
    )
    entries, start = [], pi / 2
    for i, (word, size, share) in enumerate(parts):
        end = start - 2 * pi * share
        wedge = Wedge(
            x=0, y=0, radius=value(_RADIUS, units="screen"), start_angle="start",
            end_angle="end", direction="clock", line_width=1.5, tags=[f"fit-radius:{_RADIUS}"],
        )  # fmt: skip
        look(look(wedge, fill_color=SERIES[i]), line_color="surface")
        percent = f"{100 * share:.3g} %"
        source = source_of(
            f"slice {i}", start=[start], end=[end], word=[word], size=[size], percent=[percent]
        )
        drawn: GlyphRenderer[Any] = plot.add_glyph(source, wedge)
        if share >= _INSIDE:
            middle = (start + end) / 2
            words = Text(
                x=0, y=0, text="percent", text_align="center", text_baseline="middle",
                x_offset=0.7 * _RADIUS * cos(middle), y_offset=-0.7 * _RADIUS * sin(middle),
                text_font_size="12px", text_font_style="bold",
                tags=[f"fit-x:{0.7 * cos(middle):.4f}", f"fit-y:{-0.7 * sin(middle):.4f}"],
            )  # fmt: skip
            plot.add_glyph(source, look(words, text_color="surface"))
        entries.append((f"{clipped(word, 20)}  {percent}", [drawn]))
        start = end
    add_legend(plot, entries)
    tooltips = [("", "@word"), ("size", "@size"), ("share", "@percent")]
    add_hover(plot, [one for _, (one,) in entries], tooltips)
    return plot


def _parts(
    words: tuple[str, ...], sizes: np.ndarray, there: np.ndarray, total: float
) -> list[tuple[str, float, float]]:
    """Return word, size and share of each slice."""
    unit = float(sizes[there].max())
    order = [int(i) for i in np.argsort(-np.where(there, sizes, -1), kind="stable") if there[i]]
    shown = order if len(order) <= _MOST_SLICES else order[: _MOST_SLICES - 1]
    parts = [(words[i], float(sizes[i]), float(sizes[i]) / unit / total) for i in shown]
    rest = order[len(shown) :]
    if rest:
        share = float((sizes[rest] / unit).sum()) / total
        parts.append((f"other ({len(rest):,})", float(sizes[rest].sum()), share))
    return parts
