"""What the live channel lets through to a page that may read one run only.

Law: an allow-list, both ways; a message that is not known here does not pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from streamviz.views.messages import BadMessage, Board, Open, Watch, parse_message, text_of

__all__ = ["Keyhole"]

_Fields = dict[str, Any]


class Keyhole:
    """Shows one run.

    Args:
        run: Its name.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._shown: dict[str, Callable[[_Fields], _Fields | None]] = {
            "hello": lambda fields: {**fields, "ingest": ""},
            "runs": self._runs,
            "run": self._of_the_run,
            "status": self._status,
            "opened": lambda fields: fields,
            "refused": lambda fields: fields,
            "pong": lambda fields: fields,
            "alerts": self._of_the_run,
            "items": self._of_the_run,
            "ranks": self._of_the_run,
            "workers": self._of_the_run,
        }

    def inward(self, message: str | bytes) -> tuple[str | bytes, str | None]:
        """Return what the hub may be asked, and the answer if that is nothing."""
        try:
            asked = parse_message(message)
        except BadMessage:
            return message, None  # the hub says what is wrong with it
        if isinstance(asked, Watch):
            # Also for "the newest active one", which may be another.
            return text_of("watch", run=self._run), None
        if isinstance(asked, Board) and asked.run != self._run:
            return message, text_of("refused", id=None, reason="this link shows another run")
        if isinstance(asked, Open) and asked.key.run != self._run:
            return message, text_of("refused", id=asked.view, reason="this link shows another run")
        return message, None

    def outward(self, text: str | None) -> str | None:
        """Return what the page may be told of a message, ``None`` for nothing."""
        if text is None:
            return None
        fields: _Fields = json.loads(text)
        op = fields.pop("op")
        show = self._shown.get(op)
        shown = None if show is None else show(fields)
        return None if shown is None else text_of(op, **shown)

    def _of_the_run(self, fields: _Fields) -> _Fields | None:
        return fields if fields.get("run") == self._run else None

    def _runs(self, fields: _Fields) -> _Fields:
        return {"runs": [row for row in fields["runs"] if row.get("run") == self._run]}

    def _status(self, fields: _Fields) -> _Fields | None:
        if isinstance(fields.get("journal"), dict):
            # Where the server keeps its files is nobody's business.
            fields["journal"] = {**fields["journal"], "path": "", "detail": ""}
        return self._of_the_run(fields)
