"""What a publisher could not use: counted by reason, and warned of once per cause.

Law: whatever the user's log handlers do, nothing raises out of here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress

from streamviz.publisher.values import Unusable

__all__ = ["MOST_WARNINGS", "Refusals"]

_log = logging.getLogger("streamviz.publisher")

MOST_WARNINGS = 100
"""Causes that are warned of: names of metrics are among them, and there may be many."""


class Refusals:
    """Counts that any thread may add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._warned: set[str] = set()

    def counts(self) -> dict[str, int]:
        """Return how many values could not be used, by reason."""
        with self._lock:
            return dict(self._counts)

    def refuse(self, reason: str, name: str, values: int) -> None:
        """Count values that are left out, and say so.

        Args:
            reason: What is wrong with them.
            name: The metric's name, empty if it is a whole call.
            values: How many; nothing happens for none.
        """
        if not values:
            return
        self.count(reason, values)
        named = f"metric {name!r}" if name else "a call of send"
        self.warn(f"refused {reason} {name}", f"{named} was left out: {reason}")

    def refuse_call(self, metrics: object, error: Exception) -> None:
        """Count a call of ``send`` that could not be used at all.

        Args:
            metrics: What it was given.
            error: What came of that.
        """
        try:
            values = len(metrics) if isinstance(metrics, Mapping) else 1
            reason = f"a step or value that raised {type(error).__name__}"
            if isinstance(error, Unusable):
                reason = str(error)
            elif not isinstance(metrics, Mapping):
                reason = "metrics that are no mapping"
        except Exception:  # noqa: BLE001 - promise 1: whatever an object raises stays here
            values, reason = 1, "metrics that are no mapping"
        self.refuse(reason, "", values)

    def refuse_item(self, error: Exception, what: str = "") -> None:
        """Count a mark, an alert or the like that could not be used.

        Args:
            error: What came of it.
            what: Which it was, for the message.
        """
        reason, detail = f"an item that raised {type(error).__name__}", ""
        with suppress(Exception):  # whatever an object raises when it is to be shown
            if isinstance(error, Unusable):
                reason, detail = str(error), error.detail
            else:
                detail = str(error)[:200]
        self.count(reason, 1)
        said = f"{what or 'a mark, an alert or the like'} was left out: {reason}"
        self.warn(f"item {reason}", f"{said}: {detail}" if detail else said)

    def count(self, reason: str, values: int) -> None:
        """Count values that are left out."""
        with self._lock:
            self._counts[reason] = self._counts.get(reason, 0) + values

    def warn(self, cause: str, message: str) -> None:
        """Say something once per cause."""
        if cause not in self._warned and len(self._warned) < MOST_WARNINGS:
            self._warned.add(cause)
            with suppress(Exception):  # a user's log handler may raise, and must not into a send
                _log.warning("streamviz: %s", message)

    def after_fork(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
