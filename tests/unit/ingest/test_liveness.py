"""The table of a worker's states, line by line."""

from __future__ import annotations

import itertools

import pytest

from streamviz.ingest.liveness import TRANSITIONS, WorkerEvent, WorkerState, next_state, run_state

S, E = WorkerState, WorkerEvent

TABLE = """
state    samples  heartbeat  silent   lost     bye ok   bye error
joining  live     joining    stale    gone     done     failed
live     live     live       stale    gone     done     failed
stale    live     live       stale    gone     done     failed
gone     live     live       gone     gone     done     failed
done     done     done       done     done     done     done
failed   failed   failed     failed   failed   failed   failed
"""
EVENTS = [E.SAMPLES, E.HEARTBEAT, E.SILENT, E.LOST, E.BYE_OK, E.BYE_ERROR]
LINES = [line.split() for line in TABLE.strip().splitlines()[1:]]


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line[0]))
def test_each_state_meets_each_event(line: list[str]) -> None:
    """What every event makes of every state is as the table above says."""
    state, *after = (S(word) for word in line)

    assert [next_state(state, event) for event in EVENTS] == after


def test_the_table_names_every_state() -> None:
    """No state is forgotten, and no event leads out of the table."""
    assert TRANSITIONS.keys() == set(S)
    assert {S(line[0]) for line in LINES} == set(S)
    assert {new for row in TRANSITIONS.values() for new in row.values()} <= set(S)


def test_an_end_is_an_end() -> None:
    """No order of events leads from done or failed anywhere else."""
    for events in itertools.permutations(E, 3):
        for end in (S.DONE, S.FAILED):
            state = end
            for event in events:
                state = next_state(state, event)
            assert state is end


@pytest.mark.parametrize(
    ("workers", "word"),
    [
        ([], S.JOINING),
        ([S.LIVE, S.FAILED, S.DONE], S.FAILED),
        ([S.DONE, S.STALE, S.LIVE], S.LIVE),
        ([S.GONE, S.STALE, S.JOINING], S.STALE),
        ([S.GONE, S.JOINING, S.DONE], S.JOINING),
        ([S.GONE, S.DONE], S.GONE),
        ([S.DONE, S.DONE], S.DONE),
    ],
)
def test_a_run_has_one_word(workers: list[WorkerState], word: WorkerState) -> None:
    """A run is failed if any rank is, else live while any is, and done only when all are."""
    assert run_state(workers) is word


def test_states_are_the_words_on_the_page() -> None:
    """A state is its word, for JSON and for people."""
    assert [str(state.value) for state in S] == [
        "joining",
        "live",
        "stale",
        "gone",
        "done",
        "failed",
    ]
