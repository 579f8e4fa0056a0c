"""Zoomed views of what memory no longer holds, with another, larger store for a disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from screen import Screen

from streamviz.counters import Counters
from streamviz.ingest.roster import Roster
from streamviz.store import Grid, QueryResult, Store
from streamviz.views.depth import DISK_EVERY_S, read_deep
from streamviz.views.encoding import frame_bytes
from streamviz.views.hub import Hub
from streamviz.views.models import ViewKey
from streamviz.views.view import LiveView

STEPS = 60_000


class Disk:
    """What a server that had memory for everything would answer."""

    def __init__(self) -> None:
        self.store = Store(256 << 20)
        self.asked: list[tuple[int | None, int | None]] = []
        self.gate = threading.Event()
        self.gate.set()

    def runs(self) -> list[Any]:
        """Nothing that memory has not."""
        return []

    def grid(
        self,
        run: str,
        metric: str,
        *,
        workers: Sequence[int],
        start: int | None = None,
        stop: int | None = None,
        points: int = 1024,
    ) -> Grid | None:
        """Read as memory does, once the gate is open."""
        self.asked.append((start, stop))
        assert self.gate.wait(20)
        return self.store.changes(
            run, metric, None, workers=workers, start=start, stop=stop, points=points
        ).grid

    def query(self, run: str, metric: str, **how: Any) -> QueryResult | None:
        """Read as memory does."""
        return self.store.query(run, metric, **how)


class Recorded:
    """A run that both have been sent, of which memory holds little."""

    def __init__(self) -> None:
        self.memory, self.disk = Store(1 << 20), Disk()
        self.at = 0

    def send(self, steps: int, *, rank: int = 0, first: int | None = None) -> None:
        """Send steps of a rank, with their sine as value."""
        first = self.at if first is None else first
        at = np.arange(first, first + steps, dtype=np.int64)
        for store in (self.memory, self.disk.store):
            worker = store.open_worker("r", rank, 0)
            table = store.open_table("r", ("m",))
            for part in np.array_split(at, max(1, steps // 500)):
                time = 1e9 + part.astype(np.float64)
                store.append(table, worker, part, time, np.sin(time - 1e9)[:, None])
        self.at = max(self.at, first + steps)


@pytest.fixture
def recorded() -> Recorded:
    """A long run of one rank, whose first half memory has thinned out."""
    run = Recorded()
    run.send(STEPS)
    assert not run.memory.changes("r", "m", None, start=1000, stop=2000).grid.complete
    return run


def look(view: LiveView) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    """Return the steps that a viewer of a view sees, and the meta beside them."""
    screen = Screen()
    screen.take(frame_bytes(1, 0.0, [view.chunk(0)]))
    return screen.column(view.number, "x"), screen.meta[view.number]


def test_a_zoomed_view_takes_what_the_disk_has(recorded: Recorded) -> None:
    """First what memory has, coarse and said to be; then every step."""
    key = ViewKey("r", "m", "band", None, 1000, 2000, 1024)
    view = LiveView(1, key, has_disk=True)
    assert view.refresh(recorded.memory, 5.0)
    steps, meta = look(view)
    assert (meta["complete"], view.disk_due) == (False, 5.0)
    assert meta["shift"] > 0

    assert view.take_deep(read_deep(recorded.disk, key, view.choice))

    steps, meta = look(view)
    assert (meta["complete"], meta["shift"]) == (True, 0)
    np.testing.assert_array_equal(steps, np.arange(1000, 2001))


@pytest.mark.parametrize(("start", "stop"), [(None, None), (STEPS - 500, STEPS)])
def test_what_memory_has_is_not_asked_of_the_disk(
    recorded: Recorded, start: int | None, stop: int | None
) -> None:
    """The whole history as an overview, and a range that the ring holds."""
    view = LiveView(1, ViewKey("r", "m", "band", None, start, stop, 1024), has_disk=True)
    view.refresh(recorded.memory, 5.0)
    assert view.disk_due == float("inf")


def test_rows_within_the_range_make_it_read_again_once_a_second(recorded: Recorded) -> None:
    """Rows elsewhere do not; and what is shown meanwhile is not thrown away for coarser."""
    key = ViewKey("r", "m", "band", None, 1000, 2000, 1024)
    view = LiveView(1, key, has_disk=True)
    view.refresh(recorded.memory, 5.0)
    view.disk_due = float("inf")  # it is being read
    view.take_deep(read_deep(recorded.disk, key, view.choice))
    version = view.version

    recorded.send(100)
    assert not view.refresh(recorded.memory, 6.0)
    assert view.disk_due == float("inf")
    recorded.send(50, first=1500)
    assert not view.refresh(recorded.memory, 7.0)
    recorded.send(50, first=1500)
    assert not view.refresh(recorded.memory, 7.5)
    assert (view.disk_due, view.version) == (7.0 + DISK_EVERY_S, version)

    view.take_deep(read_deep(recorded.disk, key, view.choice))
    steps, _ = look(view)
    np.testing.assert_array_equal(steps, np.arange(1000, 2001))


def test_a_rank_more_is_seen_at_once_and_then_in_full(recorded: Recorded) -> None:
    """Rows of the choice before are not shown for the new one."""
    key = ViewKey("r", "m", "band", None, 1000, 2000, 1024)
    view = LiveView(1, key, has_disk=True)
    view.refresh(recorded.memory, 5.0)
    before = read_deep(recorded.disk, key, view.choice)
    view.take_deep(before)

    recorded.send(2000, rank=1, first=0)
    assert view.refresh(recorded.memory, 6.0)

    assert (look(view)[1]["ranks"], view.disk_due) == (2, 6.0)
    assert not view.take_deep(before)
    assert view.take_deep(read_deep(recorded.disk, key, view.choice))
    assert look(view)[1]["ranks"] == 2


class Page:
    """A page that reads what it is sent."""

    def __init__(self, hub: Hub) -> None:
        self.screen = Screen()
        viewer = hub.join(self)
        assert viewer is not None
        self.viewer, self.hub = viewer, hub

    def busy(self) -> bool:
        """Never."""
        return False

    def close(self, code: int, reason: str) -> None:
        """Take the end."""

    def send(self, message: str | bytes) -> None:
        """Take a frame, and say that it is painted."""
        if isinstance(message, bytes):
            self.screen.take(message)
            self.hub.receive(self.viewer, f'{{"op":"ack","frame":{self.screen.frame}}}')


def test_the_loop_goes_on_while_the_disk_is_slow(recorded: Recorded) -> None:
    """A live view gets its rows while a zoomed one waits; that one gets its own when they come."""

    async def test() -> None:
        hub = Hub(recorded.memory, Roster(), Counters(), history=recorded.disk)
        recorded.disk.gate.clear()
        hub.start(asyncio.get_running_loop())
        page = Page(hub)
        hub.receive(
            page.viewer, '{"op":"view","id":1,"run":"r","metric":"m","start":1000,"stop":2000}'
        )
        hub.receive(page.viewer, '{"op":"view","id":2,"run":"r","metric":"m"}')
        while not recorded.disk.asked or len(page.screen.rows) < 2:
            await asyncio.sleep(0)
        zoomed, live = 1, 2
        assert not page.screen.meta[zoomed]["complete"]
        for _ in range(3):
            recorded.send(10)
            hub.wake()
            while page.screen.meta[live]["newest"] != 1e9 + recorded.at - 1:
                await asyncio.sleep(0)
        assert len(recorded.disk.asked) == 1

        recorded.disk.gate.set()

        while not page.screen.meta[zoomed]["complete"]:
            await asyncio.sleep(0)
        np.testing.assert_array_equal(page.screen.column(zoomed, "x"), np.arange(1000, 2001))
        hub.stop()

    asyncio.run(asyncio.wait_for(test(), 30))


def test_a_disk_that_fails_leaves_what_memory_has(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why; the view stays as it was."""

    async def test() -> None:
        hub = Hub(recorded.memory, Roster(), Counters(), history=recorded.disk)
        recorded.disk.store = None  # type: ignore[assignment]
        hub.start(asyncio.get_running_loop())
        page = Page(hub)
        hub.receive(
            page.viewer, '{"op":"view","id":1,"run":"r","metric":"m","start":1000,"stop":2000}'
        )
        while "the disk could not be read" not in caplog.text:
            await asyncio.sleep(0)
        assert (page.screen.meta[1]["complete"], hub.views) == (False, 1)
        hub.stop()

    asyncio.run(asyncio.wait_for(test(), 30))
