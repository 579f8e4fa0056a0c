"""TensorBoard's habits: its directory's name, its bins, and texts as Markdown."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from streamviz.clock import wall_time
from streamviz.config import environment, setting
from streamviz.publisher.identity import find_run

__all__ = ["as_text", "bins_of", "default_bins", "default_run"]


def default_run(ranks: int) -> str:
    """Return the last part of the directory that is made where none is given.

    Args:
        ranks: Processes of the job; several must come to one name by themselves.
    """
    named = setting("run", None, "", str)
    if named:
        return named
    now = wall_time()
    if ranks > 1:
        return find_run(environment(), parent_pid=os.getppid(), now=now, ranks=ranks)
    return f"{datetime.fromtimestamp(now).strftime('%b%d_%H-%M-%S')}_{socket.gethostname()}"


def default_bins() -> list[float]:
    """Return the edges of TensorBoard's histograms, from -1e20 to 1e20."""
    right = []
    edge = 1e-12
    while edge < 1e20:
        right.append(edge)
        edge *= 1.1
    return [*(-edge for edge in reversed(right)), 0, *right]


def bins_of(
    low: float, high: float, limits: Sequence[Any], counts: Sequence[Any]
) -> tuple[list[float], list[float]]:
    """Return edges and counts of buckets that are told by their upper limits.

    Args:
        low: The lowest value, where the first bucket begins.
        high: The highest, where the last ends if its limit is as good as infinite.
        limits: The buckets' upper limits.
        counts: What is in them.
    """
    right = [float(limit) for limit in limits]
    told = [float(count) for count in counts]
    if right and right[-1] >= sys.float_info.max:
        right[-1] = max([high, *right[-2:-1]])
    # An empty first bucket is how TensorBoard says where the second begins.
    while len(told) > 1 and len(right) == len(told) and not told[0]:
        left = right.pop(0)
        told.pop(0)
        if told[0]:
            return [left, *right], told
    first = right[0] if right else 0.0
    return [low if low < first else first - max(abs(first) * 1e-9, 1e-12), *right], told


def as_text(value: object) -> str:
    """Return text as it is, a list as Markdown's, and a mapping as a table."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        rows = [f"| {_in_cell(key)} | {_in_cell(entry)} |" for key, entry in value.items()]
        return "\n".join(["| key | value |", "|---|---|", *rows])
    if isinstance(value, (list, tuple)):
        return "\n".join(f"- {entry}" for entry in value)
    return str(value)


def _in_cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
