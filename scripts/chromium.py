"""A real headless Chromium for the benchmarks of the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import Skipped

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["chromium"]

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser, and end it.

    Raises:
        Skipped: There is none, or nothing to drive it with.
    """
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise Skipped("no chromium on PATH")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise Skipped("playwright is not installed: ./scripts/setup test") from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS.split())
        yield browser
        browser.close()
