"""The tabs and the workers board, in a real Chromium, fed over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from serving import ServerProcess
from viewing import Viewer

import streamviz

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]


@contextmanager
def fleet(server: ServerProcess, run: str, count: int) -> Iterator[list[streamviz.Publisher]]:
    """Publishers of a run, the last rank of which never comes."""
    publishers = [
        streamviz.Publisher(server.ingest, run=run, rank=rank, world_size=count + 1)
        for rank in range(count)
    ]
    try:
        yield publishers
    finally:
        for publisher in publishers:
            publisher.close()


def board(viewer: Viewer) -> dict[str, Any]:
    """Return what stands on the workers board."""
    found: dict[str, Any] = viewer.page.evaluate("() => streamviz.boards().workers")
    return found


def test_the_board_names_who_is_behind_and_who_never_came(
    server: ServerProcess, look: Look
) -> None:
    """The rank that stopped stands on top with its phase and lag, and leads to its line."""
    with fleet(server, "race", 4) as publishers:
        for step in range(30):
            for rank, publisher in enumerate(publishers):
                if rank != 2 or step < 10:
                    publisher.send({"loss": 1.0}, step=step)
        with publishers[2].phase("data"):
            viewer = look(f"{server.page}&tab=workers")
            viewer.wait("streamviz.boards().workers.rows.find(r => r.rank === 2)?.behind === 20")
            viewer.wait("streamviz.boards().workers.rows[2].phase === 'data'")
            viewer.wait("streamviz.boards().workers.listed.slice(0, 2).sort().join() === '2,4'")
            # Whom the others wait for is said once they have waited for a while.
            viewer.wait("streamviz.boards().workers.sentence.includes('rank 2')")
        rows = {row["rank"]: row for row in board(viewer)["rows"]}
        assert rows[2]["look"] == "behind"
        assert rows[4]["look"] == "absent"
        assert [rows[rank]["look"] for rank in (0, 1, 3)] == ["live"] * 3
        page = viewer.page
        # Never by colour alone: the square has a mark, the row a glyph and a word.
        assert page.locator(".square[data-state=behind]").inner_text() == "\u2039"
        assert "behind" in page.locator("[role=row][data-state=behind]").inner_text()
        assert "rank 2" in page.locator("#pane-workers .board-sentence").inner_text()
        assert "r2 on " in str(page.locator(".square[data-state=behind]").get_attribute("title"))

        page.get_by_role("button", name="rank", exact=True).click()
        viewer.wait("streamviz.boards().workers.listed.join() === '0,1,2,3,4'")
        page.get_by_label("filter ranks").fill("1-2, 4")
        viewer.wait("streamviz.boards().workers.listed.join() === '1,2,4'")
        page.get_by_label("filter ranks").fill("")
        page.locator(".chip[data-state=absent]").click()
        viewer.wait("streamviz.boards().workers.listed.join() === '4'")
        page.locator(".chip[data-state=absent]").click()

        page.locator("[role=row][data-state=behind]").click()
        viewer.wait("streamviz.state().tab === 'charts' && streamviz.state().ranks === '2'")
        viewer.wait("panel('loss')?.columns?.x.length === 10")
        assert viewer.state()["mode"] == "lines"


def test_tabs_follow_keys_and_the_address_and_what_is_hidden_gets_no_data(
    server: ServerProcess, look: Look
) -> None:
    """Digits, arrows and the browser's back choose a tab; the charts of a hidden one are closed."""
    with fleet(server, "tabs", 2) as publishers:
        for publisher in publishers:
            publisher.send({"loss": 1.0, "system/cpu": 50.0, "phase/data": 0.02}, step=0)
        viewer = look(server.page)
        page = viewer.page
        viewer.wait("panel('loss')?.columns?.x.length === 1")
        page.keyboard.press("3")
        viewer.wait("streamviz.boards().heatmap.rows === 2 || streamviz.boards().tab === 'heatmap'")
        # Nothing of the charts is on the screen any more.
        viewer.wait("streamviz.panels().length === 0")
        assert "tab=heatmap" in page.url
        heatmap = page.get_by_role("tab", name="Heatmap")
        assert heatmap.get_attribute("aria-selected") == "true"
        heatmap.focus()
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        viewer.wait("streamviz.state().tab === 'system' && panel('system/cpu') !== undefined")
        viewer.wait("panel('loss') === undefined")
        page.keyboard.press("Home")
        viewer.wait("streamviz.state().tab === 'charts' && panel('loss') !== undefined")
        page.go_back()
        viewer.wait("streamviz.state().tab === 'system'")
        page.reload()
        viewer.wait("globalThis.streamviz?.boards().tab === 'system'")
        viewer.wait("streamviz.boards().phases.phases.join() === 'data'")
        viewer.wait("streamviz.boards().resources.columns[0]?.values.length === 2")
        # A digit in a field is a digit.
        page.keyboard.press("/")
        page.keyboard.type("1")
        assert viewer.state()["tab"] == "system"

        page.goto(f"{server.page}&tab=nonsense")
        viewer.wait("globalThis.streamviz?.boards().tab === 'charts'")
        page.set_viewport_size({"width": 390, "height": 844})
        for tab in "1234567":
            page.keyboard.press(tab)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
