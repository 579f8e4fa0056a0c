"""``streamviz.show()``: the page within a notebook's, in a real browser."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from serving import ServerProcess, wait_until

import streamviz
from streamviz.cli.asking import Asked
from streamviz.errors import ConfigError, StreamvizError

pytestmark = pytest.mark.browser

_LOCAL = ("--allow-frame=http://localhost:*", "--allow-frame=http://127.0.0.1:*")


@contextmanager
def notebook(cell: str) -> Iterator[int]:
    """Serve a page that holds what a cell returned, as a notebook does; yield its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<!doctype html><title>notebook</title><p>a cell</p>{cell}".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def opened(chromium: Browser, address: str) -> Page:
    """Open a page as a person does who has been nowhere before."""
    page = chromium.new_context(viewport={"width": 1200, "height": 900}).new_page()
    page.goto(address)
    return page


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_notebook_shows_the_live_page(
    chromium: Browser, serve: Callable[..., ServerProcess], name: str
) -> None:
    """Under both names of this host; the page in it is live, and reads the run it was made for."""
    server = serve(*_LOCAL)
    with streamviz.Publisher(server.ingest, run="framed", rank=0, world_size=1) as publisher:
        publisher.send({"train/loss": 2.5}, step=7)
        wait_until(lambda: server.workers("framed") or None, "the run")
        shown = streamviz.show("framed", server=server.page, height=600)
        html = shown._repr_html_()
        assert server.page.partition("token=")[2] not in html
        assert "token" not in repr(shown)
        with notebook(html) as port:
            page = opened(chromium, f"http://{name}:{port}/")
            frame = page.frame_locator("iframe")
            frame.get_by_text("train", exact=True).first.wait_for(timeout=15_000)
            publisher.send({"train/loss": 1.25}, step=8)
            frame.get_by_text("1.25", exact=False).first.wait_for(timeout=15_000)
            [inner] = [one for one in page.frames if one is not page.main_frame]
            assert "token" not in inner.url
            assert "run=framed" in inner.url
            page.context.close()
    server.stop()


@pytest.mark.parametrize(
    ("flags", "query"),
    [(("--allow-frame=https://notebook.example",), "&embed=1"), (_LOCAL, "")],
    ids=["an origin that was not named", "a page that was not opened for it"],
)
def test_nobody_else_may_frame_it(
    chromium: Browser, serve: Callable[..., ServerProcess], flags: tuple[str, ...], query: str
) -> None:
    """The browser shows nothing of it, though whoever frames it has the reader's own token."""
    server = serve(*flags)
    with notebook(f'<iframe src="{server.page}{query}"></iframe>') as port:
        page = chromium.new_context().new_page()
        with page.expect_console_message(lambda told: "frame-ancestors" in told.text):
            page.goto(f"http://127.0.0.1:{port}/")
        assert not page.frame_locator("iframe").get_by_text("Charts").count()
        page.context.close()
    server.stop()


def test_a_server_that_may_not_be_framed_is_told(serve: Callable[..., ServerProcess]) -> None:
    """The error says which flag is missing; wrong arguments are named."""
    server = serve()
    with pytest.raises(StreamvizError, match="--allow-frame http://localhost:8888"):
        streamviz.show(server=server.page)
    with pytest.raises(ConfigError, match="height"):
        streamviz.show(server=server.page, height=10)
    with pytest.raises(ConfigError, match="run"):
        streamviz.show("no\nname", server=server.page)
    server.stop()
    with pytest.raises(StreamvizError, match="does not answer"):
        streamviz.show(server=server.page)


_KERNEL = """
import os, sys, streamviz
shown = streamviz.show()
again = streamviz.show("other")
assert again.server is shown.server and shown.address == again.address
print(shown.server.pid, shown.address, flush=True)
sys.stdin.read()
os._exit(3)
"""


def test_a_started_server_ends_with_its_kernel(tmp_path: Any, monkeypatch: Any) -> None:
    """Without a server one is started, once; it ends when the kernel does, however that comes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMVIZ_SERVER", "http://127.0.0.1:1/")
    monkeypatch.setenv("STREAMVIZ_INGEST", "tcp://127.0.0.1:0")
    kernel = subprocess.Popen(
        [sys.executable, "-c", _KERNEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert kernel.stdout is not None
    assert kernel.stdin is not None
    pid, address = kernel.stdout.readline().split()
    asked = Asked.of(address, None)
    assert asked.answers()
    kernel.kill()
    kernel.wait()
    kernel.stdin.close()
    kernel.stdout.close()
    wait_until(lambda: not asked.answers() or None, f"the end of server {pid}")
