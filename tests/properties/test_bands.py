"""Bands against numpy's own quantiles, which are slow and right."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from numpy.typing import NDArray

from streamviz.insight.bands import band
from streamviz.insight.outliers import outliers

FloatArray = NDArray[np.float64]
arrays = stnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 6), st.integers(0, 9)),
    elements=st.one_of(st.just(np.nan), st.floats(-1e9, 1e9), st.sampled_from([0.0, 1.0, 1e-300])),
)


@settings(max_examples=200, deadline=None)
@given(arrays)
def test_quantiles_are_exactly_those_of_numpy(values: FloatArray) -> None:
    """The default linear method, NaN left out, to the last bit."""
    folded = band(values, values - 1.0, values + 1.0)

    for line, q in ((folded.p10, 0.1), (folded.mid, 0.5), (folded.p90, 0.9)):
        expected = np.full(len(values), np.nan)
        for row, numbers in enumerate(values):
            if not np.isnan(numbers).all():
                expected[row] = np.nanquantile(numbers, q)
        np.testing.assert_array_equal(line, expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        if values.shape[1]:
            np.testing.assert_array_equal(folded.lo, np.nanmin(values - 1.0, axis=1))
            np.testing.assert_array_equal(folded.hi, np.nanmax(values + 1.0, axis=1))


@settings(max_examples=200, deadline=None)
@given(arrays, st.sets(st.integers(0, 12)), st.integers(0, 4))
def test_outliers_are_few_known_and_sorted(
    values: FloatArray, previous: set[int], most: int
) -> None:
    """Any array at all gives at most ``k`` distinct columns that there are."""
    columns = outliers(values, previous, most)

    assert columns == sorted(set(columns))
    assert len(columns) <= most
    assert all(0 <= column < values.shape[1] for column in columns)
