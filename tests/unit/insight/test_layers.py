"""One measure of many layers, folded over ranks, by hand."""

from __future__ import annotations

import math

import numpy as np

from streamviz.insight.layers import Samples, fold, newest


def samples(*rows: tuple[int, float]) -> Samples:
    """Return one rank's rows, what is not finite counted as such."""
    step = np.array([step for step, _ in rows], np.int64)
    value = np.array([value for _, value in rows], np.float64)
    finite = np.isfinite(value)
    return Samples(step, np.where(finite, value, np.nan), (~finite).astype(np.int64))


def test_a_cell_is_the_median_over_ranks_and_bad_ones_show() -> None:
    """Ranks are folded to their median; one NaN makes a cell NaN; what nobody sent is not there."""
    layers = [
        [samples((0, 1.0), (10, 2.0)), samples((0, 3.0), (10, math.inf)), samples((0, 8.0))],
        [samples((10, 5.0))],
        [],
    ]
    grid = fold(layers, 128)

    assert grid.steps.tolist() == [0, 10]
    assert grid.width == 1
    np.testing.assert_array_equal(grid.values, [[3, np.nan], [np.nan, 5], [np.nan, np.nan]])
    assert grid.there.tolist() == [[True, True], [False, True], [False, False]]


def test_more_steps_than_columns_share_them_and_hide_no_nan() -> None:
    """Steps are put together by powers of two; a single NaN among them is still seen."""
    rows = [(step, math.nan if step == 700 else 2.0) for step in range(1000)]
    grid = fold([[samples(*rows)]], 128)

    assert grid.width == 8
    assert grid.steps.tolist() == list(range(0, 1000, 8))
    bad = np.flatnonzero(np.isnan(grid.values[0]))
    assert grid.steps[bad].tolist() == [696]
    assert grid.there.all()


def test_nothing_at_all_is_no_grid() -> None:
    """Without layers, and without rows, there are no columns."""
    assert fold([], 10).values.shape == (0, 0)
    assert fold([[], []], 10).values.shape == (2, 0)


def test_the_newest_is_of_the_last_step() -> None:
    """The median of what each rank sent last; NaN if one of them did, none without any."""
    assert newest([]) is None
    assert newest([samples((0, 1.0), (5, 2.0)), samples((0, 9.0), (4, 4.0))]) == (5, 3.0)
    found = newest([samples((0, 1.0)), samples((0, math.nan))])
    assert found is not None
    assert math.isnan(found[1])
