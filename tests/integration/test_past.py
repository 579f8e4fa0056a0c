"""Queries for what memory no longer holds, with a larger store for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np
from pageserver import PageServer, send, serving
from serving import ServerProcess, wait_until

import streamviz
from streamviz.store import Store

PATH = "/api/v1/query?metric=m&run="


class Disk:
    """A store with room for everything, in the place of the disk."""

    def __init__(self) -> None:
        self.store = Store(64 << 20)

    def runs(self) -> list[Any]:
        """Nothing that memory has not."""
        return []

    def grid(self, run: str, metric: str, **how: Any) -> Any:
        """Read as memory does."""
        return self.store.changes(run, metric, None, **how).grid

    def query(self, run: str, metric: str, **how: Any) -> Any:
        """Read as memory does, without knowing everything."""
        return self.store.query(run, metric, **how) if run in self.store.runs() else None


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine, with a deadline in place of a hang."""
    asyncio.run(asyncio.wait_for(test, 30))


async def steps(server: PageServer, query: str) -> tuple[object, list[int]]:
    """Return the resolution of an answer and the steps of its first series."""
    answer = await server.get_json(PATH + query)
    return answer["resolution"], answer["series"][0]["step"]


def test_a_query_is_answered_by_whoever_has_it_finest() -> None:
    """Memory what it holds, the disk what memory has thinned out; never more than was asked for."""

    async def test() -> None:
        memory, disk = Store(1 << 20), Disk()
        for first in range(0, 60_000, 500):
            values = list(map(float, range(first, first + 500)))
            send(memory, "r", "m", 0, values, first=first)
            # Memory alone has the newest: the disk comes a moment later.
            if first < 59_000:
                send(disk.store, "r", "m", 0, values, first=first)
        assert not memory.changes("r", "m", None, start=1000, stop=1999).grid.complete
        async with serving(store=memory, history=disk) as server:
            thinned = "r&start=1000&stop=1999"
            assert await steps(server, thinned + "&points=1000") == ("raw", list(range(1000, 2000)))
            newest = "r&start=59500&points=1000"
            assert await steps(server, newest) == ("raw", list(range(59_500, 60_000)))
            width, at = await steps(server, "r&points=100")
            assert isinstance(width, int)
            assert at[0] == 0
            assert 50 < len(at) <= 100
            width, at = await steps(server, thinned + "&points=300")
            assert (width, len(at)) == (4, 250)

    run(test())


def test_a_run_that_memory_does_not_know_is_read_from_the_disk() -> None:
    """By rank and attempt as any other; what neither has is not found."""

    async def test() -> None:
        disk = Disk()
        for rank in range(3):
            send(disk.store, "older", "m", rank, [1.0, 2.0])
        async with serving(history=disk) as server:
            answer = await server.get_json(PATH + "older&rank=1-2")
            assert [one["rank"] for one in answer["series"]] == [1, 2]
            assert (await server.get_json(PATH + "older&attempt=7"))["series"] == []
            assert "lists what there is" in str(await server.get_json(PATH + "never", status=404))

    run(test())


def test_what_the_disk_lacks_is_answered_from_memory() -> None:
    """Coarse, and said to be by its resolution."""

    async def test() -> None:
        memory = Store(1 << 20)
        for first in range(0, 60_000, 500):
            send(memory, "r", "m", 0, list(np.ones(500)), first=first)
        async with serving(store=memory, history=Disk()) as server:
            width, _ = await steps(server, "r&start=1000&stop=1999&points=1000")
            assert isinstance(width, int)
            assert width > 1

    run(test())


def test_a_recorded_run_is_there_at_full_resolution_whatever_memory_holds(tmp_path: Path) -> None:
    """Long past what memory keeps, beside the writer and after a restart without room for it."""
    server = ServerProcess("--memory", "1MiB", data_dir=tmp_path)
    try:
        with streamviz.Publisher(server.ingest, run="long") as publisher:
            for step in range(50_000):
                publisher.send({"m": float(step)}, step=step)
                if step % 2_000 == 0:
                    assert publisher.flush(10)
            assert publisher.flush(10)
            asked = {"run": "long", "metric": "m", "start": 20_000, "stop": 20_999}
            for _ in range(2):
                answer = server.get("/api/v1/query", **asked, points=1000)
                assert answer["resolution"] == "raw"
                [series] = answer["series"]
                assert series["step"] == list(range(20_000, 21_000))
                assert series["value"] == series["step"]
                [run] = server.get("/api/v1/runs")
                assert (run["run"], run["metrics"]) == ("long", ["m"])
                assert server.stop() == 0
                server = ServerProcess("--memory", "1MiB", ingest=server.ingest, data_dir=tmp_path)
            wait_until(lambda: server.get("/api/v1/status")["journal"]["kind"] == "ok", "recorded")
    finally:
        server.stop()
