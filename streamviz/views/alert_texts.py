"""The alerts of the runs, as every page is told them.

Law: each text is made once, however many pages are told, and only when something changed.
"""

from __future__ import annotations

from collections.abc import Callable

from streamviz.views.messages import text_of
from streamviz.watch import Told

__all__ = ["AlertTexts"]

_TEXTS_KEPT = 64
"""Runs whose text is kept: as many as pages may be connected."""


class AlertTexts:
    """The text of each run's alerts.

    Args:
        told: Says what there is to tell of a run; the same object until something changed.
    """

    def __init__(self, told: Callable[[str], Told]) -> None:
        self._told = told
        self._texts: dict[str, tuple[Told, str]] = {}

    def of(self, run: str | None) -> str | None:
        """Return the text of a run, the same object until it differs; ``None`` before the first."""
        if run is None:
            return None
        told = self._told(run)
        held = self._texts.get(run)
        if held is None and not (told.alerts or told.situation):
            return None
        if held is None or held[0] is not told:
            if held is None and len(self._texts) >= _TEXTS_KEPT:
                self._texts.clear()
            text = text_of("alerts", run=run, alerts=told.rows(), situation=told.situation)
            held = self._texts[run] = (told, text if held is None or held[1] != text else held[1])
        return held[1]
