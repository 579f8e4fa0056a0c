"""Statistics of a model's parameters, gradients and activations, every so many steps.

Gradients are read just before an optimizer makes its step: that is after all of them were
accumulated, unscaled and, with DistributedDataParallel, reduced. Activations are read by hooks on
the layers, which are there only while a step is measured, so that the steps between cost nothing.

Law: no hook raises, waits for a device, or takes part in a collective; of a sharded tensor this
rank's part is measured. A model that is gone is not kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any
from weakref import WeakKeyDictionary, ref

from streamviz.clock import monotonic_time
from streamviz.publisher.model.histograms import binned
from streamviz.publisher.model.hooks import Hook
from streamviz.publisher.model.pace import Pace
from streamviz.publisher.model.parts import MOST_LAYERS, ROOT, layers_of, parameters_of
from streamviz.publisher.model.readings import Drawn, Readings, Told
from streamviz.publisher.model.statistics import (
    Activations,
    has_values,
    local,
    norms_of,
    samples_of,
)

__all__ = ["LOGS", "ModelWatch"]

LOGS = ("norms", "histograms", "all")
_PASSES_ALONE = 200
"""Passes in training mode after which it is said that no optimizer was seen."""


@dataclass(slots=True)
class _Part:
    """Parameters of one device whose update is to be told, with a sample of what they were."""

    names: list[str]
    before: Any
    sizes: list[int]


class ModelWatch:
    """Watches one model until :meth:`stop`, or until there is no model."""

    def __init__(
        self,
        torch: Any,
        model: Any,
        *,
        every: int,
        log: str,
        told: Told,
        drawn: Drawn,
        failed: Callable[[Exception], None],
        last_sent: Callable[[], int],
        warn: Callable[[str, str], None],
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
            last_sent: Returns the last step sent, -1 before any.
            warn: Called with a cause and a sentence, which is said once.
        """
        self._torch = torch
        self._model = ref(model, lambda _: self.stop())
        self._every = every
        self._norms, self._histograms = log in ("norms", "all"), log in ("histograms", "all")
        self._told, self._drawn, self._failed, self._warn = told, drawn, failed, warn
        self._pace = Pace(last_sent)
        self._counts: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._mine: WeakKeyDictionary[Any, tuple[int, list[tuple[str, Any]]]] = WeakKeyDictionary()
        self._moved: list[_Part] = []
        self._passing, self._stepping = Readings(), Readings()
        """What was found in the pass, and in the step, under way."""
        self._activations = Activations(torch)
        self._passes = 0
        self._steps = 0
        """Of the optimizer that has made most."""
        self._looked_at = -1
        """The step whose activations were read."""
        self._place: int | None = None
        """The step that the last pass in training mode belongs to."""
        self._for_now: list[Any] = []
        self._seen: set[str] = set()
        """Layers whose activations of this pass were read."""
        self._spent_s = 0.0
        """Seconds spent here, which are none of the layers'."""
        # ``torch.optim`` hides it behind a name of its own.
        optimizers = sys.modules["torch.optim.optimizer"]
        self._handles = [
            model.register_forward_pre_hook(self._hook(self._before_forward)),
            model.register_forward_hook(self._hook(self._after_forward)),
            optimizers.register_optimizer_step_pre_hook(self._hook(self._before_step)),
            optimizers.register_optimizer_step_post_hook(self._hook(self._after_step)),
        ]

    @property
    def is_over(self) -> bool:
        """Whether it has stopped."""
        return not self._handles

    def watches(self, model: object) -> bool:
        """Say whether this is its model."""
        return self._model() is model

    def stop(self) -> None:
        """Take every hook out of the model again, and let go of its tensors."""
        handles, self._handles = (*self._handles, *self._for_now), []
        self._for_now, self._moved = [], []
        self._passing, self._stepping = Readings(), Readings()
        self._activations = Activations(self._torch)
        self._mine = WeakKeyDictionary()
        for handle in handles:
            handle.remove()

    def _hook(self, call: Callable[..., None]) -> Hook:
        return Hook(self._torch, call, self._failed)

    def _cannot_look(self) -> bool:
        """Say whether what runs now is only recorded, to be run again without us."""
        cuda = self._torch.cuda
        return bool(
            self._torch.jit.is_tracing()
            or (cuda.is_initialized() and cuda.is_current_stream_capturing())
        )

    # -- activations -----------------------------------------------------------------------

    def _before_forward(self, module: Any, _: object) -> None:
        self._let_layers_go()
        if not module.training:
            return
        self._place = self._pace.step(self._steps)
        self._passes += 1
        if self._passes == _PASSES_ALONE and not self._steps:
            self._warn(
                "watch without optimizer",
                f"in {_PASSES_ALONE} passes no step of a torch.optim.Optimizer with the watched "
                "model's parameters was seen; gradients are read there. Call watch with the model "
                "that is trained",
            )
        if self._steps % self._every or self._looked_at == self._steps or self._cannot_look():
            return
        self._looked_at = self._steps
        layers, hidden = layers_of(module)
        if hidden:
            self._warn("watch compiled", "activations inside compiled modules are not measured")
        if len(layers) > MOST_LAYERS:
            self._warn("watch layers", _too_many(len(layers), "modules", "first"))
        timed = all(one.device.type == "cpu" for one in module.parameters())
        for name, layer, is_leaf in layers[:MOST_LAYERS]:
            self._look_at(name, layer, is_leaf=is_leaf, timed=timed and name != ROOT)

    def _look_at(self, name: str, layer: Any, *, is_leaf: bool, timed: bool) -> None:
        """Let a layer be measured when it is called next."""
        began: list[tuple[float, float]] = []

        def enter(_: object, __: object) -> None:
            began.append((monotonic_time(), self._spent_s))

        def leave(_: object, __: object, output: object) -> None:
            now = monotonic_time()
            if began:
                since, spent_s = began.pop()
                ours_s = self._spent_s - spent_s
                self._passing.add_plain(f"watch/seconds/{name}", max(now - since - ours_s, 0.0))
            if is_leaf and name not in self._seen:
                self._seen.add(name)
                self._read_activation(name, output)
            self._spent_s += monotonic_time() - now

        if timed:
            self._for_now.append(layer.register_forward_pre_hook(self._hook(enter)))
        if timed or is_leaf:
            # A model that is a layer itself is read before the hook that tells what was read.
            hook = self._hook(leave)
            self._for_now.append(layer.register_forward_hook(hook, prepend=name == ROOT))

    def _read_activation(self, name: str, output: object) -> None:
        found = _first_tensor(self._torch, output)
        if found is None:
            return
        tensor = local(found)
        if not has_values(self._torch, tensor):
            return
        if self._norms:
            self._activations.add(name, tensor)
        if self._histograms:
            self._passing.add_bins(f"activations/{name}", binned(self._torch, tensor))

    def _after_forward(self, *_: object) -> None:
        if self._for_now:
            readings, activations = self._passing, self._activations
            self._let_layers_go()
            for kind, names, vector in activations.rows():
                readings.add([f"watch/{kind}/{name}" for name in names], vector)
            place = self._pace.step(self._steps) if self._place is None else self._place
            readings.tell(self._torch, self._told, self._drawn, place)

    def _let_layers_go(self) -> None:
        if self._for_now:
            handles, self._for_now = self._for_now, []
            for handle in handles:
                handle.remove()
            self._passing, self._activations = Readings(), Activations(self._torch)
            self._seen = set()

    # -- parameters and gradients ----------------------------------------------------------

    def _before_step(self, optimizer: Any, *_: object) -> None:
        self._moved = []
        mine = self._of(optimizer)
        if not mine or self._count_of(optimizer) % self._every or self._cannot_look():
            return
        values = self._usable((name, one) for name, one in mine)
        graded = self._usable((name, one.grad) for name, one in mine)
        readings = self._stepping = Readings()
        # A fused optimizer is handed gradients that are scaled still, and by how much.
        scale = getattr(optimizer, "grad_scale", None)
        if self._norms:
            for kind, found in (("grad_norm", graded), ("param_norm", values)):
                for names, tensors in _by_device(found):
                    norms = norms_of(self._torch, tensors)
                    if kind == "grad_norm":
                        norms = _unscaled(norms, scale)
                    readings.add([f"watch/{kind}/{name}" for name in names], norms)
            self._sample(graded, values)
        if self._histograms:
            for name, tensor in graded:
                unscaled = _unscaled(tensor, scale)
                readings.add_bins(f"gradients/{name}", binned(self._torch, unscaled))
            for name, tensor in values:
                readings.add_bins(f"parameters/{name}", binned(self._torch, tensor))

    def _sample(self, graded: list[tuple[str, Any]], values: list[tuple[str, Any]]) -> None:
        """Read the zeros of gradients, and remember what the step is going to change."""
        torch = self._torch
        for names, tensors in _by_device(graded):
            sample, sizes = samples_of(torch, tensors)
            # The squared norm of zeros and ones is the number of ones.
            others = norms_of(torch, (sample != 0).float().split(sizes)).square()
            lengths = torch.tensor(sizes, dtype=torch.float32)
            if sample.device.type != "cpu":
                lengths = lengths.pin_memory().to(sample.device, non_blocking=True)
            zeros = 1 - others / lengths
            self._stepping.add([f"watch/grad_zero/{name}" for name in names], zeros)
        # Of what gets no gradient there is no update to be told.
        moving = {name for name, _ in graded}
        for names, tensors in _by_device([one for one in values if one[0] in moving]):
            self._moved.append(_Part(names, *samples_of(torch, tensors)))

    def _after_step(self, optimizer: Any, *_: object) -> None:
        mine = self._of(optimizer)
        if not mine:
            return
        moved, self._moved = self._moved, []
        held = dict(mine) if moved else {}
        count = self._count_of(optimizer)
        # The earlier: a send may come between the pass and the step, and another optimizer's step
        # before the pass.
        place = self._pace.step(count)
        if self._place is not None:
            place = min(place, self._place)
        self._place = None
        self._counts[optimizer] = count + 1
        self._steps = max(self._steps, count + 1)
        readings, self._stepping = self._stepping, Readings()
        torch = self._torch
        for part in moved:
            after = samples_of(torch, [local(held[name]) for name in part.names])[0]
            size = norms_of(torch, part.before.split(part.sizes))
            change = norms_of(torch, after.sub_(part.before).split(part.sizes))
            # A parameter that was all zeros has no ratio: 0/0 would be told as NaN.
            ratio = torch.where(size > 0, change / size, 0.0)
            readings.add([f"watch/update_ratio/{name}" for name in part.names], ratio)
        readings.tell(torch, self._told, self._drawn, place)

    def _count_of(self, optimizer: Any) -> int:
        """Return the steps of an optimizer; one that takes over later goes on from where it is."""
        first = 0 if self._steps <= 1 else self._steps
        return self._counts.get(optimizer, first)

    def _usable(self, named: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
        parts = [(name, local(one)) for name, one in named if one is not None]
        return [(name, one) for name, one in parts if has_values(self._torch, one)]

    def _of(self, optimizer: Any) -> list[tuple[str, Any]]:
        """Return those of the model's parameters that an optimizer moves."""
        size = sum(len(group["params"]) for group in optimizer.param_groups)
        known = self._mine.get(optimizer)
        if known is None or known[0] != size:
            model = self._model()
            if model is None:
                return []
            # Looked up now, not at the start: to shard a model, or to fill a lazy one, may have
            # given it other parameters since.
            parameters, left_out = parameters_of(model)
            if left_out:
                self._warn("watch", _too_many(left_out + MOST_LAYERS, "parameters", "largest"))
            moved = {id(one) for group in optimizer.param_groups for one in group["params"]}
            mine = [(name, one) for name, one in parameters if id(one) in moved]
            known = self._mine[optimizer] = (size, mine)
        return known[1]


def _too_many(found: int, what: str, which: str) -> str:
    return f"the model has {found} {what}; the {which} {MOST_LAYERS} are watched"


def _unscaled(tensor: Any, scale: Any) -> Any:
    if scale is None:
        return tensor
    return tensor / (scale.to(tensor.device, non_blocking=True) if hasattr(scale, "to") else scale)


def _by_device(named: Sequence[tuple[str, Any]]) -> list[tuple[list[str], list[Any]]]:
    """Return names and tensors of each device."""
    found: dict[Any, tuple[list[str], list[Any]]] = {}
    for name, tensor in named:
        names, tensors = found.setdefault(tensor.device, ([], []))
        names.append(name)
        tensors.append(tensor)
    return list(found.values())


def _first_tensor(torch: Any, output: object) -> Any:
    """Return the first tensor of floats in what a layer gave."""
    if isinstance(output, torch.Tensor):
        return output if output.is_floating_point() else None
    parts: Iterable[object] = ()
    if isinstance(output, (list, tuple)):
        parts = output
    elif isinstance(output, Mapping):
        parts = output.values()
    elif is_dataclass(output):
        parts = [getattr(output, one.name) for one in fields(output)]
    return next((one for one in parts if _first_tensor_is(torch, one)), None)


def _first_tensor_is(torch: Any, one: object) -> bool:
    return isinstance(one, torch.Tensor) and one.is_floating_point()
