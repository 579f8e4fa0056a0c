"""Rows of any number as charts: bounded, exact where it is promised, and said where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.views.charts import figure_of
from streamviz.views.charts.gathering import Gathering
from streamviz.views.charts.summing import Counted, Means, Quartiles, Sampled, Totals

VALUES = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=400)


@pytest.mark.parametrize("kind", ["line", "bar", "scatter", "hist", "box", "heatmap", "pie"])
@pytest.mark.parametrize("x_type", ["number", "category"])
def test_many_rows_are_a_small_chart(kind: str, x_type: Any) -> None:
    """Whatever the kind, the document is drawn, bounded, and what was left out is said."""
    held = Gathering(kind, "category" if kind == "pie" else x_type, {"title": "t"})
    size = 5_000 if held.x_type == "category" else 30_000
    y = np.random.default_rng(0).normal(size=size)
    for start in range(0, 10 * size, size):
        rows = np.arange(start, start + size, dtype=np.float64)
        x: Any = [f"w{int(i) % 50}" for i in rows] if held.x_type == "category" else rows
        held.add("loss", x, y + 2)
    document = held.document()

    figure_of(document)
    assert held.rows == 10 * size
    sizes = [len(one.get("y", one.get("counts", ()))) for one in document["series"] or [{}]] if (
        "series" in document
    ) else [len(document["z"][0])]  # fmt: skip
    assert max(sizes) <= 50_000
    assert document["note"] or kind in ("hist", "pie") or held.x_type == "category"


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(VALUES, min_size=1, max_size=5), bins=st.integers(1, 40))
def test_a_histogram_counts_every_value(parts: list[list[float]], bins: int) -> None:
    """The counts add up and the edges hold all values, also after the cells have grown."""
    for raw in (1 << 16, 8):
        held = Counted()
        for part in parts:
            held.add(np.array(part))
            if raw == 8 and held._cells is None and held._held > raw:
                held._begin()
        edges, counts = held.histogram(bins)
        values = np.concatenate([np.array(part) for part in parts])
        assert counts.sum() == len(values)
        assert (np.diff(edges) > 0).all()
        width = edges[-1] - edges[0]
        assert edges[0] <= values.min() + 1e-9 * width
        assert edges[-1] >= values.max() - 1e-9 * width


@settings(max_examples=50, deadline=None)
@given(values=VALUES, limit=st.integers(1, 20), cuts=st.integers(1, 6))
def test_means_keep_the_sum(values: list[float], limit: int, cuts: int) -> None:
    """However rows come in parts, stretches are of one width and their sums are the whole's."""
    held = Means(limit)
    y = np.array(values)
    for rows in np.array_split(np.arange(len(y)), cuts):
        held.add(rows.astype(float), y[rows])
    x, means = held.points()

    assert len(x) <= max(limit, 2) + 1
    assert x.tolist() == list(range(0, len(y), held.width))
    sizes = np.diff([*x, len(y)])
    assert (means * sizes).sum() == pytest.approx(y.sum(), rel=1e-9, abs=1e-3)


def test_a_sample_is_fair_and_has_the_outermost() -> None:
    """Of many rows each has the same chance, and the extremes of each column are there."""
    held = Sampled(1_000, 2)
    x = np.arange(100_000, dtype=float)
    y = np.sin(x)
    y[31_337] = 50.0
    for part in np.array_split(np.stack([x, y], 1), 13):
        held.add(part)
    rows = held.rows()

    assert len(rows) == 1_004
    assert rows[:, 1].max() == 50
    assert (rows[:, 0].min(), rows[:, 0].max()) == (0, 99_999)
    halves = np.histogram(rows[:, 0], 4, (0, 1e5))[0]
    assert halves.min() > 200


def test_quartiles_are_those_of_the_values() -> None:
    """Whiskers end at values, outliers are beyond them."""
    held = Quartiles()
    held.add(np.array([*range(1, 10), 100, np.nan, np.inf, -50]))
    box = held.box()

    assert (box["q1"], box["median"], box["q3"]) == (2.5, 5, 7.5)
    assert (box["low"], box["high"]) == (1, 9)
    assert sorted(np.asarray(box["outliers"]).tolist()) == [-50, 100]
    assert Quartiles().box() == {}


def test_words_beyond_the_cap_are_counted() -> None:
    """The first words are kept; rows of further ones are not lost silently."""
    held = Totals(2)
    held.add(["a", "b", "c", "a"], np.array([1.0, 2.0, 3.0, np.nan]))

    assert (held.words, held.sums, held.further) == (["a", "b"], [1.0, 2.0], 1)
    assert np.isnan(held.means(["c"]))[0]
