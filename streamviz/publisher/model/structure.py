"""A model as a tree of modules: what each is, how much it holds, and what one pass makes of it.

Law: the model is afterwards as it was before: its mode, its buffers, its hooks, and the generators
of random numbers. No collective is called.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamviz.publisher.model.parts import clean, inner_of, is_lazy
from streamviz.publisher.model.probe import Pass, passed, why_not

__all__ = ["MOST_MODULES", "structure_of"]

MOST_MODULES = 4000
"""Modules that are told: of a larger model the deepest are left out."""
_MOST_TEXT = 120
_MOST_DEPTH = 64


@dataclass(slots=True)
class _Row:
    """A module in its place."""

    path: str
    module: Any
    parent: int
    depth: int
    is_again: str | None = None
    """The path at which the same module stands first."""
    inside: int = 0
    """Modules below it, at any depth."""


def structure_of(
    torch: Any, model: Any, example: object, most_bytes: int = 1 << 20
) -> tuple[dict[str, object], str]:
    """Return a model's document, and why there are no shapes in it, if there are none.

    Args:
        torch: The module.
        model: A ``torch.nn.Module``.
        example: What it is called with, without gradients and in evaluation mode: a tensor, a
            tuple of arguments or a dict of named ones; ``None``: it is not called.
        most_bytes: What the document may take as JSON; deeper modules are left out until it fits.
    """
    model = inner_of(model)
    model = getattr(model, "_orig_mod", model)  # a call of what was compiled may compile it anew
    rows = _walked(model)
    depth = max(row.depth for row in rows)
    while depth and sum(row.depth <= depth for row in rows) > MOST_MODULES:
        depth -= 1
    passes: dict[int, Pass] = {}
    why = ""
    if example is not None:
        shown = {id(row.module) for row in rows if row.depth <= depth}
        why = why_not(torch, model)
        if not why:
            passes, why = passed(torch, model, example, shown)
    while True:
        modules = _told(rows, depth, passes)
        left_out = len(rows) - len(modules)
        document: dict[str, object] = {"modules": modules, "left_out": left_out}
        if not depth or len(json.dumps(document)) <= most_bytes:
            return document, why
        depth -= 1


def _walked(model: Any) -> list[_Row]:
    """Return the modules depth first; one that stands in several places without what is below."""
    rows: list[_Row] = []
    first: dict[int, str] = {}

    def walk(path: str, module: Any, parent: int, depth: int) -> int:
        row = _Row(path, module, parent, depth, first.get(id(module)))
        at = len(rows)
        rows.append(row)
        if row.is_again is None and depth < _MOST_DEPTH:
            first[id(module)] = path
            for name, child in module._modules.items():  # noqa: SLF001 - children, repeated ones too
                if child is not None:
                    below = f"{path}.{name}" if path else name
                    row.inside += 1 + walk(below, child, at, depth + 1)
        return row.inside

    walk("", model, -1, 0)
    return rows


def _told(rows: Sequence[_Row], depth: int, passes: dict[int, Pass]) -> list[dict[str, object]]:
    number: dict[int, int] = {-1: -1}
    modules: list[dict[str, object]] = []
    for at, row in enumerate(rows):
        if row.depth > depth:
            continue
        number[at] = len(modules)
        own = list(row.module.parameters(recurse=False))
        below = list(row.module.parameters())
        one = passes.get(id(row.module), Pass())
        modules.append(
            {
                "path": clean(row.path),
                "type": type(row.module).__name__,
                "parent": number[row.parent],
                "parameters": _count(own),
                "total": _count(below),
                "trainable": _count([one for one in below if one.requires_grad]),
                "bytes": sum(map(_bytes, below)),
                "input": one.taken,
                "output": one.given,
                "seconds": one.seconds,
                "extra": _extra(row, own, is_folded=row.depth == depth and row.inside > 0),
            }
        )
    return modules


def _extra(row: _Row, own: Sequence[Any], *, is_folded: bool) -> str:
    if row.is_again is not None:
        return f"the same as {row.is_again or 'the model'}"[:_MOST_TEXT]
    if is_folded:
        return f"{row.inside} modules inside are not told"
    return str(row.module.extra_repr())[:_MOST_TEXT] if own else ""


def _count(parameters: Sequence[Any]) -> int:
    return sum(map(_size, parameters))


def _size(parameter: Any) -> int:
    # One that is lazy has no size before its first pass.
    return 0 if is_lazy(parameter) else int(parameter.numel())


def _bytes(parameter: Any) -> int:
    return 0 if is_lazy(parameter) else int(parameter.numel()) * int(parameter.element_size())
