"""The empty Bokeh figure that every kind of chart is drawn on: axes, tools, title, legend.

Law: texts from outside are text; what has a colour of the theme says so in its tags, so that a
page can change it (``look:PROPERTY=TOKEN``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from bokeh.core.properties import value as literal
from bokeh.models import (
    BasicTickFormatter,
    BoxZoomTool,
    ColumnDataSource,
    DataRange1d,
    FixedTicker,
    HoverTool,
    LogAxis,
    Model,
    NoOverlap,
    PanTool,
    PlainText,
    Range1d,
    ResetTool,
    SaveTool,
    Text,
    Tool,
    WheelZoomTool,
)
from bokeh.models.annotations import Legend, LegendItem, Title
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from streamviz.views.charts.chart import Chart
from streamviz.views.charts.colours import palettes

__all__ = [
    "HEIGHT",
    "add_hover",
    "add_legend",
    "canvas",
    "clipped",
    "empty",
    "look",
    "name_places",
    "source_of",
]

HEIGHT = 320
"""Of a chart, pixels; its width is its place's."""
_FONT = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif'
)
_LONGEST_LABEL = 24
_SHORT = 4
"""Letters of words that are never slanted: some are left out instead."""
_LONGEST_ENTRY = 32
_MOST_ENTRIES = 16
_MOST_NAMED = 200
"""Places of an axis that have their word; of more the rest is told on hover alone."""
_GUESSED_WIDTH = 640
_LEGEND_ROW = 26
_LETTER = 6.2
"""Width of a letter of the small size, pixels, about."""

AxisType: TypeAlias = Literal["linear", "log", "datetime"]
_M = TypeVar("_M", bound=Model)


def look(model: _M, **tokens: str) -> _M:
    """Give properties of a model the colours of tokens, and say in its tags which."""
    light = palettes()["light"]
    model.update(**{name: light[token] for name, token in tokens.items()})
    model.tags = [*model.tags, *(f"look:{name}={token}" for name, token in tokens.items())]
    return model


def clipped(text: str, most: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def source_of(name: str, **columns: Any) -> ColumnDataSource:  # noqa: ANN401 - lists or arrays
    """Return a source that a page can find again by its name."""
    return ColumnDataSource(dict(columns), name=name)


def canvas(
    chart: Chart,
    *,
    bare: bool = False,
    height: int = HEIGHT,
    **options: Any,  # noqa: ANN401
) -> figure:
    """Return a figure with axes, tools, title and notes, and nothing drawn.

    Args:
        chart: What it is of.
        bare: Without axes and without tools that zoom.
        height: Without the legend, pixels.
        options: Further ones of Bokeh's figure.
    """
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        toolbar_location="above",
        tools="",
        x_axis_type=options.pop("x_axis_type", _axis_type(chart, "x")),
        y_axis_type=_axis_type(chart, "y"),
        output_backend="canvas",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=8,
        min_border_right=16,
        lod_threshold=None,
        name="chart",
        tags=[f"fit-height:{height}"],
        **options,
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.add_tools(*_tools(bare=bare))
    for axis, label, title in (
        (plot.xaxis[0], "x_label", chart.x_label),
        (plot.yaxis[0], "y_label", chart.y_label),
    ):
        axis.update(
            name=label,
            axis_label=PlainText(text=clipped(title, 80)) if title else None,
            axis_label_text_font=_FONT,
            axis_label_text_font_size="12px",
            axis_label_text_font_style="normal",
            axis_label_standoff=8,
            axis_line_color=None,
            major_tick_line_color=None,
            minor_tick_line_color=None,
            major_label_text_font=_FONT,
            major_label_text_font_size="11px",
            major_label_policy=NoOverlap(min_distance=6),
        )
        look(axis, axis_label_text_color="ink-2", major_label_text_color="axis-ink")
        if isinstance(axis, LogAxis):
            # An exponent that stands high is small, and reads as a power.
            axis.update(formatter=BasicTickFormatter())
        if isinstance(axis.formatter, BasicTickFormatter):
            axis.formatter.update(power_limit_high=6, power_limit_low=-4)
    plot.xgrid[0].grid_line_color = None
    look(plot.ygrid[0], grid_line_color="grid")
    if bare:
        plot.axis.visible = False
        plot.grid.visible = False
    for one in (plot.x_range, plot.y_range):
        if isinstance(one, DataRange1d):
            one.update(only_visible=True, range_padding=0.04)
    _add_words(plot, chart)
    return plot


def _axis_type(chart: Chart, axis: str) -> AxisType:
    if axis in chart.log:
        return "log"
    return "datetime" if axis == "x" and chart.x_type == "datetime" else "linear"


def _tools(*, bare: bool) -> list[Tool]:
    if bare:
        return [SaveTool()]
    # The plain wheel scrolls the page, as everywhere else on it.
    wheel = WheelZoomTool(modifiers="ctrl")
    return [BoxZoomTool(), PanTool(), wheel, ResetTool(), SaveTool()]


def _add_words(plot: figure, chart: Chart) -> None:
    """Add the notes and the title above the plot, the title on top."""
    small: dict[str, Any] = {"text_font": _FONT, "text_font_style": "normal"}
    title = Title(
        # Never empty: the tools stand beside it.
        text=PlainText(text=clipped(chart.title, 100) or " "),
        text_font_size="14px",
        name="title",
        **{**small, "text_font_style": "bold"},
    )
    plot.title = look(title, text_color="ink")
    if note := " · ".join(chart.notes):
        told = Title(
            text=PlainText(text=clipped(note, 200)),
            text_font_size="11px",
            name="note",
            **small,
        )
        plot.add_layout(look(told, text_color="axis-ink"), "above")


def add_hover(
    plot: figure,
    renderers: Sequence[GlyphRenderer[Any]],
    tooltips: list[tuple[str, str]],
    *,
    mode: Literal["mouse", "vline"] = "mouse",
    dates: Sequence[str] = (),
) -> None:
    """Show values under the pointer.

    Args:
        plot: Where.
        renderers: Of what.
        tooltips: A label and ``@column`` a row; what a column holds is put in as text.
        mode: ``"mouse"`` or ``"vline"``.
        dates: The columns with milliseconds since the epoch.
    """
    hover = HoverTool(
        renderers=list(renderers),
        tooltips=tooltips,
        mode=mode,
        formatters={f"@{name}": "datetime" for name in dates},
        point_policy="follow_mouse",
    )
    plot.add_tools(hover)


def add_legend(plot: figure, entries: Sequence[tuple[str, Sequence[GlyphRenderer[Any]]]]) -> None:
    """Name what is drawn, below the plot; a click on a name hides it.

    The page sets how many columns there are, from its width and the tag ``fit:CHARACTERS``.
    """
    shown = [
        LegendItem(label=literal(clipped(name, _LONGEST_ENTRY)), renderers=list(drawn))
        for name, drawn in entries[:_MOST_ENTRIES]
    ]
    longest = max((min(len(name), _LONGEST_ENTRY) for name, _ in entries), default=0)
    columns = max(1, int(_GUESSED_WIDTH / (longest * _LETTER + 44)))
    plot.height = (plot.height or HEIGHT) + _LEGEND_ROW * -(-len(shown) // columns)
    legend = Legend(
        items=shown,
        name="legend",
        tags=[f"fit:{longest}"],
        ncols=columns,
        click_policy="hide",
        location="left",
        label_text_font=_FONT,
        label_text_font_size="12px",
        label_height=16,
        glyph_height=16,
        spacing=10,
        margin=8,
        background_fill_color=None,
        border_line_color=None,
        inactive_fill_alpha=0.6,
    )
    legend.update(padding=2)
    look(legend, label_text_color="ink-2", inactive_fill_color="surface")
    plot.add_layout(legend, "below")


def name_places(plot: figure, axis: str, words: Sequence[str]) -> None:
    """Put words at the places 0, 1, 2, … of an axis; what would overlap is left out."""
    one = plot.xaxis[0] if axis == "x" else plot.yaxis[0]
    every = -(-len(words) // _MOST_NAMED) or 1
    places = list(range(0, len(words), every))
    one.ticker = FixedTicker(ticks=places)
    one.major_label_overrides = {
        i: PlainText(text=clipped(words[i], _LONGEST_LABEL)) for i in places
    }
    letters = sum(min(len(word), _LONGEST_LABEL) + 2 for word in words[:_MOST_NAMED])
    if max(map(len, words), default=0) <= _SHORT:
        letters = 0
    if axis == "x":
        one.tags = [*one.tags, f"fit-words:{letters}"]
    if axis == "x" and len(words) > 1 and letters * _LETTER > _GUESSED_WIDTH:
        one.major_label_orientation = 0.7


def empty(chart: Chart, why: str) -> figure:
    """Return a chart that says why there is nothing in it."""
    plot = canvas(
        chart,
        bare=True,
        x_axis_type="linear",
        x_range=Range1d(start=-1, end=1),
        y_range=Range1d(start=-1, end=1),
    )
    words = Text(
        x="x", y="y", text="text", text_align="center", text_baseline="middle",
        text_font=literal(_FONT), text_font_size="13px",
    )  # fmt: skip
    look(words, text_color="ink-3")
    plot.add_glyph(source_of("empty", x=[0], y=[0], text=[clipped(why, 120)]), words)
    return plot
