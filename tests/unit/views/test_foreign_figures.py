"""Figures that ranks made with other libraries: what draws is kept, what could run is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bokeh.embed import json_item
from bokeh.layouts import column
from bokeh.models import (
    CustomAction,
    CustomJS,
    CustomJSTickFormatter,
    CustomJSTransform,
    HoverTool,
    OpenURL,
    TapTool,
)
from bokeh.models.widgets import Button, Div
from bokeh.plotting import figure
from bokeh.transform import transform
from hypothesis import given
from hypothesis import strategies as st

from streamviz.errors import BadPayload
from streamviz.views.foreign_bokeh import ALLOWED, harmless
from streamviz.views.foreign_plotly import drawable

HIT = "window.__hit = 1"


def plain(**more: Any) -> Any:
    """Return a figure with a line and a legend."""
    plot = figure(title="$$\\frac{1}{2}$$ of <b>it</b>", width=500, height=300, **more)
    plot.line([1, 2, 3], [2.0, float("nan"), 4.0], legend_label="a \\(b\\)")
    return plot


def item(model: Any) -> Any:
    """Return what a publisher sends of it."""
    return json.loads(json.dumps(json_item(model)))


def models(value: object) -> list[dict[str, Any]]:
    """Return every model in a document."""
    if isinstance(value, dict):
        own = [value] if value.get("type") == "object" and "name" in value else []
        return own + [one for entry in value.values() for one in models(entry)]
    return [one for entry in value for one in models(entry)] if isinstance(value, list) else []


def test_a_plain_figure_stays_itself() -> None:
    """Data, axes and tools are there, it takes its place's width, and names make no formula."""
    shown, left_out = harmless(item(plain()))
    names = [one["name"] for one in models(shown)]
    assert left_out == []
    assert {"Figure", "Line", "ColumnDataSource", "PanTool", "LinearAxis"} <= set(names)
    assert "HelpTool" not in names
    text = json.dumps(shown)
    assert "[2.0, {" in text
    assert "$$" not in text
    assert "\\\\(" not in text
    assert "<b>it</b>" in text
    [root] = shown["doc"]["roots"]
    assert root["attributes"]["sizing_mode"] == "stretch_width"
    assert "width" not in root["attributes"]
    assert "look:background_fill_color=surface" in root["attributes"]["tags"]


def test_colours_of_its_own_stay() -> None:
    """Only what the figure does not say is the page's."""
    shown, _ = harmless(item(plain(background_fill_color="#123456")))
    [root] = shown["doc"]["roots"]
    assert root["attributes"]["background_fill_color"] == "#123456"
    assert not any("=background" in tag for tag in root["attributes"]["tags"])
    assert "look:border_fill_color=surface" in root["attributes"]["tags"]


def test_callbacks_are_left_out_and_said() -> None:
    """What would be called is gone; the figure is drawn."""
    plot = plain(tools=["tap", "pan"])
    plot.x_range.js_on_change("start", CustomJS(code=HIT))
    plot.js_on_event("tap", CustomJS(code=HIT))
    plot.select_one(TapTool).callback = OpenURL(url=f"javascript:{HIT}")
    plot.add_tools(CustomAction(callback=CustomJS(code=HIT), icon=".x"))
    shown, left_out = harmless(item(plot))
    assert left_out == ["CustomAction", "callbacks"]
    assert {one["name"] for one in models(shown)} <= ALLOWED
    assert "__hit" not in json.dumps(shown)


def test_tooltips_are_text() -> None:
    """HTML tooltips go; in rows nothing is taken as HTML."""
    rows = plain()
    rows.add_tools(HoverTool(tooltips=[("<i>x</i>", "<img src=x> @x{safe}"), ("y", "@y{0.0}")]))
    shown, left_out = harmless(item(rows))
    assert left_out == []
    [hover] = [one for one in models(shown) if one["name"] == "HoverTool"]
    assert hover["attributes"]["tooltips"] == [
        ["<i>x</i>", "&lt;img src=x&gt; @x"],
        ["y", "@y{0.0}"],
    ]
    html = plain()
    html.add_tools(HoverTool(tooltips="<div onclick='x'>@x{safe}</div>"))
    shown, left_out = harmless(item(html))
    assert left_out == ["HTML tooltips"]
    assert "onclick" not in json.dumps(shown)


def scripted_axis() -> Any:
    """Return a figure whose ticks are written by a script."""
    plot = plain()
    plot.xaxis.formatter = CustomJSTickFormatter(code=HIT)
    return plot


def scripted_data() -> Any:
    """Return a figure whose places are computed by a script."""
    plot = plain()
    there = plot.renderers[0].data_source
    moved = transform("x", CustomJSTransform(v_func=HIT))
    plot.scatter(moved, "y", source=there)
    return plot


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (scripted_axis(), "CustomJSTickFormatter"),
        (scripted_data(), "CustomJSTransform"),
        (column(Div(text="<script>1</script>"), plain()), "Div"),
        (column(Button(), plain()), "Button"),
    ],
)
def test_what_needs_a_script_is_refused_by_name(model: Any, named: str) -> None:
    """A figure that is nothing without its script is not drawn half."""
    with pytest.raises(BadPayload, match=named):
        harmless(item(model))


def test_a_data_source_that_only_a_script_defines_is_refused() -> None:
    """What is left out is not referred to: that would be an error in the browser."""
    whole = item(plain())
    text = json.dumps(whole)
    source = next(one for one in models(whole) if one["name"] == "ColumnDataSource")
    broken = json.loads(text.replace(json.dumps(source), json.dumps({"id": source["id"]})))
    with pytest.raises(BadPayload, match="without its scripts"):
        harmless(broken)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(sorted(ALLOWED)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "name", "id", "attributes", "data", "tools", "x"]) | st.text(),
            inner | st.sampled_from(["object", "ref", "bytes", "map", "CustomJS", "Figure"]),
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(root=json_values, more=json_values)
def test_whatever_comes_only_allowed_models_leave(root: object, more: object) -> None:
    """Any document is refused, or holds models that are allowed and no callback."""
    wrapped = {
        "type": "object",
        "name": "Figure",
        "id": "1",
        "attributes": {"a": root, "tools": more, "tooltips": more},
    }
    for document in (root, wrapped):
        try:
            shown, _ = harmless({"doc": {"roots": [document]}})
        except BadPayload:
            continue
        assert {one["name"] for one in models(shown)} <= ALLOWED
        assert "js_event_callbacks" not in json.dumps(shown)


def test_plotly_maps_are_refused_and_pictures_from_elsewhere_dropped() -> None:
    """Nothing of a figure makes the browser ask another site."""
    for kind in ("choropleth", "scattergeo", "densitymap", "scattermapbox", "choroplethmap"):
        with pytest.raises(BadPayload, match=kind):
            drawable({"data": [{"type": kind}]})
    shown = drawable(
        {
            "data": [{"type": "heatmap", "z": [[1]]}, "no trace"],
            "layout": {
                "images": [{"source": "https://e.org/x.png"}, {"source": "data:image/png,"}]
            },
            "config": {"plotlyServerURL": "https://e.org"},
        }
    )
    assert shown == {
        "data": [{"type": "heatmap", "z": [[1]]}],
        "layout": {"images": [{"source": "data:image/png,"}]},
        "frames": [],
    }


def test_plotly_draws_few_points_without_webgl() -> None:
    """A page has room for few WebGL canvases; many points keep theirs."""
    few = {"type": "scattergl", "x": {"dtype": "f8", "bdata": "A" * 1000}}
    many = {"type": "scattergl", "x": list(range(20_000))}
    assert drawable({"data": [few]})["data"][0]["type"] == "scatter"
    assert drawable({"data": [few, many]})["data"][0]["type"] == "scattergl"


@given(figure=json_values)
def test_whatever_comes_plotly_gets_lists_and_mappings(figure: object) -> None:
    """Any document is refused, or has the shape that Plotly takes."""
    for document in (figure, {"data": [figure], "layout": figure, "frames": figure}):
        try:
            shown = drawable(document)
        except BadPayload:
            continue
        assert all(isinstance(trace, dict) for trace in shown["data"] + shown["frames"])
        assert isinstance(shown["layout"], dict)
