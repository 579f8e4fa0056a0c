"""A real page server on a free loopback port, with a store and no publishers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.server.server import Server
from screen import Screen
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClientConnection, websocket_connect

from streamviz.counters import Counters
from streamviz.ingest.roster import Roster
from streamviz.journal.state import NOT_RECORDED, JournalState
from streamviz.store import Store
from streamviz.views.access import Door
from streamviz.views.dashboard import Dashboard, routes, settings
from streamviz.views.hub import Hub

TOKEN = "a-token-of-forty-three-characters-or-so-1234"  # noqa: S105 - only in tests


@dataclass
class PageServer:
    """What a test has in hand."""

    dashboard: Dashboard
    port: int
    channels: list[WebSocketClientConnection] = field(default_factory=list)

    @property
    def base(self) -> str:
        """The page's address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}{self.dashboard.door.prefix}"

    @property
    def cookie(self) -> dict[str, str]:
        """The header of a browser that is logged in."""
        return {"Cookie": f"streamviz-{self.port}={TOKEN}"}

    async def get(
        self, path: str, *, method: str = "GET", login: bool = True, **headers: str
    ) -> HTTPResponse:
        """Ask for a path as the page does, and take whatever the answer is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = HTTPRequest(
            self.base + path,
            method=method,
            headers={**(self.cookie if login else {}), **named},
            follow_redirects=False,
            allow_nonstandard_methods=True,
        )
        return await AsyncHTTPClient().fetch(request, raise_error=False)

    async def get_json(self, path: str, status: int = 200) -> Any:
        """Ask for a path and read the JSON of the answer."""
        answer = await self.get(path)
        assert answer.code == status, answer.body
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        return json.loads(answer.body)

    async def live(self, **headers: str) -> WebSocketClientConnection:
        """Open the live channel as the page does; given headers replace those of the page."""
        own = {**self.cookie, "Origin": f"http://127.0.0.1:{self.port}"}
        own.update(headers)
        request = HTTPRequest(
            f"ws://127.0.0.1:{self.port}{self.dashboard.door.prefix}/live",
            headers={name: value for name, value in own.items() if value},
        )
        channel = await websocket_connect(request)
        self.channels.append(channel)
        return channel

    async def hang_up(self) -> None:
        """Close every channel, and see the server's end close too."""
        streams = [channel.protocol.stream for channel in self.channels if channel.protocol]
        for channel in self.channels:
            channel.close()
        while self.dashboard.hub.viewers:
            await asyncio.sleep(0)
        for stream in streams:
            if stream is not None:
                stream.close()  # what the answer to the goodbye would do a moment later


@asynccontextmanager
async def serving(
    *,
    prefix: str = "",
    token: str | None = TOKEN,
    store: Store | None = None,
    history: Any = None,
    journal: Callable[[], JournalState] = lambda: NOT_RECORDED,
) -> AsyncIterator[PageServer]:
    """Serve until the block ends."""
    store = store or Store(64 << 20)
    roster, counters = Roster(), Counters()
    hub = Hub(
        store,
        roster,
        counters,
        ingest_endpoint="tcp://127.0.0.1:6167",
        history=history,
        journal=journal,
    )
    door = Door(token=token, prefix=prefix)
    dashboard = Dashboard(
        store=store,
        roster=roster,
        counters=counters,
        hub=hub,
        door=door,
        history=history,
        journal=journal,
    )
    server = Server(
        {},
        io_loop=IOLoop.current(),
        address="127.0.0.1",
        port=0,
        prefix=prefix,
        extra_patterns=routes(dashboard),
        **settings(dashboard),
    )
    assert server.port is not None
    door.port = server.port
    server.start()
    hub.start(asyncio.get_running_loop())
    page_server = PageServer(dashboard, server.port)
    try:
        yield page_server
        await page_server.hang_up()
    finally:
        hub.stop()
        server.stop()
        # A browser keeps its connections for later.
        await server._http.close_all_connections()
        AsyncHTTPClient().close()


def send(
    store: Store, run: str, metric: str, rank: int, values: list[float], *, first: int = 0
) -> None:
    """Put rows into the store as the collector does."""
    worker = store.open_worker(run, rank, 0)
    table = store.open_table(run, (metric,))
    steps = np.arange(first, first + len(values), dtype=np.int64)
    store.append(
        table, worker, steps, 1e9 + steps.astype(np.float64), np.array(values).reshape(-1, 1)
    )


class LivePage:
    """The page's end of the live channel.

    Attributes:
        screen: What its frames add up to.
        heard: Every text message, in order.
        acks: Whether it says that it has painted each frame.
    """

    def __init__(self, channel: WebSocketClientConnection) -> None:
        self.channel = channel
        self.screen = Screen()
        self.heard: list[dict[str, Any]] = []
        self.acks = True

    async def say(self, **message: object) -> None:
        """Send a message."""
        await self.channel.write_message(json.dumps(message))

    async def read(self) -> dict[str, Any] | None:
        """Read one message; return that of a text, ``None`` for a frame."""
        message = await self.channel.read_message()
        assert message is not None, "the server closed the channel"
        if isinstance(message, str):
            heard: dict[str, Any] = json.loads(message)
            self.heard.append(heard)
            return heard
        self.screen.take(message)
        if self.acks:
            await self.say(op="ack", frame=self.screen.frame)
        return None

    async def hear(self, op: str) -> dict[str, Any]:
        """Read on until a message of a kind comes."""
        while True:
            message = await self.read()
            if message is not None and message["op"] == op:
                return message

    async def read_frame(self) -> None:
        """Read on until a frame comes."""
        while await self.read() is not None:
            pass

    async def view(self, run: str, metric: str, view_id: int = 1, **more: object) -> int:
        """Open a view; return its key."""
        await self.say(op="view", id=view_id, run=run, metric=metric, **more)
        opened = await self.hear("opened")
        assert opened["id"] == view_id
        return int(opened["key"])

    def shows(self, key: int, name: str, values: list[float]) -> bool:
        """Say whether a column of a view has these values."""
        return key in self.screen.rows and self.screen.column(key, name).tolist() == values
