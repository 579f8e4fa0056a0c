"""The key of a hello's configuration that is ours: facts of the training, besides its numbers.

Law: whatever lies under the key, reading it gives facts within these limits, and the names of what
was left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamviz.wire.frames import MAX_STEP
from streamviz.wire.names import name_fault

__all__ = [
    "MAX_AXES",
    "MAX_AXIS_NAME",
    "MAX_REPLICATED",
    "RATES",
    "RESERVED",
    "TOTAL_STEPS",
    "Facts",
    "merge_facts",
    "read_facts",
]

RESERVED = "streamviz"
"""The key."""
TOTAL_STEPS = "total_steps"
RATES = ("samples_per_step", "tokens_per_step", "flops_per_step", "peak_flops")
"""Facts that are finite numbers above 0: of all ranks together, but for ``peak_flops``, which is
what one rank could do in a second."""
MAX_REPLICATED = 64
"""Names of metrics that are said to be equal on all ranks."""
MAX_AXES = 8
"""Axes of a parallel layout."""
MAX_AXIS_NAME = 32
"""Characters of an axis's name."""
_MAX_PLACE = (1 << 24) - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What a hello says of its training."""

    mesh: Mapping[str, int] = field(default_factory=dict)
    """The rank's coordinate on each axis."""
    run: Mapping[str, object] = field(default_factory=dict)
    """The rest, which is the run's."""
    refused: tuple[str, ...] = ()
    """What was left out, by the name of the fact; ``unknown`` for a name that is none."""


def read_facts(value: object) -> Facts:
    """Return the facts in what lies under the key."""
    if not isinstance(value, dict):
        return Facts(refused=() if value is None else (RESERVED,))
    mesh: dict[str, int] = {}
    run: dict[str, object] = {}
    refused: list[str] = []
    for name, said in value.items():
        if name == "mesh" and _is_mesh(said):
            mesh = dict(said)
        elif name == "replicated" and _is_names(said):
            run[name] = list(said)
        elif (name == TOTAL_STEPS and _is_whole(said, MAX_STEP) and said > 0) or (
            name in RATES and _is_rate(said)
        ):
            run[name] = said
        else:
            known = name in ("mesh", "replicated", TOTAL_STEPS, *RATES)
            refused.append(name if known else "unknown")
    return Facts(mesh, run, tuple(refused))


def merge_facts(known: Mapping[str, object], said: Mapping[str, object]) -> dict[str, object]:
    """Return a run's facts with those of another rank; names of metrics add up, the later holds.

    Args:
        known: From :func:`read_facts`, or from here.
        said: From :func:`read_facts`.
    """
    merged = {**known, **said}
    names: dict[str, None] = {}
    for facts in (known, said):
        listed = facts.get("replicated")
        names.update(dict.fromkeys(listed if isinstance(listed, list) else ()))
    if names:
        merged["replicated"] = list(names)[:MAX_REPLICATED]
    return merged


def _is_mesh(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MAX_AXES
        and all(name_fault(axis) is None and len(axis) <= MAX_AXIS_NAME for axis in value)
        and all(_is_whole(place, _MAX_PLACE) for place in value.values())
    )


def _is_names(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_REPLICATED
        and all(name_fault(name) is None for name in value)
    )


def _is_whole(value: object, highest: int) -> bool:
    return type(value) is int and 0 <= value <= highest


def _is_rate(value: object) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf  # type: ignore[operator]
