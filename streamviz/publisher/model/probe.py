"""One pass through a model, to see the shapes and the time of every module.

Law: modes, buffers, hooks and random numbers are afterwards as before, also when it fails.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from streamviz.clock import monotonic_time
from streamviz.publisher.model.hooks import Hook, nothing
from streamviz.publisher.model.parts import is_compiled, is_lazy

__all__ = ["Pass", "passed", "why_not"]

_MOST_TEXT = 120
_MOST_PARTS = 8
_MOST_BUFFERS = 256 << 20
"""Bytes of buffers that are worth keeping to be put back."""


@dataclass(slots=True)
class Pass:
    """What one pass showed of a module."""

    taken: str = ""
    """Shapes of what went in."""
    given: str = ""
    """Shapes of what came out."""
    seconds: float | None = None
    """With what is inside; ``None`` where nobody knows."""


def why_not(torch: Any, model: Any) -> str:
    """Return why a model must not be called just to look at it; nothing if it may be."""
    modules = list(model.modules())
    if any(type(one).__name__ == "FullyShardedDataParallel" for one in modules) or any(
        hasattr(one, "to_local") for one in model.parameters()
    ):
        return "it is sharded, and its ranks would have to call it together"
    state = [*model.parameters(), *model.buffers()]
    if any(map(is_lazy, state)):
        return "it has lazy parameters, which the call would make: call graph after the first pass"
    if sum(int(one.numel()) * int(one.element_size()) for one in model.buffers()) > _MOST_BUFFERS:
        return "it has more buffers than can be put back: more than 256 MiB"
    if any(map(is_compiled, modules)) and not hasattr(torch.compiler, "set_stance"):
        return "a part of it is compiled: call graph before that"
    return ""


def passed(
    torch: Any, model: Any, example: object, wanted: set[int]
) -> tuple[dict[int, Pass], str]:
    """Call a model and look.

    Args:
        torch: The module.
        model: A ``torch.nn.Module`` that may be called.
        example: A tensor, a tuple of arguments or a mapping of named ones.
        wanted: Ids of the modules to look at.

    Returns:
        What was seen by the modules' ids, and why it could not be called, if it could not.
    """
    found: dict[int, Pass] = {}
    began: dict[int, list[float]] = {}
    # On a device a module's time is over before its work is.
    timed = all(one.device.type == "cpu" for one in model.parameters())

    def enter(module: Any, _: object) -> None:
        began.setdefault(id(module), []).append(monotonic_time())

    def leave(module: Any, taken: object, named: object, given: object) -> None:
        seconds = monotonic_time() - began[id(module)].pop()
        one = found.get(id(module))
        if one is None:
            shapes = [_shape(torch, taken), _shape(torch, named)]
            one = found[id(module)] = Pass(
                ", ".join(filter(None, shapes))[:_MOST_TEXT], _shape(torch, given)
            )
        if timed:  # of a module that is called again, all of it
            one.seconds = (one.seconds or 0.0) + seconds

    handles: list[Any] = []
    try:
        with _as_before(torch, model):
            _call(model, example)  # the first pass is slower than any that follows
            for module in model.modules():
                if id(module) in wanted:
                    hooks = Hook(torch, enter, nothing), Hook(torch, leave, nothing)
                    handles.append(module.register_forward_pre_hook(hooks[0]))
                    handles.append(module.register_forward_hook(hooks[1], with_kwargs=True))
            _call(model, example)
    except Exception as error:  # noqa: BLE001 - promise 1: a picture must not end a training
        return found, f"{type(error).__name__}: {error}"[:200]
    finally:
        for handle in handles:
            handle.remove()
    return found, ""


@contextlib.contextmanager
def _as_before(torch: Any, model: Any) -> Iterator[None]:
    """Let a model be called without a trace: in evaluation mode, without gradients, uncompiled."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, one, None if one is None else one.detach().clone(), _version(one))
        for module in model.modules()
        for name, one in module._buffers.items()  # noqa: SLF001 - those that are None too
    ]
    devices = {one.device for one in model.parameters() if one.device.type == "cuda"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng([one.index for one in devices]))
        stack.enter_context(torch.no_grad())
        if hasattr(torch.compiler, "set_stance"):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            model.train(False)  # noqa: FBT003 - torch.nn.Module.eval by its other name
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for module, name, one, kept, version in buffers:
                if module._buffers.get(name) is not one:  # noqa: SLF001 - it was exchanged
                    module._buffers[name] = one  # noqa: SLF001
                if one is not None and _version(one) != version:
                    one.copy_(kept)


def _version(tensor: Any) -> int:
    """Return how often a tensor was changed in place."""
    try:
        return int(tensor._version)  # noqa: SLF001 - torch has no other word for it
    except (AttributeError, RuntimeError):
        return 0  # there is none, or it is one that cannot be changed


def _call(model: Any, example: object) -> None:
    if isinstance(example, Mapping):
        model(**example)
    else:
        model(*(example if isinstance(example, tuple) else (example,)))


def _shape(torch: Any, value: object) -> str:
    """Return the shapes in what a module took or gave, such as ``[8, 10]``."""
    if isinstance(value, torch.Tensor):
        text = str(list(value.shape))
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {one.name: getattr(value, one.name) for one in fields(value)[:_MOST_PARTS]}
        text = _shape(torch, parts)
    elif isinstance(value, Mapping):
        named = [(key, _shape(torch, one)) for key, one in list(value.items())[:_MOST_PARTS]]
        text = ", ".join(f"{key}: {shape}" for key, shape in named if shape)
    elif isinstance(value, (list, tuple)):
        text = ", ".join(filter(None, (_shape(torch, one) for one in value[:_MOST_PARTS])))
    else:
        text = "" if value is None else type(value).__name__
    return text[:_MOST_TEXT]
