"""Each rule fires on its fault and keeps quiet without one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.ingest.liveness import WorkerState
from streamviz.insight.batch import Batch
from streamviz.insight.finding import Level, Rule
from streamviz.insight.lost import NAMED_AT_MOST, lost
from streamviz.insight.nonfinite import nonfinite
from streamviz.insight.replicas import disagreement
from streamviz.insight.spikes import WARM_UP, Spike, is_spiky
from streamviz.insight.stalls import stalls
from streamviz.insight.standing import Standing
from streamviz.insight.steps import PATIENCE, Steps, WholeStep

COLUMNS = np.array([0, 1])


def rows(*cells: tuple[int, int, float, float], names: tuple[str, ...] = ("a", "b")) -> Batch:
    """Rows of rank, step and two values."""
    rank, step = (np.array([cell[i] for cell in cells], np.int64) for i in (0, 1))
    return Batch(
        names=names,
        worker=rank,
        rank=rank,
        attempt=np.zeros_like(rank),
        current=np.ones(rank.size, np.bool_),
        step=step,
        time=1e9 + step.astype(np.float64),
        values=np.array([cell[2:] for cell in cells]).reshape(-1, 2),
    )


# -- NaN


def test_the_first_bad_value_is_that_of_the_lowest_step() -> None:
    """Ranks are heard in any order; the count is of all."""
    found = nonfinite(
        rows((3, 8, 1.0, np.nan), (1, 7, np.inf, 1.0), (2, 6, 1.0, np.nan), (0, 9, 1.0, np.nan)),
        {2: "node-2"},
    )

    assert [(one.metric, one.rank, one.step, one.count) for one in found] == [
        ("a", 1, 7, 1),
        ("b", 2, 6, 3),
    ]
    assert found[1].text == "NaN in b: first on rank 2 (node-2) at step 6"
    assert found[0].text.startswith("∞ in a")


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 99), st.floats(width=32), st.floats(width=32)),
        min_size=1,
        max_size=40,
    )
)
def test_all_bad_values_are_counted_and_no_other(
    cells: list[tuple[int, int, float, float]],
) -> None:
    """One finding for each metric that has any."""
    batch = rows(*cells)
    found = {one.metric: one.count for one in nonfinite(batch, {})}

    bad = (~np.isfinite(batch.values)).sum(axis=0)
    assert found == {name: n for name, n in zip("ab", bad.tolist(), strict=True) if n}


# -- spikes


@given(
    seed=st.integers(0, 2**32 - 1),
    noise=st.floats(0, 0.5),
    fall=st.floats(0, 0.02),
    floor=st.floats(0.01, 5),
)
def test_a_noisy_falling_curve_raises_nothing(
    seed: int, noise: float, fall: float, floor: float
) -> None:
    """Noise that multiplies, on a curve that falls to a floor."""
    random = np.random.default_rng(seed)
    steps = np.arange(400)
    curve = (floor + 5 * np.exp(-fall * steps)) * random.lognormal(0.0, noise, steps.size)
    spike = Spike()

    assert [spike.step(float(value)) for value in curve] == [None] * steps.size


@given(seed=st.integers(0, 2**32 - 1), at=st.integers(WARM_UP + 16, 300))
def test_a_jump_is_found_where_it_is(seed: int, at: int) -> None:
    """Ten times a loss that wobbles by a twentieth; a step later it is over."""
    curve = 2.0 + 0.1 * np.random.default_rng(seed).uniform(-1, 1, 310)
    curve[at] *= 10
    spike = Spike()

    fired = [i for i, value in enumerate(curve) if spike.step(float(value)) is not None]
    assert fired == [at]


def test_no_alarm_in_the_first_steps() -> None:
    """The first values of a training do what they like."""
    spike = Spike()

    assert [spike.step(1.0 if i % 7 else 1e6) for i in range(WARM_UP)] == [None] * WARM_UP


def test_losses_and_norms_are_looked_at() -> None:
    """By their names; a learning rate may restart."""
    assert all(map(is_spiky, ("loss", "train/Loss", "grad_norm", "grad/norm", "val/ppl")))
    assert not any(map(is_spiky, ("lr", "accuracy", "phase/data", "norm/weight")))


# -- replicas


def whole(*values: float) -> WholeStep:
    """Step 5 of as many ranks as there are values."""
    ranks = np.arange(len(values))
    table = np.array(values)[:, None]
    return WholeStep(5, ranks, ranks, 1e9, table, repeated=False, full=True)


def test_who_differs_from_most_is_named() -> None:
    """With its value and theirs; values that print alike are written out."""
    found = disagreement(whole(1.0, 1.0, 2.0, 1.0), 0, "scale", {2: "node-2"})
    assert found is not None
    assert (found.rank, found.level) == (2, Level.ERROR)
    assert found.text == "scale differs between ranks at step 5: rank 2 (node-2) has 2, 3 ranks 1"

    close = disagreement(whole(1.0, 1.0, 1.00001), 0, "scale", {})
    assert close is not None
    assert "1.00001, 2 ranks 1" in close.text

    bad = disagreement(whole(1.0, np.nan, 1.0), 0, "scale", {})
    assert bad is not None
    assert bad.rank == 1

    left = disagreement(whole(np.inf, 1.0, np.inf), 0, "scale", {})
    assert left is not None
    assert left.rank == 1, "infinity is not near to anything"


def test_of_two_nobody_is_named() -> None:
    """Both are told of."""
    found = disagreement(whole(1.0, 3.0), 0, "scale", {})

    assert found is not None
    assert found.rank is None
    assert found.text.endswith("rank 0 has 1, rank 1 3")


@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(1, 9))
def test_equal_values_are_equal(value: float, ranks: int) -> None:
    """Also when all are NaN or infinite, and when they differ by a rounding."""
    values = [value] * ranks
    assert disagreement(whole(*values), 0, "m", {}) is None
    values[0] *= 1 - 1e-8
    assert disagreement(whole(*values), 0, "m", {}) is None


# -- bringing ranks together


@given(st.data())
def test_every_step_is_handed_on_once_and_whole(data: st.DataObject) -> None:
    """Whatever the order and the portions in which rows arrive."""
    ranks, count = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 12))
    cells = [(r, s, float(10 * s + r), -1.0) for s in range(count) for r in range(ranks)]
    order = data.draw(st.permutations(cells))
    steps, done = Steps(COLUMNS), []
    turn = 0
    while order:
        n = data.draw(st.integers(1, len(order)))
        done += steps.add(rows(*order[:n]), ranks, 0, 1000)
        order = order[n:]
    assert [one.step for one in done] == sorted({one.step for one in done}) or len(done) == count
    assert sorted(one.step for one in done) == list(range(count))
    for one in done:
        assert one.full
        assert one.rank.tolist() == list(range(ranks))
        assert one.values[:, 0].tolist() == [10.0 * one.step + r for r in range(ranks)]
    assert steps.add(None, ranks, turn, 1000) == []


def test_a_late_rank_is_waited_for_and_then_left_out() -> None:
    """The step goes on without it after some turns, and says so."""
    steps = Steps(COLUMNS)
    assert steps.add(rows((0, 1, 1.0, 1.0), (1, 1, 1.0, 1.0)), 3, 0, 10) == []
    assert steps.add(None, 3, PATIENCE - 1, 10) == []
    [one] = steps.add(None, 3, PATIENCE, 10)
    assert not one.full
    assert one.rank.tolist() == [0, 1]


# -- ranks that stall, fall silent or fail


def at_step(rank: int, step: int, still_s: float, **others: object) -> Standing:
    """A live rank."""
    base = Standing(
        rank=rank,
        host="",
        state=WorkerState.LIVE,
        step=step,
        still_s=still_s,
        phase=None,
        phase_s=0.0,
        age_s=0.1,
    )
    return replace(base, **others)  # type: ignore[arg-type]


def test_a_run_that_stands_still_stalls() -> None:
    """Named is who is behind all others; a run of slow steps is given time."""
    ranks = [at_step(0, 7, 70.0), at_step(1, 6, 71.0), at_step(2, 7, 70.0)]

    [found] = stalls(ranks, 0.5, 0.0)
    assert (found.rule, found.rank) == (Rule.STALL, 1)
    assert "rank 1" in found.text
    assert stalls(ranks, 10.0, 0.0) == [], "twenty steps are 200 s"
    assert stalls(ranks, 0.0, 0.0) == [], "nobody knows how long a step takes"


def test_one_rank_of_many_stalls() -> None:
    """The others go on."""
    [found] = stalls([at_step(0, 90, 0.2), at_step(1, 6, 71.0)], 0.5, 0.0)

    assert found.text == "rank 1 has made no step for 1 min, last 6, others go on"


def test_ranks_that_pass_the_limit_one_after_the_other_are_one_stall() -> None:
    """Nobody is said to go on, and the one that is in another phase than the rest is named."""
    ranks = [at_step(n, 7, 59.0 + n, phase="backward", phase_s=50.0) for n in range(4)]
    ranks[1] = replace(ranks[1], phase="data")

    [found] = stalls(ranks, 0.5, 0.0)
    assert found.rank == 1
    assert found.text == "rank 1 in `data` for 50 s after step 7; 3 ranks in `backward`"


def test_validating_and_saving_are_no_stall() -> None:
    """Neither for the rank that does it nor for those that wait for it; for hours it is."""
    ranks = [at_step(0, 7, 70.0, phase="checkpoint"), at_step(1, 7, 70.0)]
    assert stalls(ranks, 0.5, 0.0) == []
    late = [replace(one, still_s=700.0) for one in ranks]
    assert len(stalls(late, 0.5, 0.0)) == 1


def test_what_ended_or_is_silent_does_not_stall() -> None:
    """Those are other rules' to tell."""
    ranks = [at_step(0, 7, 900.0, state=state) for state in (WorkerState.DONE, WorkerState.GONE)]

    assert stalls(ranks, 0.5, 0.0) == []


@pytest.mark.parametrize("count", [1, NAMED_AT_MOST, NAMED_AT_MOST + 1, 1024])
def test_silent_ranks_are_told_one_by_one_while_they_are_few(count: int) -> None:
    """Of a cut cable one alert tells."""
    ranks = [at_step(r, 7, 9.0, state=WorkerState.STALE, age_s=9.0) for r in range(count)]
    found = lost(ranks, 0.0)

    assert len(found) == (count if count <= NAMED_AT_MOST else 1)
    assert {one.rule for one in found} == {Rule.SILENT}


def test_failed_and_lost_are_errors() -> None:
    """A rank that ended with an exception, and one that has been gone for long."""
    ranks = [
        at_step(0, 7, 0.0, state=WorkerState.FAILED),
        at_step(1, 7, 0.0, state=WorkerState.GONE, age_s=70.0),
        at_step(2, 7, 0.0, state=WorkerState.GONE, watched=False),
    ]
    found = {one.rule: one for one in lost(ranks, 0.0)}

    assert sorted(found) == [Rule.FAILED, Rule.SILENT]
    assert found[Rule.FAILED].text == "rank 0 ended with an error at step 7"
    assert found[Rule.SILENT].level == Level.ERROR
