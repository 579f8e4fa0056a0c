"""A model's tree with what a pass shows of it, and profiles; the model stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from streamviz.publisher.model import structure_of, timings_of
from streamviz.publisher.values import Unusable

pytestmark = pytest.mark.torch


def model_of() -> Any:
    """Return a small model in training mode."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(5, 1)
    )


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


def test_buffers_are_put_back() -> None:
    """What a model counts or exchanges in a pass is afterwards as before."""

    class Counting(torch.nn.Module):
        calls: Any
        newest: Any

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))
            self.register_buffer("newest", None)

        def forward(self, x: Any) -> Any:
            self.calls += 1
            self.newest = x
            return x

    model = Counting()
    calls = model.calls

    _, why = structure_of(torch, model, torch.ones(1))

    assert not why
    assert model.calls is calls
    assert calls.tolist() == [0]
    assert model.newest is None


def test_whatever_goes_in_and_out_has_shapes() -> None:
    """Named arguments, maps, tuples and dataclasses are all told; so is a module used twice."""

    @dataclass
    class Out:
        logits: Any
        hidden: Any
        loss: Any = None

    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(3, 3)
            self.again = self.first
            self.inner = Inner()

        def forward(self, x: Any, *, mask: Any) -> Out:
            given = self.inner(x=self.again(self.first(x)))
            return Out(given["y"] * mask, (x, mask))

    class Inner(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return {"y": x}

    document, why = structure_of(torch, Two(), {"x": torch.ones(2, 3), "mask": torch.ones(2, 1)})

    assert not why
    told: Any = document["modules"]
    assert [one["path"] for one in told] == ["", "first", "again", "inner"]
    root, first, again, inner = told
    assert root["input"] == "x: [2, 3], mask: [2, 1]"
    assert root["output"] == "logits: [2, 3], hidden: [2, 3], [2, 1]"
    assert (inner["input"], inner["output"]) == ("x: [2, 3]", "y: [2, 3]")
    assert again["extra"] == "the same as first"
    assert (root["total"], first["total"]) == (12, 12)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: lazy(), "lazy"),
        (lambda: sharded(), "sharded"),
    ],
)
def test_a_model_that_a_call_would_change_or_hang_is_not_called(
    model: Callable[[], Any], reason: str
) -> None:
    """A lazy one stays lazy, and of a sharded one no rank begins a collective alone."""
    made = model()

    def never(*_: object) -> None:
        raise AssertionError

    handle = made.register_forward_pre_hook(never)
    document, why = structure_of(torch, made, torch.ones(1, 4))
    handle.remove()

    assert reason in why
    assert len(document["modules"]) == 2  # type: ignore[arg-type]


def lazy() -> Any:
    """Return a model that gets its shapes with its first pass."""
    kind: Any = torch.nn.LazyLinear
    return torch.nn.Sequential(kind(4))


def sharded() -> Any:
    """Return a model with a parameter that is one rank's part."""

    class Part(torch.nn.Parameter):
        def to_local(self) -> Any:
            return self

    model = torch.nn.Sequential(torch.nn.Linear(4, 4))
    model[0].bias = Part(torch.ones(4))
    return model


def test_a_compiled_model_is_told_without_being_compiled() -> None:
    """Neither wrapped nor in place; its paths are those of the model itself."""

    def compiler(*_: object) -> Any:
        raise AssertionError

    wrapped = torch.compile(model_of(), backend=compiler)
    inside = model_of()
    inside[0].compile(backend=compiler)

    for model in (wrapped, inside):
        document, why = structure_of(torch, model, torch.ones(1, 6))
        told: Any = document["modules"]
        assert not why
        assert [one["path"] for one in told] == ["", "0", "1", "2", "3"]
        assert told[1]["output"] == "[1, 5]"


def test_of_a_huge_model_the_deepest_are_folded() -> None:
    """Levels are left off until it fits into what an item may have; who held them says so."""
    identity: Any = torch.nn.Identity
    model = torch.nn.Sequential(
        *(torch.nn.Sequential(*(identity() for _ in range(9))) for _ in range(500))
    )

    document, _ = structure_of(torch, model, None)
    short, _ = structure_of(torch, model, None, 50_000)

    told: Any = document["modules"]
    assert (len(told), document["left_out"]) == (501, 4500)
    assert told[1]["extra"] == "9 modules inside are not told"
    assert len(short["modules"]) == 1  # type: ignore[arg-type]
    assert len(json.dumps(short)) < 50_000


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


def test_a_kernel_s_time_is_counted_once() -> None:
    """It stands with the operator that launched it; where there are only kernels, with them."""

    def event(key: str, where: str, cpu: float, device: float) -> Any:
        return SimpleNamespace(
            key=key,
            count=2,
            device_type=where,
            self_cpu_time_total=cpu,
            cpu_time_total=cpu,
            self_device_time_total=device,
            device_time_total=device,
        )

    operator = event("aten::mm", "DeviceType.CPU", 1e6, 3e6)
    kernel = event("sgemm", "DeviceType.CUDA", 0.0, 3e6)

    both: Any = timings_of([kernel, operator], "x")["rows"]
    alone: Any = timings_of([kernel], "x")["rows"]

    assert both == [["aten::mm", 2, 1, 1, 3, 3, 1.0], ["sgemm", 2, 0, 0, 3, 3, None]]
    assert alone[0][-1] == 1.0
