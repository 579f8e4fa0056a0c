"""The websocket of the data plane: the hub's messages on a tornado connection.

Law: whoever may not read the page may not listen here either; nothing a page sends is executed,
and a page that does not read is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from streamviz.views.access import Door, Guarded, Refusal
from streamviz.views.hub import Hub
from streamviz.views.messages import MAX_MESSAGE
from streamviz.views.viewers import Viewer

__all__ = ["LiveSocket"]

_HARD_LIMIT = 16 * MAX_MESSAGE
"""Longest message that is read at all: up to here it is refused in words, above cut off."""

_PING_S = 20.0
"""Seconds between two signs of life; without an answer the connection is closed."""


class LiveSocket(Guarded, WebSocketHandler):
    """One page's connection; what the hub calls a channel."""

    hub: Hub
    viewer: Viewer | None = None

    def initialize(self, *, door: Door, hub: Hub) -> None:  # type: ignore[override]
        """Take the rules and the hub."""
        super().initialize(door=door)
        self.hub = hub

    def prepare(self) -> Awaitable[None] | None:
        """Refuse who may not come in, and pages of other sites.

        Raises:
            Refusal: As for every path, and 403 for an Origin that is not this server. A program
                that sends the token itself needs none: only a browser is led by other sites.
        """
        super().prepare()
        foreign = self.request.headers.get("Origin") is not None or self.bearer() is None
        if foreign and not self.own_origin():
            self.door.count("origin")
            found = self.request.headers.get("Origin", "none")[:80]
            raise Refusal(
                403, f"Origin: found {found}, expected the address that this page was called by"
            )
        return None

    def check_origin(self, origin: str) -> bool:
        """Leave it at :meth:`prepare`, which is stricter."""
        return bool(origin)

    @property
    def max_message_size(self) -> int:
        """The most bytes that are read as one message."""
        return _HARD_LIMIT

    @property
    def ping_interval(self) -> float:
        """Seconds between two signs of life."""
        return _PING_S

    def get_compression_options(self) -> None:
        """Send as is: compressing for each viewer costs far more than the bytes."""

    def open(self, *args: str, **kwargs: str) -> None:  # noqa: ARG002 - tornado's signature
        """Join the hub."""
        # Else small messages wait for the acknowledgement of the ones before them.
        self.set_nodelay(True)
        self.viewer = self.hub.join(self)

    async def on_message(self, message: str | bytes) -> None:
        """Hand a message to the hub and write its answer before the next one is read."""
        if self.viewer is None:
            return
        answer = self.hub.receive(self.viewer, message)
        if answer is not None:
            try:
                await self.write_message(answer)
            except (WebSocketClosedError, StreamClosedError):
                # The page has gone, on_close follows.
                return

    def on_close(self) -> None:
        """Leave the hub."""
        if self.viewer is not None:
            self.hub.leave(self.viewer)
            self.viewer = None

    # -- what the hub calls --------------------------------------------------------------------

    def busy(self) -> bool:
        """Say whether earlier messages are still being written."""
        connection = self.ws_connection
        stream = None if connection is None else connection.stream
        return stream is None or stream.closed() or stream.writing()

    def send(self, message: str | bytes) -> None:
        """Write a message; a page that has gone is no error."""
        try:
            written = self.write_message(message, binary=isinstance(message, bytes))
        except (WebSocketClosedError, StreamClosedError):
            return
        asyncio.ensure_future(written).add_done_callback(_look_at)


def _look_at(written: asyncio.Future[None]) -> None:
    """Take a write's outcome, so that a page that closed meanwhile leaves nothing in the log."""
    if not written.cancelled():
        written.exception()
