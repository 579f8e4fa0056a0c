"""Ranks that fell silent, and ranks that ended with an error.

Law: only what was heard alive while somebody watched can fall silent.
"""

from __future__ import annotations

from collections.abc import Sequence

from streamviz.ingest.liveness import WorkerState
from streamviz.insight.behind import situation
from streamviz.insight.finding import Finding, Level, Rule
from streamviz.insight.standing import SILENT, Standing
from streamviz.insight.wording import age, named, ranks_named, whole

__all__ = ["NAMED_AT_MOST", "lost"]

NAMED_AT_MOST = 8
"""Ranks that get an alert each; of more, a cut cable or a dead node, one tells of all."""


def lost(ranks: Sequence[Standing], now: float) -> list[Finding]:
    """Return who is silent and who has failed at a moment.

    Args:
        ranks: Where the latest attempt of every rank stands.
        now: Wall time, seconds since the epoch.
    """
    silent = [one for one in ranks if one.state in SILENT and one.watched]
    failed = [one for one in ranks if one.state is WorkerState.FAILED and one.watched]
    found = _each(silent, Rule.SILENT, now) if len(silent) <= NAMED_AT_MOST else _all(silent, now)
    if len(failed) <= NAMED_AT_MOST:
        return found + _each(failed, Rule.FAILED, now)
    first = failed[0]
    text = f"{ranks_named([one.rank for one in failed])} ended with an error"
    return [*found, _finding(Rule.FAILED, text, first, now, Level.ERROR, rank=None, fold="many")]


def _each(ranks: Sequence[Standing], rule: str, now: float) -> list[Finding]:
    return [
        _finding(rule, _sentence(one, rule), one, now, _level(one), rank=one.rank) for one in ranks
    ]


def _all(silent: Sequence[Standing], now: float) -> list[Finding]:
    level = max((_level(one) for one in silent), key=lambda word: word == Level.ERROR)
    text = situation(silent)
    return [_finding(Rule.SILENT, text, silent[0], now, level, rank=None, fold="many")]


def _level(one: Standing) -> str:
    return Level.WARNING if one.state is WorkerState.STALE else Level.ERROR


def _sentence(one: Standing, rule: str) -> str:
    at = "before any step" if one.step is None else f"at step {whole(one.step)}"
    where = f" in `{one.phase}`" if one.phase else ""
    who = named(one.rank, one.host)
    if rule == Rule.FAILED:
        return f"{who} ended with an error {at}"
    if one.state is WorkerState.GONE:
        return f"{who} lost: silent for {age(one.age_s)}, last {at}{where}"
    return f"{who} silent for {age(one.age_s)}, last {at}{where}"


def _finding(
    rule: str, text: str, one: Standing, now: float, level: str, *, rank: int | None, fold: str = ""
) -> Finding:
    return Finding(
        rule=rule,
        level=level,
        text=text,
        time=now,
        rank=rank,
        host=one.host if rank is not None else "",
        step=one.step,
        fold=fold or str(rank),
    )
