"""A user's configuration as plain data that can travel: numbers, text, lists and maps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

__all__ = ["MAX_CONFIG_TEXT", "plain"]

MAX_CONFIG_TEXT = 32_768
"""Characters that keys and values may have in all; they ride in every hello."""

_MAX_DEPTH = 6
_MAX_ITEMS = 512
_MAX_TEXT = 512


def plain(config: Mapping[str, object]) -> tuple[dict[str, object], str]:
    """Return a configuration as plain data, and what had to be left out, in words.

    What is neither a number, text, a list nor a map is shown as its ``repr``.
    """
    taken: dict[str, object] = {}
    left_out: list[str] = []
    room = MAX_CONFIG_TEXT
    for key, value in config.items():
        name, entry = _plain_key(key), _plain(value, _MAX_DEPTH)
        size = len(name) + len(repr(entry))
        if size > room or len(taken) >= _MAX_ITEMS:
            left_out.append(name[:40])
            continue
        room -= size
        taken[name] = entry
    return taken, ", ".join(left_out[:10])


def _plain(value: object, depth: int) -> object:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else str(value)[:_MAX_TEXT]
    if isinstance(value, str):
        return _text(value)
    if depth and isinstance(value, Mapping):
        items = itertools.islice(value.items(), _MAX_ITEMS)
        return {_plain_key(key): _plain(entry, depth - 1) for key, entry in items}
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(entry, depth - 1) for entry in itertools.islice(value, _MAX_ITEMS)]
    return _described(value, repr)


def _plain_key(key: object) -> str:
    return _described(key, str)


def _described(value: object, describe: Callable[[object], str]) -> str:
    try:
        return _text(describe(value))
    except Exception:  # noqa: BLE001 - promise 1: a repr that raises must not end a training
        return f"<{type(value).__name__}>"


def _text(value: str) -> str:
    return value[:_MAX_TEXT].encode("utf-8", "replace").decode()
