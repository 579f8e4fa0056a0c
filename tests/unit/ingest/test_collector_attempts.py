"""Which worker a stream speaks for: attempts, duplicates, forked children; and who is alive."""

from __future__ import annotations

import pytest
from handmade_frames import Ingest, Speaker, batch, stream_id

from streamviz.ingest.liveness import GONE_AFTER_S, STALE_AFTER_S, WorkerState
from streamviz.wire.frames import Span

LIVE, DONE, FAILED = WorkerState.LIVE, WorkerState.DONE, WorkerState.FAILED
STALE, GONE, JOINING = WorkerState.STALE, WorkerState.GONE, WorkerState.JOINING


def started(ingest: Ingest, number: int, *steps: int, **identity: object) -> Speaker:
    """Return a sender that has greeted and sent these steps, each with its number as value."""
    speaker = Speaker(ingest, number, **identity).meet()
    if steps:
        speaker.samples(batch(steps, [[float(number)]] * len(steps)))
    return speaker


def test_ranks_are_workers() -> None:
    """Each rank of a run is a worker of its own."""
    ingest = Ingest()
    started(ingest, 1, 1, rank=0, world_size=2)
    started(ingest, 2, 1, rank=1, world_size=2)

    assert [(w.rank, w.attempt, w.state) for w in ingest.workers()] == [(0, 0, LIVE), (1, 0, LIVE)]
    info = ingest.roster.run("run")
    assert info is not None
    assert (info.ranks_live, info.ranks_expected, info.attempts) == (2, 2, 1)


def test_a_higher_restart_count_is_a_new_attempt() -> None:
    """What the launcher calls a restart is one, whatever its steps."""
    ingest = Ingest()
    started(ingest, 1, 1, 2)
    started(ingest, 2, 3, attempt=1)

    assert ingest.rows() == {(0, 0): [(1, 1.0), (2, 1.0)], (0, 1): [(3, 2.0)]}


def test_overlapping_steps_are_a_new_attempt() -> None:
    """A new process that starts again from an earlier step does not overwrite."""
    ingest = Ingest()
    started(ingest, 1, 1, 2, 3).bye()
    started(ingest, 2, 3, 4)

    assert ingest.rows() == {
        (0, 0): [(1, 1.0), (2, 1.0), (3, 1.0)],
        (0, 1): [(3, 2.0), (4, 2.0)],
    }
    assert [(w.attempt, w.state) for w in ingest.workers()] == [(0, DONE), (1, LIVE)]


@pytest.mark.parametrize("ending", ["bye", "silence"])
def test_continuing_steps_are_the_same_attempt(ending: str) -> None:
    """A new process that goes on where the last one ended draws on its line, and is live again."""
    ingest = Ingest()
    first = started(ingest, 1, 1, 2)
    if ending == "bye":
        first.bye("KeyboardInterrupt")
    ingest.tick(STALE_AFTER_S + 1)
    started(ingest, 2, 3)

    assert ingest.rows() == {(0, 0): [(1, 1.0), (2, 1.0), (3, 2.0)]}
    [worker] = ingest.workers()
    assert (worker.state, worker.ended, worker.last_step) == (LIVE, None, 3)


def test_a_greeting_alone_opens_no_attempt() -> None:
    """Until its first row it is not known what a new process of the same rank is."""
    ingest = Ingest()
    started(ingest, 1, 1).bye()
    started(ingest, 2).beat()

    assert ingest.states() == [DONE]


def test_a_gap_as_first_sign_decides_too() -> None:
    """A new process whose first rows are lost is told apart by where they lay."""
    ingest = Ingest()
    started(ingest, 1, 1, 2, 3).bye()
    started(ingest, 2).gap(2, Span(2, 3, 0.0, 0.0))

    assert [(w.rank, w.attempt) for w in ingest.workers()] == [(0, 0), (0, 1)]
    assert [worker for worker, _ in ingest.gaps()] == [1]


def test_two_live_streams_of_one_rank_are_kept_apart() -> None:
    """Two processes that both claim a rank are two lines, and the collision is counted."""
    ingest = Ingest()
    first = started(ingest, 1, 1)
    second = started(ingest, 2, 2)
    first.samples(batch([2], [[1.0]]))
    second.samples(batch([3], [[2.0]]))

    assert ingest.rows() == {(0, 0): [(1, 1.0), (2, 1.0)], (0, 1): [(2, 2.0), (3, 2.0)]}
    assert ingest.total("duplicate_ranks_total") == 1


def test_two_streams_that_join_together_are_kept_apart() -> None:
    """So are two that greet before either sends, in whatever order they then send."""
    ingest = Ingest()
    first, second = started(ingest, 1), started(ingest, 2)
    second.samples(batch([1], [[2.0]]))
    first.samples(batch([1], [[1.0]]))
    second.samples(batch([2], [[2.0]]))
    first.samples(batch([2], [[1.0]]))

    assert sorted(ingest.rows().values()) == [[(1, 1.0), (2, 1.0)], [(1, 2.0), (2, 2.0)]]


def test_a_stream_that_comes_back_does_not_mix_with_its_successor() -> None:
    """A process taken for dead whose line another goes on with opens an attempt when it is back."""
    ingest = Ingest()
    first = started(ingest, 1, 1, 2)
    ingest.tick(GONE_AFTER_S + 1)
    second = started(ingest, 2, 3)
    first.samples(batch([3], [[1.0]]))
    second.samples(batch([4], [[2.0]]))
    first.samples(batch([4], [[1.0]]))

    assert ingest.rows() == {
        (0, 0): [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)],
        (0, 1): [(3, 1.0), (4, 1.0)],
    }


def test_an_attempt_number_is_never_used_twice() -> None:
    """A restart counted by the launcher comes after attempts that were found by their steps."""
    ingest = Ingest()
    for number in range(1, 4):
        started(ingest, number, 1).bye()
    started(ingest, 4, 1, attempt=1)

    assert [w.attempt for w in ingest.workers()] == [0, 1, 2, 3]


def test_runs_do_not_touch() -> None:
    """The same rank of two runs is two workers."""
    ingest = Ingest()
    started(ingest, 1, 1, run="a")
    started(ingest, 2, 1, run="b")

    assert ingest.rows(run="a") == {(0, 0): [(1, 1.0)]}
    assert ingest.rows(run="b") == {(0, 0): [(1, 2.0)]}


# -- forked children -----------------------------------------------------------------------


def test_a_forked_child_draws_on_its_parent_s_line() -> None:
    """What a child sends belongs to its parent's rank and attempt."""
    ingest = Ingest()
    parent = started(ingest, 1, 1, 2)
    started(ingest, 2, 1, parent=stream_id(1))
    parent.samples(batch([3], [[1.0]]))

    assert ingest.rows() == {(0, 0): [(1, 1.0), (1, 2.0), (2, 1.0), (3, 1.0)]}
    assert ingest.total("duplicate_ranks_total") == 0


def test_a_child_s_end_leaves_its_rank_alive() -> None:
    """A data loader's worker that ends, well or not, is not the end of the training."""
    ingest = Ingest()
    started(ingest, 1, 1)
    started(ingest, 2, 1, parent=stream_id(1)).bye("RuntimeError")

    [worker] = ingest.workers()
    assert (worker.state, worker.ended) == (LIVE, None)


def test_a_child_s_rows_are_its_rank_s_and_its_phase_is_not() -> None:
    """What both have sent is added up; what the rank is doing only its own process can tell."""
    ingest = Ingest()
    parent = started(ingest, 1, 1)
    parent.beat(sent=100, phase="forward")
    started(ingest, 2, 1, parent=stream_id(1)).beat(sent=3, phase="load")

    [worker] = ingest.workers()
    assert (worker.sent, worker.phase) == (103, "forward")


@pytest.mark.parametrize("first", ["parent", "child"])
def test_a_family_stays_together_at_a_new_server(first: str) -> None:
    """Whoever of a family greets a restarted server first, they draw on one line."""
    ingest = Ingest(epoch=2)
    order = [(1, {}), (2, {"parent": stream_id(1)})]
    speakers = {
        number: started(ingest, number, **fields)
        for number, fields in (order if first == "parent" else order[::-1])
    }
    speakers[2].samples(batch([1], [[2.0]]))
    speakers[1].samples(batch([2], [[1.0]]))
    speakers[2].bye()

    assert ingest.rows() == {(0, 0): [(1, 2.0), (2, 1.0)]}
    assert ingest.states() == [LIVE]


def test_a_child_follows_a_parent_that_is_a_new_attempt() -> None:
    """While it is open which attempt the parent is, its child decides for both."""
    ingest = Ingest()
    started(ingest, 1, 1, 2).bye()
    parent = started(ingest, 2)
    started(ingest, 3, 1, parent=stream_id(2))
    parent.samples(batch([2], [[2.0]]))

    assert ingest.rows() == {(0, 0): [(1, 1.0), (2, 1.0)], (0, 1): [(1, 3.0), (2, 2.0)]}


def test_a_child_of_another_run_or_rank_is_none() -> None:
    """Naming somebody else's stream as parent gives no way into that stream's run."""
    ingest = Ingest()
    started(ingest, 1, 1, run="run")
    started(ingest, 2, 5, run="other", parent=stream_id(1))
    started(ingest, 3, 5, run="run", rank=4, parent=stream_id(1))

    assert ingest.rows() == {(0, 0): [(1, 1.0)], (4, 0): [(5, 3.0)]}
    assert ingest.rows(run="other") == {(0, 0): [(5, 2.0)]}


# -- alive or not --------------------------------------------------------------------------


def test_a_worker_joins_lives_and_ends() -> None:
    """Joining until its first row, live until its goodbye, then done for good."""
    ingest = Ingest()
    speaker = started(ingest, 1)
    assert ingest.states() == [JOINING]
    speaker.beat()
    assert ingest.states() == [JOINING]
    speaker.send(1)
    assert ingest.states() == [LIVE]
    speaker.bye()
    assert ingest.states() == [DONE]
    speaker.beat()
    speaker.send(2)
    assert ingest.states() == [DONE]
    ingest.tick(GONE_AFTER_S + 1)
    assert ingest.states() == [DONE]


def test_an_exception_is_a_failure() -> None:
    """A goodbye that names an exception ends the worker and its run as failed."""
    ingest = Ingest()
    started(ingest, 1, 1).bye("OutOfMemoryError")
    started(ingest, 2, 1, rank=1)

    worker, _ = ingest.workers()
    assert (worker.state, worker.ended) == (FAILED, "OutOfMemoryError")
    info = ingest.roster.run("run")
    assert info is not None
    assert info.state is FAILED


@pytest.mark.parametrize("sign", ["beat", "send"])
def test_silence_makes_stale_then_gone_and_any_sign_makes_live(sign: str) -> None:
    """Five seconds of silence are stale, sixty are gone; a frame brings the worker back."""
    ingest = Ingest()
    speaker = started(ingest, 1, 1)

    ingest.tick(STALE_AFTER_S)
    assert ingest.states() == [LIVE]
    ingest.tick(0.1)
    assert ingest.states() == [STALE]
    getattr(speaker, sign)(*([2] if sign == "send" else []))
    assert ingest.states() == [LIVE]
    ingest.tick(STALE_AFTER_S + 0.1)
    ingest.tick(GONE_AFTER_S - STALE_AFTER_S)
    assert ingest.states() == [GONE]
    getattr(speaker, sign)(*([3] if sign == "send" else []))
    assert ingest.states() == [LIVE]


def test_an_earlier_attempt_falls_silent_too() -> None:
    """A killed process whose successor is another attempt does not stay live for ever."""
    ingest = Ingest()
    started(ingest, 1, 1)
    successor = started(ingest, 2, 1, attempt=1)
    ingest.tick(GONE_AFTER_S + 1)
    successor.beat()

    assert ingest.states() == [GONE, LIVE]


def test_a_heartbeat_is_shown() -> None:
    """What a worker says of itself is in its snapshot."""
    ingest = Ingest()
    speaker = started(ingest, 1, 7, rank=2, world_size=4, pid=99)
    ingest.now += 1.5
    speaker.beat(
        sent=10, held=3, dropped={"outbox full": 2}, refused={"no": 1}, phase="data", phase_s=0.5
    )

    [worker] = ingest.workers()
    assert (worker.sent, worker.held, worker.phase, worker.phase_s) == (10, 3, "data", 0.5)
    assert (worker.dropped, worker.refused) == ({"outbox full": 2}, {"no": 1})
    assert (worker.rank, worker.world_size, worker.pid, worker.host) == (2, 4, 99, "host")
    assert (worker.started, worker.last_time, worker.last_step) == (1000.0, 1001.5, 7)


def test_progress_is_published_once_a_tick_and_changes_at_once() -> None:
    """A snapshot is made when a state changes; how far a worker is waits for the next tick."""
    ingest = Ingest()
    speaker = started(ingest, 1, 1)
    ingest.collector.settle()
    before = ingest.roster.run("run")
    assert before is not None
    assert before.state is LIVE

    speaker.send(2)
    ingest.collector.settle()
    assert ingest.roster.run("run") is before
    ingest.tick()
    after = ingest.roster.run("run")
    assert after is not None
    assert after.workers[0].last_step == 2
    assert before.workers[0].last_step == 1


def test_the_configuration_of_all_ranks_is_the_run_s() -> None:
    """Hyperparameters told by any rank are shown with the run, and kept once."""
    ingest = Ingest()
    started(ingest, 1, rank=0, config={"lr": 0.1, "seed": 0})
    started(ingest, 2, rank=1, config={"seed": 1})
    ingest.tick()

    info = ingest.roster.run("run")
    assert info is not None
    assert info.config == {"lr": 0.1, "seed": 1}
    assert all(not stream.hello.config for stream in ingest.collector._streams.values())


def test_long_ended_streams_are_forgotten_when_there_are_many() -> None:
    """Streams that ended long ago make room; those that may still speak are kept."""
    ingest = Ingest(max_streams=4)
    started(ingest, 1, 1, rank=0).bye()
    started(ingest, 2, 1, rank=1).bye("RuntimeError")
    lively = started(ingest, 3, 1, rank=2)
    ingest.tick(3590.0)
    lively.beat()
    ingest.tick(11.0)
    started(ingest, 4, 1, rank=3)
    started(ingest, 5, 1, rank=4)
    lively.send(2)

    assert ingest.total("streams_refused_total") == 0
    assert ingest.rows()[2, 0] == [(1, 3.0), (2, 1.0)]
