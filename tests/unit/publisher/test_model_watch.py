"""What a watch measures of a real model, when, and what it leaves behind: nothing."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from streamviz.publisher.model import ModelWatch, structure_of, timings_of
from streamviz.publisher.model.statistics import BINS, binned
from streamviz.publisher.values import Unusable

pytestmark = pytest.mark.torch


class Seen:
    """What a watch has told."""

    def __init__(self) -> None:
        self.numbers: dict[str, list[float]] = {}
        self.bins: dict[str, list[list[float]]] = {}
        self.failures: list[Exception] = []

    def told(self, names: Any, vector: Any) -> None:
        """Take numbers."""
        for name, number in zip(names, vector.tolist(), strict=True):
            self.numbers.setdefault(name, []).append(number)

    def drawn(self, name: str, vector: Any) -> None:
        """Take a histogram."""
        self.bins.setdefault(name, []).append(vector.tolist())


def model_of() -> Any:
    """Return a small model in training mode."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(5, 1)
    )


def watched(model: Any, every: int = 1, log: str = "all") -> tuple[Seen, ModelWatch]:
    """Return a watch over a model."""
    seen = Seen()
    watch = ModelWatch(
        torch,
        model,
        every=every,
        log=log,
        told=seen.told,
        drawn=seen.drawn,
        failed=seen.failures.append,
    )
    return seen, watch


def train(model: Any, optimizer: Any, steps: int = 1, micro: int = 1) -> None:
    """Make steps of so many passes each."""
    for _ in range(steps):
        optimizer.zero_grad()
        for _ in range(micro):
            model(torch.ones(4, 6)).square().sum().backward()
        optimizer.step()


def test_norms_are_those_of_the_step() -> None:
    """Gradients are read as the optimizer sees them, and the update is what it made of them."""
    model = model_of()
    seen, _ = watched(model, log="norms")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = {name: one.detach().clone() for name, one in model.named_parameters()}

    train(model, optimizer)

    for name, one in model.named_parameters():
        norm = float(one.grad.norm())
        assert seen.numbers[f"watch/grad_norm/{name}"] == pytest.approx([norm])
        size = float(before[name].norm())
        assert seen.numbers[f"watch/param_norm/{name}"] == pytest.approx([size])
        assert seen.numbers[f"watch/update_ratio/{name}"] == pytest.approx([0.1 * norm / size])
    assert not seen.bins
    assert not seen.failures
    hidden = torch.relu(torch.ones(4, 6) @ before["0.weight"].T + before["0.bias"])
    assert seen.numbers["watch/act_mean/1"] == pytest.approx([float(hidden.mean())])
    assert seen.numbers["watch/act_std/1"] == pytest.approx([float(hidden.std(correction=0))])
    zeros = float((hidden == 0).float().mean())
    assert seen.numbers["watch/act_zero/1"] == pytest.approx([zeros])


def test_only_every_so_manieth_step_is_measured() -> None:
    """Between them there are no hooks on the leaves; passes that are accumulated are one step."""
    model = model_of()
    seen, _ = watched(model, every=3)
    optimizer = torch.optim.Adam(model.parameters())

    train(model, optimizer, steps=7, micro=2)

    assert {len(found) for found in seen.numbers.values()} == {3}
    assert {len(found) for found in seen.bins.values()} == {3}
    assert not any(leaf._forward_hooks for leaf in model)
    model.eval()
    train(model, optimizer, steps=3)
    assert len(seen.numbers["watch/act_mean/1"]) == 3, "an evaluation is no step of the training"


def test_what_has_no_gradient_or_no_floats_is_left_out() -> None:
    """Frozen parameters have a norm and no gradient; odd outputs are no layer's activation."""

    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
            self.free = torch.nn.Linear(2, 2)
            self.index = Pick()

        def forward(self, x: Any) -> Any:
            return self.index({"none": None, "out": (self.free(x) * self.frozen)})["out"]

    class Pick(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x

    model = Odd()
    seen, _ = watched(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()

    assert seen.numbers["watch/param_norm/frozen"] == pytest.approx([2**0.5])
    assert "watch/grad_norm/frozen" not in seen.numbers
    assert "watch/act_mean/index" in seen.numbers
    assert not seen.failures


def test_another_model_s_optimizer_is_nobody_s_step() -> None:
    """Two models that are trained in turn are told apart."""
    mine, other = model_of(), model_of()
    seen, _ = watched(mine)

    train(other, torch.optim.SGD(other.parameters(), 0.1), steps=3)

    assert not seen.numbers


@pytest.mark.parametrize("copied", [copy.deepcopy, "saved"])
def test_a_copy_takes_nothing_along(copied: Callable[[Any], Any] | str) -> None:
    """A model may be copied and saved while it is watched; the copy tells nobody."""
    model = model_of()
    seen, _ = watched(model)
    if copied == "saved":
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    else:
        twin = copy.deepcopy(model)

    twin(torch.ones(1, 6))

    assert not seen.numbers
    assert list(model.state_dict()) == list(twin.state_dict())


def test_after_the_end_no_hook_is_left() -> None:
    """Neither in the model nor among all optimizers'."""
    model = model_of()
    seen, watch = watched(model)

    watch.stop()
    train(model, torch.optim.SGD(model.parameters(), 0.1))

    assert not seen.numbers
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_a_hook_that_fails_is_counted_and_the_training_goes_on() -> None:
    """Whatever comes of telling stays out of the loop."""
    model = model_of()
    failures: list[Exception] = []

    def broken(*_: object) -> None:
        raise RuntimeError("nobody listens")

    ModelWatch(torch, model, every=1, log="all", told=broken, drawn=broken, failed=failures.append)
    train(model, torch.optim.SGD(model.parameters(), 0.1))
    assert failures


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_a_histogram_counts_every_finite_value(dtype: str) -> None:
    """Those that are not finite are counted beside it; low, high and sums are those of the rest."""
    values = np.random.default_rng(0).normal(size=5000).round(2)
    tensor = torch.tensor(values, dtype=getattr(torch, dtype)).reshape(50, 100)
    wide = tensor.float() if dtype != "float64" else tensor
    tensor = torch.cat(
        [tensor.reshape(-1), torch.tensor([np.nan, np.inf, -np.inf], dtype=tensor.dtype)]
    )

    *counts, low, high, total, squares, number, lost = binned(torch, tensor).tolist()

    assert len(counts) == BINS
    assert (sum(counts), number, lost) == (5000, 5000, 3)
    assert (low, high) == (float(wide.min()), float(wide.max()))
    assert total == pytest.approx(float(wide.double().sum()), abs=1e-2)
    assert squares == pytest.approx(float((wide.double() ** 2).sum()), rel=1e-5)


def test_nothing_finite_and_all_the_same_are_histograms_too() -> None:
    """One says that nothing was finite, the other has all in one bin."""
    *_, number, lost = binned(torch, torch.full((3,), torch.nan)).tolist()
    assert (number, lost) == (0, 3)
    *counts, low, high, _, _, number, _ = binned(torch, torch.full((7,), 2.0)).tolist()
    assert (low, high, number, max(counts)) == (2, 2, 7, 7)


def test_a_structure_is_a_tree_with_shapes_and_leaves_the_model_as_it_was() -> None:
    """Sizes add up; modes, buffers and random numbers are as before."""
    model = torch.nn.Sequential(
        torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5)), torch.nn.Linear(5, 1)
    )
    model[1].eval()
    inner: Any = model[0]
    mean = inner[1].running_mean.clone()
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)

    document, why = structure_of(torch, model, torch.ones(2, 6))

    assert torch.equal(torch.rand(1), wanted)
    assert torch.equal(inner[1].running_mean, mean)
    assert (model.training, model[1].training) == (True, False)
    assert not why
    told: Any = document["modules"]
    root, first, linear, _, last = (told[at] for at in range(5))
    assert [one["path"] for one in told] == ["", "0", "0.0", "0.1", "1"]
    assert [one["parent"] for one in told] == [-1, 0, 1, 1, 0]
    assert root["total"] == first["total"] + last["total"] == 35 + 10 + 6
    assert (linear["input"], linear["output"]) == ("[2, 6]", "[2, 5]")
    assert root["seconds"] >= linear["seconds"] > 0


def test_a_model_that_cannot_be_called_is_a_tree_all_the_same() -> None:
    """The reason is told, and no hook is left."""
    model = model_of()

    document, why = structure_of(torch, model, torch.ones(2, 7))

    assert "RuntimeError" in why
    assert len(document["modules"]) == 5  # type: ignore[arg-type]
    assert not model._forward_hooks


def test_a_profile_is_its_operators_longest_first() -> None:
    """Shares add up to one; rows of one's own are taken as they are; anything else is refused."""
    with torch.profiler.profile() as profiler:
        torch.ones(50, 50) @ torch.ones(50, 50)

    document = timings_of(profiler, "step")

    rows: Any = document["rows"]
    assert any(row[0] == "aten::mm" for row in rows)
    assert sum(row[6] for row in rows) == pytest.approx(1)
    assert [row[6] for row in rows] == sorted((row[6] for row in rows), reverse=True)
    own = timings_of([["part", "s"], ["data", 0.25]], "mine")
    assert own == {"title": "mine", "columns": ["part", "s"], "rows": [["data", 0.25]]}
    for wrong in (3, [], [["only names"]]):
        with pytest.raises(Unusable):
            timings_of(wrong, "x")
