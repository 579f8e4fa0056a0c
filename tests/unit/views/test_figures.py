"""The figure the page fills: its parts by name, and what it must not hold."""

from __future__ import annotations

import json
from typing import Any

from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, CustomJS, Range1d
from bokeh.models.annotations import Legend
from bokeh.models.renderers import GlyphRenderer

from streamviz.views.figures import BORDERS, panel

SOURCES = {
    "gaps": {"x0", "x1"},
    "outer": {"x", "y1", "y2"},
    "inner": {"x", "y1", "y2"},
    "bands": {"xs", "ys", "color", "alpha"},
    "lines": {"xs", "ys", "color", "alpha", "width"},
    "dots": {"x", "y", "color"},
    "marks": {"x", "edge", "angle", "color"},
}


def test_every_source_has_its_columns_and_no_rows() -> None:
    """The page relies on the names of sources and columns."""
    plot = panel()
    for name, columns in SOURCES.items():
        source = plot.select_one({"type": ColumnDataSource, "name": name})
        assert isinstance(source, ColumnDataSource)
        assert set(source.data) == columns
        assert all(len(column) == 0 for column in source.data.values())


def test_every_source_has_one_renderer_of_its_own() -> None:
    """A change of one source prepares one glyph again, never its neighbours."""
    plot = panel()
    renderers = list(plot.select({"type": GlyphRenderer}))
    assert {renderer.name for renderer in renderers} == {f"{name}_renderer" for name in SOURCES}
    sources = {
        renderer.data_source.id for renderer in renderers if isinstance(renderer, GlyphRenderer)
    }
    assert len(sources) == len(renderers)


def test_axes_tickers_and_formatters_are_found_by_name() -> None:
    """The page puts its own ticks and labels in."""
    plot = panel()
    for axis in ("x", "y"):
        for part in ("axis", "ticker", "formatter"):
            assert plot.select_one({"name": f"{axis}_{part}"}) is not None


def test_ranges_belong_to_the_page() -> None:
    """No range computes itself from data, which costs a pass over all data per paint."""
    plot = panel()
    assert isinstance(plot.x_range, Range1d)
    assert isinstance(plot.y_range, Range1d)
    edge = plot.extra_y_ranges["edge"]
    assert isinstance(edge, Range1d)
    assert (edge.start, edge.end) == (0, 1)


def test_nothing_needs_eval_a_legend_or_webgl() -> None:
    """The page's content security policy forbids eval; a legend is laid out at each change."""
    plot = panel()
    assert plot.output_backend == "canvas"
    assert not list(plot.select({"type": CustomJS}))
    assert not list(plot.select({"type": Legend}))
    assert plot.toolbar.tools == []


def test_borders_are_fixed() -> None:
    """Axes may not move the frame when their labels change."""
    plot = panel()
    assert {
        side: getattr(plot, f"min_border_{side}") for side in ("left", "right", "top", "bottom")
    } == BORDERS


def test_the_rendered_panel_is_small() -> None:
    """It is embedded once per chart on the screen."""
    item: Any = json_item(panel())
    assert set(item) >= {"doc", "root_id", "target_id"}
    assert len(json.dumps(item)) < 20_000
