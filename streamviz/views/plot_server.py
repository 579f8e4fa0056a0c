"""A server of one page of charts on this machine: its page, its scripts, and its charts, live.

Law: loopback only, behind the same door as the page of a training.
"""

from __future__ import annotations

import asyncio
import errno
import json
from contextlib import suppress

from tornado.httpserver import HTTPServer
from tornado.web import Application

from streamviz.errors import AddressInUse
from streamviz.security.tokens import make_token
from streamviz.views.access import Door, Guarded, Refusal
from streamviz.views.api import MissingHandler
from streamviz.views.page import AssetHandler, BokehFileHandler, PageHandler
from streamviz.views.plotted import ChartPage, ChartPageLibrary, state_of

__all__ = ["PlotServer"]

_HOST = "127.0.0.1"
_WAIT_S = 20.0
"""How long a question for something newer waits for it."""
_MOST_BODY_BYTES = 1024
_IDLE_S = 120.0


class PlotServer:
    """Serves charts to browsers of this machine.

    Raises:
        AddressInUse: The port is held.

    Attributes:
        address: Of the page, with its token.
    """

    def __init__(self, page: ChartPage, *, port: int = 0, live: bool = False) -> None:
        """Listen; nothing is answered before the loop runs.

        Args:
            page: What is shown.
            port: On loopback; 0 for any free one.
            live: Whether :meth:`show` will be called.
        """
        self._live = live
        self._version = 0
        self._state = self._told(page)
        self._changed = asyncio.Event()
        door = Door(token=make_token())
        shelf = {"door": door, "library": ChartPageLibrary()}
        routes = [
            (r"/?", PageHandler, shelf),
            (r"/charts\.json", _ChartsHandler, {"door": door, "plots": self}),
            (r"/assets/(.+)", AssetHandler, shelf),
            (r"/static/(.+)", BokehFileHandler, {"door": door}),
            (r"/.*", MissingHandler, {"door": door}),
        ]
        self._http = HTTPServer(
            Application(routes),  # type: ignore[arg-type]
            max_body_size=_MOST_BODY_BYTES,
            idle_connection_timeout=_IDLE_S,
        )
        try:
            self._http.listen(port, address=_HOST)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise AddressInUse(f"port {port} is held; choose another with --port") from None
        [bound] = {s.getsockname()[1] for s in self._http._sockets.values()}  # noqa: SLF001
        door.port = bound
        self.address = f"http://{_HOST}:{bound}/?token={door.token}"

    def show(self, page: ChartPage) -> None:
        """Show another state to everybody who looks."""
        self._version += 1
        self._state = self._told(page)
        self._changed.set()
        self._changed = asyncio.Event()

    async def newer_than(self, version: int) -> bytes | None:
        """Return the state as JSON as soon as it is newer, ``None`` if it is not for a while."""
        if version >= self._version:
            if not self._live:
                return None
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _WAIT_S)
        return self._state if version < self._version else None

    async def stop(self) -> None:
        """End."""
        self._http.stop()
        await self._http.close_all_connections()

    def _told(self, page: ChartPage) -> bytes:
        state = state_of(page, self._version, live=self._live)
        return json.dumps(state, allow_nan=False).encode()


class _ChartsHandler(Guarded):
    """``/charts.json?after=VERSION``: the charts, as soon as they are newer."""

    plots: PlotServer

    def initialize(self, *, door: Door, plots: PlotServer) -> None:  # type: ignore[override]
        """Take the rules and the charts."""
        super().initialize(door=door)
        self.plots = plots

    async def get(self) -> None:
        """Answer with JSON, or 204 when nothing is newer."""
        after = self.get_query_argument("after", "-1")
        try:
            version = int(after[:20])
        except ValueError:
            raise Refusal(400, f"after: found {after[:40]!r}, expected a version") from None
        state = await self.plots.newer_than(version)
        if state is None:
            self.set_status(204)
            return
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(state)
