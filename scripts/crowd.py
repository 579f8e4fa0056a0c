"""Many pages at once: connections that watch charts and say of each frame that it is painted.

``crowd.py LIVE_URL COUNT RUN METRIC...``: says ``ready`` when each has had a frame; then, for each
line on standard input, how many frames they have had so far. The end of the input ends it.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

NUMBER_AT = 4
"""Where a frame has its number: see the layout in ``streamviz/views/encoding.py``."""
POINTS = 512
"""Buckets of a chart: as many as a page of 1440 pixels asks for."""


class Crowd:
    """The pages."""

    def __init__(self) -> None:
        self.frames = 0
        self.waiting = 0
        self._readers: list[asyncio.Future[None]] = []

    async def enter(self, url: str, run: str, metrics: list[str]) -> None:
        """Open one more page."""
        origin = {"Origin": url.replace("ws://", "http://").removesuffix("/live")}
        line = await websocket_connect(HTTPRequest(url, headers=origin))
        self.waiting += 1
        await line.write_message(json.dumps({"op": "watch", "run": run}))
        for number, metric in enumerate(metrics):
            view = {"op": "view", "id": number, "run": run, "metric": metric, "points": POINTS}
            await line.write_message(json.dumps(view))
        self._readers.append(asyncio.ensure_future(self._read(line)))

    async def _read(self, line: WebSocketClientConnection) -> None:
        first = True
        while (message := await line.read_message()) is not None:
            if isinstance(message, bytes):
                (number,) = struct.unpack_from("<I", message, NUMBER_AT)
                self.frames += 1
                self.waiting -= first
                first = False
                await line.write_message(f'{{"op":"ack","frame":{number}}}')


async def main() -> None:
    """Watch until told to end."""
    url, count, run, *metrics = sys.argv[1:]
    crowd = Crowd()
    for _ in range(int(count)):
        await crowd.enter(url, run, metrics)
    while crowd.waiting:
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(crowd.frames, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
