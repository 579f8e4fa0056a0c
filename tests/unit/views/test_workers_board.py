"""The liveness board: columns that say how every rank is, in few bytes, to those who asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamviz.counters import Counters
from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import Roster, RunInfo, WorkerInfo
from streamviz.store import Store
from streamviz.views import workers as board
from streamviz.views.hub import Hub
from streamviz.views.keyhole import Keyhole
from streamviz.views.workers import Boards, Seat


def worker(rank: int, **more: Any) -> WorkerInfo:
    """Return a worker of run ``r``."""
    facts: dict[str, Any] = {
        "attempt": 0,
        "index": rank,
        "world_size": 4,
        "local_rank": rank % 8,
        "host": f"node-{rank // 8:03}.cluster",
        "pid": rank,
        "state": WorkerState.LIVE,
        "started": 0.0,
        "last_time": 100.0,
        "last_step": 12_031,
        "phase": "backward",
        "phase_s": 0.25,
    }
    return WorkerInfo(run="r", rank=rank, **{**facts, **more})


def roster_of(*workers: WorkerInfo) -> Roster:
    """Return a roster with one run."""
    roster = Roster()
    roster.replace(RunInfo(run="r", started=0.0, workers=workers))
    return roster


def test_each_rank_is_an_entry_of_each_column() -> None:
    """State, lag, phase and ages stand in columns, in the order of the ranks."""
    ranks = [
        worker(0),
        worker(1, last_step=12_000, phase="data", phase_s=48.3, last_time=97.0),
        worker(2, state=WorkerState.JOINING, last_step=None, phase=None, phase_s=0.0),
        worker(3, state=WorkerState.GONE, dropped={"buffer full": 3, "other": 4}),
    ]

    moving = board.moving_columns(ranks, now=100.5)

    states = moving["states"]
    assert isinstance(states, tuple)
    assert [states[i] for i in moving["state"]] == ["live", "live", "joining", "gone"]  # type: ignore[attr-defined]
    assert moving["front"] == 12_031
    assert moving["behind"] == [0, 31, None, 0]
    assert moving["phases"] == ["backward", "data"]
    assert moving["phase"] == [0, 1, -1, 0]
    assert moving["phase_s"] == [0.2, 48, 0.0, 0.2]
    assert moving["age"] == [0.5, 3.5, 0.5, 0.5]
    assert moving["dropped"] == [0, 0, 0, 7]


def test_a_thousand_ranks_fit_into_few_bytes() -> None:
    """The text that goes twice a second stays below 40 kB at 1,024 ranks, and the other too."""
    roster = roster_of(*(worker(rank, last_step=12_031 - rank % 3) for rank in range(1024)))
    seat = Seat("r")

    who, moving = Boards(roster).news(seat)

    assert len(moving) < 30_000
    assert len(who) < 20_000


def test_who_the_ranks_are_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names go out when they change; states twice a second at most, one text for all pages."""
    clock = [0.0]
    monkeypatch.setattr(board, "monotonic_time", lambda: clock[0])
    roster = roster_of(worker(0))
    boards, seat, other = Boards(roster), Seat("r"), Seat("r")
    first = [json.loads(text)["op"] for text in boards.news(seat)]
    assert first == ["ranks", "workers"]
    assert list(boards.news(seat)) == []

    clock[0] = 0.6
    [again] = boards.news(seat)
    assert list(boards.news(other))[1] is again
    roster.replace(RunInfo(run="r", started=0.0, workers=(worker(0), worker(1))))
    clock[0] = 1.2

    assert [json.loads(text)["op"] for text in boards.news(seat)] == ["ranks", "workers"]


def test_of_too_many_ranks_the_worst_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit those in trouble stay, and the page is told of how many there are."""
    monkeypatch.setattr(board, "MAX_BOARD_RANKS", 2)
    ranks = [worker(rank) for rank in range(6)]
    ranks[4] = worker(4, state=WorkerState.STALE)
    ranks[5] = worker(5, last_step=3)

    [who, _] = Boards(roster_of(*ranks)).news(Seat("r"))

    told = json.loads(who)
    assert told["rank"] == [4, 5]
    assert told["ranks"] == 6


class _Page:
    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def busy(self) -> bool:
        return False

    def close(self, code: int, reason: str) -> None:
        raise AssertionError((code, reason))

    def send(self, message: str | bytes) -> None:
        assert isinstance(message, str)
        self.heard.append(json.loads(message))


def test_only_a_page_that_asks_is_told() -> None:
    """The board goes to those who look at it, until they look away."""
    hub = Hub(Store(16 << 20), roster_of(worker(0)), Counters())
    page, other = _Page(), _Page()
    viewer = hub.join(page)
    assert viewer is not None
    hub.join(other)
    hub.receive(viewer, '{"op":"board","run":"r","on":true}')

    assert [one["op"] for one in page.heard if one["op"] in ("ranks", "workers")]
    hub.receive(viewer, '{"op":"board","run":"r","on":false}')
    page.heard.clear()
    hub.beat()

    assert not [one for one in page.heard + other.heard if one["op"] == "workers"]


def test_a_link_to_one_run_opens_no_other_board() -> None:
    """Whoever may read one run is refused the board of another, and told nothing of it."""
    keyhole = Keyhole("mine")

    _, refused = keyhole.inward('{"op":"board","run":"r","on":true}')
    _, allowed = keyhole.inward('{"op":"board","run":"mine","on":true}')

    assert refused is not None
    assert "another run" in refused
    assert allowed is None
    assert keyhole.outward('{"op":"workers","run":"r","state":[]}') is None
    assert keyhole.outward('{"op":"workers","run":"mine","state":[]}') is not None
