"""What became of a run's rows, and who sends them twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import RunInfo, WorkerInfo
from streamviz.views.delivery import MAX_TOLD, OVERLAP_S, delivery, duplicates, workers_total

STATES = list(WorkerState)


def worker(
    rank: int = 0, attempt: int = 0, state: WorkerState = WorkerState.LIVE, **more: Any
) -> WorkerInfo:
    """Build a worker's snapshot."""
    fields: dict[str, Any] = {
        "run": "r",
        "index": 0,
        "world_size": 1,
        "local_rank": 0,
        "host": "node",
        "pid": 100 + attempt,
        "started": 0.0,
        "last_time": 0.0,
        **more,
    }
    return WorkerInfo(rank=rank, attempt=attempt, state=state, **fields)


counts = st.integers(0, 1000)


@given(
    st.lists(
        st.builds(
            lambda state, sent, held, stored, missing, spilled: worker(
                state=state, sent=sent, held=held, stored=stored, missing=missing, spilled=spilled
            ),
            st.sampled_from(STATES),
            counts,
            counts,
            counts,
            counts,
            counts,
        ),
        max_size=5,
    )
)
def test_the_sum_holds_whatever_is_reported(workers: list[WorkerInfo]) -> None:
    """Sent is stored, in gaps, held or lost; nothing is negative, nothing is counted twice."""
    total = workers_total(workers)
    assert total["sent"] == total["stored"] + total["missing"] + total["held"] + total["lost"]
    assert min(total.values()) >= 0
    assert total["spilled"] <= total["held"]
    assert total["sent"] >= sum(worker.sent for worker in workers)


def test_rows_of_a_silent_rank_are_held_until_it_is_gone() -> None:
    """Who may come back still has them; of who is gone only what lies on a disk is left."""
    numbers = {"sent": 10, "held": 3, "stored": 6, "missing": 1, "spilled": 2}
    stale = delivery(RunInfo(run="r", started=0.0, workers=(worker(state=STATES[2], **numbers),)))
    assert (stale["held"], stale["spilled"], stale["lost"]) == (3, 2, 0)
    gone = workers_total([worker(state=WorkerState.GONE, **numbers)])
    assert (gone["held"], gone["spilled"], gone["lost"]) == (2, 2, 1)


def test_two_live_processes_of_one_rank_are_told_with_their_hosts() -> None:
    """Both are named, by attempt, so that a person can find them."""
    run = RunInfo(
        run="r",
        started=0.0,
        workers=(
            worker(0, 0, host="a", pid=7, started=0.0, last_time=60.0),
            worker(0, 1, host="b", pid=8, started=50.0, last_time=60.0),
            worker(1, 0, started=0.0, last_time=60.0),
        ),
    )
    assert duplicates(run) == [
        {
            "rank": 0,
            "processes": [
                {"attempt": 0, "host": "a", "pid": 7},
                {"attempt": 1, "host": "b", "pid": 8},
            ],
        }
    ]


@pytest.mark.parametrize(
    "old",
    [
        {"last_time": 50.0 + OVERLAP_S - 0.1},
        {"last_time": 60.0, "state": WorkerState.STALE},
        {"last_time": 60.0, "state": WorkerState.DONE},
    ],
)
def test_a_restart_is_no_duplicate(old: dict[str, Any]) -> None:
    """A process that was killed and started again leaves one that is not heard of any more."""
    run = RunInfo(
        run="r",
        started=0.0,
        workers=(worker(0, 0, **old), worker(0, 1, started=50.0, last_time=60.0)),
    )
    assert duplicates(run) == []


def test_thousands_of_duplicates_are_counted_and_few_told() -> None:
    """What is told stays short; how many there are is known."""
    workers = [
        worker(rank, attempt, started=50.0 * attempt, last_time=100.0)
        for rank in range(2000)
        for attempt in range(2)
    ]
    found = duplicates(RunInfo(run="r", started=0.0, workers=tuple(workers)))
    assert len(found) == 2000
    assert sum(bool(one["processes"]) for one in found) == MAX_TOLD
