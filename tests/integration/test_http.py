"""What the page's port answers, path by path."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Coroutine
from typing import Any

import pytest
from pageserver import TOKEN, PageServer, send, serving
from tornado.httpclient import HTTPResponse

from streamviz import __version__
from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import RunInfo, WorkerInfo

PATHS = [
    "/",
    "/?run=r",
    "/assets/page.css",
    "/assets/nothing.js",
    "/panel.json",
    "/static/js/bokeh.min.js",
    "/static/../server.py",
    "/live",
    "/metrics",
    "/api/v1/runs",
    "/api/v1/query?run=r&metric=loss",
    "/api/v1/status",
    "/api/v1/nothing",
    "/api",
    "/nothing",
    "/autoload.js",
    "/ws",
]
"""Every kind of path there is, and some that there are not."""


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine, with a deadline in place of a hang."""
    asyncio.run(asyncio.wait_for(test, 30))


def error_of(answer: HTTPResponse) -> str:
    """Return the sentence of a refusal."""
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    body = json.loads(answer.body)
    assert list(body) == ["error"]
    return str(body["error"])


def assert_guarded(answer: HTTPResponse) -> None:
    """Every answer carries the headers that keep other sites out."""
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self' ")
    assert "frame-ancestors 'none'" in policy
    assert "*" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Server" not in answer.headers


@pytest.mark.parametrize("prefix", ["", "/viz"])
def test_without_a_login_nothing_is_answered_but_the_health(prefix: str) -> None:
    """Every path, every verb: 401, 403 or 405, and no data in it."""

    async def test() -> None:
        async with serving(prefix=prefix) as server:
            send(server.dashboard.store, "secret-run", "loss", 0, [1.0])
            for path in PATHS:
                for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
                    answer = await server.get(path, method=method, login=False)
                    assert answer.code in {401, 403, 405}, (method, path, answer.code)
                    assert b"secret-run" not in answer.body
                    assert_guarded(answer)
            health = await server.get("/healthz", login=False)
            assert json.loads(health.body) == {"status": "ok", "version": __version__}
            # Tornado counts what it refuses by verb alone before any rule of ours is asked.
            assert server.dashboard.door.refused["login"] >= len(PATHS) * 2

    run(test())


def test_what_lies_outside_of_the_prefix_is_closed_too() -> None:
    """Neither Bokeh's index nor tornado's own error page shows."""

    async def test() -> None:
        async with serving(prefix="/viz") as server:
            server.dashboard.door.prefix = ""
            for path in ("/", "/static/js/bokeh.min.js", "/vizz", "/favicon.ico", "/other"):
                assert (await server.get(path, login=False)).code in {401, 404}
            answer = await server.get("/other")
            assert error_of(answer) == "nothing is at '/other'"
            assert_guarded(answer)

    run(test())


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "", "127.0.0.1:x", "[::1"]
)
def test_another_name_is_refused_even_with_the_login(host: str) -> None:
    """A site whose name was pointed at this machine gets nothing."""

    async def test() -> None:
        async with serving() as server:
            for path in PATHS:
                answer = await server.get(path, Host=host)
                assert answer.code in {400, 403}, (path, answer.code)
                assert "Set-Cookie" not in answer.headers
            answer = await server.get(f"/?token={TOKEN}", Host=host, login=False)
            assert answer.code in {400, 403}

    run(test())


def test_the_names_that_are_allowed() -> None:
    """Loopback names with any port; an address where all were bound; what was named."""

    async def test() -> None:
        async with serving() as server:
            for host in ("localhost", "LOCALHOST:80", "127.0.0.1:1", "[::1]:6166", "localhost."):
                assert (await server.get("/api/v1/runs", Host=host)).code == 200
            assert (await server.get("/api/v1/runs", Host="10.1.2.3")).code == 403
            server.dashboard.door.any_address = True
            assert (await server.get("/api/v1/runs", Host="10.1.2.3:99")).code == 200
            assert (await server.get("/api/v1/runs", Host="evil.example")).code == 403
            server.dashboard.door.hosts |= {"viz.example"}
            assert (await server.get("/api/v1/runs", Host="viz.example")).code == 200

    run(test())


@pytest.mark.parametrize("prefix", ["", "/viz"])
def test_the_token_in_the_address_becomes_a_cookie(
    prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The address is then free of it, and so is the log."""
    caplog.set_level(logging.DEBUG)

    async def test() -> None:
        async with serving(prefix=prefix) as server:
            first = await server.get(f"/?run=a&token={TOKEN}&mode=lines", login=False)
            assert (first.code, first.headers["Location"]) == (302, f"{prefix}/?run=a&mode=lines")
            cookie = first.headers["Set-Cookie"]
            assert cookie.startswith(f"streamviz-{server.port}={TOKEN};")
            assert {part.strip() for part in cookie.split(";")[1:]} == {
                "HttpOnly",
                "SameSite=Strict",
                f"Path={prefix or '/'}",
            }
            page = await server.get("/", login=False, Cookie=cookie.partition(";")[0])
            assert page.code == 200
            for wrong in ("", "x", TOKEN[:-1], "%ff%fe", f"{TOKEN}&token=x"):
                answer = await server.get(f"/?token={wrong}", login=False)
                assert answer.code in {400, 403}
                assert "Set-Cookie" not in answer.headers
            # Only the page takes it from the address.
            assert (await server.get(f"/api/v1/runs?token={TOKEN}", login=False)).code == 401
            assert (await server.get(f"/nothing?token={TOKEN}", login=False)).code == 401

    run(test())
    ours = [record for record in caplog.records if record.name.startswith(("tornado", "streamviz"))]
    assert ours
    assert not [record for record in ours if TOKEN[:-1] in record.getMessage()]


def test_without_login_the_page_says_what_to_do() -> None:
    """A person reads a sentence, a program reads JSON."""

    async def test() -> None:
        async with serving() as server:
            page = await server.get("/", login=False)
            assert page.code == 403
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert b"Open the address that the server printed" in page.body
            api = await server.get("/api/v1/runs", login=False)
            assert api.code == 401
            assert api.headers["WWW-Authenticate"] == "Bearer"
            assert "Authorization: Bearer TOKEN" in error_of(api)

    run(test())


def test_a_program_sends_the_token_itself() -> None:
    """In the Authorization header, where a wrong one is not made good by a cookie."""

    async def test() -> None:
        async with serving() as server:
            for scheme in ("Bearer", "bearer"):
                header = f"{scheme} {TOKEN}"
                answer = await server.get("/metrics", login=False, Authorization=header)
                assert answer.code == 200
            assert (await server.get("/metrics", Authorization="Bearer wrong")).code == 401
            answer = await server.get("/metrics", login=False, Authorization=f"Basic {TOKEN}")
            assert answer.code == 401

    run(test())


def test_without_a_token_everybody_reads() -> None:
    """The Host is still looked at."""

    async def test() -> None:
        async with serving(token=None) as server:
            assert (await server.get("/api/v1/runs", login=False)).code == 200
            assert (await server.get("/", login=False)).code == 200
            assert (await server.get("/?token=old", login=False)).code == 302
            assert (await server.get("/", login=False, Host="evil.example")).code == 403

    run(test())


@pytest.mark.parametrize("prefix", ["", "/viz"])
def test_the_page_and_all_it_loads_are_served_from_here(prefix: str) -> None:
    """Every address in the page is ours and answers with the right type."""

    async def test() -> None:
        async with serving(prefix=prefix) as server:
            page = await server.get("/")
            text = page.body.decode()
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert "{{" not in text
            assert f'data-version="{__version__}"' in text
            loaded = re.findall(r'(?:src|href)="(/[^"]*)"', text)
            assert any("static/js/bokeh.min.js?v=" in path for path in loaded)
            types = {"js": "text/javascript", "css": "text/css"}
            for path in loaded:
                assert path.startswith(prefix)
                answer = await server.get(path.removeprefix(prefix))
                assert answer.code == 200, path
                ending = path.partition("?")[0].rpartition(".")[2]
                assert answer.headers["Content-Type"].startswith(types[ending]), path
            assert "http://" not in text.replace("http://www.w3.org/", "")
            assert "https://" not in text

    run(test())


@pytest.mark.parametrize("path", ["/", "/assets/page.css", "/panel.json"])
def test_the_browser_keeps_what_it_has_while_it_is_right(path: str) -> None:
    """It asks each time and is told with one line that nothing changed."""

    async def test() -> None:
        async with serving() as server:
            first = await server.get(path)
            assert first.headers["Cache-Control"] == "no-cache"
            again = await server.get(path, If_None_Match=first.headers["Etag"])
            assert (again.code, again.body) == (304, b"")
            assert (await server.get(path, If_None_Match='"other"')).body == first.body
            head = await server.get(path, method="HEAD")
            assert (head.code, head.body) == (200, b"")
            assert head.headers["Content-Length"] == str(len(first.body))

    run(test())


def test_what_the_page_is_made_of_is_kept_for_good_under_its_fingerprint() -> None:
    """Every script and style of the page; under another fingerprint none is."""

    async def test() -> None:
        async with serving() as server:
            text = (await server.get("/")).body.decode()
            paths = sorted(set(re.findall(r'"(/assets/[^"]+)"', text)))
            assert sum(path.endswith("/page.js") for path in paths) == 1
            for path in paths:
                answer = await server.get(path)
                assert (answer.code, path) == (200, path)
                assert "immutable" in answer.headers["Cache-Control"]
                _, _, fingerprint, rest = path.split("/", 3)
                other = await server.get(f"/assets/{fingerprint[::-1]}/{rest}")
                assert other.headers["Cache-Control"] == "no-cache"

    run(test())


def test_bokeh_js_may_be_kept_for_good_under_its_version() -> None:
    """Its address changes whenever its bytes do."""

    async def test() -> None:
        async with serving() as server:
            versioned = await server.get("/static/js/bokeh.min.js?v=1")
            assert "max-age=31536" in versioned.headers["Cache-Control"]
            plain = await server.get("/static/js/bokeh.min.js")
            assert plain.headers["Cache-Control"] == "no-cache"
            etag = plain.headers["Etag"]
            assert (await server.get("/static/js/bokeh.min.js", If_None_Match=etag)).code == 304
            for outside in ("/static/%2e%2e/%2e%2e/settings.py", "/static/js", "/assets/page.html"):
                answer = await server.get(outside)
                assert answer.code in {403, 404}
                error_of(answer)

    run(test())


def test_a_panel_is_a_bokeh_document() -> None:
    """What ``embed_item`` takes; made once."""

    async def test() -> None:
        async with serving() as server:
            item = await server.get_json("/panel.json")
            assert {"target_id", "root_id", "doc", "version"} <= set(item)
            assert await server.get_json("/panel.json") == item

    run(test())


def worker(rank: int, attempt: int, state: WorkerState, **more: Any) -> WorkerInfo:
    """Build a worker's snapshot."""
    return WorkerInfo(
        run="r",
        rank=rank,
        attempt=attempt,
        index=rank,
        world_size=2,
        local_rank=rank,
        host="node",
        pid=1,
        state=state,
        started=5.0,
        last_time=6.0,
        **more,
    )


def test_runs_are_listed() -> None:
    """Newest first, with who works for each and what it measures."""

    async def test() -> None:
        async with serving() as server:
            assert await server.get_json("/api/v1/runs") == []
            crew = (
                worker(0, 0, WorkerState.JOINING),
                worker(1, 1, WorkerState.FAILED, last_step=7),
            )
            server.dashboard.roster.replace(RunInfo(run="r", started=5.0, workers=crew))
            server.dashboard.roster.replace(RunInfo(run="s", started=9.0, workers=()))
            send(server.dashboard.store, "r", "layer10", 0, [1.0])
            send(server.dashboard.store, "r", "layer2", 0, [1.0])
            newest, run = await server.get_json("/api/v1/runs")
            assert (newest["run"], newest["metrics"]) == ("s", [])
            assert (run["run"], run["attempts"], run["state"]) == ("r", 2, "failed")
            assert run["metrics"] == ["layer2", "layer10"]
            ages = [item.pop("age_s") for item in run["workers"]]
            assert min(ages) > 0
            assert run["workers"] == [
                {
                    "rank": 0,
                    "world_size": 2,
                    "host": "node",
                    "pid": 1,
                    "attempt": 0,
                    "state": "joining",
                    "last_step": None,
                    "mesh": {},
                },
                {
                    "rank": 1,
                    "world_size": 2,
                    "host": "node",
                    "pid": 1,
                    "attempt": 1,
                    "state": "failed",
                    "last_step": 7,
                    "mesh": {},
                },
            ]

    run(test())


def test_a_query_gives_the_samples_as_sent() -> None:
    """Every number as it was; what JSON has no number for as a string."""

    async def test() -> None:
        async with serving() as server:
            values = [0.1, float("nan"), float("inf"), float("-inf"), 1e-300]
            send(server.dashboard.store, "r", "loss/train", 3, values)
            answer = await server.get_json("/api/v1/query?run=r&metric=loss/train")
            assert answer["resolution"] == "raw"
            [series] = answer["series"]
            assert series == {
                "rank": 3,
                "attempt": 0,
                "step": [0, 1, 2, 3, 4],
                "time": [1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4],
                "value": [0.1, "NaN", "Infinity", "-Infinity", 1e-300],
                "min": [0.1, "NaN", "Infinity", "-Infinity", 1e-300],
                "max": [0.1, "NaN", "Infinity", "-Infinity", 1e-300],
                "count": [1, 0, 0, 0, 1],
                "bad": [0, 1, 1, 1, 0],
            }

    run(test())


def test_a_query_chooses_ranks_attempts_steps_and_points() -> None:
    """Each parameter narrows the answer; an empty one is as good as none."""

    async def test() -> None:
        async with serving() as server:
            store = server.dashboard.store
            for rank in range(20):
                send(store, "r", "loss", rank, [float(rank)] * 100)

            async def ranks(query: str) -> list[int]:
                answer = await server.get_json(f"/api/v1/query?run=r&metric=loss&{query}")
                return [series["rank"] for series in answer["series"]]

            assert await ranks("") == list(range(20))
            assert await ranks("rank=") == list(range(20))
            assert await ranks("rank=7") == [7]
            assert await ranks("rank=0,8-10") == [0, 8, 9, 10]
            assert await ranks("rank=50") == []
            assert await ranks("attempt=1") == []
            assert await ranks("attempt=0&rank=3") == [3]
            base = "/api/v1/query?run=r&metric=loss&rank=2"
            [series] = (await server.get_json(f"{base}&start=10&stop=12"))["series"]
            assert series["step"] == [10, 11, 12]
            answer = await server.get_json(f"{base}&points=10")
            assert answer["resolution"] == 16
            assert len(answer["series"][0]["step"]) <= 10
            assert sum(answer["series"][0]["count"]) == 100

    run(test())


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("", 400, "run: missing"),
        ("run=r", 400, "metric: missing"),
        ("run=no&metric=loss", 404, "no run 'no'"),
        ("run=r&metric=no", 404, "no metric 'no' in run 'r'"),
        ("run=r&metric=no&rank=99", 404, "no metric 'no' in run 'r'"),
        ("run=r&metric=loss&rank=a", 400, "rank: found 'a', expected ranks and ranges"),
        ("run=r&metric=loss&rank=-1", 400, "rank: found '-1'"),
        ("run=r&metric=loss&attempt=x", 400, "attempt: found 'x', expected a whole number from 0"),
        ("run=r&metric=loss&start=-5", 400, "start: found '-5'"),
        ("run=r&metric=loss&start=1e3", 400, "start: found '1e3'"),
        ("run=r&metric=loss&start=9&stop=3", 400, "stop: found 3, expected a step not before"),
        ("run=r&metric=loss&points=0", 400, "points: found '0', expected a whole number from 1 to"),
        ("run=r&metric=loss&points=100001", 400, "from 1 to 100000"),
        ("run=r&metric=loss&points=%D9%A3", 400, "points: found"),
        ("run=r&metric=loss&ranks=1", 400, "'ranks' is no parameter, expected run, metric, rank"),
    ],
)
def test_a_wrong_query_is_answered_with_what_is_allowed(query: str, status: int, says: str) -> None:
    """The sentence names the parameter, what was found and what is expected."""

    async def test() -> None:
        async with serving() as server:
            send(server.dashboard.store, "r", "loss", 0, [1.0])
            answer = await server.get(f"/api/v1/query?{query}")
            assert answer.code == status
            assert says in error_of(answer)

    run(test())


def test_an_answer_too_large_to_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says how large it would have been."""
    monkeypatch.setattr("streamviz.views.api.MAX_ANSWER", 100)

    async def test() -> None:
        async with serving() as server:
            send(server.dashboard.store, "r", "loss", 0, [1.0] * 101)
            answer = await server.get("/api/v1/query?run=r&metric=loss")
            assert answer.code == 400
            assert "the answer has 101 points in 1 series, at most 100" in error_of(answer)

    run(test())


def test_what_is_not_there_and_what_is_not_done_is_said_in_json() -> None:
    """404 and 405 with a sentence; a browser at the page gets a page."""

    async def test() -> None:
        async with serving() as server:
            missing = await server.get("/api/v2/runs")
            assert (missing.code, error_of(missing)) == (404, "nothing is at '/api/v2/runs'")
            for method in ("POST", "DELETE", "BREW"):
                wrong = await server.get("/api/v1/runs", method=method)
                assert (wrong.code, wrong.headers["Allow"]) == (405, "GET, HEAD")
                assert error_of(wrong) == f"found method '{method}', expected GET or HEAD"
            head = await server.get("/api/v1/runs", method="HEAD")
            assert (head.code, head.body) == (200, b"")

    run(test())


def test_the_status_says_what_was_counted_and_what_is_allowed() -> None:
    """Totals, totals by reason, bounds; the refused among them."""

    async def test() -> None:
        async with serving() as server:
            counters = server.dashboard.counters
            counters.add("samples_received_total", 30)
            counters.add("frames_bad_total", 2, reason="truncated")
            crew = (worker(0, 0, WorkerState.LIVE, dropped={"overflow": 4}),)
            server.dashboard.roster.replace(RunInfo(run="r", started=5.0, workers=crew))
            await server.get("/metrics", login=False)
            status = await server.get_json("/api/v1/status")
            assert status["samples_received"] == 30
            assert status["bad_frames"] == {"truncated": 2}
            assert status["dropped"] == {"overflow": 4}
            assert status["bytes_held"] <= status["bytes_allowed"] == 64 << 20
            assert (status["sessions"], status["sessions_allowed"]) == (0, 64)
            assert status["lag_ms"] == {"r": None}
            assert status["refused"] == {"login": 1}
            assert status["gauges"]["ranks_live"] == 1

    run(test())


async def scrape(server: PageServer) -> str:
    """Return what Prometheus reads."""
    answer = await server.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    return str(answer.body, "utf-8")


def test_prometheus_reads_the_same() -> None:
    """With types, and a label where there are reasons."""

    async def test() -> None:
        async with serving() as server:
            counters = server.dashboard.counters
            counters.add("samples_received_total", 30)
            counters.add("frames_bad_total", 2, reason="truncated")
            text = await scrape(server)
            assert "# TYPE streamviz_samples_received_total counter" in text
            assert "\nstreamviz_samples_received_total 30.0\n" in text
            assert '\nstreamviz_frames_bad_total{reason="truncated"} 2.0\n' in text
            assert "\nstreamviz_bytes_allowed 6.7108864e+07\n" in text
            assert "\nstreamviz_viewers 0.0\n" in text
            await server.get("/metrics", login=False)
            assert '\nstreamviz_viewer_refused_total{reason="login"} 1.0\n' in await scrape(server)

    run(test())
