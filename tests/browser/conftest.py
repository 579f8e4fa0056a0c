"""A real headless Chromium, and a page in it that tells what it saw."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, sync_playwright
from viewing import Viewer

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


# Not for the session: while Playwright is up no other test can run an event loop.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser that the machine has."""
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip("no chromium or google-chrome on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def look(chromium: Browser) -> Iterator[Any]:
    """Open pages, each a viewer of its own; they must neither complain nor ask anybody else."""
    viewers: list[Viewer] = []

    def open_page(address: str, **context: Any) -> Viewer:
        context.setdefault("viewport", {"width": 1440, "height": 900})
        page = chromium.new_context(**context).new_page()
        viewer = Viewer(page)
        page.on(
            "console",
            lambda message: (
                viewer.complaints.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.on("pageerror", lambda error: viewer.complaints.append(str(error)))
        page.on("request", lambda request: viewer.requests.append(request.url))
        page.on("websocket", lambda socket: viewer.requests.append(socket.url))
        page.goto(address)
        viewers.append(viewer)
        return viewer

    yield open_page
    for viewer in viewers:
        host = urlsplit(viewer.page.url).netloc
        viewer.page.context.close()
        assert viewer.excused or viewer.complaints == []
        strangers = [url for url in viewer.requests if urlsplit(url).netloc not in (host, "")]
        assert strangers == []
