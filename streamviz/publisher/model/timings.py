"""A profile of ``torch.profiler``, or any table of running times, as a document.

Law: at most :data:`MOST_ROWS` rows, those that took longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamviz.publisher.values import Unusable

__all__ = ["MOST_ROWS", "timings_of"]

MOST_ROWS = 200
_COLUMNS = [
    "operator", "calls", "self CPU (s)", "CPU total (s)", "self device (s)", "device total (s)",
    "share",
]  # fmt: skip


def timings_of(source: Any, title: str) -> dict[str, object]:
    """Return the document of a profile.

    Args:
        source: A ``torch.profiler.profile`` that has ended, what its ``key_averages()`` gave, or a
            table: rows below a row of columns' names.
        title: Above it.

    Raises:
        Unusable: It is none of these, or has not ended.
    """
    averages = source
    if hasattr(source, "key_averages"):
        try:
            averages = source.key_averages()
        except Exception as error:  # noqa: BLE001 - promise 1: whatever torch raises stays here
            raise Unusable(
                "a profile that cannot be read", f"{type(error).__name__}: has it ended?"
            ) from None
    try:
        rows = list(averages)
    except TypeError:
        raise Unusable("a profile that is no table") from None
    if rows and all(hasattr(row, "self_cpu_time_total") for row in rows):
        return {"title": title, "columns": _COLUMNS, "rows": _of_operators(rows)}
    if len(rows) < 2 or not all(isinstance(row, (list, tuple)) for row in rows):
        raise Unusable(
            "a profile without rows", "expected torch.profiler's, or a row of names and rows below"
        )
    columns, *body = [[_cell(cell) for cell in row] for row in rows]
    return {"title": title, "columns": [str(name) for name in columns], "rows": body[:MOST_ROWS]}


def _of_operators(events: Sequence[Any]) -> list[list[object]]:
    # A kernel stands there twice: by itself, and in the time of the operator that launched it.
    twice = any(not _is_kernel(one) and _device_time(one) for one in events)
    found: list[tuple[float, bool, list[object]]] = []
    for event in events:
        # The profiler counts in microseconds.
        device, cpu = _device_time(event), event.self_cpu_time_total / 1e6
        below = _first(event, "device_time_total", "cuda_time_total") / 1e6
        key, total = str(event.key)[:200], event.cpu_time_total / 1e6
        counts = not (twice and _is_kernel(event))
        row: list[object] = [key, int(event.count), cpu, total, device, below]
        found.append((cpu + device, counts, row))
    found.sort(key=lambda one: (-one[0], not one[1]))
    whole = sum(own for own, counts, _ in found if counts) or 1.0
    return [[*row, own / whole if counts else None] for own, counts, row in found[:MOST_ROWS]]


def _is_kernel(event: Any) -> bool:
    """Say whether a row is of a device's own work; where it cannot be asked it is an operator."""
    return not str(getattr(event, "device_type", "CPU")).endswith("CPU")


def _device_time(event: Any) -> float:
    return _first(event, "self_device_time_total", "self_cuda_time_total") / 1e6


def _first(event: Any, *names: str) -> float:
    """Return the first of some attributes that there is: their names changed with torch 2.4."""
    for name in names:
        value = getattr(event, name, None)
        if value is not None:
            return float(value)
    return 0.0


def _cell(cell: object) -> object:
    return cell if cell is None or isinstance(cell, (bool, int, float)) else str(cell)[:200]
