"""A run, or a rank of it, that makes no new step.

Law: nothing is said before steps have shown how long one takes, nor of what has ended or is silent
altogether; a phase that is known to take long is given longer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from streamviz.insight.behind import elsewhere, situation
from streamviz.insight.finding import Finding, Level, Rule
from streamviz.insight.standing import ENDED, SILENT, Standing
from streamviz.insight.wording import age, named, ranks_named, whole

__all__ = ["FLOOR_S", "stall_limit", "stalls"]

FLOOR_S = 60.0
"""Less is no stall: saving a checkpoint and validating take as long."""
STEPS_MISSED = 20.0
"""Steps that would have fitted in."""
LONG_PHASES = 10.0
"""Times as long for a phase whose name says that it takes long."""
_GOES_ON = 0.5
"""Of the limit: a rank that made a step within it goes on. The ranks of a run that stands still
pass the limit one after the other, since they made their last step at different moments."""
_LONG = re.compile(r"eval|valid|test|checkpoint|ckpt|save|load|compil|generat|warm", re.IGNORECASE)


def stall_limit(step_s: float, floor_s: float) -> float:
    """Return the seconds without a step after which something is wrong.

    Args:
        step_s: What a step usually takes, seconds.
        floor_s: The least that counts, seconds.
    """
    return max(STEPS_MISSED * step_s, floor_s)


def stalls(
    ranks: Sequence[Standing], step_s: float, now: float, floor_s: float = FLOOR_S
) -> list[Finding]:
    """Return what stalls at a moment: the run as a whole, or some of its ranks.

    Args:
        ranks: Where the latest attempt of every rank stands.
        step_s: What a step usually takes, seconds; 0: not known, so nothing is said.
        now: Wall time, seconds since the epoch.
        floor_s: The least that counts, seconds.
    """
    if step_s <= 0:
        return []
    limit = stall_limit(step_s, floor_s)
    moving = [
        one
        for one in ranks
        if one.state not in ENDED and one.state not in SILENT and one.step is not None
    ]
    stuck = [one for one in moving if one.still_s > limit * (LONG_PHASES if _is_long(one) else 1)]
    if not stuck:
        return []
    if any(_is_long(one) and one not in stuck for one in moving) and len(moving) > 1:
        # Somebody saves or validates, and the others wait for it.
        return []
    first = min(stuck, key=lambda one: (one.step or 0, -one.still_s, one.rank))
    if all(one.still_s > _GOES_ON * limit for one in moving):
        odd = None if _alone(moving) else elsewhere(moving)
        alone = odd is not None or _alone(moving)
        text = _whole_run(ranks, moving, step_s)
        return [_finding(text, first if odd is None else odd, now, alone=alone)]
    return [_finding(_some(stuck, first), first, now, alone=len(stuck) == 1)]


def _is_long(one: Standing) -> bool:
    return one.phase is not None and _LONG.search(one.phase) is not None


def _alone(stuck: Sequence[Standing]) -> bool:
    """Say whether one rank is behind all others."""
    lowest = min(one.step or 0 for one in stuck)
    return sum((one.step or 0) == lowest for one in stuck) == 1


def _whole_run(ranks: Sequence[Standing], stuck: Sequence[Standing], step_s: float) -> str:
    sentence = situation(ranks, step_s)
    if sentence:
        return sentence
    top = max(one.step or 0 for one in stuck)
    return f"no step for {age(min(one.still_s for one in stuck))}, last {whole(top)}"


def _some(stuck: Sequence[Standing], first: Standing) -> str:
    who = named(first.rank, first.host)
    if len(stuck) > 1:
        who = ranks_named(sorted(one.rank for one in stuck))
    verb = "has" if len(stuck) == 1 else "have"
    at = "" if first.step is None else f", last {whole(first.step)}"
    return f"{who} {verb} made no step for {age(first.still_s)}{at}, others go on"


def _finding(text: str, first: Standing, now: float, *, alone: bool) -> Finding:
    return Finding(
        rule=Rule.STALL,
        level=Level.ERROR,
        text=text,
        time=now,
        rank=first.rank if alone else None,
        host=first.host if alone else "",
        step=first.step,
    )
