"""Who is behind: one sentence of what a run waits for, and the order in which to look at its ranks.

Law: a rank is named only for what it said of itself: its last step, its phase, its silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from streamviz.insight.standing import ENDED, SILENT, Standing
from streamviz.insight.wording import age, named, plural, ranks_named, whole

__all__ = ["BEHIND_S", "STEPS_WAITED", "behind_order", "elsewhere", "situation"]

BEHIND_S = 5.0
"""Ranks report at different moments: one that is a step behind for less is merely told later."""
STEPS_WAITED = 4.0
"""Steps that must have had time to happen: a run of slow steps stands still for longer."""


def situation(ranks: Sequence[Standing], step_s: float = 0.0) -> str:
    """Say what a run waits for; empty when nobody keeps it, or it is over.

    Args:
        ranks: Where the latest attempt of every rank stands, by rank.
        step_s: How long a step of the run usually takes, seconds; 0 when that is not known.
    """
    active = [one for one in ranks if one.state not in ENDED]
    silent = [one for one in active if one.state in SILENT and one.watched]
    if silent:
        return _silent(silent)
    live = [one for one in active if one.state not in SILENT and one.step is not None]
    if not live:
        return ""  # nobody has begun; who never sends a row is not waited for
    limit = max(BEHIND_S, STEPS_WAITED * step_s)
    still = [one for one in live if one.still_s >= limit]
    lowest = min(_step(one) for one in live)
    back = [one for one in still if _step(one) == lowest]
    ahead = [one for one in live if _step(one) > lowest]
    if ahead and back:
        return _behind(back, ahead, limit)
    if not ahead and len(still) == len(live):
        return _all_still(live)
    return ""


def behind_order(ranks: Sequence[Standing]) -> list[int]:
    """Return ranks in the order in which to look at them: silent first, then the lowest step.

    Of the same step the one that has stood still longest comes first; those that have ended well
    are last.
    """

    def key(one: Standing) -> tuple[bool, bool, int, float, int]:
        step = -1 if one.step is None else one.step
        return one.state in ENDED, one.state not in SILENT, step, -one.still_s, one.rank

    return [one.rank for one in sorted(ranks, key=key)]


def elsewhere(ranks: Sequence[Standing]) -> Standing | None:
    """Return the one rank that is in another phase than all the others, ``None`` if none is."""
    phases = Counter(one.phase for one in ranks)
    if len(ranks) <= 2 or len(phases) != 2:
        return None
    (common, _), (_, single) = phases.most_common(2)
    if single != 1 or common is None:
        return None
    return next(one for one in ranks if one.phase != common)


def _step(one: Standing) -> int:
    return -1 if one.step is None else one.step


def _where(one: Standing) -> str:
    return f" in `{one.phase}`" if one.phase else ""


def _silent(silent: list[Standing]) -> str:
    # The one that fell silent first; the others may have died of it.
    first = max(silent, key=lambda one: (one.age_s, -one.rank))
    last = "before any step" if first.step is None else f"last at step {whole(first.step)}"
    sentence = f"{named(first.rank, first.host)} silent for {age(first.age_s)}, {last}"
    sentence += _where(first)
    others = sorted(one.rank for one in silent if one is not first)
    return f"{sentence}; {ranks_named(others)} silent too" if others else sentence


def _behind(back: list[Standing], ahead: list[Standing], limit: float) -> str:
    first = max(back, key=lambda one: (one.still_s, -one.rank))
    since = max(first.still_s, first.phase_s if first.phase else 0.0)
    sentence, at = named(first.rank, first.host), f"at step {whole(_step(first))}"
    if first.phase:
        sentence += f"{_where(first)} for {age(since)} {at}"
    else:
        sentence += f" {at} for {age(since)}"
    others = sorted(one.rank for one in back if one is not first)
    if others:
        sentence += f", with {ranks_named(others)}"
    top, lowest = max(_step(one) for one in ahead), _step(first)
    count = plural(len(ahead), "rank")
    if all(one.still_s >= limit for one in ahead):
        verb = "waits" if len(ahead) == 1 else "wait"
        if top > lowest + 1:
            verb = "stands" if len(ahead) == 1 else "stand"
        return f"{sentence}; {count} {verb} at {whole(top)}"
    verb = "goes" if len(ahead) == 1 else "go"
    return f"{sentence}; {count} {verb} on, up to {whole(top)}"


def _all_still(live: list[Standing]) -> str:
    """Say that no rank moves, and which one is elsewhere than all the others, if one is."""
    span = min(one.still_s for one in live)
    at = whole(_step(live[0]))
    phases = Counter(one.phase for one in live)
    common = phases.most_common(1)[0][0]
    odd = elsewhere(live)
    if odd is not None:
        where = _where(odd) or " in no phase"
        for_s = age(odd.phase_s if odd.phase else odd.still_s)
        sentence = f"{named(odd.rank, odd.host)}{where} for {for_s} after step {at}"
        return f"{sentence}; {plural(len(live) - 1, 'rank')} in `{common}`"
    where = f", all in `{common}`" if len(phases) == 1 and common is not None else ""
    if len(live) == 1:
        who = f"{named(live[0].rank, live[0].host)}{_where(live[0])}"
        return f"{who}: no step for {age(span)}, last {at}"
    return f"no rank has made a step for {age(span)}, last {at}{where}"
