"""Values that must be equal on all ranks, and are not: replicas that have drifted apart.

Law: it speaks of one step that several ranks have sent once each; with two there is nobody to name.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamviz.insight.batch import FloatArray, IntArray
from streamviz.insight.finding import Finding, Level, Rule
from streamviz.insight.steps import WholeStep
from streamviz.insight.wording import named, plural, ranks_named, whole

__all__ = ["TOLERANCE", "disagreement"]

TOLERANCE = 1e-6
"""Relative difference that counts as equal: what the order of a sum in float32 makes."""


def disagreement(
    step: WholeStep, column: int, metric: str, hosts: Mapping[int, str]
) -> Finding | None:
    """Return what is wrong with a metric that must be equal on all ranks, at one step.

    Args:
        step: The step, with the values of every rank that sent it.
        column: Which of its columns.
        metric: The metric's name.
        hosts: By rank, where it runs.
    """
    if step.repeated or step.rank.size < 2:
        return None
    values = step.values[:, column]
    apart, usual = _apart(values)
    if not apart.any():
        return None
    ranks = step.rank[apart]
    lead = f"{metric} differs between ranks at step {whole(step.step)}: "
    if 2 * ranks.size < step.rank.size:
        rank = int(ranks[0])
        host = hosts.get(rank, "")
        odd = _in_words(float(values[apart][0]), usual)
        who = named(rank, host) if ranks.size == 1 else ranks_named(ranks.tolist())
        text = f"{lead}{who} has {odd[0]}, {plural(step.rank.size - ranks.size, 'rank')} {odd[1]}"
        if ranks.size > 1:
            text = text.replace(" has ", " have ", 1)
    else:
        rank, host = None, ""
        text = lead + _extremes(values, step.rank)
    return Finding(
        rule=Rule.REPLICAS,
        level=Level.ERROR,
        text=text,
        time=step.time,
        rank=rank,
        host=host,
        metric=metric,
        step=step.step,
    )


def _apart(values: FloatArray) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], float]:
    """Return who is away from what most have, and what that is."""
    bad = np.isnan(values)
    if bad.all():
        return np.zeros(values.size, np.bool_), float("nan")
    if 2 * int(bad.sum()) > values.size:
        return ~bad, float("nan")
    usual = float(np.sort(values[~bad])[(values.size - int(bad.sum())) // 2])
    if np.isinf(usual):
        return values != usual, usual
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(values - usual) <= TOLERANCE * abs(usual)
    return ~near, usual


def _in_words(one: float, other: float) -> tuple[str, str]:
    """Return two different values in words that differ, too."""
    for digits in (4, 8, 17):
        words = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if words[0] != words[1]:
            return words
    return repr(one), repr(other)


def _extremes(values: FloatArray, ranks: IntArray) -> str:
    bad = np.isnan(values)
    if bad.any():
        low = int(np.flatnonzero(~bad)[0])
        high = int(np.flatnonzero(bad)[0])
    else:
        low, high = int(values.argmin()), int(values.argmax())
    one, other = _in_words(float(values[low]), float(values[high]))
    lead = f"rank {whole(int(ranks[low]))} has {one}"
    return f"{lead}, rank {whole(int(ranks[high]))} {other.replace('nan', 'NaN')}"
