"""Nested names and values as one level of names, for hyperparameters and for metrics.

Law: bounded in depth and in number, so that a value which contains itself ends too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["flat", "scalars"]

_DEEPEST = 8
_MAX_TEXT = 512


def flat(tree: Mapping[Any, Any], separator: str = "/") -> dict[str, object]:
    """Return the leaves of nested mappings, by their names joined.

    Args:
        tree: Names to values or further mappings.
        separator: What joins them.
    """
    return dict(_leaves(tree, separator, "", _DEEPEST))


def scalars(tree: Mapping[Any, Any]) -> dict[str, object]:
    """Return hyperparameters as names joined by ``/`` to numbers and texts.

    What is neither is taken as its text, of 512 characters at most.
    """
    return {name: _scalar(value) for name, value in flat(tree).items()}


def _leaves(
    tree: Mapping[Any, Any], separator: str, prefix: str, depth: int
) -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and depth:
            yield from _leaves(value, separator, f"{name}{separator}", depth - 1)
        else:
            yield name, value


def _scalar(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    try:
        return str(value)[:_MAX_TEXT]
    except Exception:  # noqa: BLE001 - promise 1: a value that cannot be shown must not end a training
        return f"<{type(value).__name__}>"
