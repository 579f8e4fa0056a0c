"""The sentence of who is behind: true to what ranks said, silent when there is nothing to say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streamviz.ingest.liveness import WorkerState
from streamviz.insight.behind import BEHIND_S, behind_order, situation
from streamviz.insight.standing import Standing

THIN = "\u202f"


def standing(rank: int, **others: object) -> Standing:
    """A rank that goes on, but for what is said."""
    base = Standing(
        rank=rank,
        host=f"node-{rank // 8}",
        state=WorkerState.LIVE,
        step=100,
        still_s=0.1,
        phase="backward",
        phase_s=0.1,
        age_s=0.2,
    )
    return replace(base, **others)  # type: ignore[arg-type]


def test_one_rank_keeps_a_thousand_waiting() -> None:
    """Rank, host, phase, how long, at which step, and how many wait where."""
    ranks = [standing(rank, step=12_032, still_s=40.0) for rank in range(1024)]
    ranks[417] = standing(417, step=12_031, still_s=48.0, phase="data", phase_s=48.0)

    assert situation(ranks) == (
        f"rank 417 (node-52) in `data` for 48 s at step 12{THIN}031; "
        f"1{THIN}023 ranks wait at 12{THIN}032"
    )


def test_a_silent_rank_comes_before_one_that_is_behind() -> None:
    """What fell silent is said with its last step and phase."""
    ranks = [standing(rank, still_s=30.0) for rank in range(4)]
    ranks[3] = standing(
        3, state=WorkerState.STALE, age_s=12.0, step=88, phase="forward", still_s=30.0
    )

    assert situation(ranks) == "rank 3 (node-0) silent for 12 s, last at step 88 in `forward`"
    ranks[1] = replace(ranks[3], rank=1, age_s=11.0)
    assert situation(ranks).endswith("; rank 1 silent too")


def test_a_hang_within_a_step_is_told_by_the_phases() -> None:
    """All at one step, all in backward but one that is in data: that one is told of."""
    ranks = [standing(rank, still_s=20.0) for rank in range(8)]
    ranks[5] = standing(5, still_s=20.0, phase="data", phase_s=19.0)

    assert situation(ranks) == (
        "rank 5 (node-0) in `data` for 19 s after step 100; 7 ranks in `backward`"
    )


def test_the_ordinary_is_no_news() -> None:
    """Ranks that report at different moments, that are done, or have not begun, are not behind."""
    assert situation([]) == ""
    assert situation([standing(0, step=99), standing(1, step=101)]) == ""
    assert situation([standing(0), standing(1, state=WorkerState.DONE, still_s=900.0)]) == ""
    assert situation([standing(0), standing(1, step=None, still_s=900.0)]) == ""
    ranks = [standing(0, still_s=6.0), standing(1, step=99, still_s=6.0)]
    assert situation(ranks, step_s=0.1) != ""
    assert situation(ranks, step_s=4.0) == "", "a step takes four seconds here"


def test_what_an_earlier_server_recorded_is_not_silent() -> None:
    """A run that ended while nobody watched is no news of now."""
    gone = standing(0, state=WorkerState.GONE, age_s=9_000.0, watched=False)

    assert situation([gone]) == ""


STANDINGS = st.builds(
    Standing,
    rank=st.integers(0, 5_000),
    host=st.text(max_size=10),
    state=st.sampled_from(WorkerState),
    step=st.none() | st.integers(0, 2**53),
    still_s=st.floats(0, 1e6),
    phase=st.none() | st.text(min_size=1, max_size=10),
    phase_s=st.floats(0, 1e6),
    age_s=st.floats(0, 1e6),
    watched=st.booleans(),
)


@given(st.lists(STANDINGS, max_size=12, unique_by=lambda one: one.rank))
def test_only_somebody_still_or_silent_is_named(ranks: list[Standing]) -> None:
    """Nobody who moved within the last seconds is the one that a sentence begins with."""
    sentence = situation(ranks)
    order = behind_order(ranks)

    assert sorted(order) == sorted(one.rank for one in ranks)
    assert "\n" not in sentence or any("\n" in f"{one.host}{one.phase}" for one in ranks)
    if not sentence:
        return
    silent = any(one.state in (WorkerState.STALE, WorkerState.GONE) for one in ranks)
    assert silent or any(one.still_s >= BEHIND_S for one in ranks)
