"""``watch``, ``graph`` and ``profile`` as a training calls them: what goes out, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from memory_transport import MemoryTransport

pytest.importorskip("torch")

import torch

from streamviz.publisher import publisher as publisher_module
from streamviz.publisher.notes import Note
from streamviz.publisher.publisher import Publisher
from streamviz.publisher.sender import Sender
from streamviz.wire.bodies import read_body

pytestmark = pytest.mark.torch


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """A publisher whose rows stay where they are put."""
    monkeypatch.setattr(Sender, "start", lambda _: None)
    monkeypatch.setattr(publisher_module, "ZmqTransport", lambda _: MemoryTransport())
    made = Publisher("tcp://127.0.0.1:1", run="run")
    yield made
    made.unwatch()
    assert made._stream.sender is not None
    made._stream.sender.ended.set()


def train(model: Any, x: Any, steps: int = 1, optimizer: Any = None) -> Any:
    """Make steps; return the optimizer."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), 0.0)
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
    return optimizer


def numbers(publisher: Publisher, group: str) -> list[tuple[int, str, Any]]:
    """Return step, name and value of what was sent as metrics of a group."""
    return [
        (row[0], name, value)
        for row in list(publisher._rows)
        for name, value in row[2].items()
        if name.startswith(group)
    ]


def histograms(publisher: Publisher) -> dict[str, dict[str, Any]]:
    """Return the bodies of what was sent as histograms, by name."""
    notes = [row[3] for row in list(publisher._rows) if isinstance(row[3], Note)]
    return {note.name: read_body(note.body) for note in notes if note.kind == "histogram"}


def test_what_is_not_finite_is_a_number_of_its_own(publisher: Publisher) -> None:
    """From the first time on, so that its end is seen too; the histogram is of the rest."""
    model = torch.nn.Linear(2, 2)
    publisher.watch(model, every=1, log="histograms")
    optimizer = train(model, torch.ones(1, 2))
    assert numbers(publisher, "watch/grad_nonfinite") == []
    train(model, torch.tensor([[float("nan"), 1.0]]), optimizer=optimizer)
    body = histograms(publisher)["gradients/weight"]
    train(model, torch.ones(1, 2), optimizer=optimizer)

    assert numbers(publisher, "watch/grad_nonfinite") == [
        (1, "watch/grad_nonfinite/weight", 2.0),
        (2, "watch/grad_nonfinite/weight", 0.0),
    ]
    assert (body["count"], body["not_finite"], body["min"]) == (2, 2, 1)
    edges = np.frombuffer(body["edges"], "<f8")
    assert (np.diff(edges) > 0).all()
    assert np.frombuffer(body["counts"], "<f8").sum() == 2
    assert publisher.totals().refused == {}


def test_a_training_that_sends_nothing_else_has_its_steps(publisher: Publisher) -> None:
    """Each measurement has its own."""
    model = torch.nn.Linear(2, 2)
    publisher.watch(model, every=1)
    optimizer = train(model, torch.ones(1, 2), steps=3)
    publisher.send({"loss": 1.0}, step=70)
    train(model, torch.ones(1, 2), steps=2, optimizer=optimizer)

    found = numbers(publisher, "watch/grad_norm/weight")
    assert [step for step, _, _ in found] == [0, 1, 2, 71, 72]


def test_two_optimizers_in_turn_make_one_step(publisher: Publisher) -> None:
    """Each measures its own parameters, at the same steps; one that takes over goes on."""
    model: Any = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    publisher.watch(model, every=2)
    first, second = (torch.optim.SGD(part.parameters(), 0.0) for part in model)
    for _ in range(4):
        for optimizer in (first, second):
            train(model, torch.ones(1, 2), optimizer=optimizer)
    for name in ("0.weight", "1.weight"):
        found = numbers(publisher, f"watch/grad_norm/{name}")
        assert [step for step, _, _ in found] == [0, 2]
    assert [step for step, _, _ in numbers(publisher, "watch/act_mean/0")] == [0, 2, 4]

    train(model, torch.ones(1, 2), steps=3)
    assert numbers(publisher, "watch/grad_norm/0.weight")[-1][0] == 6


def test_wrong_calls_are_counted_and_watch_nothing(publisher: Publisher) -> None:
    """None of them raises."""
    model: Any = torch.nn.Linear(2, 2)
    publisher.watch("a model")
    publisher.watch(model, log="gradients")
    publisher.watch(model, every=0)
    publisher.graph(None)
    publisher.profile(3)
    publisher.unwatch("a model")

    assert not publisher._watches
    assert sum(publisher.totals().refused.values()) == 5
    assert not model._forward_hooks


def test_watches_end(publisher: Publisher) -> None:
    """Of a model that is watched again there is one; after the publisher's end there is none."""
    model, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    publisher.watch(model)
    publisher.watch(model, every=1)
    publisher.watch(other)
    assert len(publisher._watches) == 2
    publisher.unwatch(model)
    assert len(publisher._watches) == 1
    del other
    publisher.unwatch(model)
    assert not publisher._watches
    publisher.watch(model)
    publisher.close(0.0)
    publisher.watch(model)

    assert not publisher._watches
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
