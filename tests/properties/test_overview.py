"""The overview against a plain re-aggregation of all rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.store.grid import IntArray, distinct, finest_shift
from streamviz.store.pyramid import BUCKETS_MAX, BUCKETS_MIN, Overview

VALUES = np.array([0.0, -1.5, 2.0, 3.25, 1e300, -1e300, np.nan, np.inf, -np.inf])
steps_of_a_batch = st.one_of(
    st.lists(st.integers(0, 40), min_size=1, max_size=30),
    st.lists(st.integers(0, 2**53), min_size=1, max_size=80),
    st.builds(
        lambda start, size, stride: list(range(start, start + size * stride, stride)),
        st.integers(0, 2**52),
        st.integers(1, 300),
        st.sampled_from([1, 3, 100, 2**40]),
    ),
)


@settings(max_examples=80, deadline=None)
@given(
    batches=st.lists(
        st.tuples(steps_of_a_batch, st.integers(0, 2**31), st.sampled_from(["", "shrink", "wide"])),
        min_size=1,
        max_size=8,
    ),
    may_grow=st.booleans(),
)
def test_equals_a_plain_aggregation_of_every_row_ever_folded(
    *, batches: list[tuple[list[int], int, str]], may_grow: bool
) -> None:
    """Extremes, counts and sums are those of all rows, in any order, through any coarsening."""
    overview = Overview(2)
    overview.resize(BUCKETS_MIN, 3)

    def grow() -> bool:
        if may_grow:
            overview.resize(2 * overview.buckets, overview.columns)
        return may_grow

    rows: list[tuple[int, int, float, list[float]]] = []
    for steps, seed, doing in batches:
        rng = np.random.default_rng(seed)
        column = rng.integers(0, 3, len(steps)).astype(np.int32)
        values = rng.choice(VALUES, (len(steps), 2))
        time = rng.random(len(steps))
        overview.fold(column, np.array(steps, np.int64), time, values, grow)
        rows += zip(column.tolist(), steps, time.tolist(), values.tolist(), strict=True)
        if doing == "shrink":
            overview.shrink(max(BUCKETS_MIN, overview.buckets // 2))
        if doing == "wide":
            overview.resize(overview.buckets, overview.columns + 1)

    assert overview.size <= overview.buckets <= BUCKETS_MAX
    for metric in range(2):
        check(overview, metric, rows)


def check(overview: Overview, metric: int, rows: list[tuple[int, int, float, list[float]]]) -> None:
    """Compare each cell of a metric with its rows."""
    ids, sums = overview.read(metric, np.arange(3), 0, 2**53)
    cells: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for column, step, time, values in rows:
        cells.setdefault((step >> overview.shift, column), []).append((time, values[metric]))
    assert ids.tolist() == sorted({bucket for bucket, _ in cells})
    for (bucket, column), held in cells.items():
        at = int(np.searchsorted(ids, bucket)), column
        finite = [value for _, value in held if np.isfinite(value)]
        assert sums.rows[at] == len(held)
        assert sums.count[at] == len(finite)
        assert sums.bad[at] == len(held) - len(finite)
        assert sums.vmin[at] == min(finite, default=np.inf)
        assert sums.vmax[at] == max(finite, default=-np.inf)
        assert sums.vsum[at] == pytest.approx(sum(finite), abs=1e286)
        assert sums.time_sum[at] == pytest.approx(sum(time for time, _ in held))


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 2**62), min_size=1, max_size=60), st.integers(1, 60))
def test_finest_shift_is_the_smallest_that_fits(steps: set[int], limit: int) -> None:
    """One shift less leaves too many buckets."""

    def buckets(shift: int) -> int:
        return len({step >> shift for step in steps})

    shift = finest_shift(np.array(sorted(steps), np.int64), limit)

    assert buckets(shift) <= limit
    assert shift == 0 or buckets(shift - 1) > limit


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**62), max_size=50), st.integers(0, 2**60))
def test_distinct_sorts_and_drops_repeats(steps: list[int], far: int) -> None:
    """Close together or far apart makes no difference."""
    for spread in ([step % 100 + far for step in steps], steps):
        array: IntArray = np.array(spread, np.int64)

        assert distinct(array).tolist() == sorted(set(spread))
