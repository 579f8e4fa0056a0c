"""The live channel's middle, driven tick by tick, with pages that are plain objects."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from screen import Screen

from streamviz.clock import wall_time
from streamviz.counters import Counters
from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import Roster, RunInfo, WorkerInfo
from streamviz.store import Gap, Store
from streamviz.views.hub import Hub
from streamviz.views.versions import HISTORY
from streamviz.views.view import LiveView
from streamviz.views.viewers import MAX_UNACKED, MAX_VIEWS, Viewer


class Page:
    """A page that reads what it is sent, as the browser does."""

    def __init__(self, hub: Hub) -> None:
        self.stuck = False
        self.closed: tuple[int, str] | None = None
        self.heard: list[dict[str, Any]] = []
        self.screen = Screen()
        self.viewer: Viewer | None = hub.join(self)
        self.hub = hub

    def busy(self) -> bool:
        """Say whether the page has stopped reading."""
        return self.stuck

    def close(self, code: int, reason: str) -> None:
        """Take the end of the connection."""
        self.closed = (code, reason)

    def send(self, message: str | bytes) -> None:
        """Take a message."""
        if isinstance(message, str):
            self.heard.append(json.loads(message))
        else:
            self.screen.take(message)

    def say(self, **message: object) -> dict[str, Any] | None:
        """Send a message; return the answer."""
        assert self.viewer is not None
        answer = self.hub.receive(self.viewer, json.dumps(message))
        return None if answer is None else json.loads(answer)

    def view(self, view_id: int = 1, metric: str = "loss", **more: object) -> int:
        """Open a view; return its key."""
        answer = self.say(op="view", id=view_id, run="r", metric=metric, **more)
        assert answer is not None
        assert answer["op"] == "opened", answer
        return int(answer["key"])

    def ack(self) -> None:
        """Say that the last frame is painted."""
        assert self.say(op="ack", frame=self.screen.frame) is None

    def last(self, op: str) -> dict[str, Any]:
        """Return the last text message of a kind."""
        return next(message for message in reversed(self.heard) if message["op"] == op)


class Training:
    """A run of some ranks that all send one metric."""

    def __init__(self, store: Store, ranks: int, run: str = "r") -> None:
        self.store = store
        self.run = run
        self.workers = [store.open_worker(run, rank, 0) for rank in range(ranks)]
        self.table = store.open_table(run, ("loss", "lr"))
        self.step = 0

    def go(self, steps: int, *, ranks: list[int] | None = None, value: float | None = None) -> None:
        """Send some steps from all or some ranks."""
        at = np.arange(self.step, self.step + steps, dtype=np.int64)
        for rank in range(len(self.workers)) if ranks is None else ranks:
            loss = np.cos(at / 9.0) + rank / 100 if value is None else np.full(steps, value)
            self.store.append(
                self.table,
                self.workers[rank],
                at,
                1e9 + at.astype(np.float64),
                np.column_stack((loss, np.full(steps, 0.1))),
            )
        self.step += steps


@pytest.fixture
def store() -> Store:
    """A store that nothing has been sent to."""
    return Store(64 << 20)


@pytest.fixture
def hub(store: Store) -> Hub:
    """A hub whose clock is the test."""
    return Hub(store, Roster(), Counters(), ingest_endpoint="tcp://127.0.0.1:6167")


def settle(hub: Hub, *pages: Page) -> None:
    """Tick and acknowledge until everything is painted."""
    for _ in range(1000):
        done = hub.tick()
        for page in pages:
            page.ack()
        if done and not any(page.viewer and page.viewer.waits for page in pages):
            return
    raise AssertionError("it never settles")


def assert_shows_the_store(page: Page, key: int, store: Store, **how: Any) -> None:
    """The page has what the store says, as a whole reading gives it."""
    workers = [index for index, _, _ in store.workers("r")]
    grid = store.changes("r", "loss", None, workers=workers, **how).grid
    np.testing.assert_array_equal(page.screen.column(key, "x"), grid.bucket << grid.shift)
    np.testing.assert_allclose(page.screen.column(key, "mid"), np.nanmedian(grid.mean, axis=1))
    np.testing.assert_array_equal(page.screen.column(key, "lo"), np.nanmin(grid.vmin, axis=1))
    np.testing.assert_array_equal(page.screen.column(key, "hi"), np.nanmax(grid.vmax, axis=1))
    np.testing.assert_allclose(page.screen.column(key, "t"), np.nanmean(grid.time, axis=1))
    np.testing.assert_array_equal(page.screen.column(key, "bad"), grid.bad.sum(axis=1))
    assert page.screen.meta[key]["shift"] == grid.shift


def test_a_page_is_greeted(hub: Hub) -> None:
    """Hello comes first, then the list of runs."""
    page = Page(hub)
    assert page.heard[0] == {
        "op": "hello",
        "version": "0.1.0",
        "server": hub.server,
        "now": page.heard[0]["now"],
        "ingest": "tcp://127.0.0.1:6167",
    }


def test_a_view_begins_with_everything_and_goes_on_with_tails(hub: Hub, store: Store) -> None:
    """What the page has is at each moment what the store has."""
    training = Training(store, 4)
    training.go(10)
    page = Page(hub)
    key = page.view()
    settle(hub, page)
    assert_shows_the_store(page, key, store)
    for _ in range(20):
        training.go(3)
        settle(hub, page)
        assert_shows_the_store(page, key, store)
    assert page.screen.ops == ["reset"] + ["tail"] * 20


def test_a_long_run_keeps_to_its_points(hub: Hub, store: Store) -> None:
    """Buckets widen instead of growing in number, and the page follows."""
    training = Training(store, 2)
    page = Page(hub)
    key = page.view(points=100)
    for _ in range(60):
        training.go(37)
        settle(hub, page)
        assert page.screen.rows[key].shape[1] <= 100
    assert_shows_the_store(page, key, store, points=100)
    assert page.screen.ops.count("tail") > page.screen.ops.count("reset")


def test_a_range_of_steps_is_shown_alone(hub: Hub, store: Store) -> None:
    """A zoomed view has its steps, and nothing is sent for what happens beyond."""
    training = Training(store, 2)
    training.go(100)
    page = Page(hub)
    key = page.view(start=20, stop=29)
    settle(hub, page)
    np.testing.assert_array_equal(page.screen.column(key, "x"), np.arange(20, 30))
    frames = page.screen.frame
    training.go(100)
    settle(hub, page)
    assert page.screen.frame == frames


def test_two_pages_of_one_view_share_its_bytes(hub: Hub, store: Store) -> None:
    """The second page gets the history; from then on both get the very same chunk."""
    training = Training(store, 4)
    training.go(50)
    first = Page(hub)
    key = first.view()
    settle(hub, first)
    second = Page(hub)
    assert second.view(view_id=9) == key
    settle(hub, first, second)
    assert_shows_the_store(second, key, store)
    assert (hub.viewers, hub.views) == (2, 1)
    training.go(5)
    settle(hub, first, second)
    np.testing.assert_array_equal(first.screen.rows[key], second.screen.rows[key])
    assert first.screen.ops == second.screen.ops == ["reset", "tail"]


def test_a_page_that_does_not_paint_is_skipped_and_then_gets_one_tail(
    hub: Hub, store: Store
) -> None:
    """At most two frames are on their way; what was skipped comes merged."""
    training = Training(store, 4)
    training.go(10)
    page = Page(hub)
    key = page.view()
    for _ in range(20):
        training.go(2)
        hub.tick()
    assert page.screen.frame == MAX_UNACKED
    page.ack()
    hub.tick()
    assert page.screen.frame == MAX_UNACKED + 1
    assert page.screen.ops == ["reset", "tail", "tail"]
    assert_shows_the_store(page, key, store)


def test_a_page_that_was_away_for_long_starts_over(hub: Hub, store: Store) -> None:
    """Beyond the history that is kept, the whole view is sent again."""
    training = Training(store, 4)
    training.go(10)
    page = Page(hub)
    key = page.view()
    settle(hub, page)
    page.stuck = True
    for _ in range(HISTORY + 1):
        training.go(1)
        hub.tick()
    page.stuck = False
    settle(hub, page)
    assert page.screen.ops == ["reset", "reset"]
    assert_shows_the_store(page, key, store)


def test_a_stuck_page_is_sent_nothing_and_the_others_go_on(hub: Hub, store: Store) -> None:
    """Nothing queues: neither frames nor reports."""
    training = Training(store, 4)
    stuck, well = Page(hub), Page(hub)
    key = stuck.view()
    well.view()
    for page in (stuck, well):
        page.say(op="watch", run=None)
    stuck.stuck = True
    heard = len(stuck.heard)
    for _ in range(50):
        training.go(1)
        hub.beat()
        hub.tick()
        well.ack()
    assert (stuck.screen.frame, len(stuck.heard)) == (0, heard)
    assert_shows_the_store(well, key, store)


def test_rows_that_come_late_are_put_where_they_belong(hub: Hub, store: Store) -> None:
    """A slow rank's rows change buckets that the page has already."""
    training = Training(store, 4)
    page = Page(hub)
    key = page.view()
    training.go(30, ranks=[0, 1, 2, 3])
    training.go(10, ranks=[0, 1, 2])
    settle(hub, page)
    training.step = 30
    training.go(10, ranks=[3], value=-5.0)
    settle(hub, page)
    assert_shows_the_store(page, key, store)
    assert page.screen.column(key, "lo").min() == -5.0
    assert page.screen.ops == ["reset", "tail"]


def test_a_view_may_be_asked_for_before_its_run_is_there(hub: Hub, store: Store) -> None:
    """It fills when the first sample comes."""
    page = Page(hub)
    key = page.view()
    settle(hub, page)
    assert page.screen.ops == []
    Training(store, 1).go(3)
    settle(hub, page)
    assert_shows_the_store(page, key, store)


def test_nan_is_counted_and_leaves_the_extremes_alone(hub: Hub, store: Store) -> None:
    """A bucket with nothing else has no value, and says how many were bad."""
    training = Training(store, 4)
    training.go(5)
    training.go(1, value=float("nan"))
    training.go(1, ranks=[2], value=float("inf"))
    page = Page(hub)
    key = page.view()
    settle(hub, page)
    np.testing.assert_array_equal(page.screen.column(key, "bad"), [0, 0, 0, 0, 0, 4, 1])
    assert np.isnan(page.screen.column(key, "mid")[5:]).all()
    assert np.isfinite(page.screen.column(key, "hi")[:5]).all()


def test_lines_are_drawn_for_the_chosen_ranks(hub: Hub, store: Store) -> None:
    """Each has its own values; the band is that of the chosen ranks."""
    training = Training(store, 8)
    training.go(12)
    page = Page(hub)
    key = page.view(mode="lines", ranks="1,6-7")
    settle(hub, page)
    lines = page.screen.meta[key]["lines"]
    assert [(line["rank"], line["kind"], line["label"]) for line in lines] == [
        (1, "rank", "r1"),
        (6, "rank", "r6"),
        (7, "rank", "r7"),
    ]
    assert page.screen.meta[key]["ranks"] == 3
    for i, rank in enumerate((1, 6, 7)):
        np.testing.assert_allclose(
            page.screen.rows[key][8 + i], np.cos(np.arange(12) / 9) + rank / 100
        )
    np.testing.assert_allclose(page.screen.column(key, "lo"), page.screen.rows[key][8])


def test_many_ranks_are_drawn_as_some_lines_and_counted(hub: Hub, store: Store) -> None:
    """At most 64 lines, spread over all ranks, and the page says of how many."""
    Training(store, 200).go(2)
    page = Page(hub)
    key = page.view(mode="lines")
    settle(hub, page)
    ranks = [line["rank"] for line in page.screen.meta[key]["lines"]]
    assert (len(ranks), ranks[0], ranks[-1], page.screen.meta[key]["ranks"]) == (64, 0, 199, 200)


def test_an_earlier_attempt_is_a_line_of_its_own(hub: Hub, store: Store) -> None:
    """A restarted rank leaves the band to its latest attempt."""
    training = Training(store, 2)
    training.go(10, value=1.0)
    page = Page(hub)
    key = page.view()
    settle(hub, page)
    again = store.open_worker("r", 1, 1)
    store.append(training.table, again, np.array([5]), np.array([1e9]), np.array([[2.0, 0.1]]))
    hub_view = next(iter(hub._views.values()))
    assert isinstance(hub_view, LiveView)
    hub_view._chosen_at = -np.inf  # as if a quarter of a second had passed
    settle(hub, page)
    assert page.screen.meta[key]["lines"] == [
        {"rank": 1, "attempt": 0, "label": "r1 attempt 0", "kind": "old"}
    ]
    np.testing.assert_array_equal(page.screen.rows[key][8], np.full(10, 1.0))
    assert page.screen.column(key, "hi")[5] == 2.0


def test_a_rank_that_stands_out_is_named(hub: Hub, store: Store) -> None:
    """It is drawn from its start, not from the moment at which it was found."""
    training = Training(store, 16)
    training.go(40)
    training.step = 0
    page = Page(hub)
    wild = store.open_worker("r", 99, 0)
    at = np.arange(40, dtype=np.int64)
    loss = np.column_stack((50.0 + at, np.full(40, 0.1)))
    store.append(training.table, wild, at, 1e9 + at.astype(np.float64), loss)
    key = page.view()
    settle(hub, page)
    assert [line["rank"] for line in page.screen.meta[key]["lines"]] == [99]
    np.testing.assert_array_equal(page.screen.rows[key][8], 50.0 + at)


def test_gaps_are_drawn_once_and_whole(hub: Hub, store: Store) -> None:
    """They come with the view and again only when they change; no row is left out."""
    training = Training(store, 2)
    training.go(40)
    page = Page(hub)
    key = page.view()
    store.add_gap("r", 0, Gap(10, 19, 1.0, 2.0, 10, "overflow"))
    store.add_gap("r", 1, Gap(15, 24, 1.0, 2.0, 10, "overflow"))
    hub.tick()
    page.ack()
    hub.beat()
    settle(hub, page)
    assert page.screen.meta[key]["gaps"] == [[10, 24, 20]]
    store.add_gap("r", 1, Gap(30, 31, 1.0, 2.0, 2, "overflow"))
    hub.beat()
    settle(hub, page)
    assert page.screen.meta[key]["gaps"] == [[10, 24, 20], [30, 31, 2]]
    assert_shows_the_store(page, key, store)


def test_an_id_shows_the_latest_view_it_was_given(hub: Hub, store: Store) -> None:
    """The view that nobody watches any more is dropped."""
    Training(store, 2).go(5)
    page = Page(hub)
    first = page.view(view_id=1)
    second = page.view(view_id=1, metric="lr")
    settle(hub, page)
    assert first not in page.screen.rows
    assert second in page.screen.rows
    assert hub.views == 1
    page.say(op="close", id=1)
    page.say(op="close", id=1)
    assert hub.views == 0
    page.view(view_id=2)
    assert page.viewer is not None
    hub.leave(page.viewer)
    assert (hub.viewers, hub.views) == (0, 0)


def test_two_ids_of_one_view_both_get_it(hub: Hub, store: Store) -> None:
    """The second opening sends the view again; closing one leaves the other."""
    training = Training(store, 2)
    training.go(5)
    page = Page(hub)
    key = page.view(view_id=1)
    settle(hub, page)
    assert page.view(view_id=2) == key
    settle(hub, page)
    assert page.screen.ops == ["reset", "reset"]
    page.say(op="close", id=1)
    training.go(5)
    settle(hub, page)
    assert_shows_the_store(page, key, store)


def test_bounds_are_kept_and_told(hub: Hub) -> None:
    """A page too many, a view too many: refused in words and counted."""
    hub.max_viewers = 1
    page = Page(hub)
    late = Page(hub)
    assert late.viewer is None
    assert late.heard[-1]["op"] == "refused"
    assert late.closed == (1013, "too many viewers")
    for view_id in range(MAX_VIEWS):
        page.view(view_id, metric=f"m{view_id}")
    refused = page.say(op="view", id=MAX_VIEWS, run="r", metric="one more")
    assert refused is not None
    assert (refused["op"], refused["id"]) == ("refused", MAX_VIEWS)
    assert hub.views == MAX_VIEWS
    assert hub.refused == {"too many viewers": 1, "too many views": 1}


def test_the_views_of_all_pages_are_bounded(hub: Hub) -> None:
    """Distinct views cost memory; sharing one costs none."""
    hub.max_views = 1
    first, second = Page(hub), Page(hub)
    first.view()
    second.view()
    refused = second.say(op="view", id=2, run="r", metric="other")
    assert refused is not None
    assert "the most this server allows" in refused["reason"]
    assert hub.views == 1


@pytest.mark.parametrize("data", ["", "[]", '{"op":"ack","frame":5}', '{"op":"view","id":4}', b"x"])
def test_a_bad_message_is_answered_and_counted(hub: Hub, data: str | bytes) -> None:
    """The page goes on as before."""
    page = Page(hub)
    assert page.viewer is not None
    answer = hub.receive(page.viewer, data)
    assert answer is not None
    assert json.loads(answer)["op"] == "refused"
    assert sum(hub.refused.values()) == 1
    assert page.say(op="ping", t=3) is not None


def test_the_end_of_the_server_is_told() -> None:
    """Every page is let go, and a late wake-up from the ingest thread does no harm."""

    async def test() -> None:
        hub = Hub(Store(1 << 20), Roster(), Counters())
        hub.wake()
        hub.start(asyncio.get_running_loop())
        page = Page(hub)
        page.view()
        hub.stop()
        hub.wake()
        assert page.closed == (1001, "the server ends")
        assert (hub.viewers, hub.views) == (0, 0)

    asyncio.run(test())


def test_a_fault_in_one_view_leaves_the_others_alone(
    hub: Hub, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """It is dropped, its viewers are told, the log says why."""
    Training(store, 2).go(5)
    page = Page(hub)
    key = page.view(view_id=1)
    page.view(view_id=2, metric="lr")
    broken = next(view for view in hub._views.values() if view.key.metric == "lr")
    broken._read = None  # type: ignore[method-assign, assignment]
    settle(hub, page)
    assert_shows_the_store(page, key, store)
    assert (page.last("refused")["id"], hub.views) == (2, 1)
    assert "could not be read" in caplog.text


def test_views_of_many_ranks_are_read_beside_the_loop_and_fail_alone(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """The same holds of those that a thread reads: each is as the store has it, or is dropped."""
    training = Training(store, 80)
    training.go(5)

    async def test() -> None:
        hub = Hub(store, Roster(), Counters())
        hub.start(asyncio.get_running_loop())
        page = Page(hub)
        keys = [page.view(view_id=i, points=1000 + i) for i in range(4)]
        page.view(view_id=9, metric="lr", points=1000)
        broken = next(view for view in hub._views.values() if view.key.metric == "lr")
        broken._read = None  # type: ignore[method-assign, assignment]

        async def shown() -> None:
            while any(key not in page.screen.meta for key in keys) or hub.views > 4:
                await asyncio.sleep(0.01)
                page.ack()

        await asyncio.wait_for(shown(), 20)
        assert all(view.heavy for view in hub._views.values())
        training.go(3)
        hub.wake()

        async def followed() -> None:
            while any(len(page.screen.column(key, "x")) < 8 for key in keys):
                await asyncio.sleep(0.01)
                page.ack()

        await asyncio.wait_for(followed(), 20)
        for key in keys:
            assert_shows_the_store(page, key, store)
        assert page.last("refused")["id"] == 9
        assert "could not be read" in caplog.text
        hub.stop()

    asyncio.run(test())


def worker(rank: int, state: WorkerState = WorkerState.LIVE, **more: Any) -> WorkerInfo:
    """Build a worker's snapshot."""
    fields: dict[str, Any] = {
        "run": "r",
        "attempt": 0,
        "index": rank,
        "world_size": 4,
        "local_rank": rank,
        "host": f"node-{rank}",
        "pid": 1,
        "started": 5.0,
        "last_time": 6.0,
        **more,
    }
    return WorkerInfo(rank=rank, state=state, **fields)


def test_reports_come_when_there_is_news_and_the_status_at_every_beat(store: Store) -> None:
    """The list of runs and the run itself are told once; the status each time."""
    roster = Roster()
    hub = Hub(store, roster, Counters())
    page = Page(hub)
    Training(store, 2).go(3)
    crew = (worker(0, last_step=2, dropped={"overflow": 3}), worker(1, WorkerState.STALE))
    roster.replace(RunInfo(run="r", started=5.0, workers=crew))
    hub.beat()
    assert page.last("runs")["runs"] == [
        {
            "run": "r",
            "state": "live",
            "ranks_live": 1,
            "ranks_expected": 4,
            "attempts": 1,
            "attempt": 0,
            "started": 5.0,
            "last_time": 6.0,
        }
    ]
    assert "status" not in {message["op"] for message in page.heard}
    page.say(op="watch", run=None)
    hub.beat()
    said = [message["op"] for message in page.heard]
    assert said == ["hello", "runs", "runs", "run", "status", "status"][-len(said) :]
    assert page.last("run") == {
        "op": "run",
        "run": "r",
        "metrics": ["loss", "lr"],
        "config": {},
        "workers": [
            {"rank": 0, "attempt": 0, "host": "node-0", "state": "live", "mesh": {}},
            {"rank": 1, "attempt": 0, "host": "node-1", "state": "stale", "mesh": {}},
        ],
        "facts": {},
        "duplicates": [],
        "started": 5.0,
        "overflow": [],
    }
    status = page.last("status")
    assert (status["run"], status["state"], status["step"]) == ("r", "live", 2)
    assert (status["steps_per_s"], status["eta_s"], status["mfu"]) == (None, None, None)
    assert (status["ranks_live"], status["ranks_expected"]) == (1, 4)
    assert (status["dropped"], status["viewers"]) == (3, 1)
    assert status["lag_ms"] is None
    assert 0 < status["memory_used"] <= status["memory_allowed"] == 64 << 20


def test_the_age_of_data_is_known_to_who_comes_later(store: Store) -> None:
    """A run that stood still before anybody looked is as old as its newest row."""
    roster = Roster()
    hub = Hub(store, roster, Counters())
    Training(store, 2).go(3)
    now = wall_time()
    crew = tuple(worker(rank, last_step=2, last_time=now) for rank in range(2))
    roster.replace(RunInfo(run="r", started=5.0, workers=crew))
    page = Page(hub)
    page.say(op="watch", run="r")
    hub.beat()
    assert page.last("status")["age_s"] < 60
    page.view()
    settle(hub, page)
    hub.beat()
    # The training's rows are of the year 2001.
    assert page.last("status")["age_s"] > 1e6


def test_a_run_that_does_not_exist_is_told_as_empty(hub: Hub) -> None:
    """The page can say that it knows no such run."""
    page = Page(hub)
    page.say(op="watch", run="nope")
    assert page.last("run")["metrics"] == []
    assert page.last("status")["state"] == "waiting"
