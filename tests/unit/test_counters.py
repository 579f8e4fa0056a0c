"""Named totals that only grow."""

from __future__ import annotations

import threading

import pytest

from streamviz.counters import HELP, Counters


def test_a_counter_starts_at_nothing() -> None:
    """Every counter that is explained is there from the start, and zero."""
    counters = Counters()

    assert counters.read().keys() == HELP.keys()
    assert all(counters.total(name) == 0 for name in HELP)


def test_reasons_add_up() -> None:
    """A total is the sum over its reasons, and each reason keeps its own."""
    counters = Counters()
    counters.add("frames_bad_total", reason="too large")
    counters.add("frames_bad_total", 2, reason="bad field")
    counters.add("rows_received_total", 5)

    assert counters.total("frames_bad_total") == 3
    assert counters.read()["frames_bad_total"] == {"too large": 1, "bad field": 2}
    assert counters.read()["rows_received_total"] == {"": 5}


def test_a_counter_that_nobody_explained_is_an_error() -> None:
    """A name that is not in the table is a mistake of ours, told at once."""
    with pytest.raises(KeyError):
        Counters().add("frames_odd_total")


def test_what_was_read_is_a_copy() -> None:
    """Totals in a reader's hands do not change, and changing them changes nothing."""
    counters = Counters()
    counters.add("gaps_total", reason="outbox full")
    read = counters.read()
    counters.add("gaps_total", reason="outbox full")
    read["gaps_total"]["outbox full"] = 99

    assert counters.total("gaps_total") == 2


def test_threads_lose_nothing() -> None:
    """What several threads add at once is all there."""
    counters = Counters()

    def add() -> None:
        for _ in range(2000):
            counters.add("frames_received_total")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counters.total("frames_received_total") == 8000
