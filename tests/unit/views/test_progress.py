"""How fast a run is and how long it has: true where it moves evenly, silent where it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.views.progress import LEAST_NOTES, STILL_S, Progress, Speed


def moving(step_s: float, steps: int, first: int = 0) -> tuple[Progress, float]:
    """A run of even steps, looked at four times a second; and the time at the end."""
    progress, now, end = Progress(), 0.0, step_s * steps
    while now <= end:
        progress.note(now, first + int(now / step_s))
        now += 0.25
    return progress, now - 0.25


@given(st.floats(0.001, 100), st.integers(0, 10**6))
def test_even_steps_give_their_speed_and_the_rest(step_s: float, first: int) -> None:
    """Within a fifth, for steps of a millisecond and of minutes; what is left likewise."""
    steps = max(2 * LEAST_NOTES, int(40 / step_s))
    progress, now = moving(step_s, steps, first)
    total = first + steps + 1_000
    speed = progress.speed(now, {"total_steps": total}, 4)
    assert speed.steps_per_s == pytest.approx(1 / step_s, rel=0.2)
    assert speed.eta_s == pytest.approx(1_000 * step_s, rel=0.25)
    assert speed.throughput is None


def test_a_run_that_stands_still_or_is_young_has_no_speed() -> None:
    """No time left is said of a hang; the steps that it is to make are known all the same."""
    progress, now = moving(0.1, 100)
    facts = {"total_steps": 1_000, "samples_per_step": 32}
    assert progress.speed(now, facts, 1).throughput == pytest.approx(320, rel=0.1)
    later = now + STILL_S + 0.1
    assert progress.speed(later, facts, 1) == Speed(total_steps=1_000)
    young = Progress()
    young.note(0.0, 5)
    young.note(0.2, 6)
    assert young.speed(0.2, facts, 1) == Speed(total_steps=1_000)
    assert Progress().speed(0.0, {}, 1) == Speed()


def test_steps_that_are_taken_back_begin_anew() -> None:
    """After a return to a checkpoint the old speed is no measure, and never below zero."""
    progress, now = moving(0.1, 100)
    progress.note(now + 1, 3)
    assert progress.steps_per_s(now + 1) is None
    for tick in range(40):
        progress.note(now + 1 + tick / 4, 3 + tick)
    assert progress.steps_per_s(now + 10.75) == pytest.approx(4, rel=0.1)


def test_tokens_go_before_samples_and_the_peak_is_of_all_ranks() -> None:
    """Throughput is of all ranks together; the peak is what one rank could do."""
    progress, now = moving(0.5, 60)
    facts = {
        "tokens_per_step": 1_000.0,
        "samples_per_step": 10.0,
        "flops_per_step": 4e12,
        "peak_flops": 4e12,
    }
    speed = progress.speed(now, facts, 4)
    assert speed.throughput == pytest.approx(2_000)
    assert speed.throughput_unit == "tokens/s"
    assert speed.mfu == pytest.approx(0.5)


def test_the_end_has_nothing_left() -> None:
    """After the last step, counted from zero, no time is left, and never less than none."""
    progress, now = moving(0.1, 99)
    assert progress.speed(now, {"total_steps": 100}, 1).eta_s == pytest.approx(0, abs=0.3)
    assert progress.speed(now, {"total_steps": 50}, 1).eta_s == 0
