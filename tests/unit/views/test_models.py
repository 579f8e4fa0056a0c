"""What a view shows, without any view."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.store import Gap, Grid
from streamviz.views.models import (
    MAX_OLD,
    MAX_OLD_WORKERS,
    choose,
    evenly,
    merge_gaps,
    reduce_old,
)
from streamviz.views.ranks import parse_ranks


def test_the_latest_attempt_of_each_rank_makes_the_band() -> None:
    """In the order of the ranks, whatever the order in which they came."""
    choice = choose([(0, 5, 0), (1, 2, 1), (2, 2, 0), (3, 5, 1), (4, 7, 0)], None)
    assert [(s.rank, s.attempt, s.worker) for s in choice.current] == [
        (2, 1, 1),
        (5, 1, 3),
        (7, 0, 4),
    ]
    [line] = choice.old
    assert (line.label, [source.worker for source in line.sources]) == ("attempt 0", [2, 0])
    assert choice.workers == (1, 3, 4, 2, 0)


def test_only_the_ranks_asked_for_are_chosen() -> None:
    """Neither they nor their earlier attempts are there otherwise."""
    workers = [(10 * attempt + rank, rank, attempt) for attempt in range(2) for rank in range(10)]
    choice = choose(workers, parse_ranks("3,5-6"))
    assert [source.rank for source in choice.current] == [3, 5, 6]
    assert {source.rank for line in choice.old for source in line.sources} == {3, 5, 6}


@pytest.mark.parametrize(
    ("ranks", "attempts", "labels"),
    [
        (1, 1, []),
        (1, 3, ["attempt 1", "attempt 0"]),
        (50, 3, ["attempt 1", "attempt 0"]),
        (200, 2, ["attempt 0, 64 of 200 ranks"]),
        (1, 6, ["attempt 4", "attempt 3", "attempt 2", "attempt 1", "attempt 0"]),
        (2, 50, ["attempt 48", "attempt 47", "attempt 46", "attempt 45", "attempts 0 to 44"]),
        (
            1,
            999,
            ["attempt 997", "attempt 996", "attempt 995", "attempt 994", "attempts 742 to 993"],
        ),
    ],
)
def test_earlier_attempts_are_few_lines(ranks: int, attempts: int, labels: list[str]) -> None:
    """However many ranks started again how often: a line each for the last, one for the others."""
    workers = [
        (ranks * attempt + rank, rank, attempt)
        for attempt in range(attempts)
        for rank in range(ranks)
    ]
    choice = choose(workers, None)
    assert [line.label for line in choice.old] == labels
    assert len(choice.old) <= MAX_OLD + 1
    assert len(choice.workers) - len(choice.current) <= MAX_OLD_WORKERS
    assert all(line.sources[0].attempt < attempts - 1 for line in choice.old)


def test_one_restarted_rank_among_many_is_named() -> None:
    """Its earlier attempt is no attempt of the whole job."""
    workers = [*((rank, rank, 0) for rank in range(8)), (8, 3, 1)]
    assert [line.label for line in choose(workers, None).old] == ["r3 attempt 0"]
    assert [line.label for line in choose(workers, parse_ranks("3")).old] == ["attempt 0"]


def test_ranks_drawn_one_by_one_have_earlier_attempts_one_by_one() -> None:
    """While they are few; many are folded as in a band."""
    two = [(2 * attempt + rank, rank, attempt) for attempt in range(2) for rank in range(2)]
    assert [line.label for line in choose(two, None, "lines").old] == [
        "r0 attempt 0",
        "r1 attempt 0",
    ]
    many = [(9 * attempt + rank, rank, attempt) for attempt in range(2) for rank in range(9)]
    assert [line.label for line in choose(many, None, "lines").old] == ["attempt 0"]


def grid_of(mean: list[list[float]], time: list[list[float]]) -> Grid:
    """Build a grid of single steps: a row for each, a column for each worker."""
    means, times = np.array(mean), np.array(time)
    ones = np.ones(means.shape, np.int64)
    return Grid(
        shift=0,
        bucket=np.arange(len(means)),
        workers=tuple(range(means.shape[1])),
        mean=means,
        vmin=means,
        vmax=means,
        time=times,
        count=ones,
        bad=0 * ones,
        complete=True,
    )


def test_an_old_line_is_the_newest_attempt_that_has_the_step() -> None:
    """Attempts are never mixed in a value, and NaN is what it was, not a hole to fill."""
    nan = np.nan
    grid = grid_of(
        [[1, 3, 50, nan], [2, 4, nan, nan], [nan, nan, 60, 70], [nan, nan, nan, nan]],
        [[1, 3, 9, nan], [2, 2, 8, nan], [nan, nan, 5, 7], [nan, nan, nan, nan]],
    )
    newest, oldest = np.array([2]), np.array([0, 1])
    value, time = reduce_old(grid, [newest, oldest])
    np.testing.assert_array_equal(value, [50, nan, 60, nan])
    np.testing.assert_array_equal(time, [9, 8, 5, nan])
    value, time = reduce_old(grid, [oldest, np.array([2, 3])])
    np.testing.assert_array_equal(value, [2, 3, 65, nan])
    np.testing.assert_array_equal(time, [2, 2, 6, nan])


@given(st.integers(0, 3000), st.integers(2, 100))
def test_a_choice_among_many_is_even(count: int, most: int) -> None:
    """Both ends are in it, none twice, and the steps differ by one at most."""
    chosen = evenly(count, most)
    assert len(chosen) == min(count, most)
    assert chosen == sorted(set(chosen))
    if chosen:
        assert (chosen[0], chosen[-1]) == (0, count - 1)
    if len(chosen) > 1:
        assert np.ptp(np.diff(chosen)) <= 1


gap = st.builds(
    lambda first, length, rows: Gap(first, first + length, 0.0, 0.0, rows, "overflow"),
    st.integers(0, 10_000),
    st.integers(0, 50),
    st.integers(1, 100),
)


@given(st.lists(gap, max_size=60), st.integers(1, 20))
def test_no_row_of_a_gap_is_left_out(gaps: list[Gap], most: int) -> None:
    """However many there are, what is drawn covers them, apart, in order, rows conserved."""
    merged = merge_gaps(gaps, None, None, most)
    assert len(merged) <= most
    assert sum(rows for _, _, rows in merged) == sum(gap.rows for gap in gaps)
    assert all(
        any(first <= gap.first_step and gap.last_step <= last for first, last, _ in merged)
        for gap in gaps
    )
    bounds = [step for first, last, _ in merged for step in (first, last)]
    assert bounds == sorted(bounds)


def test_gaps_out_of_sight_are_not_drawn() -> None:
    """A range that is shown, ends included, has the gaps that touch it."""
    gaps = [Gap(at, at + 4, 0.0, 0.0, 5, "overflow") for at in (0, 10, 20, 30)]
    assert merge_gaps(gaps, 14, 20) == [[10, 14, 5], [20, 24, 5]]
    assert merge_gaps(gaps, 15, 19) == []
