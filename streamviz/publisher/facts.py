"""What a publisher says of its training besides numbers, under one reserved key of its hello.

Law: only what the server can use goes out; a value that cannot be is an error where it is set.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from streamviz.errors import ConfigError
from streamviz.wire.frames import MAX_STEP
from streamviz.wire.names import name_fault
from streamviz.wire.reserved import (
    MAX_AXES,
    MAX_AXIS_NAME,
    MAX_REPLICATED,
    RATES,
    RESERVED,
    TOTAL_STEPS,
)

__all__ = ["facts_of", "small", "with_facts"]


_MAX_SMALL = (1 << 24) - 1


def small(name: str, value: int) -> int:
    """Return a rank, a number of ranks or of attempts, checked.

    Raises:
        ConfigError: It is none.
    """
    if not _is_whole(value, _MAX_SMALL):
        raise ConfigError(name, value, "a whole number from 0 to 2**24 - 1")
    return value


def facts_of(
    replicated: Collection[str],
    mesh: Mapping[str, int] | None,
    total_steps: int | None,
    rates: Sequence[float | None],
) -> dict[str, object]:
    """Return the facts that were set, checked.

    Args:
        replicated: Metrics that are equal on all ranks.
        mesh: This rank's coordinate on each axis of the parallel layout.
        total_steps: Steps that the training is to make.
        rates: The others, in the order of :data:`~streamviz.wire.reserved.RATES`; ``None`` for one
            that is not set.

    Raises:
        ConfigError: One of them cannot be used.
    """
    facts: dict[str, object] = {}
    if replicated:
        facts["replicated"] = _replicated(replicated)
    if mesh:
        facts["mesh"] = _mesh(mesh)
    if total_steps is not None:
        if not _is_whole(total_steps, MAX_STEP) or total_steps < 1:
            raise ConfigError(TOTAL_STEPS, total_steps, "a whole number from 1 to 2**53")
        facts[TOTAL_STEPS] = int(total_steps)
    for name, value in zip(RATES, rates, strict=True):
        if value is not None:
            facts[name] = _rate(name, value)
    return facts


def with_facts(
    config: Mapping[str, object], facts: Mapping[str, object]
) -> tuple[dict[str, object], bool]:
    """Return a configuration with the facts in it, and whether it had the key that is theirs."""
    own = {key: value for key, value in config.items() if key != RESERVED}
    return ({**own, RESERVED: dict(facts)} if facts else own), len(own) < len(config)


def _replicated(names: Collection[str]) -> list[str]:
    if isinstance(names, str) or len(names) > MAX_REPLICATED:
        raise ConfigError("replicated", names, f"at most {MAX_REPLICATED} names of metrics")
    for name in names:
        fault = name_fault(name)
        if fault is not None:
            raise ConfigError("replicated", str(name)[:80], f"names of metrics ({fault})")
    return list(dict.fromkeys(names))


def _mesh(mesh: Mapping[str, int]) -> dict[str, int]:
    if not isinstance(mesh, Mapping) or len(mesh) > MAX_AXES:
        raise ConfigError("mesh", mesh, f"a mapping of at most {MAX_AXES} axes to coordinates")
    for axis, place in mesh.items():
        if name_fault(axis) is not None or len(axis) > MAX_AXIS_NAME:
            expected = f"names of axes of at most {MAX_AXIS_NAME} characters"
            raise ConfigError("mesh", str(axis)[:80], expected)
        if not _is_whole(place, _MAX_SMALL):
            raise ConfigError("mesh", f"{axis}={place!r}"[:80], "coordinates from 0 to 2**24 - 1")
    return {axis: int(place) for axis, place in mesh.items()}


def _is_whole(value: object, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= highest


def _rate(name: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigError(name, str(value)[:80], "a finite number above 0")
    return number
