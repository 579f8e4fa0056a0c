"""Which step a measurement belongs to, by what was sent and how often the optimizer has moved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamviz.publisher.model.pace import Pace


def placed(sends: dict[int, int], steps: int, first: int = -1) -> list[int]:
    """Return where each step of an optimizer is put.

    Args:
        sends: After how many steps of it which step is sent.
        steps: How many it makes.
        first: The last step sent before.
    """
    sent = first
    pace = Pace(lambda: sent)
    found = []
    for count in range(steps):
        found.append(pace.step(count))
        sent = sends.get(count + 1, sent)
    return found


def test_without_a_send_steps_are_counted() -> None:
    """Whoever only watches has a line all the same."""
    assert placed({}, 5) == [0, 1, 2, 3, 4]
    assert placed({}, 3, first=41) == [42, 43, 44]


@given(st.integers(1, 20), st.integers(0, 10_000))
def test_a_send_now_and_then_is_gone_on_from(every: int, first: int) -> None:
    """A loop that sends its own step each so many times has every measurement in its place."""
    sends = {count: first + count - 1 for count in range(every, 200, every)}

    assert placed(sends, 200, first - 1) == [first + count for count in range(200)]


@given(st.integers(2, 16))
def test_steps_that_are_faster_than_the_optimizer_s_are_followed(micro: int) -> None:
    """Passes that are accumulated may be steps of their own; sent seldom, they are estimated."""
    sends = {count: count * micro - 1 for count in range(10, 100, 10)}

    found = placed(sends, 100)

    assert found[20:] == [count * micro for count in range(20, 100)]


def test_epochs_stay_where_they_are() -> None:
    """A loop that sends once an epoch has its measurements at the epoch under way."""
    sends = {100 * epoch: epoch - 1 for epoch in range(1, 6)}

    assert set(placed(sends, 500)[100:]) == {1, 2, 3, 4}


def test_a_training_that_is_resumed_does_not_leap() -> None:
    """The first step sent is no measure of the pace."""
    assert placed({1: 7000}, 4) == [0, 7001, 7002, 7003]
