"""Snapshots of workers, as other threads see them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import Roster, RunInfo, WorkerInfo


def worker(
    rank: int, attempt: int = 0, *, state: WorkerState = WorkerState.LIVE, world_size: int = 1
) -> WorkerInfo:
    """Return a worker."""
    return WorkerInfo(
        run="run",
        rank=rank,
        attempt=attempt,
        index=0,
        world_size=world_size,
        local_rank=0,
        host="host",
        pid=1,
        state=state,
        started=1.0,
        last_time=10.0 + rank,
    )


def run(*workers: WorkerInfo, name: str = "run", started: float = 1.0) -> RunInfo:
    """Return a run."""
    return RunInfo(run=name, started=started, workers=workers)


def test_the_latest_attempt_of_a_rank_is_current() -> None:
    """Ranks count once, by their latest attempt."""
    info = run(
        worker(0, 0, state=WorkerState.GONE), worker(0, 1), worker(1, 0), worker(2, 0), worker(2, 3)
    )

    assert [(w.rank, w.attempt) for w in info.current] == [(0, 1), (1, 0), (2, 3)]
    assert info.attempts == 3
    assert info.ranks_live == 3
    assert info.state is WorkerState.LIVE


def test_ranks_expected_come_from_the_newest_attempts() -> None:
    """A job restarted with fewer ranks expects fewer; more seen than named are expected."""
    assert run(worker(0, 0, world_size=8), worker(0, 1, world_size=4)).ranks_expected == 4
    assert run(worker(0), worker(1), worker(2)).ranks_expected == 3
    assert run().ranks_expected == 0


def test_a_run_s_last_time_is_its_newest_worker_s() -> None:
    """The last frame of any worker is the run's; without one, its start."""
    assert run(worker(0), worker(5), worker(3)).last_time == 15.0
    assert run(started=7.0).last_time == 7.0


def test_a_run_is_replaced_whole() -> None:
    """A new snapshot takes the place of the former; the former stays as it was."""
    roster = Roster()
    first = run(worker(0))
    roster.replace(first)
    roster.replace(run(worker(0), worker(1)))

    found = roster.run("run")
    assert found is not None
    assert len(found.workers) == 2
    assert len(first.workers) == 1
    assert roster.run("other") is None


def test_runs_are_in_order_of_their_start() -> None:
    """Runs are listed by start, then by name."""
    roster = Roster()
    for name, started in (("c", 2.0), ("b", 1.0), ("a", 2.0)):
        roster.replace(run(name=name, started=started))

    assert [info.run for info in roster.runs()] == ["b", "a", "c"]


def test_a_snapshot_cannot_be_changed() -> None:
    """What another thread holds stays what it was."""
    with pytest.raises(FrozenInstanceError):
        worker(0).rank = 1  # type: ignore[misc] # the point of the test
