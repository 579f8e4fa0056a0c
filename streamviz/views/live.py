"""The websocket of the data plane: the hub's messages on a tornado connection.

Law: whoever may not read the page may not listen here either; nothing a page sends is executed,
and a page that does not read is not read.
"""

from __future__ import annotations

import asyncio

from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from streamviz.clock import wall_time
from streamviz.views.access import Door, Guarded
from streamviz.views.hub import Hub
from streamviz.views.keyhole import Keyhole
from streamviz.views.messages import MAX_MESSAGE
from streamviz.views.viewers import Viewer

__all__ = ["LiveSocket"]

_HARD_LIMIT = 16 * MAX_MESSAGE
"""Longest message that is read at all: up to here it is refused in words, above cut off."""

_SHARE_S = 10.0
"""Seconds between two looks whether a share still holds."""

_PING_S = 20.0
"""Seconds between two signs of life; without an answer the connection is closed."""


class LiveSocket(Guarded, WebSocketHandler):
    """One page's connection; what the hub calls a channel."""

    hub: Hub
    viewer: Viewer | None = None
    for_one_run = True
    keyhole: Keyhole | None = None
    """What a page that may read one run sees; ``None`` for one that reads everything."""
    _timer: asyncio.TimerHandle | None = None

    def initialize(self, *, door: Door, hub: Hub) -> None:  # type: ignore[override]
        """Take the rules and the hub."""
        super().initialize(door=door)
        self.hub = hub

    def knows_origin(self) -> bool:
        """Say whether it is this server's page that calls.

        A program that sends the token itself needs no Origin: only a browser is led by other
        sites, and it cannot be made to send this header.
        """
        if self.request.headers.get("Origin") is None:
            return self.bearer() is not None
        return super().knows_origin()

    def check_origin(self, origin: str) -> bool:
        """Leave it at :meth:`knows_origin`, which is stricter."""
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
        if self.share is not None:
            if self.share.run is not None:
                self.keyhole = Keyhole(self.share.run)
            self._look_at_share()
        self.viewer = self.hub.join(self)

    async def on_message(self, message: str | bytes) -> None:
        """Hand a message to the hub and write its answer before the next one is read."""
        if self.viewer is None:
            return
        if self.keyhole is not None:
            message, answer = self.keyhole.inward(message)
            if answer is None:
                answer = self.keyhole.outward(self.hub.receive(self.viewer, message))
        else:
            answer = self.hub.receive(self.viewer, message)
        if answer is not None:
            try:
                await self.write_message(answer)
            except (WebSocketClosedError, StreamClosedError):
                # The page has gone, on_close follows.
                return

    def _look_at_share(self) -> None:
        """Hang up once a share has ended or was taken back; look again while it has not."""
        bearer = self.bearer()
        named = self.get_cookie(self.door.share_cookie) if bearer is None else bearer
        share = self.door.share_of(named)
        if share is None:
            self.close(4403, "this link has ended")
            return
        left = min(max(share.until - wall_time(), 0.0) + 0.1, _SHARE_S)
        self._timer = asyncio.get_running_loop().call_later(left, self._look_at_share)

    def on_close(self) -> None:
        """Leave the hub."""
        if self._timer is not None:
            self._timer.cancel()
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
        if self.keyhole is not None and isinstance(message, str):
            seen = self.keyhole.outward(message)
            if seen is None:
                return
            message = seen
        try:
            written = self.write_message(message, binary=isinstance(message, bytes))
        except (WebSocketClosedError, StreamClosedError):
            return
        asyncio.ensure_future(written).add_done_callback(_look_at)


def _look_at(written: asyncio.Future[None]) -> None:
    """Take a write's outcome, so that a page that closed meanwhile leaves nothing in the log."""
    if not written.cancelled():
        written.exception()
