"""What a view shows, without any view."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamviz.store import Gap
from streamviz.views.models import MAX_OLD, choose, evenly, merge_gaps
from streamviz.views.ranks import parse_ranks


def test_the_latest_attempt_of_each_rank_makes_the_band() -> None:
    """In the order of the ranks, whatever the order in which they came."""
    choice = choose([(0, 5, 0), (1, 2, 1), (2, 2, 0), (3, 5, 1), (4, 7, 0)], None)
    assert [(s.rank, s.attempt, s.worker) for s in choice.current] == [
        (2, 1, 1),
        (5, 1, 3),
        (7, 0, 4),
    ]
    assert [(s.rank, s.attempt, s.worker) for s in choice.old] == [(2, 0, 2), (5, 0, 0)]
    assert choice.workers == (1, 3, 4, 2, 0)


def test_only_the_ranks_asked_for_are_chosen() -> None:
    """Neither they nor their earlier attempts are there otherwise."""
    workers = [(10 * attempt + rank, rank, attempt) for attempt in range(2) for rank in range(10)]
    choice = choose(workers, parse_ranks("3,5-6"))
    assert [source.rank for source in choice.current] == [3, 5, 6]
    assert {source.rank for source in choice.old} == {3, 5, 6}


def test_every_earlier_attempt_is_seen_before_any_twice() -> None:
    """There is room for few lines, so each attempt gives its lowest rank first."""
    workers = [(100 * attempt + rank, rank, attempt) for attempt in range(6) for rank in range(50)]
    old = choose(workers, None).old
    assert [(s.attempt, s.rank) for s in old] == [
        (4, 0), (3, 0), (2, 0), (1, 0), (0, 0), (4, 1), (3, 1), (2, 1),
    ]  # fmt: skip
    assert len(old) == MAX_OLD


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
