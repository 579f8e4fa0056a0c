"""Where the time of a step goes."""

from __future__ import annotations

import pytest

from streamviz.publisher import phases as phases_module
from streamviz.publisher.phases import Phases


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that the phases read."""
    clock = Clock()
    monkeypatch.setattr(phases_module, "monotonic_time", clock)
    return clock


def test_seconds_add_up_until_taken(clock: Clock) -> None:
    """A phase entered twice counts both; taking starts again from nothing."""
    phases = Phases()
    for seconds in (0.5, 0.25):
        with phases.measure("data"):
            clock.now += seconds
    with phases.measure("forward"):
        clock.now += 2.0

    assert phases.take() == {"phase/data": 0.75, "phase/forward": 2.0}
    assert phases.take() == {}
    assert phases.totals == {}


def test_a_phase_inside_a_phase_counts_for_both(clock: Clock) -> None:
    """The outer phase goes on while the inner lasts."""
    phases = Phases()
    with phases.measure("step"):
        clock.now += 1.0
        with phases.measure("forward"):
            clock.now += 2.0
            assert phases.current(clock.now) == ("forward", 2.0)
        assert phases.current(clock.now) == ("step", 3.0)

    assert phases.take() == {"phase/step": 3.0, "phase/forward": 2.0}
    assert phases.current(clock.now) == (None, 0.0)


def test_a_phase_that_raises_ends(clock: Clock) -> None:
    """An exception passes through, and the time until it counts."""
    phases = Phases()

    def fail() -> None:
        with phases.measure("data"):
            clock.now += 1.0
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert phases.take() == {"phase/data": 1.0}
    assert phases.current(clock.now) == (None, 0.0)


def test_a_clock_that_runs_back_gives_no_negative_time(clock: Clock) -> None:
    """The time in a phase is never below zero."""
    phases = Phases()
    with phases.measure("data"):
        assert phases.current(clock.now - 5.0) == ("data", 0.0)
