"""What was sent besides numbers, as the parts of a report.

Law: of each name the newest, of pictures a few of the newest; whatever a body holds, it becomes a
part of the page or a counted refusal, and texts in it are text.
"""

from __future__ import annotations

import base64
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from bokeh.embed import json_item

from streamviz.errors import StreamvizError
from streamviz.store.items import Item
from streamviz.views.charts import figure_of
from streamviz.views.distributions import told as told_distribution
from streamviz.views.markdown import html_of
from streamviz.views.payload_bodies import media_of
from streamviz.views.report.curves import percentile_figure
from streamviz.wire.bodies import json_body, read_body
from streamviz.wire.kinds import (
    ALERT,
    CHART,
    HISTOGRAM,
    HPARAMS,
    IMAGE,
    MARK,
    PR_CURVE,
    PROFILE,
    TABLE,
    TEXT,
)
from streamviz.wire.payloads import read_document

__all__ = ["Parts", "Room", "parts_of"]

PICTURES = 6
"""Pictures of one name and rank, the newest."""
ROWS = 500
"""Rows of a table, and entries of a list."""
_BINS = 64
_SMALL = 128
"""Pixels of a picture so narrow that its pixels are to be seen."""


@dataclass(slots=True)
class Room:
    """Bytes that parts may still take."""

    left: int

    def take(self, size: int) -> bool:
        """Take bytes, if there are as many."""
        if size > self.left:
            return False
        self.left -= size
        return True


@dataclass(slots=True)
class Parts:
    """The parts of a page, by section.

    Attributes:
        sections: HTML of the cards of each, in the order of the page.
        charts: Bokeh's JSON of the figures in them, by number; a card names its own.
        left_off: What is not on the page, by cause.
        marks: Steps that somebody marked.
    """

    sections: dict[str, list[str]] = field(default_factory=dict)
    charts: list[Mapping[str, Any]] = field(default_factory=list)
    left_off: Counter[str] = field(default_factory=Counter)
    marks: list[int] = field(default_factory=list)

    def add(self, section: str, title: str, about: str, body: str, *, wide: bool = False) -> None:
        """Add a card.

        Args:
            section: Its section's name.
            title: As text.
            about: What stands beside it, as text.
            body: As HTML.
            wide: It takes the whole width.
        """
        card = (
            f'<section class="card{" wide" if wide else ""}"><h3>{escape(title)}</h3>'
            f'<p class="about">{escape(about)}</p>{body}</section>'
        )
        self.sections.setdefault(section, []).append(card)

    def chart(self, item: Mapping[str, Any]) -> str:
        """Keep a figure; return the place that the page's script draws it in."""
        self.charts.append(item)
        return f'<div class="chart" data-chart="{len(self.charts) - 1}"></div>'


def parts_of(items: Sequence[Item], parts: Parts, room: Room) -> None:
    """Add what a run sent besides numbers.

    Args:
        items: Oldest first.
        parts: Where to.
        room: What they may take.
    """
    _moments([item for item in items if item.kind in (MARK, ALERT)], parts)
    newest: dict[tuple[str, str, int], deque[Item]] = {}
    histograms: dict[str, list[Item]] = {}
    for item in items:
        if item.kind == HISTOGRAM:
            histograms.setdefault(item.name, []).append(item)
        elif item.kind not in (MARK, ALERT):
            most = PICTURES if item.kind == IMAGE else 1
            kept = newest.setdefault((item.kind, item.name, item.rank), deque(maxlen=most))
            if len(kept) == most:
                parts.left_off[f"earlier {item.kind}s"] += 1
            kept.append(item)
    for (kind, _, _), kept in sorted(newest.items()):
        for item in kept:
            draw = _DRAWN.get(kind)
            if draw is None:
                parts.left_off[f"{kind}s, which are shown on a server's page"] += 1
                continue
            _try(parts, kind, lambda item=item, draw=draw: draw(item, parts, room))  # type: ignore[misc]
    for name, ones in sorted(histograms.items()):
        _try(parts, HISTOGRAM, lambda name=name, ones=ones: _percentiles(name, ones, parts, room))  # type: ignore[misc]


def _try(parts: Parts, kind: str, draw: Callable[[], None]) -> None:
    try:
        draw()
    except (StreamvizError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        parts.left_off[f"{kind}s that cannot be read"] += 1


def _about(item: Item) -> str:
    attempt = f", attempt {item.attempt}" if item.attempt else ""
    return f"rank {item.rank}{attempt}, step {item.step:,}"


def _picture(item: Item, parts: Parts, room: Room) -> None:
    media, data = media_of(item)
    if not room.take(len(data) * 4 // 3):
        parts.left_off["images for which there is no room"] += 1
        return
    caption = read_body(item.body).get("caption")
    words = f"<p>{escape(str(caption))}</p>" if caption else ""
    source = f"data:{media};base64,{base64.b64encode(data).decode()}"
    width = read_body(item.body).get("width")
    small = ' class="small"' if isinstance(width, int) and width <= _SMALL else ""
    picture = f'<img{small} alt="{escape(item.name)}" src="{escape(source)}" loading="lazy">'
    parts.add("Pictures", item.name, _about(item), picture + words)


def _text(item: Item, parts: Parts, room: Room) -> None:
    document = read_document(read_body(item.body))
    text = str(document["text"])
    if not room.take(2 * len(text)):
        parts.left_off["texts for which there is no room"] += 1
        return
    shown = html_of(text) if document.get("markdown", True) else f"<pre>{escape(text)}</pre>"
    parts.add("Texts", item.name, _about(item), f'<div class="text">{shown}</div>', wide=True)


def _table(item: Item, parts: Parts, room: Room) -> None:
    document = read_document(read_body(item.body))
    columns, rows = document["columns"], document["rows"]
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise TypeError("a table has columns and rows")
    html = _table_of(columns, rows)
    if not room.take(len(html)):
        parts.left_off["tables for which there is no room"] += 1
        return
    about = _about(item)
    if len(rows) > ROWS:
        about += f"; the first {ROWS:,} of {len(rows):,} rows"
    parts.add("Tables", str(document.get("title") or item.name), about, html, wide=True)


def _table_of(columns: Iterable[object], rows: Sequence[Iterable[object]]) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_said(cell))}</td>" for cell in row) + "</tr>"
        for row in rows[:ROWS]
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _said(cell: object) -> str:
    if cell is None:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _hparams(item: Item, parts: Parts, room: Room) -> None:
    document = read_document(read_body(item.body))
    rows: list[tuple[object, object]] = []
    for name in ("hparams", "metrics"):
        held = document.get(name)
        rows += list(held.items()) if isinstance(held, dict) else []
    html = _table_of(("name", "value"), rows)
    if room.take(len(html)):
        parts.add("Tables", "hyperparameters", _about(item), html)


def _chart(item: Item, parts: Parts, room: Room) -> None:
    document = read_document(read_body(item.body))
    _figure(figure_of(document), str(document.get("title") or item.name), item, parts, room)


def _pr_curve(item: Item, parts: Parts, room: Room) -> None:
    document = read_document(read_body(item.body))
    series = {"name": "precision", "x": document["recall"], "y": document["precision"]}
    labels = {"x": "recall", "y": "precision"}
    chart = {"chart": "line", "title": "", "labels": labels, "x": None, "series": [series]}
    _figure(figure_of(chart), item.name, item, parts, room)


def _figure(made: Any, title: str, item: Item, parts: Parts, room: Room) -> None:  # noqa: ANN401 - a figure
    if made.title is not None:
        made.title = None
    told = json_item(made)
    if not room.take(len(str(told))):
        parts.left_off["charts for which there is no room"] += 1
        return
    parts.add("Charts sent", title, _about(item), parts.chart(told))


def _percentiles(name: str, items: list[Item], parts: Parts, room: Room) -> None:
    told: Mapping[str, Any] = told_distribution(items, _BINS)
    made = percentile_figure(told["steps"], told["percentiles"]["values"])
    item = json_item(made)
    if not room.take(len(str(item))):
        parts.left_off["histograms for which there is no room"] += 1
        return
    ranks = told["ranks"]
    about = f"percentiles over {len(told['steps']):,} steps of "
    about += f"rank {ranks[0]}" if len(ranks) == 1 else f"{len(ranks):,} ranks together"
    parts.add("Distributions", name, about, parts.chart(item))


def _moments(items: Sequence[Item], parts: Parts) -> None:
    """List marks and alerts, the newest."""
    rows = []
    for item in items[-ROWS:]:
        body = json_body(item.body) or {}
        words = [str(body[key]) for key in ("title", "text") if body.get(key)]
        if item.kind == MARK:
            parts.marks.append(item.step)
        level = str(body.get("level", "mark"))
        text = " · ".join(dict.fromkeys([item.name, *words]))
        rows.append((f"{item.step:,}", str(item.rank), level, text))
    if rows:
        html = _table_of(("step", "rank", "", "what"), rows)
        parts.add("Moments", "marks and alerts", f"{len(items):,}", html, wide=True)


_DRAWN: dict[str, Callable[[Item, Parts, Room], None]] = {
    IMAGE: _picture,
    TEXT: _text,
    TABLE: _table,
    PROFILE: _table,
    HPARAMS: _hparams,
    CHART: _chart,
    PR_CURVE: _pr_curve,
}
