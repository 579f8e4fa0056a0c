"""A report put together: the run, its charts by group, what else was sent, what is left off.

Law: what stands on the page is bounded, and where it was thinned out the page says so.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from importlib.resources import files

from bokeh.embed import json_item
from bokeh.resources import Resources

from streamviz import __version__
from streamviz.clock import wall_time
from streamviz.journal.entries import Head, WorkerRow
from streamviz.journal.history import History
from streamviz.journal.items import DISK_ITEMS_BYTES
from streamviz.views.charts.colours import token_rules
from streamviz.views.plotted import POLICY
from streamviz.views.ranks import RankSet
from streamviz.views.report.curves import LINES, Curves, curves_of
from streamviz.views.report.payloads import Parts, Room, parts_of

__all__ = ["Report", "report_of"]

CHARTS = 400
"""Metrics that are drawn."""
CHART_NUMBERS = 1_500_000
"""Numbers of all charts together: 16 MiB of text."""
PAYLOAD_BYTES = 24 << 20
"""Of pictures, texts and what else was sent."""
POINTS, FEWEST = 1000, 48
"""Buckets of steps of one chart."""
_STATIC = files("streamviz.views").joinpath("static")
_ORDER = ("Moments", "Pictures", "Distributions", "Charts sent", "Tables", "Texts")
_SHOWN_CONFIG = 60


@dataclass(frozen=True, slots=True)
class Report:
    """A page, and what is not on it.

    Attributes:
        html: The file.
        left_off: A sentence each.
    """

    html: str
    left_off: list[str]


@dataclass(slots=True)
class _Drawn:
    """What became of a run's metrics."""

    groups: dict[str, list[str]]
    rows: int = 0
    bucket: int = 1
    old: int = 0


def report_of(
    history: History,
    run: str,
    *,
    metrics: Collection[str] | None = None,
    ranks: RankSet | None = None,
) -> Report | None:
    """Return a run as one page, ``None`` if it is not on the disk.

    Args:
        history: Where it is.
        run: Its name.
        metrics: Only these, and nothing else that was sent; ``None``: everything.
        ranks: Of these ranks; ``None``: of all.

    Raises:
        DiskError: The disk does not give it.
        DamagedFile: Nothing of it can be read.
        NewerFile: A later version wrote it.
    """
    head = history.head(run)
    if head is None:
        return None
    workers = {i: row for i, row in head.workers.items() if ranks is None or row.rank in ranks}
    parts, room = Parts(), Room(PAYLOAD_BYTES)
    items = [] if metrics is not None else history.items(run, 2 * DISK_ITEMS_BYTES) or []
    parts_of([item for item in items if item.worker in workers], parts, room)
    names = sorted({name for names in head.tables.values() for name in names}, key=_natural)
    chosen = [name for name in names if metrics is None or name in metrics]
    drawn = _charts(history, head, chosen[:CHARTS], workers, parts)
    if len(chosen) > CHARTS:
        parts.left_off[f"metrics past the first {CHARTS}; --metric chooses"] += len(chosen) - CHARTS
    left_off = [f"left off: {count:,} {what}" for what, count in _left_off(parts, drawn)]
    notes = _notes(head, workers, drawn) + left_off
    return Report(_html(head, workers, drawn, parts, notes), left_off)


def _left_off(parts: Parts, drawn: _Drawn) -> Iterator[tuple[str, int]]:
    found = Counter(parts.left_off)
    if drawn.old:
        found["charts' earliest attempts"] += drawn.old
    yield from found.items()


# -- charts --------------------------------------------------------------------------------


def _charts(
    history: History, head: Head, names: list[str], workers: Mapping[int, WorkerRow], parts: Parts
) -> _Drawn:
    """Draw all metrics, each in its group's section."""
    drawn = _Drawn({})
    ranks = len({row.rank for row in workers.values()})
    # A line has a step and two values of a bucket, a band seven numbers.
    each = 4 * len(workers) if ranks <= LINES else 12
    points = max(FEWEST, min(POINTS, CHART_NUMBERS // max(len(names) * each, 1)))
    marks = list(dict.fromkeys(parts.marks))[-100:]
    found: list[tuple[str, Curves]] = []
    for name in names:
        curves = curves_of(history, head.run, name, workers, points=points, marks=marks)
        if curves is not None:
            found.append((name, curves))
    low = min((curves.steps[0] for _, curves in found), default=0)
    # A bucket may reach past the last step.
    last = max((row.last_step or 0 for row in workers.values()), default=0)
    high = max((curves.steps[1] for _, curves in found), default=0)
    high = max(low, min(high, last or high))
    for name, curves in found:
        curves.show(low, high)
        drawn.rows += curves.rows
        drawn.bucket = max(drawn.bucket, curves.bucket)
        drawn.old += curves.left_off
        group, _, short = name.rpartition("/")
        place = parts.chart(json_item(curves.figure))
        card = f'<section class="card" data-name="{escape(name)}"><h3>{escape(short)}</h3>{place}'
        drawn.groups.setdefault(group or "metrics", []).append(f"{card}</section>")
    return drawn


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Order names as people do: layer 2 before layer 10, and groups together."""
    parts: list[tuple[int, int | str]] = []
    digits = ""
    for letter in [*name, ""]:
        if letter.isdecimal():
            digits += letter
            continue
        if digits:
            parts.append((0, int(digits[:300])))
            digits = ""
        parts.append((1, letter))
    return parts


# -- words ---------------------------------------------------------------------------------


def _notes(head: Head, workers: Mapping[int, WorkerRow], drawn: _Drawn) -> list[str]:
    notes = []
    if drawn.bucket > 1:
        notes.append(
            f"Thinned out: {drawn.rows:,} values are drawn in buckets of up to {drawn.bucket:,} "
            "steps. The least and the greatest value of each bucket are exact."
        )
    if len({row.rank for row in workers.values()}) > LINES:
        notes.append(
            "Bands are over ranks: from the least to the greatest value, darker from p10 to p90; "
            "the line is the median of ranks."
        )
    missing = sum(gap.rows for index, gap in head.gaps if index in workers)
    if missing:
        notes.append(f"{missing:,} rows did not reach the server.")
    return [*notes, *head.losses]


def _facts(head: Head, workers: Mapping[int, WorkerRow]) -> Iterator[tuple[str, str]]:
    """Yield what is known of the run, a name and a value each."""
    rows = list(workers.values())
    ranks = {row.rank for row in rows}
    size = max((row.world_size for row in rows), default=0)
    yield "ranks", f"{len(ranks):,}" if size <= len(ranks) else f"{len(ranks):,} of {size:,}"
    attempts = {row.attempt for row in rows}
    if len(attempts) > 1:
        yield "attempts", f"{len(attempts):,}"
    yield "last step", f"{max((row.last_step or 0 for row in rows), default=0):,}"
    yield "began", _date(min((row.started for row in rows), default=head.started))
    last = max((row.last_time for row in rows), default=head.started)
    yield "newest row", _date(last)
    hosts = sorted({row.host for row in rows})
    yield "hosts", ", ".join(hosts[:4]) + (f" and {len(hosts) - 4:,} more" if hosts[4:] else "")
    ends = Counter("running or lost" if row.ended is None else row.ended for row in rows)
    yield "ended", ", ".join(f"{how} ({count:,})" for how, count in ends.most_common(4))


def _date(time: float) -> str:
    try:
        return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "unknown"


# -- HTML ----------------------------------------------------------------------------------


def _html(
    head: Head, workers: Mapping[int, WorkerRow], drawn: _Drawn, parts: Parts, notes: list[str]
) -> str:
    body = [_summary(head, workers, notes)]
    sections = [(name, cards) for name, cards in drawn.groups.items()]
    sections += [(name, parts.sections[name]) for name in _ORDER if name in parts.sections]
    for i, (name, cards) in enumerate(sections):
        body.append(
            f'<details class="group" id="g{i}" open><summary>{escape(name)} '
            f'<span class="count">{len(cards):,}</span></summary>'
            f'<div class="grid">{"".join(cards)}</div></details>'
        )
    if not sections:
        body.append("<p>Nothing was recorded of this run.</p>")
    body.append(
        f"<footer>written by streamviz {escape(__version__)}, {_date(wall_time())}</footer>"
    )
    return _filled(head.run, "\n".join(body), parts)


def _summary(head: Head, workers: Mapping[int, WorkerRow], notes: list[str]) -> str:
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in _facts(head, workers)
    )
    said = "".join(f"<li>{escape(note)}</li>" for note in notes)
    config = dict(list((head.config or {}).items())[:_SHOWN_CONFIG])
    rows = "".join(
        f"<div><dt>{escape(str(name))}</dt><dd>{escape(str(value)[:200])}</dd></div>"
        for name, value in config.items()
    )
    words = f"<details><summary>configuration</summary><dl>{rows}</dl></details>" if rows else ""
    return f'<dl class="facts">{facts}</dl>{words}<ul class="notes">{said}</ul>'


def _filled(title: str, body: str, parts: Parts) -> str:
    held = json.dumps(parts.charts, allow_nan=False).replace("<", "\\u003c")
    bokeh = Resources(mode="inline", components=["bokeh"]).js_raw[0]
    look = base64.b64encode(_read("chart-look.js").encode()).decode()
    main = _read("report.js").replace("./chart-look.js", f"data:text/javascript;base64,{look}")
    filled = {
        "head": f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        f"<style>{token_rules()}{_read('report.css')}</style>",
        "title": escape(title),
        "name": escape(title),
        "body": body,
        "foot": f"<script>{bokeh}</script>\n"
        f'<script type="application/json" id="charts">{held}</script>\n'
        f'<script type="module">{main}</script>',
    }
    page, out = _read("report.html"), []
    # Each part once and in order, so that what looks like a placeholder in one is left alone.
    for name, text in filled.items():
        before, _, page = page.partition(f"{{{{{name}}}}}")
        out += [before, text]
    return "".join([*out, page])


def _read(name: str) -> str:
    return _STATIC.joinpath(name).read_text(encoding="utf-8")
