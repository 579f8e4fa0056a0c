"""Statistics of a model's parameters, gradients and activations, every so many steps.

Gradients are read just before an optimizer makes its step: that is after all of them were
accumulated, unscaled and, with DistributedDataParallel, reduced. Activations are read by hooks on
the leaves, which are there only while a step is measured, so that the steps between cost nothing.

Law: no hook raises, waits for a device, or takes part in a collective; of a sharded tensor this
rank's part is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary, ref

from streamviz.publisher.model.hooks import Hook
from streamviz.publisher.model.statistics import (
    activation_of,
    binned,
    local,
    norms_of,
    sample_of,
)

__all__ = ["LOGS", "MOST_LAYERS", "ModelWatch"]

LOGS = ("norms", "histograms", "all")
MOST_LAYERS = 1000
"""Parameters, and leaves, that are measured: the largest. Each is several metrics."""

Told = Callable[[Sequence[str], Any], None]
"""Takes names and a vector of as many numbers on some device."""
Binned = Callable[[str, Any], None]
"""Takes a name and what :func:`~streamviz.publisher.model.statistics.binned` gave."""


class ModelWatch:
    """Watches one model until :meth:`stop`.

    Attributes:
        left_out: Parameters and leaves that are too many to be measured.
    """

    def __init__(
        self,
        torch: Any,
        model: Any,
        *,
        every: int,
        log: str,
        told: Told,
        drawn: Binned,
        failed: Callable[[Exception], None],
    ) -> None:
        """Begin.

        Args:
            torch: The module.
            model: A ``torch.nn.Module``.
            every: Steps of its optimizer from one measurement to the next.
            log: One of :data:`LOGS`.
            told: Takes metrics.
            drawn: Takes histograms.
            failed: Counts what a hook raised.
        """
        self._torch = torch
        self._model = ref(model)
        self._every = every
        self._norms, self._histograms = log in ("norms", "all"), log in ("histograms", "all")
        self._told, self._drawn, self._failed = told, drawn, failed
        parameters = [(_clean(name), one) for name, one in model.named_parameters()]
        leaves = [
            (_clean(name) or "model", one)
            for name, one in model.named_modules()
            if next(one.children(), None) is None
        ]
        self._parameters = _largest(parameters, lambda one: int(one.numel()))
        self._leaves = leaves[:MOST_LAYERS]
        kept = len(self._parameters) + len(self._leaves)
        self.left_out = len(parameters) + len(leaves) - kept
        self._counts: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._mine: WeakKeyDictionary[Any, list[int]] = WeakKeyDictionary()
        self._before: list[tuple[int, Any]] = []
        self._steps = 0
        """Of the optimizer that has made most."""
        self._looked_at = -1
        """The step whose activations were read."""
        self._for_now: list[Any] = []
        # ``torch.optim`` hides it behind a name of its own.
        optimizers = sys.modules["torch.optim.optimizer"]
        self._handles = [
            model.register_forward_pre_hook(Hook(self._before_forward, failed)),
            model.register_forward_hook(Hook(self._after_forward, failed)),
            optimizers.register_optimizer_step_pre_hook(Hook(self._before_step, failed)),
            optimizers.register_optimizer_step_post_hook(Hook(self._after_step, failed)),
        ]

    def watches(self, model: object) -> bool:
        """Say whether this is its model."""
        return self._model() is model

    def stop(self) -> None:
        """Take every hook out of the model again."""
        for handle in (*self._handles, *self._for_now):
            handle.remove()
        self._handles, self._for_now = [], []

    # -- activations -----------------------------------------------------------------------

    def _before_forward(self, module: Any, _: object) -> None:
        self._let_leaves_go()
        if not module.training or self._steps % self._every or self._looked_at == self._steps:
            return
        if self._torch.compiler.is_compiling():
            return  # a hook within would be compiled too, and kept
        self._looked_at = self._steps
        self._for_now = [
            leaf.register_forward_hook(Hook(self._looking(name), self._failed))
            for name, leaf in self._leaves
        ]

    def _after_forward(self, *_: object) -> None:
        self._let_leaves_go()

    def _let_leaves_go(self) -> None:
        handles, self._for_now = self._for_now, []
        for handle in handles:
            handle.remove()

    def _looking(self, name: str) -> Callable[..., None]:
        def look(_: object, __: object, output: object) -> None:
            found = _first_tensor(self._torch, output)
            if found is None:
                return
            tensor = local(found)
            if self._norms:
                kinds = ("act_mean", "act_std", "act_zero")
                names = [f"watch/{kind}/{name}" for kind in kinds]
                self._told(names, activation_of(self._torch, tensor))
            if self._histograms:
                self._drawn(f"activations/{name}", binned(self._torch, tensor))

        return look

    # -- parameters and gradients ----------------------------------------------------------

    def _before_step(self, optimizer: Any, *_: object) -> None:
        self._before = []
        mine = self._of(optimizer)
        if not mine or self._counts.get(optimizer, 0) % self._every:
            return
        usable = [self._parameters[at] for at in mine]
        graded = [(name, local(one.grad)) for name, one in usable if _has_values(one.grad)]
        values = [(name, local(one)) for name, one in usable if _has_values(one)]
        if self._norms:
            self._tell("grad_norm", graded)
            self._tell("param_norm", values)
            # Of what gets no gradient there is no update to be told.
            moving = {name for name, _ in graded}
            self._before = [
                (at, sample_of(local(self._parameters[at][1])))
                for at in mine
                if self._parameters[at][0] in moving
            ]
        if self._histograms:
            for kind, found in (("gradients", graded), ("parameters", values)):
                for name, tensor in found:
                    self._drawn(f"{kind}/{name}", binned(self._torch, tensor))

    def _after_step(self, optimizer: Any, *_: object) -> None:
        if not self._of(optimizer):
            return
        before, self._before = self._before, []
        moved = []
        for at, was in before:
            name, parameter = self._parameters[at]
            moved.append((name, sample_of(local(parameter)) - was, was))
        for device in {was.device for _, _, was in moved}:
            some = [one for one in moved if one[2].device == device]
            size = norms_of(self._torch, [was for _, _, was in some])
            change = norms_of(self._torch, [by for _, by, _ in some])
            # A parameter that was all zeros has no ratio: 0/0 would be told as NaN.
            ratio = self._torch.where(size > 0, change / size, 0.0)
            self._told([f"watch/update_ratio/{name}" for name, _, _ in some], ratio)
        count = self._counts[optimizer] = self._counts.get(optimizer, 0) + 1
        self._steps = max(self._steps, count)

    def _tell(self, kind: str, found: Sequence[tuple[str, Any]]) -> None:
        for device in {tensor.device for _, tensor in found}:
            some = [(name, tensor) for name, tensor in found if tensor.device == device]
            names = [f"watch/{kind}/{name}" for name, _ in some]
            self._told(names, norms_of(self._torch, [tensor for _, tensor in some]))

    def _of(self, optimizer: Any) -> list[int]:
        """Return which of the parameters an optimizer moves."""
        held = self._mine.get(optimizer)
        if held is None:
            moved = {id(one) for group in optimizer.param_groups for one in group["params"]}
            held = [at for at, (_, one) in enumerate(self._parameters) if id(one) in moved]
            self._mine[optimizer] = held
        return held


def _has_values(tensor: Any) -> bool:
    return (
        tensor is not None
        and tensor.numel() > 0
        and tensor.is_floating_point()
        and not tensor.is_sparse
        and tensor.device.type != "meta"
    )


def _first_tensor(torch: Any, output: object) -> Any:
    """Return the first tensor of floats in what a layer gave."""
    if isinstance(output, torch.Tensor):
        return output if _has_values(output) else None
    parts: Iterable[object] = ()
    if isinstance(output, (list, tuple)):
        parts = output
    elif isinstance(output, dict):
        parts = output.values()
    return next((one for one in parts if isinstance(one, torch.Tensor) and _has_values(one)), None)


def _largest(named: Sequence[tuple[str, Any]], size: Callable[[Any], int]) -> list[tuple[str, Any]]:
    """Return the largest, in their order."""
    if len(named) <= MOST_LAYERS:
        return list(named)
    kept = sorted(range(len(named)), key=lambda at: -size(named[at][1]))[:MOST_LAYERS]
    return [named[at] for at in sorted(kept)]


def _clean(name: str) -> str:
    """Return a name as it would be without what wraps the model."""
    return ".".join(
        part for part in name.split(".") if part not in ("_orig_mod", "_fsdp_wrapped_module")
    ).removeprefix("module.")
