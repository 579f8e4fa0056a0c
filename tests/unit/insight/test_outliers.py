"""Who is named, who is not, and for how long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamviz.insight.outliers import outliers


def noisy(buckets: int, ranks: int, seed: int = 0) -> NDArray[np.float64]:
    """Return ranks that differ by one percent noise."""
    return np.random.default_rng(seed).normal(1.0, 0.01, (buckets, ranks))


def test_names_the_rank_that_is_apart() -> None:
    """One slow rank among 64 is named, and no other."""
    values = noisy(40, 64)
    values[:, 17] *= 1.5

    assert outliers(values) == [17]


def test_names_nobody_when_the_ranks_agree() -> None:
    """Noise alone, equal values and rounding errors name no rank."""
    assert outliers(noisy(40, 1000)) == []
    assert outliers(np.ones((40, 8))) == []
    assert outliers(np.ones((40, 8)) + np.arange(8) * 1e-15) == []
    assert outliers(np.zeros((40, 8))) == []


def test_names_the_one_that_differs_from_equals() -> None:
    """Where all others are exactly equal a difference of five percent is enough."""
    values = np.ones((40, 8))
    values[:, 3] = 1.05

    assert outliers(values) == [3]


def test_a_single_jump_is_no_reason() -> None:
    """A rank has to keep away, not to spike once."""
    values = noisy(40, 16)
    values[-1, 5] = 100.0

    assert outliers(values) == []


def test_three_ranks_cannot_tell() -> None:
    """Below four ranks nobody is named."""
    values = np.ones((40, 3))
    values[:, 0] = 50.0

    assert outliers(values) == []


def test_a_named_rank_stays_until_it_is_clearly_back() -> None:
    """Between the two thresholds the answer is the one before."""
    values = np.tile(np.linspace(-1.0, 1.0, 101), (40, 1))
    spread = 1.4826 * 0.5
    values[:, 100] = 4.0 * spread

    assert outliers(values) == []
    assert outliers(values, {100}) == [100]
    values[:, 100] = 2.0 * spread
    assert outliers(values, {100}) == []


def test_at_most_k_and_the_furthest_first() -> None:
    """Of many that stand out the furthest are taken; those named before are favoured."""
    values = noisy(40, 64)
    values[:, 10:15] += [1.0, 2.0, 2.5, 4.0, 5.0]

    assert outliers(values) == [12, 13, 14]
    assert outliers(values, {11}) == [11, 13, 14]


def test_ranks_that_lag_behind_do_not_hide_the_others() -> None:
    """Newest buckets that only two ranks have reached are left out."""
    values = noisy(80, 8)
    values[:, 2] *= 2.0
    values[40:, 2:] = np.nan

    assert outliers(values) == [2]


def test_infinite_values_are_left_out() -> None:
    """A rank of infinities has no values to be apart with."""
    values = noisy(40, 8)
    values[:, 1] = np.inf

    assert outliers(values) == []
