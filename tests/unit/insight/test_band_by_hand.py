"""The band of a few ranks, by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamviz.insight.bands import band, spread

NAN = np.nan


def test_a_lone_rank_is_its_own_middle() -> None:
    """With one rank all quantiles are its value, and the extremes its own."""
    values = np.array([[2.0], [NAN]])

    folded = band(values, values - 1, values + 1)

    np.testing.assert_array_equal(folded.p10, [2.0, NAN])
    np.testing.assert_array_equal(folded.mid, [2.0, NAN])
    np.testing.assert_array_equal(folded.p90, [2.0, NAN])
    np.testing.assert_array_equal(folded.lo, [1.0, NAN])
    np.testing.assert_array_equal(folded.hi, [3.0, NAN])


def test_a_spike_within_a_bucket_reaches_the_edge() -> None:
    """The extremes come from the samples, not from the means."""
    mean = np.array([[1.0, 1.0, 1.0]])

    folded = band(mean, mean, np.array([[1.0, 900.0, 1.0]]))

    assert folded.hi.tolist() == [900.0]
    assert folded.p90.tolist() == [1.0]


def test_no_ranks_give_nothing() -> None:
    """A band over no columns is NaN, one for each bucket."""
    nothing = np.empty((3, 0))

    assert np.isnan(band(nothing, nothing, nothing).mid).tolist() == [True] * 3


@given(arrays(np.float64, (5, 6), elements=st.floats(-1e6, 1e6)), arrays(np.bool_, (5, 6)))
def test_the_spread_is_numpys_mean_and_deviation(
    values: npt.NDArray[np.float64], absent: npt.NDArray[np.bool_]
) -> None:
    """Over the ranks that are there, and nothing where none is."""
    held = np.where(absent, NAN, values)

    folded = spread(held, held - 1, held + 1)

    for row in range(5):
        there = held[row][~absent[row]]
        mean, deviation = (there.mean(), there.std()) if there.size else (NAN, NAN)
        found = [folded.p10[row], folded.mid[row], folded.p90[row]]
        np.testing.assert_allclose(found, [mean - deviation, mean, mean + deviation], atol=1e-6)


def test_the_spread_of_nobody_is_nothing() -> None:
    """Neither without ranks nor at infinities does it warn or invent a number."""
    nothing = np.empty((3, 0))
    assert np.isnan(spread(nothing, nothing, nothing).mid).all()
    apart = np.array([[np.inf, -np.inf]])
    assert np.isnan(spread(apart, apart, apart).mid).all()
