"""The Bokeh figure of a chart, built once and filled by the page.

Law: a figure holds no data, no colours and no names from outside; the page brings all three.
"""

from __future__ import annotations

from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    ColumnDataSource,
    Grid,
    LinearAxis,
    LinearScale,
    MultiLine,
    Plot,
    Range1d,
    Scatter,
    VArea,
    VStrip,
)
from bokeh.models.glyph import Glyph
from bokeh.models.glyphs import Patches
from bokeh.models.renderers import GlyphRenderer

__all__ = ["BORDERS", "panel"]

BORDERS = {"left": 56, "right": 12, "top": 6, "bottom": 24}
"""Pixels kept free around the frame: wide enough for every label, so that axes never move it."""

_INK = "#808080"
"""Stands in until the page sets the colours of its theme."""


def panel() -> Plot:
    """Build an empty chart, linear in both directions: the page itself puts values on other scales.

    The page finds its parts by name: the ranges ``x`` and ``y`` (the page owns both), the ranges'
    companion ``edge`` (0 is the lower, 1 the upper edge of the frame), the axes ``x_axis`` and
    ``y_axis``, their ``x_ticker``, ``y_ticker``, ``x_formatter``, ``y_formatter``, and one source
    with one renderer (``…_renderer``) for each of

    - ``gaps``: hatched strips; columns ``x0``, ``x1``;
    - ``outer``, ``inner``: the band from least to greatest and from p10 to p90; columns ``x``,
      ``y1``, ``y2``;
    - ``bands``: outlines of the bands from p10 to p90 of things that are compared; columns ``xs``,
      ``ys`` (an array each), ``color``, ``alpha``;
    - ``lines``: all lines, the last on top; columns ``xs``, ``ys`` (an array each), ``color``,
      ``alpha``, ``width``;
    - ``dots``: points too lonely for a line; columns ``x``, ``y``, ``color``;
    - ``marks``: triangles on an edge, where NaN came or a spike left the frame; columns ``x``,
      ``edge``, ``angle``, ``color``.

    Returns:
        The plot, without tools: gestures are the page's own.
    """
    plot = Plot(
        name="panel",
        x_range=Range1d(start=0, end=1, name="x"),
        y_range=Range1d(start=0, end=1, name="y"),
        x_scale=LinearScale(),
        y_scale=LinearScale(),
        extra_y_ranges={"edge": Range1d(start=0, end=1, name="edge")},
        extra_y_scales={"edge": LinearScale()},
        sizing_mode="stretch_both",
        toolbar_location=None,
        # WebGL is many times slower than the canvas wherever it is done in software.
        output_backend="canvas",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=BORDERS["left"],
        min_border_right=BORDERS["right"],
        min_border_top=BORDERS["top"],
        min_border_bottom=BORDERS["bottom"],
        # Every step is drawn, also while somebody drags.
        lod_threshold=None,
    )
    _add_axes(plot)
    _add_glyphs(plot)
    return plot


def _add_axes(plot: Plot) -> None:
    """Add both axes and the grid.

    Tickers and formatters are the plainest there are: the page computes ticks itself, since the
    same axis shows steps, spans of time or the time of day, and labels must keep their width.
    """
    x_ticker, y_ticker = BasicTicker(name="x_ticker"), BasicTicker(name="y_ticker")
    x_formatter = BasicTickFormatter(name="x_formatter")
    y_formatter = BasicTickFormatter(name="y_formatter")
    x_axis = LinearAxis(name="x_axis", ticker=x_ticker, formatter=x_formatter)
    y_axis = LinearAxis(name="y_axis", ticker=y_ticker, formatter=y_formatter)
    for axis in (x_axis, y_axis):
        axis.update(
            axis_line_color=None,
            major_tick_line_color=None,
            minor_tick_line_color=None,
            major_label_text_color=_INK,
            major_label_text_font_size="11px",
        )
    plot.add_layout(x_axis, "below")
    plot.add_layout(y_axis, "left")
    plot.add_layout(
        Grid(name="y_grid", dimension=1, axis=None, ticker=y_ticker, grid_line_color=_INK)
    )


def _add_glyphs(plot: Plot) -> None:
    """Add every glyph a chart may need, each on its own source, from the back to the front.

    One source each, since the browser prepares all glyphs of a source again at each change of it.
    """
    strip = VStrip(
        x0="x0",
        x1="x1",
        fill_color=_INK,
        fill_alpha=0.06,
        line_color=None,
        hatch_pattern="right_diagonal_line",
        hatch_color=_INK,
        hatch_alpha=0.35,
        hatch_scale=7.0,
        hatch_weight=1.0,
    )
    _add(plot, "gaps", strip, ("x0", "x1"))
    for name in ("outer", "inner"):
        area = VArea(x="x", y1="y1", y2="y2", fill_color=_INK, fill_alpha=0.15)
        _add(plot, name, area, ("x", "y1", "y2"))
    bands = Patches(xs="xs", ys="ys", fill_color="color", fill_alpha="alpha", line_color=None)
    _add(plot, "bands", bands, ("xs", "ys", "color", "alpha"))
    lines = MultiLine(
        xs="xs",
        ys="ys",
        line_color="color",
        line_alpha="alpha",
        line_width="width",
        # Round joins cost a software rasteriser several times as much, and nobody sees them.
        line_join="bevel",
    )
    _add(plot, "lines", lines, ("xs", "ys", "color", "alpha", "width"))
    dots = Scatter(x="x", y="y", size=4, fill_color="color", line_color=None)
    _add(plot, "dots", dots, ("x", "y", "color"))
    marks = Scatter(
        x="x",
        y="edge",
        angle="angle",
        marker="triangle",
        size=8,
        fill_color="color",
        line_color=None,
    )
    renderer = _add(plot, "marks", marks, ("x", "edge", "angle", "color"))
    renderer.y_range_name = "edge"
    # Half of a triangle stands below the axis: it must not be cut off by the frame.
    renderer.level = "overlay"


def _add(plot: Plot, name: str, glyph: Glyph, columns: tuple[str, ...]) -> GlyphRenderer[Glyph]:
    """Add one glyph with an empty source of its own."""
    source = ColumnDataSource({column: [] for column in columns}, name=name)
    renderer: GlyphRenderer[Glyph] = plot.add_glyph(source, glyph)
    renderer.name = f"{name}_renderer"
    return renderer
