"""Callables that torch may keep in a model: the watch's while it watches, nothing in a copy.

Law: a model that is pickled, saved or copied takes no publisher along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Hook", "nothing"]


def nothing(*_: object, **__: object) -> None:
    """Do nothing: what a hook is in a copy of its model."""


class Hook:
    """A hook that is :func:`nothing` in every copy.

    Args:
        call: What is called here; whatever it raises is handed to ``failed`` and goes no further.
        failed: Counts it.
    """

    __slots__ = ("_call", "_failed")

    def __init__(self, call: Callable[..., None], failed: Callable[[Exception], None]) -> None:
        self._call = call
        self._failed = failed

    def __call__(self, *arguments: Any) -> None:
        """Call what is called here."""
        try:
            self._call(*arguments)
        except Exception as error:  # noqa: BLE001 - promise 1: a statistic must not end a training
            self._failed(error)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return getattr, (_Here, "hook")

    def __deepcopy__(self, memo: object) -> Callable[..., None]:
        return nothing


class _Here:
    """Where a pickled hook finds what it is by then."""

    hook = staticmethod(nothing)
