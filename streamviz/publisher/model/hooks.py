"""Callables that torch may keep in a model: the watch's while it watches, nothing in a copy.

Law: a model that is pickled, saved or copied takes no publisher along; to a compiler a hook is
nothing, so that a watched model is compiled once, as it would be without.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

__all__ = ["Hook", "nothing"]


def nothing(*_: object, **__: object) -> None:
    """Do nothing: what a hook is in a copy of its model."""


def _never() -> bool:
    return False


class Hook:
    """A hook that is nothing in every copy, and while a graph is made of its model.

    Args:
        torch: The module.
        call: What is called here; whatever it raises is handed to ``failed`` and goes no further.
        failed: Counts it.
    """

    __slots__ = ("_call", "_failed", "_is_compiling")

    def __init__(
        self, torch: Any, call: Callable[..., None], failed: Callable[[Exception], None]
    ) -> None:
        self._call = call
        self._failed = failed
        # Older ones cannot be asked; there a watched model is compiled with its hooks.
        self._is_compiling = getattr(torch.compiler, "is_compiling", _never)

    def __call__(self, *arguments: Any) -> None:
        """Call what is called here."""
        # First of all: whatever a hook looks at while it is traced becomes a guard of the graph,
        # and what changes from step to step would compile the model anew at every step.
        if self._is_compiling():
            return
        try:
            self._call(*arguments)
        except Exception as error:  # noqa: BLE001 - promise 1: a statistic must not end a training
            self._failed(error)

    def __reduce__(self) -> tuple[Any, ...]:
        # A function of the standard library that takes anything and does nothing: the file can be
        # read where there is no streamviz.
        return getattr, (contextlib.nullcontext, "__exit__")

    def __deepcopy__(self, memo: object) -> Callable[..., None]:
        return nothing
