"""What every page is told when items come: a run's marks, and that there are new ones of the rest.

Law: a text is made once however many pages are told, and is bounded whatever was marked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamviz.errors import UnknownSeries
from streamviz.views.messages import text_of
from streamviz.wire.bodies import MARK, json_body
from streamviz.wire.kinds import LAYOUT

if TYPE_CHECKING:
    from streamviz.store import Item, Store

__all__ = ["MOST_MARKS_TOLD", "Marks", "PayloadVersions"]

MOST_MARKS_TOLD = 500
"""The newest that a page is told of: more would cover its charts."""
MAX_MARK_TEXT = 200
"""Characters of a mark's text that a page is told: what a label has room for."""
_RUNS_KEPT = 64


class Marks:
    """Owner: the event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: dict[str, tuple[int, str]] = {}

    def of(self, run: str | None) -> str | None:
        """Return what there is to tell of a run's marks, ``None`` while there are none.

        The same object as long as nothing changed.
        """
        if run is None:
            return None
        try:
            version = self._store.items_version(run)
            if not version:
                return None
            held = self._told.get(run)
            if held is not None and held[0] == version:
                return held[1]
            marks = self._store.items(run, MARK)
        except UnknownSeries:
            return None
        rows = [_row(mark) for mark in marks[-MOST_MARKS_TOLD:]]
        text = text_of("items", run=run, marks=rows, left_off=len(marks) - len(rows))
        if held is not None and held[1] == text:
            text = held[1]
        if len(self._told) >= _RUNS_KEPT:
            self._told.clear()
        self._told[run] = version, text
        return text


class PayloadVersions:
    """Owner: the event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: dict[str, tuple[int, str]] = {}

    def of(self, run: str | None) -> str | None:
        """Return the text of a run's payloads' version, ``None`` while there are none.

        The same object as long as nothing changed.
        """
        if run is None:
            return None
        try:
            version = self._store.items_version(run, payloads=True)
        except UnknownSeries:
            return None
        if not version:
            return None
        held = self._told.get(run)
        if held is None or held[0] != version:
            if len(self._told) >= _RUNS_KEPT:
                self._told.clear()
            text = text_of("payloads", run=run, version=version, layout=self._layout(run))
            held = self._told[run] = version, text
        return held[1]

    def _layout(self, run: str) -> int | None:
        """Return the number of the newest word on which metrics are drawn together."""
        layouts = self._store.items(run, LAYOUT)
        return layouts[-1].number if layouts else None


def _row(mark: Item) -> dict[str, object]:
    body = json_body(mark.body) or {}
    text = body.get("text")
    return {
        "name": mark.name,
        "step": mark.step,
        "time": mark.time,
        "rank": mark.rank,
        "attempt": mark.attempt,
        "text": text[:MAX_MARK_TEXT] if isinstance(text, str) else "",
    }
