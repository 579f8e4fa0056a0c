"""What a watch measures of a real model, when, and what it leaves behind: nothing."""

from __future__ import annotations

import copy
import gc
import io
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from streamviz.publisher.model import ModelWatch

pytestmark = pytest.mark.torch


class Seen:
    """What a watch has told."""

    def __init__(self) -> None:
        self.numbers: dict[str, list[float]] = {}
        self.bins: dict[str, list[list[float]]] = {}
        self.failures: list[Exception] = []
        self.steps: dict[str, list[int]] = {}
        self.warnings: dict[str, str] = {}
        self.calls = 0
        self.last_sent = -1

    def told(self, names: Any, vector: Any, step: int) -> None:
        """Take numbers."""
        assert len(set(names)) == len(names)
        for name, number in zip(names, vector.tolist(), strict=True):
            self.numbers.setdefault(name, []).append(number)
            self.steps.setdefault(name, []).append(step)
        self.calls += 1

    def drawn(self, names: Any, matrix: Any, step: int) -> None:
        """Take histograms."""
        for name, numbers in zip(names, matrix.tolist(), strict=True):
            self.bins.setdefault(name, []).append(numbers)
            self.steps.setdefault(name, []).append(step)

    def warn(self, cause: str, message: str) -> None:
        """Take a warning."""
        self.warnings[cause] = message


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
        last_sent=lambda: seen.last_sent,
        warn=seen.warn,
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


def test_a_saved_model_can_be_read_where_there_is_no_streamviz() -> None:
    """Its file does not name us."""
    model = model_of()
    _, watch = watched(model)
    file = io.BytesIO()
    torch.save(model, file)
    watch.stop()

    assert b"streamviz" not in file.getvalue()


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

    watch = ModelWatch(
        torch,
        model,
        every=1,
        log="all",
        told=broken,
        drawn=broken,
        failed=failures.append,
        last_sent=lambda: -1,
        warn=broken,
    )
    train(model, torch.optim.SGD(model.parameters(), 0.1))
    watch.stop()

    assert {str(one) for one in failures} == {"nobody listens"}


def test_a_model_that_is_gone_is_not_kept() -> None:
    """Its parameters go with it, and the watch is over; nothing is left among the optimizers'."""
    model = model_of()
    seen, watch = watched(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    train(model, optimizer)
    kept = weakref.ref(model[0].weight)

    del model, optimizer
    gc.collect()

    assert kept() is None
    assert watch.is_over
    assert not seen.failures


def test_what_a_step_finds_leaves_at_once() -> None:
    """One vector of a step and one of a pass, however many layers there are."""
    model = model_of()
    seen, _ = watched(model, log="norms")
    train(model, torch.optim.SGD(model.parameters(), 0.1), steps=2)

    # Times, activations, and all of the step.
    assert seen.calls == 2 * 3
    assert not seen.failures


def test_zeros_of_gradients_and_times_of_layers_are_told() -> None:
    """A unit that is dead has no gradient; a module's time is with what is inside it."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU()))
    inner: Any = model[0]
    with torch.no_grad():
        inner[0].bias.copy_(torch.tensor([-100.0, 100, 100, 100]))
    seen, _ = watched(model, log="norms")

    train(model, torch.optim.SGD(model.parameters(), 1e-3))

    assert seen.numbers["watch/grad_zero/0.0.weight"] == pytest.approx([0.25])
    seconds = {name[14:]: told[0] for name, told in seen.numbers.items() if "/seconds/" in name}
    assert list(seconds) == ["0.0", "0.1", "0"]
    assert seconds["0"] >= max(seconds["0.0"], seconds["0.1"]) > 0


def test_a_layer_that_is_called_again_is_told_once() -> None:
    """By its first call; and a model that is a layer itself has a name."""

    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = torch.nn.ReLU()

        def forward(self, x: Any) -> Any:
            return self.act(self.act(x) * 0 + 5)

    seen, _ = watched(Twice())
    twice = Twice()
    seen, _ = watched(twice)
    twice(torch.ones(3))
    assert seen.numbers["watch/act_mean/act"] == [1]

    alone = torch.nn.Linear(2, 2)
    seen, _ = watched(alone)
    alone(torch.ones(1, 2))
    assert "watch/act_mean/model" in seen.numbers
    assert not seen.failures


@pytest.mark.parametrize("fused", [False, True])
def test_gradients_are_read_unscaled(fused: bool) -> None:  # noqa: FBT001 - a parameter
    """With a scaler they are what the optimizer makes of them, also where it unscales by itself."""
    model = model_of()
    seen, _ = watched(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.0, fused=fused)
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=1024.0)
    loss = model.eval()(torch.ones(4, 6)).square().sum()
    [grad] = torch.autograd.grad(loss, [model[0].weight], retain_graph=True)
    scaler.scale(loss).backward()
    scaler.step(optimizer)

    assert seen.numbers["watch/grad_norm/0.weight"] == pytest.approx([float(grad.norm())])
    assert seen.bins["gradients/0.weight"][0][65] == pytest.approx(float(grad.max()))


def test_a_step_that_the_scaler_skips_is_none() -> None:
    """It is not measured, and the next one is."""
    model = model_of()
    seen, _ = watched(model, every=2, log="norms")
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for factor in (float("inf"), 1.0, 1.0):
        optimizer.zero_grad()
        scaler.scale(model(torch.ones(4, 6)).square().sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()

    assert len(seen.numbers["watch/grad_norm/0.weight"]) == 1
    assert len(seen.numbers["watch/act_mean/0"]) == 1


def test_parameters_that_came_later_are_watched() -> None:
    """To shard a model gives it others after the call of watch."""
    model = model_of()
    seen, _ = watched(model, log="norms")
    model[0].weight = torch.nn.Parameter(torch.ones(5, 6))
    optimizer = torch.optim.SGD(model[0].parameters(), 0.1)
    train(model, optimizer)
    assert seen.numbers["watch/param_norm/0.weight"] == pytest.approx([30**0.5])
    assert "watch/param_norm/3.weight" not in seen.numbers

    optimizer.add_param_group({"params": list(model[3].parameters())})
    train(model, optimizer)
    assert len(seen.numbers["watch/param_norm/3.weight"]) == 1


def test_a_watch_without_an_optimizer_says_so() -> None:
    """After some passes, so that nobody waits for gradients that never come."""
    model = model_of()
    seen, _ = watched(model, every=1000)
    for _ in range(250):
        model(torch.ones(1, 6))

    assert list(seen.warnings) == ["watch without optimizer"]


@pytest.mark.parametrize("full", [False, True])
def test_a_watched_model_is_compiled_once(full: bool) -> None:  # noqa: FBT001 - a parameter
    """As often as without a watch, and to one graph; gradients are told all the same."""
    from torch._dynamo.testing import CompileCounter

    model = model_of()
    seen, watch = watched(model, every=2)
    counter = CompileCounter()
    compiled = torch.compile(model, backend=counter, fullgraph=full)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    train(compiled, optimizer, steps=6)
    watch.stop()
    torch._dynamo.reset()

    assert counter.frame_count == 1
    assert len(seen.numbers["watch/grad_norm/0.weight"]) == 3
    assert not any("/act_" in name for name in seen.numbers)
    assert not seen.failures


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # Dynamo asks for it
def test_compiled_parts_get_no_hooks() -> None:
    """What is wrapped or compiled in place is left to its compiler, and that is said."""
    from torch._dynamo.testing import CompileCounter

    counter = CompileCounter()
    model = torch.nn.Sequential(Block(), Block(), torch.nn.ReLU())
    model[0].compile(backend=counter)
    wrapped: Any = torch.compile(model[1], backend=counter)
    model[1] = wrapped
    seen, watch = watched(model, every=2)

    train(model, torch.optim.SGD(model.parameters(), 1e-3), steps=6)
    watch.stop()
    torch._dynamo.reset()

    assert counter.frame_count <= 2
    assert list(seen.warnings) == ["watch compiled"]
    assert [name for name in seen.numbers if "act_mean" in name] == ["watch/act_mean/2"]
    assert "watch/grad_norm/1.inner.weight" in seen.numbers


class Block(torch.nn.Module):
    """A module with something to compile."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(6, 6)

    def forward(self, x: Any) -> Any:
        """Return it changed."""
        return self.inner(x) + 1


def test_a_trace_is_not_looked_into() -> None:
    """``torch.jit.trace`` records the model without what a watch would compute."""
    model = model_of().eval().train(True)  # noqa: FBT003 - torch's signature
    seen, watch = watched(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("error", category=Warning, message="Converting a tensor")
        torch.jit.trace(model, torch.ones(2, 6), check_trace=False)
    watch.stop()

    assert not seen.numbers
    assert not seen.failures
