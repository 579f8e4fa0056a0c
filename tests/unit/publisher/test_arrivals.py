"""Arrays on their way from a device: nobody waits for them, and they are sent as of their call.

There is no CUDA device here; a stand-in for its event says when a copy is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from payloads_caught import Caught

from streamviz.clock import monotonic_time
from streamviz.publisher import arrivals, payload_sender
from streamviz.publisher.arrivals import Arrival
from streamviz.publisher.values import Unusable

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch


class Event:
    """The end of a copy, which a test brings about."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.fails = False

    def synchronize(self) -> None:
        """Wait for it."""
        assert self.done.wait(20)
        if self.fails:
            raise RuntimeError("CUDA error")


@pytest.fixture
def event(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Let every tensor be on its way until the test says that it is there."""
    event = Event()
    real: Callable[[Any, int], Any] = arrivals.taken

    def taken(value: Any, most: int) -> Any:
        return Arrival(value, event) if isinstance(value, torch.Tensor) else real(value, most)

    monkeypatch.setattr(payload_sender, "taken", taken)
    yield event
    event.done.set()


@pytest.fixture
def caught() -> Iterator[Caught]:
    """A publisher whose items are caught."""
    found = Caught()
    yield found
    found.close()


def test_a_call_returns_before_its_array_is_there(caught: Caught, event: Event) -> None:
    """What is sent has the step and time of the call, and what lay in host memory then."""
    boxes = np.array([[0.0, 0.0, 1.0, 1.0]])
    caught.publisher.image("i", torch.ones(2, 2), 4, layout="HW", boxes=boxes, time=9.0)
    caught.publisher.histogram("h", torch.arange(4), 5)
    boxes[:] = 7
    assert caught.notes == []
    assert not caught.publisher._arrivals.wait(monotonic_time())
    event.done.set()

    assert caught.publisher._arrivals.wait(monotonic_time() + 20)
    assert [(note.kind, step) for step, _, note in caught.notes] == [("image", 4), ("histogram", 5)]
    assert caught.notes[0][1] == 9.0
    caught.notes.pop()
    assert caught.body()["boxes"] == [[0, 0, 1, 1]]
    assert caught.refused == {}


def test_what_is_under_way_has_a_limit(
    caught: Caught, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past it, and where the device fails, an item is counted."""
    monkeypatch.setattr(arrivals, "UNDER_WAY_BYTES", 1000)
    caught.publisher.histogram("h", torch.zeros(200))
    caught.publisher.histogram("h", torch.zeros(200))
    event.fails = True
    event.done.set()

    assert caught.publisher._arrivals.wait(monotonic_time() + 20)
    assert caught.notes == []
    assert caught.refused == {
        "items dropped: more of them wait for their device than there is room for": 1,
        "an item that raised RuntimeError": 1,
    }


def test_other_devices_are_refused() -> None:
    """What cannot be read without waiting for it says what to do instead."""
    with pytest.raises(Unusable, match="on meta, which cannot be read without waiting"):
        arrivals.taken(torch.zeros(2, device="meta"), 100)
    assert arrivals.taken([1], 100) == [1]
