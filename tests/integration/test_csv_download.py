"""A metric as CSV: every row as it was sent, from memory and from the disk."""

from __future__ import annotations

import asyncio
import csv
import io
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest
from pageserver import PageServer, send, serving
from serving import ServerProcess, wait_until

import streamviz
from streamviz.store import Store
from streamviz.views import download


def rows_of(body: bytes) -> list[dict[str, str]]:
    """Read an answer."""
    return list(csv.DictReader(io.StringIO(body.decode())))


async def rows(server: PageServer, query: str) -> list[dict[str, str]]:
    """Ask for a download and read it."""
    answer = await server.get(f"/api/v1/csv?{query}")
    assert answer.code == 200, answer.body
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return rows_of(answer.body)


def test_every_row_is_there_as_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """In portions much smaller than the answer, with holes between steps, NaN among the values."""
    monkeypatch.setattr(download, "PORTION", 64)
    values = np.random.default_rng(0).standard_normal(3_000)
    values[[5, 700]] = np.nan, np.inf

    async def test() -> None:
        async with serving() as server:
            store = server.dashboard.store
            for rank in range(3):
                send(store, "r", "loss", rank, list(values[:1_000]))
                send(store, "r", "loss", rank, list(values[1_000:]), first=50_000_000)
            found = await rows(server, "run=r&metric=loss&ranks=0,2")
            assert [row["rank"] for row in found] == ["0"] * 3_000 + ["2"] * 3_000
            steps = [*range(1_000), *range(50_000_000, 50_002_000)]
            assert [int(row["step"]) for row in found] == steps * 2
            assert {row["steps"] for row in found} == {"1"}
            np.testing.assert_array_equal([float(row["value"]) for row in found[:3_000]], values)
            assert [float(row["time"]) for row in found[:3]] == [1e9, 1e9 + 1, 1e9 + 2]

    asyncio.run(asyncio.wait_for(test(), 30))


def test_what_is_not_kept_one_by_one_is_told_as_buckets() -> None:
    """With little memory and no disk each row says how many steps it is for; none is missing."""

    async def test() -> None:
        async with serving(store=Store(1 << 20)) as server:
            for first in range(0, 200_000, 10_000):
                values = [float(step) for step in range(first, first + 10_000)]
                send(server.dashboard.store, "r", "m", 0, values, first=first)
            found = await rows(server, "run=r&metric=m")
            assert max(int(row["steps"]) for row in found) > 1
            assert sum(int(row["count"]) for row in found) == 200_000
            ends = [int(row["step"]) + int(row["steps"]) for row in found]
            assert all(int(row["step"]) >= end for row, end in zip(found[1:], ends, strict=False))
            assert float(found[-1]["max"]) == 199_999.0

    asyncio.run(asyncio.wait_for(test(), 30))


def test_what_cannot_be_answered_is_refused_with_a_sentence() -> None:
    """Unknown runs, metrics and parameters, and a download too many."""

    async def test() -> None:
        async with serving() as server:
            send(server.dashboard.store, "r", "m", 0, [1.0])
            for query, code in (
                ("run=r&metric=nothing", 404),
                ("run=nothing&metric=m", 404),
                ("run=r", 400),
                ("run=r&metric=m&ranks=9-1", 400),
                ("run=r&metric=m&points=3", 400),
            ):
                answer = await server.get(f"/api/v1/csv?{query}")
                assert answer.code == code, query
                assert b"error" in answer.body
            assert (await server.get("/api/v1/csv?run=r&metric=m", login=False)).code == 401
            assert await rows(server, "run=r&metric=m&ranks=5") == []

    asyncio.run(asyncio.wait_for(test(), 30))


def test_a_recorded_run_is_given_from_the_disk(tmp_path: Path) -> None:
    """Rows that memory has given up are still rows in the download."""
    server = ServerProcess("--memory", "1MiB", data_dir=tmp_path)
    try:
        with streamviz.Publisher(server.ingest, run="r", rank=0) as publisher:
            for step in range(60_000):
                publisher.send({"m": float(step)}, step=step)
                if step % 5_000 == 0:
                    assert publisher.flush(10)
            assert publisher.flush(10)

        def downloaded() -> list[dict[str, str]] | None:
            with closing(HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
                headers = {"Authorization": f"Bearer {server.token}"}
                connection.request("GET", "/api/v1/csv?run=r&metric=m", headers=headers)
                found = rows_of(connection.getresponse().read())
            return found if found[-1]["step"] == "59999" else None

        found = wait_until(downloaded, "the last row is there")
        assert [int(row["step"]) for row in found] == list(range(60_000))
        assert [float(row["value"]) for row in found] == [float(step) for step in range(60_000)]
        assert {row["steps"] for row in found} == {"1"}
    finally:
        server.stop()
