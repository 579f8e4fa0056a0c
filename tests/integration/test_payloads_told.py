"""``/api/v1/payloads``, ``/payload``, ``/media`` and ``/vendor``: what ranks sent, to be drawn."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Coroutine
from typing import Any

import pytest
from pageserver import serving
from payloads_sent import document, hold, pixels, put

from streamviz.store import Store
from streamviz.views import vendor
from streamviz.wire.bodies import pack_body

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine, with a deadline in place of a hang."""
    asyncio.run(asyncio.wait_for(test, 30))


def filled(steps: int = 3) -> Store:
    """Return a store with two ranks and some payloads."""
    store = Store(64 << 20)
    first, second = hold(store, "r", 2)
    for step in range(steps):
        put(store, first, "image", {"samples/a": pixels(step)}, step)
        put(store, second, "image", {"samples/a": pixels(100 + step)}, step)
    put(store, first, "mark", {"checkpoint": pack_body({})}, steps)
    put(store, first, "text", {"note": document(text="# hi\n<script>", markdown=True)}, steps)
    put(store, first, "image", {"drawn": pack_body({"media": "image/svg+xml", "data": SVG})}, 9)
    put(store, first, "figure", {"bad": document(library="excel", figure={})}, 9)
    return store


def test_the_index_lists_names_ranks_and_steps() -> None:
    """All but marks and alerts; of what made room the number stands there."""

    async def test() -> None:
        async with serving(store=filled(20)) as server:
            told = await server.get_json("/api/v1/payloads?run=r")
            assert told["run"] == "r"
            assert told["left_off"] == 0
            assert [(one["kind"], one["name"], one["rank"]) for one in told["payloads"]] == [
                ("figure", "bad", 0),
                ("image", "drawn", 0),
                ("image", "samples/a", 0),
                ("image", "samples/a", 1),
                ("text", "note", 0),
            ]
            samples = told["payloads"][2]
            assert samples["steps"] == list(range(4, 20))
            assert samples["times"][0] == 1.7e9 + 4
            assert samples["gone"] == 4
            assert told["payloads"][0]["gone"] == 0
            newest = max(number for one in told["payloads"] for number in one["numbers"])
            assert told["version"] == newest + 1

    run(test())


def test_one_payload_is_told_as_it_is_drawn() -> None:
    """Its place, and its body; text with HTML that is harmless; what cannot be drawn in words."""

    async def test() -> None:
        async with serving(store=filled()) as server:
            told = await server.get_json("/api/v1/payloads?run=r")
            number = {one["name"]: one["numbers"][-1] for one in told["payloads"]}
            text = await server.get_json(f"/api/v1/payload?run=r&number={number['note']}")
            assert (text["kind"], text["name"], text["rank"], text["step"]) == (
                *("text", "note"),
                *(0, 3),
            )
            assert text["body"]["html"] == "<h1>hi</h1>\n<p>&lt;script&gt;</p>\n"
            bad = await server.get_json(f"/api/v1/payload?run=r&number={number['bad']}", 422)
            assert "'excel'" in bad["error"]
            for query in ("run=r&number=x", "run=r", "run=r&number=-1", "run=r&number=1&more=2"):
                assert "error" in await server.get_json(f"/api/v1/payload?{query}", 400)
            for query in ("run=r&number=999999", "run=other&number=0", "run=r&number=6"):
                assert "error" in await server.get_json(f"/api/v1/payload?{query}", 404)

    run(test())


def test_media_can_run_nothing_and_are_asked_about_again() -> None:
    """Bytes come with their type and a policy that stops scripts; unchanged ones come once."""

    async def test() -> None:
        async with serving(store=filled()) as server:
            told = await server.get_json("/api/v1/payloads?run=r")
            number = {one["name"]: one["numbers"][-1] for one in told["payloads"]}
            svg = await server.get(f"/api/v1/media?run=r&number={number['drawn']}")
            assert svg.body == SVG
            assert svg.headers["Content-Type"] == "image/svg+xml"
            assert svg.headers["Content-Security-Policy"] == (
                "default-src 'none'; style-src 'unsafe-inline'; sandbox"
            )
            assert svg.headers["X-Content-Type-Options"] == "nosniff"
            path = f"/api/v1/media?run=r&number={number['samples/a']}"
            png = await server.get(path)
            assert png.headers["Content-Type"] == "image/png"
            again = await server.get(path, If_None_Match=png.headers["Etag"])
            assert (again.code, again.body) == (304, b"")
            text = await server.get(f"/api/v1/media?run=r&number={number['note']}")
            assert text.code == 422
            assert (await server.get(path, login=False)).code == 401

    run(test())


def test_plotly_comes_from_the_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the door, once; without the package the answer says what to install."""
    found = importlib.util.find_spec("plotly") is not None

    async def test() -> None:
        async with serving() as server:
            assert (await server.get("/vendor/plotly.min.js", login=False)).code == 401
            assert (await server.get("/vendor/other.js")).code == 404
            if found:
                answer = await server.get("/vendor/plotly.min.js")
                assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
                etag = answer.headers["Etag"]
                again = await server.get("/vendor/plotly.min.js", If_None_Match=etag)
                assert again.code == 304
            vendor._read.cache_clear()
            monkeypatch.setattr(vendor, "find_spec", lambda _: None)
            told = await server.get_json("/vendor/plotly.min.js", 404)
            assert 'pip install "streamviz[plotly]"' in told["error"]
            vendor._read.cache_clear()

    run(test())
