"""The page server of :mod:`pageserver` on a thread of its own, for tests that drive a browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pageserver import TOKEN, PageServer, serving

__all__ = ["page_of", "serving_aside"]


@contextmanager
def serving_aside(**parts: Any) -> Iterator[PageServer]:
    """Serve until the block ends, whoever looks.

    Args:
        parts: As :func:`pageserver.serving` takes them.
    """
    ready = threading.Event()
    held: dict[str, Any] = {}

    async def serve() -> None:
        async with serving(**parts) as server:
            held.update(server=server, loop=asyncio.get_running_loop(), stop=asyncio.Event())
            ready.set()
            await held["stop"].wait()
            server.dashboard.hub.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    try:
        yield held["server"]
    finally:
        held["loop"].call_soon_threadsafe(held["stop"].set)
        thread.join(20)


def page_of(server: PageServer) -> str:
    """Return the address that a browser opens, its token included."""
    return f"{server.base}/?token={TOKEN}"
