"""``/api/v1/payloads``, ``/payload`` and ``/media``: what ranks sent besides numbers, to be drawn.

Law: an answer is bounded, whatever was sent; what cannot be read is said, and harms nothing else;
bytes from outside are served so that no browser runs anything in them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from streamviz.errors import BadPayload, UnknownSeries
from streamviz.views.access import Refusal
from streamviz.views.api import QueryHandler
from streamviz.views.items import read_items
from streamviz.views.payload_bodies import media_of, told_body
from streamviz.wire.kinds import is_payload

if TYPE_CHECKING:
    from streamviz.store import Item

__all__ = ["MediaHandler", "PayloadHandler", "PayloadsHandler", "RunItemsHandler", "index_of"]

MOST_TOLD = 5_000
"""Names and ranks that one index lists, those heard of last."""
_MEDIA_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

_T = TypeVar("_T")


class RunItemsHandler(QueryHandler):
    """Answers about the items of one run, beside the event loop."""

    async def _answered(
        self, make: Callable[[list[Item]], _T], kind: str | None = None, name: str | None = None
    ) -> _T:
        """Return what is made of the run's items, of one kind and name or of all.

        Raises:
            Refusal: 400 for a parameter that cannot be used, 404 for an unknown run or number.
        """
        self._refuse_unknown()
        run = self._name("run")
        if not self.may_read(run):
            raise Refusal(404, f"{UnknownSeries(run)}; GET /api/v1/runs lists what there is")

        def made() -> _T:
            return make(read_items(self.dashboard, run, kind, name))

        async with self.dashboard.turns:
            try:
                return await asyncio.get_running_loop().run_in_executor(None, made)
            except UnknownSeries as error:
                raise Refusal(404, f"{error}; GET /api/v1/runs lists what there is") from None
            except BadPayload as error:
                raise Refusal(422, str(error)) from None

    def _number(self) -> int:
        text = self._text("number") or ""
        if not text.isdecimal() or len(text) > 15:
            raise Refusal(400, f"number: {text[:80]!r} is none; /api/v1/payloads lists them")
        return int(text)

    def _chosen(self, items: list[Item], number: int) -> Item:
        for item in items:
            if item.number == number and is_payload(item.kind):
                return item
        raise Refusal(
            404,
            f"payload {number} is not held; it made room for newer ones, or never was: "
            "/api/v1/payloads lists what there is",
        )


class PayloadsHandler(RunItemsHandler):
    """``/api/v1/payloads``: the names of a run's payloads, with the steps that are held of each."""

    parameters = ("run",)

    async def get(self) -> None:
        """Answer."""
        run = self._name("run")

        def made(items: list[Item]) -> dict[str, object]:
            return index_of(items, self._gone(run))

        self.write_json({"run": run, **await self._answered(made)})

    def _gone(self, run: str) -> dict[tuple[str, str, int], int]:
        try:
            return self.dashboard.store.items_gone(run)
        except UnknownSeries:
            return {}  # it is read from the disk, which counts none

    head = get


class PayloadHandler(RunItemsHandler):
    """``/api/v1/payload``: one payload, as the page draws it."""

    parameters = ("run", "number")

    async def get(self) -> None:
        """Answer."""
        number = self._number()

        def made(items: list[Item]) -> dict[str, object]:
            item = self._chosen(items, number)
            return {
                "kind": item.kind,
                "name": item.name,
                "rank": item.rank,
                "attempt": item.attempt,
                "step": item.step,
                "time": item.time,
                "number": item.number,
                "body": told_body(item.kind, item.body),
            }

        self.write_json(await self._answered(made))

    head = get


class MediaHandler(RunItemsHandler):
    """``/api/v1/media``: the bytes of one image."""

    parameters = ("run", "number")

    async def get(self) -> None:
        """Answer."""
        number = self._number()
        item = await self._answered(lambda items: self._chosen(items, number))
        # Numbers are counted anew when the server starts, so a browser must ask again.
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Etag", f'"{hashlib.sha256(item.body).hexdigest()[:32]}"')
        if self.check_etag_header():
            self.set_status(304)
            return
        media, data = await self._answered(lambda _: media_of(item))
        self.set_header("Content-Type", media)
        self.set_header("Content-Security-Policy", _MEDIA_POLICY)
        self.write(data)

    head = get


def index_of(
    items: list[Item], gone: Mapping[tuple[str, str, int], int] | None = None
) -> dict[str, object]:
    """Return what there is: of each kind, name, rank and attempt the steps, oldest first.

    Args:
        items: Of a run, in the order in which they came.
        gone: How many made room for others, by kind, name and worker.
    """
    found: dict[tuple[str, str, int, int], list[Item]] = {}
    version = 0
    for item in items:
        if is_payload(item.kind):
            key = (item.kind, item.name, item.rank, item.attempt)
            found.setdefault(key, []).append(item)
            version = item.number + 1
    newest = sorted(found, key=lambda key: -found[key][-1].number)[:MOST_TOLD]
    return {
        "version": version,
        "left_off": len(found) - len(newest),
        "payloads": [
            {
                "kind": kind,
                "name": name,
                "rank": rank,
                "attempt": attempt,
                "steps": [item.step for item in found[kind, name, rank, attempt]],
                "times": [item.time for item in found[kind, name, rank, attempt]],
                "numbers": [item.number for item in found[kind, name, rank, attempt]],
                "gone": (gone or {}).get(
                    (kind, name, found[kind, name, rank, attempt][0].worker), 0
                ),
            }
            for kind, name, rank, attempt in sorted(newest)
        ],
    }
