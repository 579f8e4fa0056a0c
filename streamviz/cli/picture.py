"""A run as lines of text for a terminal: how it goes, and its ranks, the worst first.

Law: pure functions of what the API said; text from outside loses its control characters, and no
line is wider than the terminal.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Line", "Look", "one_line", "picture"]

_WORST_FIRST = ("failed", "gone", "stale", "joining", "live", "recorded", "done")
_WORDS = {"stale": "silent", "gone": "lost"}
"""What the page calls them."""
_BAD, _POOR = frozenset({"failed", "gone"}), frozenset({"stale"})
_COLUMNS = ("RANK", "HOST", "STATE", "STEP", "BEHIND", "HEARD")
_MOST_HOST = 24
_MOST_ALERTS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and how it is set."""

    text: str
    weight: str = ""
    """``bold``, ``dim``, ``bad`` (wrong), ``poor`` (may become wrong), or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was asked at one moment.

    Attributes:
        server: Address of the server.
        clock: Time of day, as text.
        run: The run's entry of ``/api/v1/runs``, ``None`` if there is none.
        runs: Names of all runs.
        status: ``/api/v1/status``, empty if this reader may not see it.
        alerts: ``/api/v1/alerts``.
        metric: The metric that is told, as a rule the loss.
        values: Its newest value of some ranks.
        steps_per_s: Of the fastest rank; ``None`` before the second look.
        trouble: Why there is nothing newer, else empty.
    """

    server: str
    clock: str
    run: Mapping[str, Any] | None = None
    runs: Sequence[str] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    alerts: Mapping[str, Any] = field(default_factory=dict)
    metric: str = ""
    values: Sequence[float] = ()
    steps_per_s: float | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Rank:
    rank: int
    host: str
    state: str
    step: int | None
    behind: int
    age_s: float
    alert: str

    @property
    def order(self) -> tuple[object, ...]:
        """Sorts the worst first."""
        place = _WORST_FIRST.index(self.state) if self.state in _WORST_FIRST else 0
        return (place, not self.alert, -self.behind, self.rank)

    @property
    def weight(self) -> str:
        if self.state in _BAD or self.alert:
            return "bad"
        return "poor" if self.state in _POOR else ""


def picture(look: Look, width: int, height: int) -> list[Line]:
    """Return at most ``height`` lines of at most ``width`` cells.

    Args:
        look: What there is to show.
        width: Cells of a line.
        height: Lines.
    """
    lines = _head(look)
    if look.run is not None:
        lines += _body(look, max(height - len(lines), 0))
    return [Line(_cut(line.text, width), line.weight) for line in lines[: max(height, 0)]]


def one_line(look: Look) -> str:
    """Return the whole of it in one line, for a terminal that can only print."""
    if look.run is None or look.trouble:
        return _plain(f"{look.clock} {look.trouble or 'no run yet'}")
    words = [look.clock, *_of_run(look), *_of_data(look)]
    said = [look.alerts.get("situation"), *(alert["text"] for alert in _open(look))]
    told = {_gist(text): text for text in reversed(said) if text}
    return _plain("  ".join(words + [f"! {text}" for text in reversed(told.values())]))


# -- the head ------------------------------------------------------------------------------


def _head(look: Look) -> list[Line]:
    if look.run is None:
        waiting = f"no run yet: {look.server} listens"
        return [
            Line(f"streamviz  {look.clock}", "bold"),
            Line(look.trouble or waiting, "bad" if look.trouble else ""),
        ]
    lines = [Line("  ".join(("streamviz", *_of_run(look), look.clock)), "bold")]
    lines.append(Line("  ".join(_of_data(look))))
    if look.trouble:
        lines.append(Line(f"! {look.trouble}", "bad"))
    situation = look.alerts.get("situation")
    if situation:
        lines.append(Line(f"! {situation}", "bad"))
    # An alert may say what the situation says, of a moment ago.
    found = [alert for alert in _open(look) if _gist(alert["text"]) != _gist(situation or "")]
    told = found[:_MOST_ALERTS]
    lines += [Line(f"! {alert['rule']}: {alert['text']}", "bad") for alert in told]
    if len(found) > _MOST_ALERTS:
        lines.append(Line(f"  and {len(found) - _MOST_ALERTS:,} more alerts", "dim"))
    return [*lines, Line("")]


def _of_run(look: Look) -> list[str]:
    run = look.run or {}
    ranks = _ranks(look)
    expected = max((worker["world_size"] for worker in run["workers"]), default=0)
    live = sum(rank.state == "live" for rank in ranks)
    step = max((rank.step for rank in ranks if rank.step is not None), default=None)
    total = run.get("facts", {}).get("total_steps")
    of_total = f" of {total:,}" if isinstance(total, int) else ""
    words = [
        str(run["run"]),
        _WORDS.get(run["state"], run["state"]),
        f"ranks {live:,} of {max(expected, len(ranks)):,}",
        "no step yet" if step is None else f"step {step:,}{of_total}",
    ]
    if look.steps_per_s is not None and run["state"] == "live":
        words.append(f"{look.steps_per_s:.3g} steps/s")
        if isinstance(total, int) and step is not None and total > step and look.steps_per_s > 0:
            words.append(f"ETA {_age((total - step) / look.steps_per_s)}")
    return words


def _of_data(look: Look) -> list[str]:
    run, status = look.run or {}, look.status
    words = []
    if look.values:
        finite = sorted(value for value in look.values if math.isfinite(value))
        shown = f"{finite[len(finite) // 2]:.4g}" if finite else "not a number"
        bad = len(look.values) - len(finite)
        words.append(f"{look.metric} {shown}" + (f" (not a number on {bad})" if bad else ""))
    ages = [worker["age_s"] for worker in run["workers"] if worker["state"] == "live"]
    if ages:
        words.append(f"heard {_age(min(ages))} ago")
    lag = status.get("lag_ms", {}).get(run["run"])
    if lag is not None:
        words.append(f"lag {lag:.0f} ms")
    if status:
        rows = status.get("rows", {})
        words.append(f"dropped {sum(status.get('dropped', {}).values()):,}")
        if rows.get("missing"):
            words.append(f"missing {rows['missing']:,}")
        held, allowed = status.get("bytes_held", 0), status.get("bytes_allowed", 0)
        words.append(f"memory {held / 2**20:,.0f} of {allowed / 2**20:,.0f} MiB")
    return words


def _open(look: Look) -> list[Mapping[str, Any]]:
    """Return the alerts that are not over, the newest first."""
    alerts = [one for one in look.alerts.get("alerts", []) if one.get("until") is None]
    return sorted(alerts, key=lambda alert: -float(alert.get("time") or 0.0))


# -- ranks ---------------------------------------------------------------------------------


def _ranks(look: Look) -> list[_Rank]:
    """Return the newest attempt of each rank, the worst first."""
    newest: dict[int, Mapping[str, Any]] = {}
    for worker in (look.run or {})["workers"]:
        before = newest.get(worker["rank"])
        if before is None or worker["attempt"] >= before["attempt"]:
            newest[worker["rank"]] = worker
    front = max((w["last_step"] for w in newest.values() if w["last_step"] is not None), default=0)
    alerts = {one["rank"]: str(one["rule"]) for one in reversed(_open(look))}
    ranks = [
        _Rank(
            rank,
            str(worker["host"]),
            str(worker["state"]),
            worker["last_step"],
            0 if worker["last_step"] is None else front - worker["last_step"],
            worker["age_s"],
            alerts.get(rank, ""),
        )
        for rank, worker in newest.items()
    ]
    return sorted(ranks, key=lambda rank: rank.order)


def _body(look: Look, room: int) -> list[Line]:
    """Return the table of the worst ranks in so many lines, and what the others are."""
    ranks = _ranks(look)
    shown = ranks if len(ranks) < room else ranks[: max(room - 2, 0)]
    cells = [
        (
            str(rank.rank),
            _cut(_plain(rank.host), _MOST_HOST),
            _WORDS.get(rank.state, rank.state),
            "-" if rank.step is None else f"{rank.step:,}",
            f"{rank.behind:,}" if rank.behind else "",
            "" if rank.state in ("done", "failed", "recorded") else f"{_age(rank.age_s)} ago",
        )
        for rank in shown
    ]
    widths = [max(map(_width, column)) for column in zip(_COLUMNS, *cells, strict=True)]
    lines = [Line(_row(_COLUMNS, widths, "ALERT"), "dim")]
    for rank, row in zip(shown, cells, strict=True):
        lines.append(Line(_row(row, widths, rank.alert), rank.weight))
    rest = ranks[len(shown) :]
    if rest:
        states = Counter(_WORDS.get(rank.state, rank.state) for rank in rest)
        counts = ", ".join(f"{count:,} {state}" for state, count in states.items())
        lines.append(Line(f"and {len(rest):,} more: {counts}", "dim"))
    return lines


def _row(cells: Sequence[str], widths: Sequence[int], last: str) -> str:
    text = []
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - _width(cell))
        text.append(cell + space if number in (1, 2) else space + cell)
    return "  ".join((*text, last)).rstrip()


# -- text ----------------------------------------------------------------------------------


def _gist(text: str) -> str:
    """Return a sentence without since when it holds."""
    return text.partition(" for ")[0]


def _age(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _plain(text: str) -> str:
    """Return text without what a terminal would obey."""
    return "".join("?" if unicodedata.category(c)[0] == "C" else c for c in text)


def _width(text: str) -> int:
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(text: str, width: int) -> str:
    """Return what of a text fits into so many cells."""
    text = _plain(text)
    if _width(text) <= width:
        return text
    used, kept = 0, []
    for character in text:
        used += _cells(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + ("…" if width > 0 else "")
