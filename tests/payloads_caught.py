"""A publisher whose items are caught on their way to the sender, read as the server reads them."""

from __future__ import annotations

from typing import Any

from streamviz.publisher.notes import Note
from streamviz.publisher.publisher import Publisher
from streamviz.store import Item
from streamviz.views.payload_bodies import media_of, told_body

__all__ = ["Caught"]


class Caught:
    """What a publisher sends besides rows.

    Attributes:
        publisher: It.
        notes: Steps, times and items.
    """

    def __init__(self, **how: Any) -> None:
        self.publisher = Publisher("tcp://127.0.0.1:1", run="run", **how)
        self.notes: list[tuple[int, float, Note]] = []
        self.rows: list[dict[str, float]] = []
        self.publisher._append = self._take

    def _take(self, row: Any) -> None:
        step, time, metrics, note = row
        if isinstance(note, Note):
            note.release()
            self.notes.append((step, time, note))
        else:
            self.rows.append(metrics)

    @property
    def refused(self) -> dict[str, int]:
        """What could not be used, by reason."""
        return dict(self.publisher.totals().refused)

    def body(self) -> Any:
        """Return the newest item as the API tells it."""
        note = self.notes[-1][2]
        return told_body(note.kind, note.body)

    def document(self) -> dict[str, Any]:
        """Return it, without what the server adds for the page."""
        return {key: value for key, value in self.body().items() if key not in ("html", "item")}

    def media(self) -> tuple[str, bytes]:
        """Return the newest item's picture."""
        step, time, note = self.notes[-1]
        about: dict[str, Any] = {"worker": 0, "rank": 0, "attempt": 0, "number": 0}
        item = Item(kind=note.kind, name=note.name, step=step, time=time, body=note.body, **about)
        return media_of(item)

    def close(self) -> None:
        """Let go."""
        self.publisher.close(0.0)
