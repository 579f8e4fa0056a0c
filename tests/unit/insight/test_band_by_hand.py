"""The band of a few ranks, by hand."""

from __future__ import annotations

import numpy as np

from streamviz.insight.bands import band

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
