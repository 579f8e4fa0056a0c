"""A model as a tree of modules: what each is, how much it holds, and what one pass makes of it.

Law: the model is afterwards as it was before: its mode, its buffers, its hooks, and the generators
of random numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamviz.clock import monotonic_time
from streamviz.publisher.model.hooks import Hook, nothing

__all__ = ["MOST_MODULES", "structure_of"]

MOST_MODULES = 4000
"""Modules that are told: of a larger model the deepest are left out."""
_MOST_TEXT = 120


def structure_of(torch: Any, model: Any, example: object) -> tuple[dict[str, object], str]:
    """Return a model's document, and why there are no shapes in it, if there are none.

    Args:
        torch: The module.
        model: A ``torch.nn.Module``.
        example: What it is called with once, without gradients and in evaluation mode: a tensor, a
            tuple of arguments or a dict of named ones; ``None``: it is not called.
    """
    found = list(model.named_modules())
    depth = 0
    while sum(name.count(".") <= depth for name, _ in found) <= MOST_MODULES and depth < 64:
        depth += 1
    shown = found if len(found) <= MOST_MODULES else []
    shown = shown or [one for one in found if one[0].count(".") < depth][:MOST_MODULES]
    passes, why = _passes(torch, model, example, {id(module) for _, module in shown})
    number = {name: at for at, (name, _) in enumerate(shown)}
    modules = []
    for name, module in shown:
        own = list(module.parameters(recurse=False))
        below = list(module.parameters())
        taken, given, seconds = passes.get(id(module), ("", "", None))
        above = name.rpartition(".")[0]
        modules.append(
            {
                "path": name,
                "type": type(module).__name__,
                "parent": -1 if not name else number.get(above, 0),
                "parameters": _count(own),
                "total": _count(below),
                "trainable": _count([one for one in below if one.requires_grad]),
                "bytes": sum(_size(one) * one.element_size() for one in below),
                "input": taken,
                "output": given,
                "seconds": seconds,
                "extra": str(module.extra_repr())[:_MOST_TEXT] if own else "",
            }
        )
    return {"modules": modules, "left_out": len(found) - len(shown)}, why


def _count(parameters: list[Any]) -> int:
    return sum(map(_size, parameters))


def _size(parameter: Any) -> int:
    try:
        return int(parameter.numel())
    except Exception:  # noqa: BLE001 - one that is lazy has no size before its first pass
        return 0


def _passes(
    torch: Any, model: Any, example: object, wanted: set[int]
) -> tuple[dict[int, tuple[str, str, float | None]], str]:
    """Call the model once; return shapes in and out and the seconds of each module."""
    if example is None:
        return {}, ""
    found: dict[int, tuple[str, str, float | None]] = {}
    began: dict[int, float] = {}
    # On a device a module's time is over before its work is.
    timed = all(one.device.type == "cpu" for one in model.parameters())

    def enter(module: Any, *_: object) -> None:
        began[id(module)] = monotonic_time()

    def leave(module: Any, taken: object, given: object) -> None:
        seconds = monotonic_time() - began.get(id(module), monotonic_time())
        held = found.get(id(module))
        if held is not None:  # a module that is used again
            seconds += held[2] or 0.0
        about = (_shape(torch, taken), _shape(torch, given)) if held is None else held[:2]
        found[id(module)] = (*about, seconds if timed else None)

    modes = [(module, module.training) for module in model.modules()]
    handles: list[Any] = []
    why = ""
    try:
        with torch.random.fork_rng(), torch.no_grad():
            model.train(False)  # noqa: FBT003 - torch.nn.Module.eval by its other name
            _call(model, example)  # the first pass is slower than any that follows
            for module in model.modules():
                if id(module) in wanted:
                    handles.append(module.register_forward_pre_hook(Hook(enter, nothing)))
                    handles.append(module.register_forward_hook(Hook(leave, nothing)))
            _call(model, example)
    except Exception as error:  # noqa: BLE001 - promise 1: a picture must not end a training
        why = f"{type(error).__name__}: {error}"[:200]
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    return found, why


def _call(model: Any, example: object) -> None:
    if isinstance(example, Mapping):
        model(**example)
    else:
        model(*(example if isinstance(example, tuple) else (example,)))


def _shape(torch: Any, value: object) -> str:
    """Return the shapes in what a module took or gave, such as ``[8, 10]``."""
    if isinstance(value, torch.Tensor):
        text = str(list(value.shape))
    elif isinstance(value, Mapping):
        text = ", ".join(f"{key}: {_shape(torch, one)}" for key, one in list(value.items())[:8])
    elif isinstance(value, (list, tuple)):
        text = ", ".join(filter(None, (_shape(torch, one) for one in value[:8])))
    else:
        text = "" if value is None else type(value).__name__
    return text[:_MOST_TEXT]
