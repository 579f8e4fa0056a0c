"""Nested names and values as one level of names.

Law: bounded in depth and in number, so that a value which contains itself ends too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["flat"]

_DEEPEST = 8


def flat(tree: Mapping[Any, Any], separator: str = "/") -> dict[str, object]:
    """Return the leaves of nested mappings, by their names joined.

    Args:
        tree: Names to values or further mappings.
        separator: What joins them.
    """
    return dict(_leaves(tree, separator, "", _DEEPEST))


def _leaves(
    tree: Mapping[Any, Any], separator: str, prefix: str, depth: int
) -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and depth:
            yield from _leaves(value, separator, f"{name}{separator}", depth - 1)
        else:
            yield name, value
