"""Numbers, spans of time and ranks in words, as the page writes them.

Law: pure functions; a name from outside is put into a sentence as it is, never read as anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["age", "brief", "named", "plural", "ranks_named", "seconds", "whole"]

THIN = "\u202f"
"""A thin space that does not break: between thousands, as the page does."""
NAME_MAX = 80
"""Letters of a host or phase that a sentence has room for."""


def whole(value: int) -> str:
    """Return a whole number with thin spaces between its thousands."""
    return f"{value:,}".replace(",", THIN)


def plural(count: int, one: str) -> str:
    """Return one thing, many things."""
    return f"{whole(count)} {one}" if count == 1 else f"{whole(count)} {one}s"


def age(span: float) -> str:
    """Return a span of time in words: 3 s, 2 min, 3 h 12 min.

    Args:
        span: Seconds; below zero counts as zero.
    """
    if not math.isfinite(span):
        return "\u2013"
    total = max(0, round(span))
    if total < 60:
        return f"{total} s"
    minutes = total // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def seconds(span: float) -> str:
    """Return how long something takes: 12 ms, 0.21 s, 3.4 s, 2 min."""
    if span < 0.1:
        return f"{span * 1e3:.3g} ms"
    return f"{span:.2g} s" if span < 10 else age(span)


def brief(value: float) -> str:
    """Return a measured value in at most four significant digits."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "\u2212∞"
    return f"{value:.4g}".replace("-", "\u2212")


def named(rank: int, host: str) -> str:
    """Return a rank with its host: rank 417 (node-52)."""
    shown = host if len(host) <= NAME_MAX else host[: NAME_MAX - 1] + "…"
    return f"rank {whole(rank)} ({shown})" if shown else f"rank {whole(rank)}"


def ranks_named(ranks: Sequence[int], at_most: int = 3) -> str:
    """Return the first of some ranks by number, and how many more: ranks 3, 4, 9 and 12 more."""
    shown = ", ".join(whole(rank) for rank in ranks[:at_most])
    more = len(ranks) - at_most
    lead = "rank" if len(ranks) == 1 else "ranks"
    return f"{lead} {shown} and {whole(more)} more" if more > 0 else f"{lead} {shown}"
