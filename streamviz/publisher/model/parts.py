"""Which parameters and which modules of a model are measured, and what they are called.

Law: what is inside a compiled part is its compiler's: it gets no hooks, so nothing is compiled
anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = [
    "MOST_LAYERS",
    "ROOT",
    "clean",
    "inner_of",
    "is_compiled",
    "is_lazy",
    "layers_of",
    "parameters_of",
]

MOST_LAYERS = 1000
"""Parameters, and layers, that are measured. Each is several metrics."""
ROOT = "model"
"""What a model is called that is a layer itself."""
_PARALLEL = ("DataParallel", "DistributedDataParallel")
_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")


def clean(name: str) -> str:
    """Return a name as it would be without what wraps the model or a part of it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def inner_of(model: Any) -> Any:
    """Return the model itself of one that was wrapped to be trained in parallel."""
    while type(model).__name__ in _PARALLEL and hasattr(model, "module"):
        model = model.module
    return model


def parameters_of(model: Any) -> tuple[list[tuple[str, Any]], int]:
    """Return the parameters with their names, each once, and how many are left out.

    Of more than :data:`MOST_LAYERS` the largest are kept, in their order.
    """
    named = [(clean(name), one) for name, one in inner_of(model).named_parameters()]
    if len(named) <= MOST_LAYERS:
        return named, 0

    def size(one: Any) -> int:
        return 0 if is_lazy(one) else int(one.numel())

    by_size = sorted(range(len(named)), key=lambda at: -size(named[at][1]))
    return [named[at] for at in sorted(by_size[:MOST_LAYERS])], len(named) - MOST_LAYERS


def is_compiled(module: Any) -> bool:
    """Say whether a call of this module is a call of what was compiled of it."""
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None


def is_lazy(tensor: Any) -> bool:
    """Say whether a parameter or buffer gets its shape with its first use."""
    return type(tensor).__name__ in ("UninitializedBuffer", "UninitializedParameter")


def layers_of(model: Any) -> tuple[list[tuple[str, Any, bool]], bool]:
    """Return the modules below a model, and whether some are left out as they are compiled.

    Returns:
        Name, module, and whether it is a leaf; each module once, depth first. A model without
        modules is a leaf by the name of :data:`ROOT`.
    """
    found: list[tuple[str, Any, bool]] = []
    hidden = False
    seen: set[int] = set()

    def walk(name: str, module: Any) -> Iterator[tuple[str, Any, bool]]:
        nonlocal hidden
        if id(module) in seen:
            return
        seen.add(id(module))
        if is_compiled(module):
            hidden = True
            return
        below = list(module.named_children())
        if name or not below:
            yield clean(name) or ROOT, module, not below
        for called, child in below:
            yield from walk(f"{name}.{called}" if name else called, child)

    found.extend(walk("", inner_of(model)))
    return found, hidden
