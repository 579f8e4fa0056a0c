"""``/api/v1/items``: what publishers sent that is no row of numbers.

Law: an answer is bounded, and says what it left off.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamviz.errors import JournalError, UnknownSeries
from streamviz.views.access import Refusal
from streamviz.views.api import QueryHandler
from streamviz.wire.bodies import json_body

if TYPE_CHECKING:
    from streamviz.store import Item
    from streamviz.views.parts import Dashboard

__all__ = ["ItemsHandler", "answer", "read_items"]

MOST_ITEMS = 10_000
"""The newest that one answer has."""
MOST_ANSWER_BYTES = 16 << 20
"""Bytes of their bodies."""


class ItemsHandler(QueryHandler):
    """``/api/v1/items``: a run's items, of one kind and name or of all, the oldest first."""

    parameters = ("run", "kind", "name")

    async def get(self) -> None:
        """Answer.

        Raises:
            Refusal: 400 for a parameter that cannot be used, 404 for an unknown run.
        """
        self._refuse_unknown()
        run, kind, name = self._name("run"), self._text("kind"), self._text("name")
        if not self.may_read(run):
            raise Refusal(404, f"{UnknownSeries(run)}; GET /api/v1/runs lists what there is")

        def answered() -> dict[str, object]:
            return answer(read_items(self.dashboard, run, kind, name))

        async with self.dashboard.turns:
            try:
                body = await asyncio.get_running_loop().run_in_executor(None, answered)
            except UnknownSeries as error:
                raise Refusal(404, f"{error}; GET /api/v1/runs lists what there is") from None
        self.write_json(body)

    head = get


def read_items(dashboard: Dashboard, run: str, kind: str | None, name: str | None) -> list[Item]:
    """Return the items that memory has, or that the disk has of a run that memory has not.

    Raises:
        UnknownSeries: Neither knows the run.
    """
    try:
        return dashboard.store.items(run, kind, name)
    except UnknownSeries:
        if dashboard.history is None:
            raise
        try:
            found = dashboard.history.items(run, MOST_ANSWER_BYTES)
        except JournalError:
            found = None
        if found is None:
            raise
    return [one for one in found if kind in (None, one.kind) and name in (None, one.name)]


def answer(items: list[Item]) -> dict[str, object]:
    """Return items as the API tells them."""
    told: list[dict[str, object]] = []
    room = MOST_ANSWER_BYTES
    for item in reversed(items[-MOST_ITEMS:]):
        room -= len(item.body)
        if room < 0:
            break
        told.append(
            {
                "kind": item.kind,
                "name": item.name,
                "rank": item.rank,
                "attempt": item.attempt,
                "step": item.step,
                "time": item.time,
                "number": item.number,
                "body": json_body(item.body),
            }
        )
    return {"items": told[::-1], "left_off": len(items) - len(told)}
