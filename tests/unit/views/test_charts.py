"""Chart documents as figures: each kind drawn as it is, and whatever is wrong with one said."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from bokeh.embed import json_item
from bokeh.models import (
    ColumnDataSource,
    HoverTool,
    Line,
    Model,
    PlainText,
    Rect,
    Scatter,
    VBar,
    Wedge,
)
from bokeh.models.annotations import Legend, Title
from bokeh.models.renderers import GlyphRenderer
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.errors import BadChart, BadPayload
from streamviz.views.charts import figure_of
from streamviz.views.charts.chart import KINDS, MAX_CELLS, MAX_SERIES
from streamviz.views.charts.colours import SERIES, palettes, token_rules
from streamviz.views.charts.thinning import MAX_POINTS, Thinned, thin

NAN = math.nan


def draw(document: Any) -> Any:
    """Return a document's figure; its parts are Bokeh's, whose types are too wide to ask."""
    return figure_of(document)


def glyphs(plot: Any, kind: type[Model]) -> list[Any]:
    """Return the glyphs of a kind, in the order in which they were added."""
    return [r.glyph for r in plot.renderers if isinstance(r, GlyphRenderer)
            and isinstance(r.glyph, kind)]  # fmt: skip


def data(plot: Any, name: str) -> dict[str, list[Any]]:
    """Return a source's columns as lists."""
    source = plot.select_one({"type": ColumnDataSource, "name": name})
    assert isinstance(source, ColumnDataSource), name
    return {key: list(values) for key, values in source.data.items()}


def words(plot: Any) -> str:
    """Return the title's and the note's text."""
    titles = [one for one in plot.references() if isinstance(one, Title)]
    return " | ".join(sorted(str(getattr(one.text, "text", one.text)) for one in titles))


def legend(plot: Any) -> list[str]:
    """Return the names in the legend, which stands outside the plot."""
    found: list[Any] = [one for one in plot.below if isinstance(one, Legend)]
    return [item.label["value"] for one in found for item in one.items]


def test_a_line_has_gaps_where_values_are_not_finite() -> None:
    """NaN, infinities and null break the line and are counted; a lonely point is a dot."""
    y = [1.0, NAN, 3.0, math.inf, 5.0, 6.0, None, *([7.0] * 40)]
    plot = draw({"chart": "line", "title": "Loss", "series": [{"name": "train", "y": y}]})

    drawn = data(plot, "series 0")
    assert len(drawn["y"]) == 47
    assert [i for i, one in enumerate(drawn["y"]) if math.isnan(one)] == [1, 3, 6]
    assert data(plot, "dots 0")["x"] == [0.0, 2.0]
    assert words(plot) == "3 missing or not finite | Loss"
    assert legend(plot) == []


def test_series_have_a_legend_outside_and_colours_of_the_page() -> None:
    """Each series its own colour of the colour-blind-safe set, then its own dash; names below."""
    series = [{"name": f"lr {i}", "y": [i, i + 1]} for i in range(10)]
    plot = draw({"chart": "line", "series": series})

    lines = glyphs(plot, Line)
    light = palettes()["light"]
    assert [line.line_color for line in lines[:8]] == [light[token] for token in SERIES]
    assert [line.line_dash for line in lines[7:]] == [[], [6], [6]]
    assert lines[2].tags == ["look:line_color=run-2"]
    assert legend(plot) == [f"lr {i}" for i in range(10)]
    assert [one for one in plot.center if isinstance(one, Legend)] == []


def test_the_colours_are_those_of_the_style_sheet() -> None:
    """Both themes have every token that a chart uses."""
    both = palettes()
    used = {*SERIES, "ink", "ink-2", "ink-3", "axis-ink", "grid", "surface"}

    assert used <= both["light"].keys() == both["dark"].keys()
    assert both["light"]["run-0"] != both["dark"]["run-0"]
    assert "--run-7" in token_rules()
    assert "body" not in token_rules()


def test_dates_are_an_axis_of_time() -> None:
    """Seconds since the epoch and ISO dates become milliseconds; what is no date is said."""
    at = [1_700_000_000.0, "2023-11-14T22:13:21Z", "2023-11-14T23:13:22+01:00", None]
    document = {"chart": "line", "x_type": "datetime", "x": at, "series": [{"y": [1, 2, 3, 4]}]}
    plot = draw(document)

    assert data(plot, "series 0")["x"] == [1.7e12, 1.7e12 + 1e3, 1.7e12 + 2e3]
    assert type(plot.xaxis[0]).__name__ == "DatetimeAxis"
    assert "1 without an x left out" in words(plot)
    with pytest.raises(BadChart, match=r"x\[0\]: found 'soon', expected seconds since the epoch"):
        draw({**document, "x": ["soon", 1, 2, 3]})


def test_bars_stand_side_by_side() -> None:
    """Bars of two series at one word do not cover one another; a word that comes twice is two."""
    series = [{"name": "train", "y": [3, 2, 1]}, {"name": "test", "y": [1, None, 2]}]
    plot = draw({"chart": "bar", "x": ["a", "b", "a"], "series": series})

    first, second = (data(plot, f"series {i}") for i in range(2))
    width = glyphs(plot, VBar)[0].width
    assert first["x"] == [0.0, 1.0, 2.0]
    assert second["word"] == ["a", "a"]
    assert all(b - a > width for a, b in zip(first["at"][::2], second["at"], strict=True))
    assert plot.y_range.start == 0
    assert draw({"chart": "bar", "series": [{"y": [-1]}]}).y_range.start != 0


def test_log_axes_leave_out_what_they_cannot_show() -> None:
    """Values of 0 or less are gaps on a log axis, and counted; a pie has no axis to be one."""
    document = {"chart": "line", "axes": {"y": "log"}, "series": [{"y": [0, 1, 10, -1]}]}
    plot = draw(document)

    assert type(plot.yaxis[0]).__name__ == "LogAxis"
    assert "2 of 0 or less: not on a log axis" in words(plot)
    with pytest.raises(BadChart, match="a pie has no logarithmic y"):
        draw({**document, "chart": "pie"})


def test_many_points_are_thinned_with_exact_extremes() -> None:
    """Of a million points at most 50,000 are drawn, a single spike among them, and it is said."""
    y = np.sin(np.arange(1_000_000) / 1e5)
    y[777_777] = 123.0
    line = draw({"chart": "line", "series": [{"y": y}]})
    dots = draw({"chart": "scatter", "series": [{"y": y}]})

    for plot in (line, dots):
        drawn = data(plot, "series 0")
        assert len(drawn["y"]) <= MAX_POINTS
        assert drawn["x"][int(np.argmax(drawn["y"]))] == 777_777
        assert min(drawn["y"]) == y.min()
        assert "of 1,000,000 points" in words(plot)
    assert drawn["x"][-1] == 999_999


def test_a_pie_folds_small_slices() -> None:
    """The greatest first, the rest one slice; the percentages add up to a hundred."""
    sizes = [*range(1, 20), 0, None]
    plot = draw({"chart": "pie", "x": [f"c{i}" for i in range(21)], "series": [{"y": sizes}]})

    assert len(glyphs(plot, Wedge)) == 8
    assert data(plot, "slice 0")["word"] == ["c18"]
    assert data(plot, "slice 7")["word"] == ["other (12)"]
    shares = [float(data(plot, f"slice {i}")["percent"][0].rstrip(" %")) for i in range(8)]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert data(plot, "slice 7")["end"][0] == pytest.approx(math.pi / 2 - 2 * math.pi)
    assert legend(plot)[0] == "c18  10 %"
    assert "1 missing or not finite" in words(plot)


def test_a_histogram_draws_the_senders_bins() -> None:
    """Bins stand as they were sent, from zero."""
    series = [{"name": "w", "edges": [0, 1, 3], "counts": [5, 2]}]
    plot = draw({"chart": "hist", "series": series})

    assert data(plot, "series 0") == {"left": [0, 1], "right": [1, 3], "y": [5, 2]}
    assert plot.y_range.start == 0


def test_boxes_stand_in_a_row() -> None:
    """A box a series, its outliers as points; a series without values keeps its place."""
    one = {"low": 1, "q1": 2, "median": 3, "q3": 4, "high": 5}
    series = [{"name": "a", **one}, {"name": "b"}, {"name": "c", **one, "outliers": [9, NAN, -9]}]
    plot = draw({"chart": "box", "series": series})

    assert data(plot, "boxes")["word"] == ["a", "c"]
    assert data(plot, "boxes")["x"] == [0.0, 2.0]
    assert data(plot, "outliers") == {"x": [2, 2], "y": [9.0, -9.0]}


def test_a_confusion_matrix_says_its_counts() -> None:
    """Cells are coloured by their share of their row and say the count; the first row is above."""
    document = {"chart": "confusion", "x": ["cat", "dog"], "rows": ["cat", "dog"],
                "z": [[3, 1], [0, 0]]}  # fmt: skip
    plot = draw(document)

    cells = data(plot, "cells")
    assert cells["shade"] == [0.75, 0.25, 0.0, 0.0]
    assert cells["written"] == ["3", "1", "0", "0"]
    assert cells["share"][0] == "75 %"
    assert len(glyphs(plot, Rect)) == 1
    assert plot.y_range.start > plot.y_range.end
    assert plot.xaxis[0].axis_label.text == "predicted"


def test_names_are_text_everywhere() -> None:
    """No text from outside is read as TeX, as a field's name or as HTML by a model of Bokeh."""
    name = "$$x$$ @y{safe} <img src=x onerror=alert(1)> \u202e \x00"
    series = [{"name": name, "y": [1, 2]}, {"name": name, "y": [1, 2]}]
    document = {"chart": "line", "title": name, "labels": {"x": name, "y": name}, "note": name,
                "x": [name, name + "2"], "series": series}  # fmt: skip
    plot = draw(document)

    shown = [one.text for one in plot.references() if isinstance(one, Title)]
    shown += [axis.axis_label for axis in plot.axis]
    shown += list(plot.xaxis[0].major_label_overrides.values())
    assert len(shown) == 6
    assert {type(one) for one in shown} == {PlainText}
    assert legend(plot) == ["$$x$$ @y{safe} <img src=x onerr…"] * 2
    hover: Any = next(tool for tool in plot.tools if isinstance(tool, HoverTool))
    assert {value for _, value in hover.tooltips} == {"$name", "@word", "@y"}
    assert "\u202e" not in json.dumps(json_item(plot), ensure_ascii=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chart_without_data_says_so(kind: str) -> None:
    """Nothing to draw is a chart that says why, with its title."""
    nothing: list[Any] = [[], [{"name": "loss", "y": [], "counts": [], "edges": []}]]
    if kind != "hist":
        nothing.append([{"y": [None]}])
    for series in nothing:
        plot = draw({"chart": kind, "title": "Mine", "z": [], "x": None, "series": series})
        assert data(plot, "empty")["text"][0].startswith("no data: ")
        assert "Mine" in words(plot)


LINE = {"chart": "line", "series": [{"y": [1]}]}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "the document: found a list of 0, expected an object with chart, x and series"),
        ({}, "chart: found None, expected one of line, bar, scatter"),
        ({"chart": "donut"}, "chart: found 'donut', expected one of line, bar"),
        ({"chart": ["line"]}, "chart: found a list of 1, expected one of"),
        ({"chart": "line"}, "series: found None, expected a list"),
        ({"chart": "line", "series": [1]}, "series[0]: found 1, expected an object with name"),
        ({**LINE, "series": [{}] * 65}, f"65 entries, expected at most {MAX_SERIES}"),
        ({**LINE, "x": [1, 2]}, "series[0].y: found 1 values, expected 2, as many as x"),
        ({**LINE, "series": [{"y": [1], "x": []}]}, "expected 0, as many as series[0].x"),
        ({**LINE, "series": [{"y": ["a"]}]}, "series[0].y[0]: found 'a', expected a number"),
        ({**LINE, "series": [{"y": 5}]}, "series[0].y: found 5, expected a list"),
        ({**LINE, "x": [[1]]}, "x[0]: found a list of 1, expected a number"),
        ({**LINE, "x_type": "date"}, "x_type: found 'date', expected number, datetime"),
        ({**LINE, "labels": "x"}, "labels: found 'x', expected an object with x and y"),
        ({**LINE, "title": {}}, "title: found an object of 0, expected text"),
        ({**LINE, "axes": {"z": "log"}}, 'expected an object such as {"y": "log"}'),
        ({"chart": "pie", "series": [{"y": [-1]}]}, "-1.0, expected sizes of 0 or more"),
        ({**LINE, "chart": "pie", "series": [{}, {}]}, "expected one: a pie shows the parts"),
        ({"chart": "hist", "series": [{"edges": [0], "counts": [1]}]}, "1 edges, expected 2"),
        ({"chart": "hist", "series": [{"edges": [1, 0], "counts": [1]}]}, "do not increase"),
        ({"chart": "hist", "series": [{"edges": [0, 1], "counts": [-1]}]}, "counts below zero"),
        ({"chart": "box", "series": [{"low": 1}]}, "expected low, q1, median, q3 and high"),
        ({"chart": "heatmap", "z": [[1], [1, 2]]}, "z[1]: found 2 values, expected 1"),
        ({"chart": "heatmap", "z": [[1]], "x": []}, "x: found 0 words, expected 1"),
        ({"chart": "heatmap", "z": [[0] * 300] * 300}, f"expected at most {MAX_CELLS:,}"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(document: Any, sentence: str) -> None:
    """The place in the document, what was found, what is allowed; a bad payload like others."""
    with pytest.raises(BadChart) as raised:
        draw(document)

    assert sentence in str(raised.value)
    assert isinstance(raised.value, BadPayload)


NUMBERS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from([10**400, "NaN", "1", ""])
)
TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(["\ud800", "$$x$$", "2024-01-01", "a"]))
LISTS = st.lists(st.one_of(NUMBERS, TEXTS), max_size=6)
ANYTHING = st.recursive(
    st.one_of(NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
SERIES_LIKE = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(TEXTS, ANYTHING),
        "y": st.one_of(st.lists(NUMBERS, max_size=6), LISTS, ANYTHING),
        "x": st.one_of(LISTS, ANYTHING),
        "edges": st.one_of(st.lists(NUMBERS, max_size=4), ANYTHING),
        "counts": st.one_of(st.lists(NUMBERS, max_size=3), ANYTHING),
        **dict.fromkeys(("low", "q1", "median", "q3", "high"), NUMBERS),
        "outliers": st.one_of(st.lists(NUMBERS, max_size=3), ANYTHING),
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {"chart": st.sampled_from([*KINDS, *KINDS, "other"])},
    optional={
        "title": st.one_of(TEXTS, ANYTHING),
        "labels": st.one_of(st.dictionaries(st.sampled_from(["x", "y"]), ANYTHING), ANYTHING),
        "axes": st.one_of(st.sampled_from([{"y": "log"}, {"x": "log", "y": "log"}]), ANYTHING),
        "x_type": st.one_of(st.sampled_from(["number", "datetime", "category"]), ANYTHING),
        "x": st.one_of(LISTS, ANYTHING),
        "rows": st.one_of(LISTS, ANYTHING),
        "z": st.one_of(st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=3), ANYTHING),
        "series": st.one_of(st.lists(SERIES_LIKE, max_size=3), ANYTHING),
        "note": st.one_of(TEXTS, ANYTHING),
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(document=st.one_of(DOCUMENTS, DOCUMENTS, DOCUMENTS, ANYTHING))
def test_any_document_is_a_figure_or_a_sentence(document: Any) -> None:
    """Whatever the document, it is drawn as strict JSON or refused as a bad chart; nothing else."""
    try:
        plot = draw(document)
    except BadChart as error:
        said = str(error)
    else:
        said = ", expected " * bool(json.dumps(json_item(plot), allow_nan=False).encode("utf-8"))
    assert ", expected " in said
    assert len(said) < 400


@settings(max_examples=100, deadline=None)
@given(
    y=st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), min_size=9, max_size=300),
    points=st.integers(8, 60),
)
def test_thinning_keeps_the_law(y: list[float], points: int) -> None:
    """At most so many points, in order; extremes, ends and gaps stay, in parts as at once."""
    values = np.array(y)
    x = np.arange(len(values), dtype=np.float64)
    held = Thinned(points)
    for part in np.array_split(np.arange(len(values)), 7):
        held.add(x[part], values[part])
    for xs, ys in (held.points(), thin(x, values, points)):
        assert len(xs) == len(ys) <= points
        assert (np.diff(xs) >= 0).all()
        there = np.isfinite(ys)
        assert (ys[there] == values[xs[there].astype(int)]).all()
        assert np.isnan(values).any() == (~there).any()
        if there.any():
            assert (np.nanmin(values), np.nanmax(values)) == (ys[there].min(), ys[there].max())
        assert (xs[0], xs[-1]) == (x[0], x[-1])
    assert held.count == len(values)
    assert held.not_finite == np.isnan(values).sum()


def test_a_scatter_is_points_alone() -> None:
    """Points without an x or a y are left out and counted."""
    plot = draw({"chart": "scatter", "x": [1, None, 3], "series": [{"y": [1, 2, NAN]}]})

    assert data(plot, "series 0") == {"x": [1.0], "y": [1.0]}
    assert len(glyphs(plot, Scatter)) == 1
    assert "1 without an x left out · 1 missing or not finite" in words(plot)
