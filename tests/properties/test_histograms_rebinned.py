"""Histograms on another grid: nothing is made or lost, whatever the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.insight.distributions import (
    MOST_EDGES,
    Histogram,
    distribution,
    is_usable,
    merged,
    percentiles,
    rebinned,
)

numbers = st.one_of(
    st.floats(-1e3, 1e3),
    st.floats(-1e299, 1e299),
    st.floats(-1e-300, 1e-300),
    st.integers(-5, 5).map(float),
)
counted = st.one_of(st.integers(0, 1000).map(float), st.floats(1e-3, 1e9), st.just(0.0))


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    """Any histogram that can be computed with."""
    edges = sorted(set(draw(st.lists(numbers, min_size=2, max_size=9, unique=True))))
    counts = draw(st.lists(counted, min_size=len(edges) - 1, max_size=len(edges) - 1))
    return Histogram(np.array(edges), np.array(counts))


def total(histogram: Histogram) -> float:
    """Return how much a histogram holds."""
    return float(histogram.counts.sum())


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(histograms(), min_size=1, max_size=4), min_size=1, max_size=5),
    st.integers(4, 128),
)
def test_a_grid_keeps_every_steps_mass(steps: list[list[Histogram]], bins: int) -> None:
    """Each step's counts sum to those of its ranks; bins, edges and percentiles are in order."""
    found = distribution(steps, bins)

    assert 1 <= found.edges.size - 1 <= bins
    assert (np.diff(found.edges) > 0).all()
    assert (found.counts >= 0).all()
    for row, ranks in enumerate(steps):
        there = sum(map(total, ranks))
        np.testing.assert_allclose(found.counts[row].sum(), there, rtol=1e-9, atol=1e-300)
        values = found.values[row]
        assert np.isnan(values).all() if there == 0 else (np.diff(values) >= 0).all()
        if there > 0:
            filled = [
                h.edges[np.flatnonzero(h.counts)[[0, -1]] + [0, 1]] for h in ranks if total(h) > 0
            ]
            ends = [min(edges[0] for edges in filled), max(edges[1] for edges in filled)]
            np.testing.assert_allclose(values[[0, -1]], ends, atol=1e-9 * (ends[1] - ends[0]))


@settings(max_examples=80, deadline=None)
@given(histograms(), st.lists(numbers, max_size=20))
def test_below_an_edge_lies_what_lay_there(histogram: Histogram, further: list[float]) -> None:
    """A bin that is cut is shared out in proportion; one that is whole keeps its count."""
    edges = np.unique(np.concatenate([histogram.edges, further]))
    again = (
        rebinned(Histogram(edges, rebinned(histogram, edges)), histogram.edges)
        if (edges[0] == histogram.edges[0] and edges[-1] == histogram.edges[-1])
        else histogram.counts
    )

    np.testing.assert_allclose(
        again, histogram.counts, rtol=1e-9, atol=1e-9 * (1 + total(histogram))
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(histograms(), min_size=1, max_size=6))
def test_ranks_merge_in_any_order(ranks: list[Histogram]) -> None:
    """Who is merged first makes no difference, and a rank twice counts twice."""
    one, other = merged(ranks), merged(ranks[::-1])

    np.testing.assert_array_equal(one.edges, other.edges)
    np.testing.assert_allclose(one.counts, other.counts, rtol=1e-9, atol=1e-9 * (1 + total(one)))
    np.testing.assert_allclose(total(merged(ranks + ranks)), 2 * total(one), rtol=1e-9)


def test_percentiles_of_even_values_are_those_values() -> None:
    """From evenly filled bins the hundredths lie evenly."""
    even = Histogram(np.linspace(0, 100, 11), np.full(10, 7.0))

    np.testing.assert_allclose(percentiles(even, (0, 7, 50, 93, 100)), [0, 7, 50, 93, 100])


def test_many_ranks_stay_bounded_and_whole() -> None:
    """Hundreds of ranks, each with edges of its own, make one histogram of bounded size."""
    random = np.random.default_rng(0)
    ranks = []
    for _ in range(500):
        counts, edges = np.histogram(random.normal(size=200), bins=32)
        ranks.append(Histogram(edges, counts.astype(np.float64)))
    whole = merged(ranks)

    assert whole.edges.size <= MOST_EDGES
    assert total(whole) == pytest.approx(100_000)
    np.testing.assert_allclose(percentiles(whole, (16, 50, 84)), [-1, 0, 1], atol=0.05)


def test_a_few_far_values_do_not_flatten_the_rest() -> None:
    """What lies far out has a bin of its own, and the others keep even, round edges."""
    near = Histogram(np.linspace(-1, 1, 65), np.full(64, 100.0))
    far = Histogram(np.array([-1.0, 0.0, 1.0, 1e6]), np.array([3000.0, 3000.0, 1.0]))
    found = distribution([[near]] * 20 + [[far]], 64)

    assert found.tails == (False, True)
    assert [type(tail) for tail in found.tails] == [bool, bool]
    assert found.edges[-1] == 1e6
    assert found.edges[-2] < 2
    assert found.counts[-1, -1] > 0.9
    assert found.edges.size > 30


def test_what_cannot_be_computed_with_is_told_apart() -> None:
    """Infinities, edges out of order, counts below zero and sizes that overflow are not usable."""
    good = np.array([0.0, 1.0, 2.0])
    assert is_usable(good, np.array([1.0, 0.0]))
    for edges, counts in (
        (good, [1.0, np.inf]),
        (good, [1.0, np.nan]),
        (good, [1.0, -1.0]),
        (good, [1e301, 0.0]),
        (good, [1.0]),
        (good[:1], []),
        (good[::-1], [1.0, 1.0]),
        ([0.0, 1.0, np.inf], [1.0, 1.0]),
        ([-1e301, 1.0, 2.0], [1.0, 1.0]),
        ([0.0, 0.0, 2.0], [1.0, 1.0]),
    ):
        assert not is_usable(np.asarray(edges), np.asarray(counts, np.float64))
