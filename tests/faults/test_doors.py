"""Every door of the page's port, tried by everybody who should not get through it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest
from pageserver import TOKEN, LivePage, PageServer, send, serving
from tornado.httpclient import HTTPClientError, HTTPResponse

from streamviz.clock import wall_time
from streamviz.ingest.roster import RunInfo
from streamviz.security.shares import Share, Shares
from streamviz.security.tokens import make_token
from streamviz.views.access import Guarded
from streamviz.views.dashboard import routes
from streamviz.views.live import LiveSocket

VERBS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW")
UNASKED = {
    f"/api/v1/{name}"
    for name in (
        *("alerts", "csv", "distribution", "items", "layers", "media"),
        *("newest", "payload", "payloads", "query"),
    )
}
"""What answers nothing before it is asked about a run."""

FREE = {"/healthz"}
"""What answers without a login; a route that joins it does so here, in sight."""

Outcome = Callable[[int, str], None]


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine, with a deadline in place of a hang."""
    asyncio.run(asyncio.wait_for(test, 60))


def path_of(pattern: str) -> str:
    """Return a path that a route's pattern takes."""
    path = pattern.replace("/?", "/").replace("(.+)", "x").replace("([a-z]+)", "linear")
    path = path.replace("([a-z.]+)", "plotly.min.js")
    path = path.replace("\\.", ".").replace(".*", "x")
    assert re.fullmatch(pattern, path), f"this test has to learn to write a path for {pattern!r}"
    return path


def doors(server: PageServer) -> dict[str, type[Guarded]]:
    """Return every path there is, with its handler, as the server itself was built from them."""
    found = {path_of(pattern): handler for pattern, handler, _ in routes(server.dashboard)}
    assert len(found) >= 11
    for path, handler in found.items():
        assert issubclass(handler, Guarded), path
        assert handler.free == (path in FREE), path
    return found  # type: ignore[return-value]


async def ask(
    server: PageServer, path: str, headers: Mapping[str, str], verb: str = "GET"
) -> HTTPResponse:
    """Ask for a path with these headers and no other login."""
    return await server.get(path, method=verb, login=False, **headers)


async def is_let_in(server: PageServer, **headers: str) -> bool:
    """Open the live channel, say whether it speaks, and see it close at both ends."""
    channel = await server.live(**headers)
    greeting = await channel.read_message()
    channel.close()
    # One that is not read does not see the other end close.
    while await channel.read_message() is not None:
        pass
    return greeting is not None


def with_secret(server: PageServer) -> None:
    """Put something there to be found."""
    send(server.dashboard.store, "secret-run", "secret-metric", 0, [1.0])
    info = RunInfo(run="secret-run", started=1.0, workers=())
    server.dashboard.roster.replace(info)


def strangers(server: PageServer, folder: Path) -> dict[str, dict[str, str]]:
    """Return whom to keep out, by name, as the headers that they send."""
    door, now = server.dashboard.door, wall_time()
    good, cookie = server.cookie, door.cookie
    door.shares = Shares(folder / "now")
    ended = door.shares.make(Share(now - 1))
    living = door.shares.make(Share(now + 99))
    revoked = Shares(folder / "then").make(Share(now + 99))
    base = f"http://127.0.0.1:{server.port}"
    return {
        "nobody": {},
        "an old token": {"Cookie": f"{cookie}={make_token()}"},
        "a token cut short": {"Cookie": f"{cookie}={TOKEN[:-1]}"},
        "an empty token": {"Cookie": f"{cookie}="},
        "another port's cookie": {"Cookie": f"streamviz-{server.port + 1}={TOKEN}"},
        "a wrong bearer, in spite of a cookie": {**good, "Authorization": "Bearer wrong"},
        "basic": {"Authorization": f"Basic {TOKEN}"},
        "an ended share": {"Cookie": f"{door.share_cookie}={ended}"},
        "another secret's share": {"Cookie": f"{door.share_cookie}={revoked}"},
        "a changed share": {"Cookie": f"{door.share_cookie}={living[:-2]}AA"},
        "a share's payload alone": {"Authorization": f"Bearer {living.rpartition('.')[0]}"},
        "a share as the token": {"Cookie": f"{cookie}={living}"},
        "a foreign Host": {**good, "Host": "evil.example"},
        "a Host that begins well": {**good, "Host": "127.0.0.1.evil.example"},
        "a proxy nobody named": {"X-Forwarded-Host": "127.0.0.1", "Host": "evil.example", **good},
        "a foreign Origin": {**good, "Origin": "http://evil.example"},
        "a foreign Origin with a bearer": {
            "Authorization": f"Bearer {TOKEN}",
            "Origin": "http://evil.example",
        },
        "Origin null": {**good, "Origin": "null"},
        "another port's Origin": {**good, "Origin": f"http://127.0.0.1:{server.port + 1}"},
        "another scheme's Origin": {**good, "Origin": base.replace("http:", "https:")},
        "an Origin that begins well": {**good, "Origin": f"{base}.evil.example"},
    }


def test_nobody_gets_through_any_door(tmp_path: Path, outcome: Outcome) -> None:
    """Each path, each verb, each stranger: refused, with the headers, and nothing in the body."""

    async def test() -> None:
        async with serving() as server:
            with_secret(server)
            tried = 0
            found, outside = doors(server), strangers(server, tmp_path)
            for path in set(found) - FREE:
                for verb in VERBS:
                    for who, headers in outside.items():
                        answer = await ask(server, path, headers, verb)
                        assert answer.code in {401, 403, 405}, (who, verb, path, answer.code)
                        assert answer.code != 405 or verb not in ("GET", "HEAD")
                        assert b"secret" not in answer.body, (who, verb, path)
                        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
                        assert "Set-Cookie" not in answer.headers
                        tried += 1
            for who, headers in outside.items():
                answer = await ask(server, "/healthz", headers)
                assert json.loads(answer.body).keys() == {"status", "version"}, who
            outcome(47, f"{tried} tries by {len(outside)} strangers over {len(found)} routes: 0 in")

    run(test())


def test_nobody_opens_the_live_channel(tmp_path: Path) -> None:
    """The websocket asks as every path does; and for an Origin, unless a program has the token."""

    async def test() -> None:
        async with serving() as server:
            outside = strangers(server, tmp_path)
            own = {"Origin": f"http://127.0.0.1:{server.port}"}
            outside["no Origin at all"] = {**server.cookie, "Origin": ""}
            for who, headers in outside.items():
                with pytest.raises(HTTPClientError) as refused:
                    await server.live(**{"Cookie": "", **own, **headers})
                assert refused.value.code in {401, 403}, who
            assert server.dashboard.hub.viewers == 0
            assert await is_let_in(server)
            program = {"Cookie": "", "Origin": "", "Authorization": f"Bearer {TOKEN}"}
            assert await is_let_in(server, **program)

    run(test())


def test_a_share_reads_everything_and_does_nothing(tmp_path: Path) -> None:
    """With a link all that can be read is; whatever another verb may do one day is closed to it."""

    async def test() -> None:
        async with serving() as server:
            with_secret(server)
            door = server.dashboard.door
            door.shares = Shares(tmp_path)
            token = door.shares.make(Share(wall_time() + 60))
            first = await server.get(f"/?token={token}", login=False)
            assert (first.code, first.headers["Location"]) == (302, "/")
            cookie = first.headers["Set-Cookie"]
            assert cookie.startswith(f"{door.share_cookie}={token};")
            assert {"HttpOnly", "SameSite=Strict"} <= {one.strip() for one in cookie.split(";")}
            assert re.search(r"Max-Age=(5\d|60);", cookie)
            reader = {"Cookie": cookie.partition(";")[0]}
            for path in set(doors(server)) - {"/live", "/x", "/assets/x", "/static/x"}:
                answer = await ask(server, path, reader)
                assert answer.code == (400 if path in UNASKED else 200), path
            for path in set(doors(server)) - FREE:
                for verb in set(VERBS) - {"GET", "HEAD"}:
                    answer = await ask(server, path, reader, verb)
                    assert answer.code in {403, 405}, (verb, path)
            assert await is_let_in(server, **reader)
            door.shares.revoke_all()
            assert (await ask(server, "/api/v1/runs", reader)).code == 401
            assert (await server.get(f"/?token={token}", login=False)).code == 403

    run(test())


def test_a_share_of_one_run_shows_no_other(tmp_path: Path) -> None:
    """The list, the queries and the live channel know of that run alone; the rest is closed."""

    async def test() -> None:
        async with serving() as server:
            with_secret(server)
            send(server.dashboard.store, "shown", "loss", 0, [1.0, 2.0])
            server.dashboard.roster.replace(RunInfo(run="shown", started=0.5, workers=()))
            door = server.dashboard.door
            door.shares = Shares(tmp_path)
            token = door.shares.make(Share(wall_time() + 60, "shown"))
            reader = {"Cookie": f"{door.share_cookie}={token}"}
            for path, handler in doors(server).items():
                if path not in FREE and not handler.for_one_run:
                    answer = await ask(server, path, reader)
                    assert answer.code == 403, path
            assert not {"/metrics", "/api/v1/status"} & {
                path for path, handler in doors(server).items() if handler.for_one_run
            }
            runs = await ask(server, "/api/v1/runs", reader)
            assert [row["run"] for row in json.loads(runs.body)] == ["shown"]
            query = "/api/v1/query?metric={}&run={}"
            own = await ask(server, query.format("loss", "shown"), reader)
            assert json.loads(own.body)["series"][0]["value"] == [1.0, 2.0]
            other = await ask(server, query.format("secret-metric", "secret-run"), reader)
            none = await ask(server, query.format("m", "no-such-run"), reader)
            assert (other.code, none.code) == (404, 404)
            assert other.body == none.body.replace(b"no-such-run", b"secret-run")

            page = LivePage(await server.live(**reader))
            await page.hear("hello")
            assert [row["run"] for row in (await page.hear("runs"))["runs"]] == ["shown"]
            for asked in (None, "secret-run", "shown"):
                await page.say(op="watch", run=asked)
                assert (await page.hear("status"))["run"] == "shown"
            await page.say(op="view", id=7, run="secret-run", metric="secret-metric")
            assert (await page.hear("refused"))["reason"] == "this link shows another run"
            key = await page.view("shown", "loss")
            await page.read_frame()
            assert key in page.screen.rows
            server.dashboard.hub.beat()
            await page.say(op="ping", t=1.0)
            await page.hear("pong")
            assert "secret" not in json.dumps(page.heard)

    run(test())


def test_a_live_channel_ends_with_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a link ends, or all do, what it has opened is closed."""
    monkeypatch.setattr("streamviz.views.live._SHARE_S", 0.05)

    async def test() -> None:
        async with serving() as server:
            door = server.dashboard.door
            door.shares = Shares(tmp_path)
            for seconds in (0.5, 60):
                token = door.shares.make(Share(wall_time() + seconds))
                channel = await server.live(Cookie=f"{door.share_cookie}={token}")
                assert server.dashboard.hub.viewers == 1
                if seconds == 60:
                    door.shares.revoke_all()
                while await channel.read_message() is not None:
                    pass
                assert channel.close_code == 4403
                while server.dashboard.hub.viewers:
                    await asyncio.sleep(0)

    run(test())


def test_a_proxy_is_believed_where_there_is_one() -> None:
    """With ``--behind-proxy`` its names count, its scheme too, and cookies are Secure."""

    async def test() -> None:
        async with serving() as server:
            door = server.dashboard.door
            door.behind_proxy = True
            door.hosts |= {"viz.example"}
            seen = {
                **server.cookie,
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "viz.example",
            }
            login = await ask(server, f"/?token={TOKEN}", seen)
            assert "Secure" in login.headers["Set-Cookie"]
            page = await ask(server, "/", {**seen, "Origin": "https://viz.example"})
            assert page.code == 200
            assert "wss://viz.example;" in page.headers["Content-Security-Policy"]
            assert "ws://127" not in page.headers["Content-Security-Policy"]
            for origin in ("http://viz.example", f"http://127.0.0.1:{server.port}"):
                assert (await ask(server, "/", {**seen, "Origin": origin})).code == 403
            evil = {**seen, "X-Forwarded-Host": "evil.example"}
            assert (await ask(server, "/", evil)).code == 403
            several = {**seen, "X-Forwarded-Host": "evil.example, viz.example"}
            assert (await ask(server, "/", several)).code == 200
            assert await is_let_in(server, Origin="https://viz.example", **seen)
            with pytest.raises(HTTPClientError):
                await server.live(Origin="http://viz.example", **seen)

    run(test())


def test_the_channel_is_one_of_the_doors() -> None:
    """It shares the checks of every path, rather than having some of its own."""
    assert LiveSocket.prepare is Guarded.prepare
