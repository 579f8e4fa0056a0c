"""The alerts of one run: findings folded by rule, metric and rank, with how often and until when.

Law: the number of alerts is bounded; what does not fit is counted; the first bad value of a run
stays for ever.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace

from streamviz.insight.finding import Finding, Rule

__all__ = ["HOLD_S", "MOST_ALERTS", "MOST_ALERT_LETTERS", "REPEAT_S", "Alert", "Alerts"]

MOST_ALERTS = 256
"""Alerts of a run: more than anybody reads; those that are over and oldest go first."""
MOST_ALERT_LETTERS = 1_000
"""Letters of an alert's sentence, of a metric's name in it, of a host."""
HOLD_S = 60.0
"""How long a momentary finding, as a spike, counts as going on after the last one."""
REPEAT_S = 60.0
"""Least time between two messages for the same alert that comes and goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert, as it is told: folded findings."""

    id: int
    """Unique within the run, growing."""
    rule: str
    level: str
    text: str
    rank: int | None
    attempt: int
    host: str
    metric: str | None
    step: int | None
    time: float
    """Wall time of the finding it tells of, seconds since the epoch."""
    last: float
    """Wall time of the newest one."""
    until: float | None
    """When it ended; ``None`` while it goes on."""
    count: int
    fold: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes findings this alert."""
        return self.rule, self.metric or "", self.fold

    def row(self) -> dict[str, object]:
        """Return it as JSON can say it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Alerts:
    """Owner: the watch of a run, which alone writes; a snapshot is anybody's.

    Attributes:
        version: Grows with every change.
        opened: Alerts that opened since they were last taken out, for messages.
        turned_away: Findings that there was no room for.
    """

    def __init__(self) -> None:
        self.version = 0
        self.opened: list[Alert] = []
        self.turned_away = 0
        self._held: dict[tuple[str, str, str], Alert] = {}
        self._lasting: set[tuple[str, str, str]] = set()
        self._heard: dict[tuple[str, str, str], float] = {}
        """When a momentary finding last came, by the watch's clock, of alerts that go on."""
        self._told: dict[tuple[str, str, str], float] = {}
        self._next = 1

    def all(self) -> tuple[Alert, ...]:
        """Return the alerts, in order of their ids."""
        return tuple(sorted(self._held.values(), key=lambda alert: alert.id))

    def first_bad(self) -> Alert | None:
        """Return the alert of the run's first NaN or infinity, ``None`` without any."""
        bad = [alert for alert in self._held.values() if alert.rule == Rule.NAN]
        return min(bad, key=_order, default=None)

    def note(self, finding: Finding, now: float) -> None:
        """Take in a momentary finding.

        Args:
            finding: What was found.
            now: Wall time, seconds since the epoch.
        """
        alert = self._held.get(finding.key)
        if alert is None:
            if self._open(finding, now):
                self._heard[finding.key] = now
            return
        again = alert.until is not None
        earlier = finding.earliest and finding.order < _order(alert)
        self._heard[finding.key] = now
        if earlier or (again and not finding.earliest):
            alert = _retold(alert, finding, alert.count + finding.count)
        else:
            alert = replace(alert, count=alert.count + finding.count)
        self._put(replace(alert, until=None, last=max(alert.last, finding.time)))
        if again:
            self._announce(self._held[finding.key], now)

    def hold(self, rules: Collection[str], findings: Iterable[Finding], now: float) -> None:
        """Take in all that is found at a moment by rules whose findings last.

        Args:
            rules: Which rules were asked; their alerts that are not among the findings end.
            findings: What they found.
            now: Wall time, seconds since the epoch.
        """
        going_on = set()
        for finding in findings:
            key = finding.key
            going_on.add(key)
            alert = self._held.get(key)
            if alert is None:
                if self._open(finding, now):
                    self._lasting.add(key)
            elif alert.until is not None:
                self._lasting.add(key)
                self._put(replace(_retold(alert, finding, alert.count + 1), until=None))
                self._announce(self._held[key], now)
            elif alert.level != finding.level:
                self._put(replace(alert, level=finding.level, text=_cut(finding.text), last=now))
                self._announce(self._held[key], now, at_once=True)
        for key in [key for key in self._lasting if key[0] in rules and key not in going_on]:
            self._end(key, now)

    def settle(self, now: float) -> None:
        """End momentary alerts of which nothing was found for a while."""
        for key, heard in list(self._heard.items()):
            if now - heard > HOLD_S:
                self._end(key, now)

    def _end(self, key: tuple[str, str, str], now: float) -> None:
        self._lasting.discard(key)
        momentary = self._heard.pop(key, None) is not None
        alert = self._held.get(key)
        if alert is not None and alert.until is None:
            self._put(replace(alert, until=alert.last if momentary else now))

    def _open(self, finding: Finding, now: float) -> bool:
        if len(self._held) >= MOST_ALERTS and not self._make_room():
            self.turned_away += 1
            return False
        alert = Alert(
            id=self._next,
            rule=finding.rule,
            level=finding.level,
            text=_cut(finding.text),
            rank=finding.rank,
            attempt=finding.attempt,
            host=_cut(finding.host),
            metric=finding.metric,
            step=finding.step,
            time=finding.time,
            last=finding.time,
            until=None,
            count=finding.count,
            fold=finding.fold,
        )
        self._next += 1
        self._put(alert)
        self._announce(alert, now)
        return True

    def _make_room(self) -> bool:
        """Let go of the oldest alert that is over; never of the run's first bad value."""
        first = self.first_bad()
        over = [one for one in self._held.values() if one.until is not None and one is not first]
        if not over:
            return False
        gone = min(over, key=lambda alert: (alert.last, alert.id)).key
        del self._held[gone]
        self._told.pop(gone, None)
        self.turned_away += 1
        return True

    def _put(self, alert: Alert) -> None:
        self._held[alert.key] = alert
        self.version += 1

    def _announce(self, alert: Alert, now: float, *, at_once: bool = False) -> None:
        told = self._told.get(alert.key)
        if at_once or told is None or now - told >= REPEAT_S:
            self._told[alert.key] = now
            self.opened.append(alert)

    # What lasts over a restart

    def restore(self, rows: Iterable[Mapping[str, object]], now: float) -> None:
        """Take back alerts of an earlier process of the server; those that went on have ended.

        Args:
            rows: As :meth:`Alert.row` gives them; those that are none are left out.
            now: Wall time, seconds since the epoch.
        """
        for row in rows:
            alert = _alert_of(row)
            if alert is None or len(self._held) >= MOST_ALERTS:
                continue
            if alert.until is None:
                alert = replace(alert, until=min(now, max(alert.last, alert.time)))
            self._held[alert.key] = alert
            self._next = max(self._next, alert.id + 1)
        self.version += 1


def _cut(text: str) -> str:
    """Return a text that is not longer than allowed and can be written as UTF-8."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MOST_ALERT_LETTERS else text[: MOST_ALERT_LETTERS - 1] + "…"


def _order(alert: Alert) -> tuple[int, int, float]:
    return alert.attempt, -1 if alert.step is None else alert.step, alert.time


def _retold(alert: Alert, finding: Finding, count: int) -> Alert:
    """Return the alert as a finding tells it."""
    return replace(
        alert,
        level=finding.level,
        text=_cut(finding.text),
        rank=finding.rank,
        attempt=finding.attempt,
        host=_cut(finding.host),
        step=finding.step,
        time=finding.time,
        count=count,
    )


def _alert_of(row: Mapping[str, object]) -> Alert | None:
    """Return the alert that a row of a file says, ``None`` if it says none."""
    types: dict[str, tuple[type, ...]] = {
        **dict.fromkeys(("id", "attempt", "count"), (int,)),
        **dict.fromkeys(("rule", "level", "text", "host", "fold"), (str,)),
        **dict.fromkeys(("time", "last"), (int, float)),
        "until": (int, float, type(None)),
        "rank": (int, type(None)),
        "step": (int, type(None)),
        "metric": (str, type(None)),
    }
    values: dict[str, object] = {}
    for name, allowed in types.items():
        value = row.get(name)
        if isinstance(value, bool) or not isinstance(value, allowed):
            return None
        if isinstance(value, float) and not math.isfinite(value):
            return None
        values[name] = _cut(value) if isinstance(value, str) else value
    return Alert(**values)  # type: ignore[arg-type]  # each was looked at
