"""Items in memory: in order, the newest of each name, within their bytes, what went counted."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.counters import Counters
from streamviz.errors import UnknownSeries
from streamviz.store.items import ITEM_NAMES, ITEMS_BYTES
from streamviz.store.store import Store
from streamviz.wire.kinds import KINDS, OTHER

ITEMS_PER_NAME = KINDS["mark"].kept


def store_of(budget: int = 64 << 20) -> tuple[Store, Counters]:
    """Return a store with one worker of rank 3, second attempt, in run ``r``."""
    counters = Counters()
    store = Store(budget, counters=counters)
    store.open_worker("r", 3, 1)
    return store, counters


def add(store: Store, name: str = "here", kind: str = "mark", step: int = 0, size: int = 1) -> None:
    """Add an item."""
    store.add_item("r", 0, kind, name, step, 1.5, b"\x80" * size)


def test_items_are_told_as_they_came() -> None:
    """Each has who sent it and all that was sent; they can be chosen by kind and name."""
    store, _ = store_of()
    for step, (kind, name) in enumerate([("mark", "a"), ("alert", "b"), ("mark", "c")]):
        add(store, name, kind, step)

    first, *_ = found = store.items("r")
    assert [one.step for one in found] == [one.number for one in found] == [0, 1, 2]
    assert (first.worker, first.rank, first.attempt, first.time) == (0, 3, 1, 1.5)
    assert [one.name for one in store.items("r", "mark")] == ["a", "c"]
    assert [one.name for one in store.items("r", None, "b")] == ["b"]
    assert store.items("r", "alert", "a") == []
    assert store.items_version("r") == 3
    with pytest.raises(UnknownSeries):
        store.items("other")


def test_of_a_name_the_newest_stay() -> None:
    """The oldest of a kind and name goes, is counted, and leaves the others alone."""
    store, counters = store_of()
    add(store, "rare")
    for step in range(ITEMS_PER_NAME + 5):
        add(store, step=step)

    assert [one.step for one in store.items("r", "mark", "here")] == list(
        range(5, ITEMS_PER_NAME + 5)
    )
    assert len(store.items("r", "mark", "rare")) == 1
    assert counters.total("items_evicted_total") == 5


def test_of_too_many_names_the_one_sent_longest_ago_goes() -> None:
    """A loop that makes up names takes no more than so many."""
    store, counters = store_of()
    add(store, "first")
    add(store, "second")
    add(store, "first")
    for number in range(ITEM_NAMES - 1):
        add(store, f"n{number}")

    assert store.items("r", "mark", "second") == []
    assert len(store.items("r", "mark", "first")) == 2
    assert counters.total("items_evicted_total") == 1


def test_the_bytes_of_a_kind_are_bounded_and_leave_the_others_theirs() -> None:
    """The oldest of a kind go when its share is spent; a dropped run gives all of them back."""
    store, counters = store_of(256 << 20)
    before = store.usage().bytes_held
    add(store)
    for step in range(40):
        add(store, f"n{step % 3}", "picture", step=step, size=1 << 20)

    assert len(store.items("r", "mark")) == 1
    held = store.items("r", "picture")
    assert [one.step for one in held] == list(range(40 - len(held), 40))
    assert sum(one.nbytes for one in held) <= ITEMS_BYTES * OTHER.share
    everything = sum(one.nbytes for one in store.items("r"))
    assert everything == store.usage().bytes_held - before <= ITEMS_BYTES
    assert counters.total("items_evicted_total") == 40 - len(held)
    store.drop("r")
    assert store.usage().bytes_held == 0


def test_what_is_looked_at_over_a_run_is_thinned_evenly() -> None:
    """Of histograms the first and the newest stay, and those between lie about as far apart."""
    store, counters = store_of()
    kept = KINDS["histogram"].kept
    for step in range(10 * kept):
        add(store, kind="histogram", step=step)

    steps = [one.step for one in store.items("r", "histogram")]
    assert len(steps) == kept
    assert (steps[0], steps[-1]) == (0, 10 * kept - 1)
    apart = [after - before for before, after in itertools.pairwise(steps)]
    assert max(apart) <= 20
    assert counters.total("items_evicted_total") == 9 * kept


def test_names_that_share_their_bytes_are_thinned_alike() -> None:
    """Many names have the same few steps each, over all of the run, not one name all of them."""
    store, _ = store_of(256 << 20)
    for step in range(60):
        for layer in range(60):
            add(store, f"w{layer}", "histogram", step, 1 << 13)

    share = ITEMS_BYTES * KINDS["histogram"].share
    assert sum(one.nbytes for one in store.items("r", "histogram")) <= share
    for layer in range(60):
        steps = [one.step for one in store.items("r", "histogram", f"w{layer}")]
        assert (steps[0], steps[-1]) == (0, 59)
        assert 25 <= len(steps) <= 35
        assert max(after - before for before, after in itertools.pairwise(steps)) <= 8


def test_ranks_do_not_push_each_other_out() -> None:
    """Of a name each rank has as many as one alone would have."""
    store, counters = store_of()
    store.open_worker("r", 4, 0)
    for step in range(OTHER.kept):
        for worker in (0, 1):
            store.add_item("r", worker, "table", "t", step, 0.0, b"\x80")

    assert len(store.items("r", "table", "t")) == 2 * OTHER.kept
    assert counters.total("items_evicted_total") == 0


@given(sizes=st.lists(st.integers(1, 600_000), min_size=1, max_size=20))
def test_memory_is_never_exceeded(sizes: list[int]) -> None:
    """Within any budget what is held is allowed, and each that is not held is counted."""
    store, counters = store_of(1 << 20)
    for size in sizes:
        add(store, size=size)
        usage = store.usage()
        assert usage.bytes_held <= usage.bytes_allowed
    held = store.items("r")
    assert len(held) + counters.total("items_evicted_total") == len(sizes)
    assert len(held) > 0
