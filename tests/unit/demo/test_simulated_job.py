"""The training that never was: it behaves as a synchronous one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.demo.faults import parse_fault
from streamviz.demo.job import REPLICATED, Job, Step
from streamviz.errors import ConfigError


def steps(job: Job, count: int) -> list[Step]:
    """Return the next steps."""
    return [job.step() for _ in range(count)]


def column(job: Job, step: Step, name: str) -> np.ndarray:
    """Return a metric of all ranks at a step."""
    return step.values[:, job.names.index(name)]


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**31))
def test_the_same_seed_gives_the_same_training(ranks: int, metrics: int, seed: int) -> None:
    """Bit for bit, times and values; another seed gives another one."""
    one, same, other = (Job(ranks, metrics=metrics, seed=s) for s in (seed, seed, seed ^ 1))

    for _ in range(3):
        step, again = one.step(), same.step()
        assert step.values.tobytes() == again.values.tobytes()
        assert step.ended.tobytes() == again.ended.tobytes()
        assert len(one.names) == metrics == len(set(one.names))
        assert step.ended.tobytes() != other.step().ended.tobytes()


@settings(max_examples=20)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_time_goes_on_and_the_parts_of_a_step_are_its_whole(ranks: int, seed: int) -> None:
    """Nobody passes the barrier early; phases are not negative and add up to the rank's step."""
    job = Job(ranks, rate=10.0, seed=seed)
    before = np.zeros(ranks)
    for step in steps(job, 5):
        assert (step.began == before).all()
        assert (step.began <= step.data).all()
        assert (step.data <= step.forward).all()
        assert (step.forward <= step.barrier).all()
        parts = [column(job, step, f"phase/{p}") for p in ("data", "forward", "backward")]
        assert np.allclose(sum(parts), step.barrier - step.began)
        assert min(part.min() for part in parts) >= 0
        before = step.ended


def test_a_straggler_is_waited_for() -> None:
    """A rank that is slow before the barrier slows all; the others wait in ``backward``."""
    fault = parse_fault("straggler:rank=5,phase=data,seconds=0.2@step=20")
    job = Job(16, rate=20.0, faults=[fault])
    seen = steps(job, 30)
    others = [rank for rank in range(16) if rank != 5]

    for step in seen[20:]:
        waits = column(job, step, "phase/backward")
        assert column(job, step, "phase/data")[5] > 0.2
        assert waits[5] < waits[others].min() - 0.15
        assert step.ended.max() - step.began.min() > 0.2
    assert seen[19].ended.max() - seen[18].ended.max() < 0.06


def test_a_stall_holds_everybody_in_the_barrier() -> None:
    """While one hangs in its phase the others are in ``backward``; afterwards it goes on."""
    job = Job(4, rate=10.0, faults=[parse_fault("stall:rank=2,phase=forward,seconds=30@step=3")])
    step = steps(job, 4)[3]
    now = float(step.began.max()) + 20.0

    assert step.phase_at(2, now)[0] == "forward"
    assert step.phase_at(2, now)[1] == pytest.approx(20, abs=0.5)
    assert {step.phase_at(rank, now)[0] for rank in (0, 1, 3)} == {"backward"}
    assert 30 < job.step().barrier - step.began.max() < 31


def test_who_is_dead_or_hangs_for_ever_ends_no_step() -> None:
    """The step after a death, or a stall without seconds, is over for nobody."""
    for text in ("dead:rank=1@step=2", "stall:rank=1@step=2"):
        job = Job(3, faults=[parse_fault(text)])
        seen = steps(job, 3)
        assert np.isfinite(seen[1].ended).all()
        assert np.isinf(seen[2].ended).all()
        assert job.leaving(2) == ([1] if "dead" in text else [])


def test_faults_of_values() -> None:
    """A NaN stays, a spike passes, and a replica drifts away from the others."""
    job = Job(
        8,
        metrics=3,
        faults=[
            parse_fault("nan:rank=3,metric=train/loss@step=5"),
            parse_fault("spike:metric=grad/norm,factor=100@step=6"),
            parse_fault(f"desync:rank=2,metric={REPLICATED}@step=4"),
        ],
    )
    seen = steps(job, 9)
    loss = np.array([column(job, step, "train/loss") for step in seen])
    norm = np.array([column(job, step, "grad/norm") for step in seen])
    replica = np.array([column(job, step, REPLICATED) for step in seen])

    assert np.isnan(loss[5:, 3]).all()
    assert np.isnan(loss).sum() == 4
    assert norm[6].min() > 10 * max(norm[5].max(), norm[7].max())
    assert (replica[:4, 0] == replica[:4].T).all()
    assert (replica[4:, 2] != replica[4:, 0]).all()
    assert (replica[:, 0] == np.delete(replica, 2, axis=1).T).all()


def test_a_loss_goes_down_and_ranks_agree() -> None:
    """Over a thousand steps it falls; within a step the ranks differ by noise alone."""
    job = Job(64, metrics=1)
    seen = [column(job, step, "train/loss") for step in steps(job, 1000)]

    assert np.median(seen[-1]) < np.median(seen[0]) / 2
    assert max(values.std() / values.mean() for values in seen) < 0.1
    assert all(math.isfinite(value) for values in seen for value in values)


@pytest.mark.parametrize("text", ["stall:rank=4@step=1", "nan:rank=1-9,metric=train/loss@step=1"])
def test_a_fault_of_a_rank_that_is_not_there_is_refused(text: str) -> None:
    """The sentence names the rank, and those that there are."""
    with pytest.raises(ConfigError, match="ranks 0 to 3"):
        Job(4, faults=[parse_fault(text)])


def test_a_fault_of_a_metric_that_is_not_there_is_refused() -> None:
    """The sentence names some that are."""
    with pytest.raises(ConfigError, match="train/loss"):
        Job(4, faults=[parse_fault("nan:rank=1,metric=val/acc@step=1")])
