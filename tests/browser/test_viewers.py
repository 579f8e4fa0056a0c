"""Pages that sleep, pages too many, and pages that outlive their server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from rawviewer import RawViewer
from serving import ServerProcess, wait_until
from viewing import Viewer

import streamviz
from streamviz.clock import monotonic_time

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]

METRICS = [f"m{i}" for i in range(8)]
MOST_GROWTH = 12 << 20
"""Bytes by which a server may seem to grow in some seconds of work; what the sleepers are not sent
is many times that."""


def rss(process: subprocess.Popen[str]) -> int:
    """Return what a process holds in memory, bytes."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


@contextmanager
def training(server: ServerProcess) -> Iterator[streamviz.Publisher]:
    """A run whose every row changes its charts from their start on, which makes large frames."""
    stop = threading.Event()
    with streamviz.Publisher(server.ingest, run="r") as publisher:
        for step in range(4000):
            publisher.send(dict.fromkeys(METRICS, float(step)), step=step)
        assert publisher.flush(10)

        def go() -> None:
            step = 4000
            while not stop.wait(0.02):
                publisher.send(dict.fromkeys(METRICS, 0.0), step=step % 16)
                publisher.send(dict.fromkeys(METRICS, float(step)), step=step)
                step += 1

        thread = threading.Thread(target=go)
        thread.start()
        try:
            yield publisher
        finally:
            stop.set()
            thread.join()


@contextmanager
def sleeping_browser(server: ServerProcess, profile: Path) -> Iterator[None]:
    """A whole Chromium that looks at the page and is then stopped, as on a closed laptop."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    before = server.get("/api/v1/status")["sessions"]
    process = subprocess.Popen(
        [
            path,
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-sync", "--remote-debugging-port=0"),
            *(f"--user-data-dir={profile}", server.page),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(
            lambda: server.get("/api/v1/status")["sessions"] > before, "its page is connected"
        )
        sent = server.count("viewer_frames_sent_total")
        wait_until(lambda: server.count("viewer_frames_sent_total") > sent + 5, "it is fed")
        os.killpg(process.pid, signal.SIGSTOP)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def test_pages_that_stop_reading_cost_nobody_anything(
    server: ServerProcess, look: Look, tmp_path: Path
) -> None:
    """One that never reads, one that says it has painted what it never read, a stopped browser."""
    with ExitStack() as stack:
        stack.enter_context(training(server))
        viewer = look(server.page)
        viewer.wait("panel('m0')?.columns?.x.length > 100")
        silent, lying = (stack.enter_context(RawViewer(server)) for _ in range(2))
        for raw in (silent, lying):
            for view, metric in enumerate(METRICS):
                raw.say(op="view", id=view, run="r", metric=metric, points=1024)
        stack.enter_context(sleeping_browser(server, tmp_path))
        skipped = server.count("viewer_frames_skipped_total")
        wait_until(
            lambda: server.count("viewer_frames_skipped_total") > skipped + 20, "they are left out"
        )

        held = rss(server.process)
        frames = server.count("viewer_frames_sent_total")
        ended = monotonic_time() + 4
        acknowledged = 0
        slowest = 0.0
        while monotonic_time() < ended:
            acknowledged += 1
            lying.say(op="ack", frame=acknowledged)
            # Whoever does read is served as ever.
            asked = monotonic_time()
            newest = viewer.panel("m0")["newest"]  # type: ignore[index]
            viewer.wait("panel('m0').newest > argument", newest)
            slowest = max(slowest, monotonic_time() - asked)
        grown = rss(server.process) - held

        assert server.count("viewer_frames_sent_total") - frames > 20
        assert slowest < 2
        assert grown < MOST_GROWTH, f"{grown >> 20} MiB"
        assert server.get("/api/v1/status")["sessions"] == 4


def test_a_page_too_many_is_told_and_comes_in_later(server: ServerProcess, look: Look) -> None:
    """It says why it shows nothing, and shows all once another page was closed."""
    allowed = server.get("/api/v1/status")["sessions_allowed"]
    assert allowed == 64
    with streamviz.Publisher(server.ingest, run="r") as publisher, ExitStack() as stack:
        publisher.send({"m": 1.0}, step=0)
        assert publisher.flush(10)
        others = [stack.enter_context(RawViewer(server)) for _ in range(allowed)]
        wait_until(lambda: server.get("/api/v1/status")["sessions"] == allowed, "all are in")

        viewer = look(server.page)
        words = viewer.page.locator("#notice-text")
        wait_until(lambda: "64 pages are connected" in words.inner_text(), "it is told")
        assert "connection lost" not in words.inner_text()
        assert server.get("/api/v1/status")["refused"]["too many viewers"] >= 1
        others[0].socket.close()

        viewer.wait("panel('m')?.columns?.x.length === 1")
        wait_until(lambda: "64 pages" not in words.inner_text(), "nothing is wrong any more")


def test_an_open_page_gets_over_a_killed_server(look: Look, tmp_path: Path) -> None:
    """It says so, keeps what it shows, and within 10 s of the new server shows all and goes on."""
    how: dict[str, Any] = {"data_dir": tmp_path / "data"}
    first = ServerProcess("--token", "the-same-word-again", **how)
    publisher = streamviz.Publisher(first.ingest, run="kept")
    second: ServerProcess | None = None
    try:
        for step in range(300):
            publisher.send({"m": float(step)}, step=step)
        assert publisher.flush(10)
        viewer = look(first.page)
        viewer.wait("panel('m')?.columns?.x.length === 300")
        viewer.excused = True
        how.update(port=first.port, ingest=first.ingest)
        first.kill()

        viewer.page.get_by_text("connection lost").first.wait_for()
        shown = viewer.panel("m")
        assert shown is not None
        assert len(shown["columns"]["x"]) == 300
        for step in range(300, 400):
            publisher.send({"m": float(step)}, step=step)
        viewer.page.get_by_text("connection lost 2 s ago").first.wait_for()

        second = ServerProcess("--token", "the-same-word-again", **how)
        started = monotonic_time()
        viewer.wait("streamviz.state().link === 'open' && panel('m').columns.x.length === 400")
        took = monotonic_time() - started
        panel = viewer.panel("m")
        assert panel is not None
    finally:
        publisher.close()
        if second is not None:
            second.stop()
    assert took < 10
    assert panel["columns"]["raw"] == list(range(400))
    assert (panel["gaps"], panel["lines"]) == ([], [])


def test_a_page_whose_token_is_of_a_former_server_says_what_to_do(look: Look) -> None:
    """It cannot come in again by itself, and does not try in silence."""
    first = ServerProcess()
    viewer = look(first.page)
    viewer.wait("streamviz.state().link === 'open'")
    viewer.excused = True
    port = first.port
    first.kill()
    second = ServerProcess(port=port)
    try:
        viewer.page.get_by_text("open the address that it printed").first.wait_for()
    finally:
        second.stop()
