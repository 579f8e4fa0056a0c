"""Whom the others wait for: named on evidence from both sides, or nobody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.insight.batch import FloatArray
from streamviz.insight.stragglers import STEPS_MIN, Abstention, Verdict, kind_of, straggler

PHASES = ("data", "forward", "backward", "optimizer")
BASE = np.array([0.004, 0.02, 0.03, 0.005])
BARRIER = PHASES.index("backward")


def training(
    ranks: int, slow: int | None, phase: str, *, extra: float = 0.2, seed: int = 0
) -> FloatArray:
    """Seconds of each phase in a synchronous training: who is early waits in backward."""
    random = np.random.default_rng(seed)
    spent = BASE * random.lognormal(0.0, 0.1, (32, ranks, len(PHASES)))
    if slow is not None:
        spent[:, slow, PHASES.index(phase)] += extra
    # Steps end together: the backward of each takes until the last one is through.
    total = spent.sum(axis=2)
    spent[:, :, BARRIER] += total.max(axis=1, keepdims=True) - total
    return spent


@pytest.mark.parametrize("ranks", [2, 3, 4, 9, 64])
@pytest.mark.parametrize("phase", ["data", "forward", "optimizer"])
def test_a_slow_phase_before_the_barrier_names_its_rank(ranks: int, phase: str) -> None:
    """Rank, phase and about how much, and where the others wait."""
    verdict = straggler(training(ranks, ranks - 1, phase), range(ranks), PHASES)

    assert isinstance(verdict, Verdict), verdict
    assert (verdict.rank, verdict.phase, verdict.waited_in) == (ranks - 1, phase, "backward")
    assert 0.15 < verdict.excess_s < 0.25
    assert verdict.confidence == ("high" if phase == "data" else "likely")
    assert f"rank {ranks - 1} (node-1)" in verdict.sentence("node-1")


@pytest.mark.parametrize("ranks", [2, 3, 4, 64])
def test_within_the_barrier_nobody_is_named(ranks: int) -> None:
    """Slow in backward is seen on all ranks alike: the honest answer is none."""
    assert isinstance(straggler(training(ranks, 1, "backward"), range(ranks), PHASES), Abstention)


@given(ranks=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_a_healthy_training_names_nobody(ranks: int, seed: int) -> None:
    """Whatever the noise of its phases is."""
    spent = training(ranks, None, "data", seed=seed)

    assert isinstance(straggler(spent, range(ranks), PHASES), Abstention)


@given(
    ranks=st.integers(2, 12),
    phase=st.sampled_from(PHASES),
    extra=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_never_a_wrong_name(
    ranks: int, phase: str, extra: float, seed: int, data: st.DataObject
) -> None:
    """Whichever rank is slow, wherever and by how much: it is named, or nobody is."""
    slow = data.draw(st.integers(0, ranks - 1))
    verdict = straggler(training(ranks, slow, phase, extra=extra, seed=seed), range(ranks), PHASES)

    if isinstance(verdict, Verdict):
        assert (verdict.rank, verdict.phase) == (slow, phase)


def test_the_shortest_wait_arrived_last() -> None:
    """Where waiting is timed, the rank that waits least is the one waited for."""
    spent = np.full((20, 4, 2), 0.05)
    spent[:, :, 1] = 0.2
    spent[:, 2, 1] = 0.001  # and what kept it is in no phase
    verdict = straggler(spent, (0, 1, 2, 3), ("compute", "allreduce"))

    assert isinstance(verdict, Verdict)
    assert (verdict.rank, verdict.arrives_last) == (2, True)


def test_it_abstains_and_says_why() -> None:
    """Too few ranks, phases or steps, several slow ranks, and slow now and then only."""
    spent = training(4, 1, "data")
    cases = {
        "one rank": straggler(spent[:, :1], (0,), PHASES),
        "single phase": straggler(spent[:, :, :1], range(4), PHASES[:1]),
        f"{STEPS_MIN} are needed": straggler(spent[: STEPS_MIN - 1], range(4), PHASES),
    }
    several = training(4, 1, "data")
    several[:, 2] = several[:, 1]
    cases["several"] = straggler(several, range(4), PHASES)
    rarely = training(4, None, "data")
    rarely[::5] = training(4, 1, "data")[::5]
    cases["no rank"] = straggler(rarely, range(4), PHASES)

    for words, answer in cases.items():
        assert isinstance(answer, Abstention), words
        assert words in answer.reason


def test_two_ranks_are_told_apart_by_the_names_of_phases_only() -> None:
    """Slow in data, or the other one slow in something unknown: the numbers are the same."""
    spent = training(2, 0, "data")

    named = straggler(spent, (0, 1), PHASES)
    unnamed = straggler(spent, (0, 1), ("a", "b", "c", "d"))
    assert isinstance(named, Verdict)
    assert isinstance(unnamed, Abstention)


def test_kinds_of_phases() -> None:
    """What holds a barrier for sure, perhaps, and surely not."""
    kinds = [kind_of(name) for name in ("all_reduce", "backward", "dataloader", "fwd", "thing")]

    assert kinds == ["barrier", "backward", "local", "compute", "other"]
