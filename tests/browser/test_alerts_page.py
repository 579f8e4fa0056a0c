"""Alerts and marks on the page, in a real Chromium, fed over real sockets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from serving import ServerProcess
from viewing import Viewer

import streamviz

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]
HOSTILE = "<img src=x onerror=alert(1)>"


def moments(viewer: Viewer, metric: str) -> list[dict[str, str]]:
    """Return what stands over a chart: the kind and the words of each line."""
    found: list[dict[str, str]] = viewer.page.evaluate(
        """metric => [...document.querySelectorAll(".card .moment")]
          .filter(line => line.closest(".card").ariaLabel === metric)
          .map(line => ({kind: line.dataset.kind, words: line.lastChild.textContent}))""",
        metric,
    )
    return found


def test_what_went_wrong_is_listed_marked_and_led_to(server: ServerProcess, look: Look) -> None:
    """Banner, count, list, lines over charts, and the keys that go from one to the next."""
    with streamviz.Publisher(server.ingest, run="bad", rank=0, world_size=1) as publisher:
        publisher.send({"other": 1.0}, step=0)
        viewer = look(server.page)
        page = viewer.page
        viewer.wait("panel('other')")
        assert page.title() == "bad · streamviz"
        # Of a training that told no end it is said how long it has been going on.
        viewer.wait("document.getElementById('eta-label').textContent === 'running for'")
        assert re.fullmatch(r"\d+ s|1 min", page.inner_text("#stat-eta"))
        assert page.locator("#notice-alerts").is_hidden()

        for step in range(400):
            loss = 2 * math.exp(-step / 200) + 0.01 * (7 * step % 5)
            publisher.send(
                {
                    "train/loss": loss + 30 if step == 300 else loss,
                    "other": math.nan if step == 200 else 1.0,
                },
                step=step,
            )
        publisher.mark("checkpoint", step=100, text=HOSTILE)
        assert publisher.flush(10)

        viewer.wait("document.title === '(2) bad · streamviz'")
        assert page.inner_text("#notice-alerts") == "2 alerts"
        assert page.inner_text("#alerts-count") == "(2)"
        # The newest by its time of two that arrived together.
        assert "jumped to" in page.inner_text("#notice-text")

        viewer.wait("document.querySelectorAll('.moment[data-kind=mark]').length === 2")
        jumped, bad = moments(viewer, "train/loss"), moments(viewer, "other")
        assert [line["kind"] for line in jumped] == ["mark", "warning"]
        assert [line["kind"] for line in bad] == ["mark", "error"]
        assert jumped[0]["words"].endswith(f"100 · checkpoint: {HOSTILE} (r0)"), "text, no element"
        assert "NaN in other" in bad[1]["words"]
        glyph = page.locator(".moment[data-kind=warning] .moment-glyph")
        glyph.hover()
        assert page.locator(".moment[data-kind=warning] .moment-words").is_visible()

        page.click("#notice-alerts")
        rows = page.locator("#alerts .alert-row")
        assert rows.count() == 2
        assert "first bad value of the run" in rows.nth(1).inner_text()
        rows.nth(1).click()
        assert not page.locator("#alerts").is_visible()
        viewer.wait("panel('other').following === false")
        shown = (viewer.panel("other") or {})["range"]
        assert shown["start"] <= 200 <= shown["end"] < 399

        page.keyboard.press("n")
        viewer.wait("panel('train/loss').following === false")
        shown = (viewer.panel("train/loss") or {})["range"]
        assert 200 < shown["start"] <= 300 <= shown["end"]
        page.keyboard.press("N")
        viewer.wait("document.activeElement.ariaLabel === 'other'")

    # Another run has other alerts: none.
    with streamviz.Publisher(server.ingest, run="good", rank=0, world_size=1) as publisher:
        publisher.send({"m": 1.0}, step=0)
        viewer.wait("document.title === 'good · streamviz'")
        assert page.locator("#notice-alerts").is_hidden()
        assert page.locator(".moment").count() == 0
