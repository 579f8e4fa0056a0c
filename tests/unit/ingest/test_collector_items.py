"""Items and facts through the collector; and whose the late rows of a process are."""

from __future__ import annotations

import pytest
from handmade_frames import Ingest, Speaker, batch

from streamviz.ingest.liveness import WorkerState
from streamviz.wire.frames import Span


def test_an_item_is_stored_once_in_its_place() -> None:
    """It counts as a row; one that comes again, too early or with wrong numbers changes nothing."""
    ingest = Ingest()
    speaker = Speaker(ingest, 1, rank=2).meet()
    speaker.send(1)
    data = speaker.item(1, text="hello")
    speaker.send(2)
    ingest.receive(data, speaker.peer)
    speaker.seq += 1
    speaker.item(9)
    speaker.seq -= 2
    speaker.row += 5
    speaker.item(9)

    [item] = ingest.store.items("run")
    assert (item.kind, item.name, item.step, item.rank) == ("mark", "here", 1, 2)
    [worker] = ingest.workers()
    assert worker.stored == 3
    assert ingest.total("items_received_total") == 1
    assert ingest.total("rows_received_total") == 3
    assert ingest.total("frames_duplicate_total") == 1
    assert ingest.total("frames_ahead_total") == 1
    assert ingest.total("frames_bad_total", "row numbers") == 1


def test_an_item_that_will_not_come_is_in_a_gap() -> None:
    """A gap stands for items as it does for rows."""
    ingest = Ingest()
    speaker = Speaker(ingest, 1).meet()
    speaker.item(1)
    speaker.gap(2, Span(2, 3, 0.0, 0.0))
    speaker.item(4)

    assert [one.step for one in ingest.store.items("run")] == [1, 4]
    assert [gap.rows for _, gap in ingest.gaps()] == [2]


def test_facts_are_the_run_s_and_the_mesh_is_the_rank_s() -> None:
    """They are no configuration; what cannot be is counted by name."""
    ingest = Ingest()
    for rank in range(2):
        facts = {"mesh": {"dp": rank}, "total_steps": 100, "replicated": [f"m{rank}"]}
        Speaker(ingest, rank + 1, rank=rank).meet(config={"lr": 1, "streamviz": facts}).send(1)
    Speaker(ingest, 3, rank=2).meet(config={"streamviz": {"mesh": [], "total_steps": 50}}).send(1)

    assert [dict(worker.mesh) for worker in ingest.workers()] == [{"dp": 0}, {"dp": 1}, {}]
    info = ingest.roster.run("run")
    assert info is not None
    assert info.config == {"lr": 1}
    assert info.facts == {"total_steps": 50, "replicated": ["m0", "m1"]}
    assert ingest.total("facts_refused_total", "mesh") == 1


def test_a_place_is_known_though_the_attempt_is_not_yet() -> None:
    """A process whose first row tells its attempt has its place in the layout all the same."""
    ingest = Ingest()
    Speaker(ingest, 1).meet(config={"streamviz": {"mesh": {"dp": 0}}}).send(1, 2)
    ingest.tick(10)
    Speaker(ingest, 2).meet(config={"streamviz": {"mesh": {"dp": 5}}}).send(3)

    assert [dict(worker.mesh) for worker in ingest.workers()] == [{"dp": 5}]


def test_a_tail_that_comes_late_stays_with_its_line() -> None:
    """What a process left before its successor's first step is its line's; what overlaps is not."""
    ingest = Ingest()
    first = Speaker(ingest, 1).meet()
    first.send(1, 2)
    ingest.tick(10)
    second = Speaker(ingest, 2).meet()
    second.send(100)
    first.meet()
    first.samples(batch([3, 4], [[1.0], [1.0]]))
    first.gap(5, Span(5, 9, 0.0, 0.0))
    first.item(10)
    first.beat(sent=10)
    first.bye()
    second.send(101)

    assert [(w.attempt, w.state) for w in ingest.workers()] == [(0, WorkerState.LIVE)]
    assert [step for step, _ in ingest.rows()[0, 0]] == [1, 2, 3, 4, 100, 101]
    [worker] = ingest.workers()
    assert (worker.stored, worker.missing) == (7, 5)
    assert ingest.total("duplicate_ranks_total") == 0

    late = Speaker(ingest, 3, run="other").meet()
    late.send(1)
    ingest.tick(10)
    Speaker(ingest, 4, run="other").meet().send(50)
    late.samples(batch([2, 60], [[1.0], [1.0]]))
    assert [worker.attempt for worker in ingest.workers("other")] == [0, 1]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_restart_within_seconds_goes_on_if_the_connection_is_gone(is_there: bool) -> None:  # noqa: FBT001
    """A rank that was killed looks alive for 5 s; its connection tells that it is not."""
    ingest = Ingest()
    asked = []

    def reaches(peer: bytes, _: object) -> bool:
        asked.append(peer)
        return is_there

    ingest.collector.reaches = reaches
    first = Speaker(ingest, 1).meet()
    first.send(1, 2)
    Speaker(ingest, 2).meet().send(3)

    assert [worker.attempt for worker in ingest.workers()] == ([0, 1] if is_there else [0])
    assert ingest.total("duplicate_ranks_total") == int(is_there)
    assert asked == [first.peer]
