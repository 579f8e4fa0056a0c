"""The live channel over a real websocket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest
from pageserver import TOKEN, LivePage, PageServer, send, serving

from streamviz.store import Store
from streamviz.views.live import LiveSocket


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine, with a deadline in place of a hang."""
    asyncio.run(asyncio.wait_for(test, 30))


async def until_shown(page: LivePage, key: int, name: str, values: list[float]) -> None:
    """Read frames until a column has these values."""
    while not page.shows(key, name, values):
        await page.read_frame()


def test_a_view_comes_whole_and_then_in_tails() -> None:
    """What the page adds up is what the store holds, after every wake-up."""

    async def test() -> None:
        async with serving() as server:
            store = server.dashboard.store
            send(store, "r", "loss", 0, [4.0, 3.0])
            page = LivePage(await server.live())
            hello = await page.hear("hello")
            assert hello["ingest"] == "tcp://127.0.0.1:6167"
            key = await page.view("r", "loss")
            await page.read_frame()
            assert page.shows(key, "mid", [4.0, 3.0])
            for step in range(2, 12):
                send(store, "r", "loss", 0, [float(step)], first=step)
                server.dashboard.hub.wake()
                await until_shown(page, key, "mid", [4.0, 3.0, *map(float, range(2, step + 1))])
            assert page.screen.ops == ["reset"] + ["tail"] * 10
            grid = store.changes("r", "loss", None).grid
            assert page.shows(key, "x", grid.bucket.tolist())
            assert page.shows(key, "t", grid.time[:, 0].tolist())
            assert page.screen.meta[key]["newest"] == 1e9 + 11

    run(test())


def test_samples_wake_the_clock_from_another_thread() -> None:
    """The ingest thread's word is enough."""

    async def test() -> None:
        async with serving() as server:
            store, hub = server.dashboard.store, server.dashboard.hub
            page = LivePage(await server.live())
            key = await page.view("r", "loss")

            def ingest() -> None:
                for step in range(200):
                    send(store, "r", "loss", 0, [float(step)], first=step)
                    hub.wake()

            await asyncio.get_running_loop().run_in_executor(None, ingest)
            await until_shown(page, key, "mid", list(map(float, range(200))))

    run(test())


def test_a_second_viewer_gets_the_history() -> None:
    """It joins late and has the same rows as the first."""

    async def test() -> None:
        async with serving() as server:
            store = server.dashboard.store
            first = LivePage(await server.live())
            send(store, "r", "loss", 0, [1.0, 2.0, 3.0])
            key = await first.view("r", "loss")
            await first.read_frame()
            second = LivePage(await server.live())
            assert await second.view("r", "loss", view_id=5) == key
            await second.read_frame()
            np.testing.assert_array_equal(first.screen.rows[key], second.screen.rows[key])
            send(store, "r", "loss", 0, [4.0], first=3)
            server.dashboard.hub.wake()
            for page in (first, second):
                await until_shown(page, key, "mid", [1.0, 2.0, 3.0, 4.0])

    run(test())


def test_a_viewer_that_never_paints_is_skipped_and_then_catches_up() -> None:
    """Two frames without an acknowledgement, then none; one merged tail after it."""

    async def test() -> None:
        async with serving() as server:
            store, hub = server.dashboard.store, server.dashboard.hub
            send(store, "r", "loss", 0, [0.0])
            slow, quick = LivePage(await server.live()), LivePage(await server.live())
            slow.acks = False
            key = await slow.view("r", "loss")
            await quick.view("r", "loss")
            for step in range(1, 8):
                send(store, "r", "loss", 0, [float(step)], first=step)
                hub.wake()
                await until_shown(quick, key, "mid", list(map(float, range(step + 1))))
            # Whatever was sent to the slow one lies before the answer to its ping.
            await slow.say(op="ping", t=1)
            await slow.hear("pong")
            assert slow.screen.frame == 2
            slow.acks = True
            await slow.say(op="ack", frame=2)
            await until_shown(slow, key, "mid", list(map(float, range(8))))
            assert slow.screen.frame == 3
            assert server.dashboard.counters.total("viewer_frames_skipped_total") > 0

    run(test())


def test_a_page_that_leaves_is_forgotten() -> None:
    """Its views go with it."""

    async def test() -> None:
        async with serving() as server:
            page, other = LivePage(await server.live()), LivePage(await server.live())
            await page.view("r", "loss")
            page.channel.close()
            await other.say(op="watch", run=None)
            while (await other.hear("status"))["viewers"] != 1:
                pass
            assert server.dashboard.hub.views == 0

    run(test())


def test_the_status_comes_by_itself() -> None:
    """Also with no run at all."""

    async def test() -> None:
        async with serving() as server:
            page = LivePage(await server.live())
            await page.say(op="watch", run=None)
            for _ in range(3):
                status = await page.hear("status")
            assert (status["run"], status["state"], status["viewers"]) == (None, "waiting", 1)

    run(test())


@pytest.mark.parametrize(
    "message", ["{", "[]", "x" * 20_000, b"\x00\x01", '{"op":"view","id":1,"points":"many"}']
)
def test_a_bad_message_is_refused_in_words(
    message: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted, the page goes on, and the log has no traceback."""

    async def test() -> None:
        async with serving() as server:
            page = LivePage(await server.live())
            await page.channel.write_message(message, binary=isinstance(message, bytes))
            assert (await page.hear("refused"))["reason"]
            await page.say(op="ping", t=7)
            assert (await page.hear("pong"))["t"] == 7
            assert sum(server.dashboard.hub.refused.values()) == 1

    run(test())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_message_beyond_all_measure_ends_the_connection() -> None:
    """It is not read into memory."""

    async def test() -> None:
        async with serving() as server:
            page = LivePage(await server.live())
            await page.hear("hello")
            await page.channel.write_message("x" * 1_000_000)
            while await page.channel.read_message() is not None:
                pass
            assert page.channel.close_code in {1009, None}

    run(test())


def test_one_viewer_too_many_is_told_so() -> None:
    """It is let in far enough to hear why it is not."""

    async def test() -> None:
        async with serving() as server:
            server.dashboard.hub.max_viewers = 1
            first = LivePage(await server.live())
            await first.hear("hello")
            late = await server.live()
            refused = await late.read_message()
            assert isinstance(refused, str)
            assert json.loads(refused)["op"] == "refused"
            assert await late.read_message() is None
            assert late.close_code == 1013
            assert server.dashboard.hub.viewers == 1

    run(test())


def test_a_page_that_stops_reading_is_not_written_to() -> None:
    """Not even if it says that it paints: what it does not take is never buffered for it."""

    async def test() -> None:
        store = Store(256 << 20)
        for rank in range(30):
            send(store, "r", "loss", rank, [float(rank)] * 1000)
        async with serving(store=store) as server:
            hub = server.dashboard.hub
            page = LivePage(await server.live())
            key = await page.view("r", "loss", mode="lines", points=1024)
            await page.read_frame()
            viewer = hub._viewers[0]
            assert isinstance(viewer.channel, LiveSocket)
            opening = json.dumps(
                {"op": "view", "id": 1, "run": "r", "metric": "loss", "mode": "lines"}
            )
            while not viewer.channel.busy():
                hub.receive(viewer, opening)  # as if the page had asked for all of it again
                viewer.ack(viewer._sent)
                hub.tick()
                await asyncio.sleep(0)
            sent = viewer._sent
            for _ in range(100):
                hub.receive(viewer, opening)
                viewer.ack(viewer._sent)
                hub.tick()
                hub.beat()
                await asyncio.sleep(0)
            assert viewer._sent - sent <= 1
            while page.screen.frame < viewer._sent:
                await page.read_frame()
            assert page.shows(key, "lo", [0.0] * 1000)

    run(test())


async def refusal(server: PageServer, **headers: str) -> int:
    """Return the status with which a connection is refused."""
    own = {"Cookie": server.cookie["Cookie"], "Origin": f"http://127.0.0.1:{server.port}"}
    wanted = {name: value for name, value in {**own, **headers}.items() if value}
    # A bare request, because the websocket client leaves the socket of a refusal open.
    answer = await server.get(
        "/live",
        login=False,
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Key="c3RyZWFtdml6IHRlc3RzIQ==",
        Sec_WebSocket_Version="13",
        **wanted,
    )
    return answer.code


def test_who_may_not_read_may_not_listen() -> None:
    """No login, a wrong one, another site's page, another name: none gets in."""

    async def test() -> None:
        async with serving() as server:
            own = f"http://127.0.0.1:{server.port}"
            assert await refusal(server, Cookie="") == 401
            assert await refusal(server, Cookie=f"streamviz-{server.port}=wrong") == 401
            assert await refusal(server, Cookie=f"streamviz-1={TOKEN}") == 401
            assert await refusal(server, Authorization="Bearer wrong") == 401
            assert await refusal(server, Origin="") == 403
            assert await refusal(server, Origin="null") == 403
            assert await refusal(server, Origin="http://evil.example") == 403
            assert await refusal(server, Origin=f"http://127.0.0.1:{server.port + 1}") == 403
            assert await refusal(server, Origin=f"{own}.evil.example") == 403
            assert await refusal(server, Host="evil.example", Origin="http://evil.example") == 403
            bearer = f"Bearer {TOKEN}"
            assert await refusal(server, Authorization=bearer, Origin="http://evil.example") == 403
            assert server.dashboard.hub.viewers == 0
            program = LivePage(await server.live(Cookie="", Origin="", Authorization=bearer))
            await program.hear("hello")

    run(test())


def test_a_large_view_reaches_a_slow_reader_whole() -> None:
    """While it is written nothing else queues behind it."""

    async def test() -> None:
        store = Store(256 << 20)
        for rank in range(64):
            send(store, "r", "loss", rank, np.random.default_rng(rank).normal(size=2000).tolist())
        async with serving(store=store) as server:
            page = LivePage(await server.live())
            keys = [
                await page.view("r", "loss", view_id=i, mode="lines", points=1000 + i)
                for i in range(12)
            ]
            while set(page.screen.rows) != set(keys):
                await page.read_frame()
            for key in keys:
                assert page.screen.rows[key].shape[0] == 8 + 64
                assert 500 <= page.screen.rows[key].shape[1] <= 1012

    run(test())
