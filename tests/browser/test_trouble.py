"""What the page says of a full disk, of lost rows and of what memory no longer holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from asideserver import page_of, serving_aside
from serving import wait_until
from viewing import Viewer

from streamviz.clock import wall_time
from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import RunInfo, WorkerInfo
from streamviz.journal.state import JournalState
from streamviz.store import Store

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]

FULL = JournalState(
    kind="full",
    since=None,
    detail="No space left on device",
    bytes_used=3 << 30,
    bytes_allowed=20 << 30,
    path="/scratch/data",
)


def run_of(**worker: Any) -> RunInfo:
    """Build a run of one worker that was heard from just now."""
    now = wall_time()
    fields: dict[str, Any] = {
        "run": "r",
        "rank": 0,
        "attempt": 0,
        "index": 0,
        "world_size": 1,
        "local_rank": 0,
        "host": "node",
        "pid": 1,
        "state": WorkerState.LIVE,
        "started": now - 60,
        "last_time": now,
        **worker,
    }
    return RunInfo(run="r", started=now - 60, workers=(WorkerInfo(**fields),))


def fill(*stores: Store, steps: int) -> None:
    """Send a long run of one rank, the step as its value, to each store."""
    for store in stores:
        worker, table = store.open_worker("r", 0, 0), store.open_table("r", ("m",))
        for at in np.array_split(np.arange(steps, dtype=np.int64), steps // 500):
            values = at.astype(np.float64)
            store.append(table, worker, at, 1e9 + values, values[:, None])


@pytest.mark.parametrize("width", [390, 1440])
def test_a_full_disk_is_said_in_red_until_there_is_room(look: Look, width: int) -> None:
    """Since when, what becomes of the rows, where to make room; and nothing sticks out."""
    now = [replace(FULL, since=wall_time() - 12)]
    store = Store(8 << 20)
    fill(store, steps=500)
    with serving_aside(store=store, journal=lambda: now[0]) as server:
        server.dashboard.roster.replace(run_of(last_step=499))
        viewer = look(page_of(server), viewport={"width": width, "height": 844})
        viewer.excused = True
        notice = viewer.page.locator("#notice")
        wait_until(lambda: notice.get_attribute("data-tone") == "red", "it is said")
        words = viewer.page.inner_text("#notice-text")
        assert "the disk has been full for 1" in words
        assert "the ranks keep their rows" in words
        assert "/scratch/data" in words
        assert viewer.page.evaluate("() => document.documentElement.scrollWidth") <= width

        now[0] = replace(FULL, kind="failing", detail="Read-only file system", since=wall_time())
        wait_until(lambda: "failing" in viewer.page.inner_text("#notice-text"), "why it fails")
        assert "Read-only file system" in viewer.page.inner_text("#notice-text")

        now[0] = replace(FULL, kind="ok", since=None)
        wait_until(lambda: notice.get_attribute("data-tone") == "", "it is over")
        if width == 1440:
            assert viewer.page.inner_text("#stat-disk") == "3 GiB of 20 GiB"


@pytest.mark.parametrize("width", [390, 1440])
def test_where_the_rows_are_adds_up(look: Look, width: int) -> None:
    """Every row that was sent stands in one line; what was dropped is said by reason."""
    store = Store(8 << 20)
    fill(store, steps=500)
    numbers = {"sent": 10_700, "stored": 10_000, "missing": 120, "held": 580, "spilled": 400}
    dropped = {"buffer full": 100, "outbox full": 20}
    with serving_aside(store=store) as server:
        run = run_of(**numbers, repeated=3, dropped=dropped)
        server.dashboard.roster.replace(run)
        viewer = look(page_of(server), viewport={"width": width, "height": 844})
        viewer.excused = True
        viewer.wait("streamviz.state().status?.run === 'r'")
        viewer.page.keyboard.press("d")
        lines = viewer.page.locator(".delivery > div")
        wait_until(lambda: lines.count() > 3, "the lines are there")
        told = dict(text.split("\n") for text in lines.all_inner_texts() if "\n" in text)
        assert viewer.page.evaluate("() => document.documentElement.scrollWidth") <= width
    number = {name: int(text.replace("\u202f", "").split()[0]) for name, text in told.items()}
    assert number == {
        "rows sent by the ranks": 10_700,
        "stored": 10_000,
        "in gaps, drawn hatched": 120,
        "dropped by the ranks: buffer full": 100,
        "dropped by the ranks: outbox full": 20,
        "held by the ranks, still to come": 580,
        "on their own disks": 400,
        "lost with a process that ended": 0,
        "came twice, kept once": 3,
    }


class Disk:
    """A store with room for everything, in the place of the disk."""

    def __init__(self) -> None:
        self.store = Store(64 << 20)

    def grid(self, run: str, metric: str, **how: Any) -> Any:
        """Read as memory does."""
        return self.store.changes(run, metric, None, **how).grid

    def query(self, run: str, metric: str, **how: Any) -> Any:
        """Read as memory does."""
        return self.store.query(run, metric, **how)


@pytest.fixture
def disk() -> tuple[Store, Disk]:
    """A long run, of which memory holds little and the disk all."""
    memory, disk = Store(1 << 20), Disk()
    fill(memory, disk.store, steps=60_000)
    return memory, disk


@pytest.mark.parametrize("recorded", [True, False])
def test_a_zoom_into_the_past_shows_what_the_disk_has(
    look: Look,
    disk: tuple[Store, Disk],
    recorded: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Memory has many steps a point there: the disk has each, and without it the page says so."""
    memory, past = disk
    with serving_aside(store=memory, history=past if recorded else None) as server:
        server.dashboard.roster.replace(run_of(last_step=59_999))
        viewer = look(page_of(server))
        viewer.excused = True
        viewer.wait("panel('m')?.columns?.x.length > 400")
        box = viewer.page.locator(".over").first.bounding_box()
        assert box is not None
        left, middle = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
        viewer.page.mouse.move(left, middle)
        viewer.page.mouse.down()
        viewer.page.mouse.move(left + 6, middle, steps=4)
        viewer.page.mouse.up()
        notes = viewer.page.locator(".card-notes")
        if not recorded:
            viewer.wait("!panel('m').following && !panel('m').complete")
            wait_until(lambda: "finer is not kept" in notes.inner_text(), "it is said")
            assert "steps a point" in notes.inner_text()
            return
        viewer.wait("panel('m').complete && panel('m').shift === 0")
        panel = viewer.panel("m")
        assert panel is not None
        start, end = panel["range"]["start"], panel["range"]["end"]
        shown = [
            (step, value)
            for step, value in zip(panel["columns"]["x"], panel["columns"]["raw"], strict=True)
            if start <= step <= end
        ]
        assert shown == [(step, step) for step in range(int(start) + 1, int(end) + 1)]
        assert len(shown) > 300
        assert notes.inner_text() == ""
