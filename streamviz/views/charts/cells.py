"""Heatmaps and confusion matrices: a colour for each cell of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, LinearColorMapper, Range1d, Rect, Text
from bokeh.models.annotations import ColorBar
from bokeh.models.renderers import GlyphRenderer
from bokeh.palettes import Cividis256
from bokeh.plotting import figure
from bokeh.transform import transform

from streamviz.views.charts.canvas import (
    HEIGHT,
    add_hover,
    canvas,
    empty,
    look,
    name_places,
    source_of,
)
from streamviz.views.charts.chart import Cells, Chart

__all__ = ["confusion", "heatmap"]

_MOST_WRITTEN = 25
"""Rows and columns of a confusion matrix whose counts have room in the cells."""


def heatmap(chart: Chart) -> figure:
    """Draw a table of numbers as colours, its first row on top."""
    cells = chart.cells
    if cells is None or not np.isfinite(cells.z).any():
        return empty(chart, "no data: no cell has a number")
    plot, _ = _table(chart, cells, cells.z)
    return plot


def confusion(chart: Chart) -> figure:
    """Draw counts, each cell coloured by its share of its row."""
    cells = chart.cells
    if cells is None or not np.isfinite(cells.z).any():
        return empty(chart, "no data: no cell has a count")
    chart.x_label, chart.y_label = chart.x_label or "predicted", chart.y_label or "true"
    # By the greatest first: a row's sum may be beyond all numbers, and its cells are not.
    known = np.where(np.isfinite(cells.z), np.abs(cells.z), 0.0)
    known = known / max(float(known.max()), 1e-300)
    sums = known.sum(1, keepdims=True)
    shares = np.divide(known, sums, out=np.zeros_like(known), where=sums > 0)
    plot, source = _table(chart, cells, shares, counts=cells.z)
    if max(cells.z.shape) <= _MOST_WRITTEN:
        words = Text(
            x="x", y="y", text="written", text_color="ink", text_align="center",
            text_baseline="middle", text_font_size="11px",
            tags=[f"fit-cells:{cells.z.shape[1]}"],
        )  # fmt: skip
        plot.add_glyph(source, words)
    return plot


def _table(
    chart: Chart, cells: Cells, shade: np.ndarray, counts: np.ndarray | None = None
) -> tuple[figure, ColumnDataSource]:
    rows, columns = cells.z.shape
    plot = canvas(
        chart,
        x_range=Range1d(start=-0.5, end=columns - 0.5),
        y_range=Range1d(start=rows - 0.5, end=-0.5),
        height=int(min(max(HEIGHT, 15 * rows + 110), 760)),
    )
    plot.grid.visible = False
    y, x = (part.ravel() for part in np.indices(cells.z.shape))
    shown = shade.ravel()
    finite = shown[np.isfinite(shown)]
    low, high = (0.0, 1.0) if counts is not None else (float(finite.min()), float(finite.max()))
    mapper = LinearColorMapper(
        palette=Cividis256, low=low, high=high if high > low else low + 1,
        nan_color="rgba(0, 0, 0, 0)", name="mapper",
    )  # fmt: skip
    values: dict[str, Any] = {
        "x": x.astype(np.float64), "y": y.astype(np.float64), "z": cells.z.ravel(), "shade": shown,
        "column": [cells.columns[i] for i in x], "row": [cells.rows[i] for i in y],
    }  # fmt: skip
    if counts is not None:
        values["written"] = [_written(one) for one in counts.ravel()]
        values["ink"] = np.where(shown > 0.55, "#1b1f24", "#ffffff").tolist()
        values["share"] = [f"{100 * one:.3g} %" for one in shown]
    glyph = Rect(
        x="x", y="y", width=1, height=1, fill_color=transform("shade", mapper),
        # Of the cell's own colour, or hairs of the ground would show between cells.
        line_color=transform("shade", mapper), line_width=1,
    )  # fmt: skip
    source = source_of("cells", **values)
    drawn: GlyphRenderer[Any] = plot.add_glyph(source, glyph)
    name_places(plot, "x", cells.columns)
    name_places(plot, "y", cells.rows)
    tooltips = [("row", "@row"), ("column", "@column"), ("value", "@z")]
    if counts is not None:
        tooltips = [("true", "@row"), ("predicted", "@column"), ("count", "@written")]
        tooltips.append(("of its row", "@share"))
    add_hover(plot, [drawn], tooltips)
    bar = ColorBar(
        color_mapper=mapper, width=10, padding=8, background_fill_color=None,
        major_label_text_font_size="11px", bar_line_color=None, major_tick_line_color=None,
    )  # fmt: skip
    plot.add_layout(look(bar, major_label_text_color="axis-ink"), "right")
    return plot, source


def _written(count: float) -> str:
    if not np.isfinite(count):
        return ""
    return f"{count:,.0f}" if float(count).is_integer() and abs(count) < 1e15 else f"{count:.3g}"
