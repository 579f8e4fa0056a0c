"""Runs, workers, metrics and their caps."""

from __future__ import annotations

import numpy as np
import pytest

from streamviz.counters import Counters
from streamviz.errors import BudgetSpent, ConfigError, StoreFull, UnknownSeries
from streamviz.store import Gap, Store

MIB = 1 << 20


def append(store: Store, run: str, names: tuple[str, ...], worker: int, steps: list[int]) -> None:
    """Append rows of ones."""
    rows = len(steps)
    store.append(
        store.open_table(run, names),
        worker,
        np.array(steps, np.int64),
        np.ones(rows),
        np.ones((rows, len(names))),
    )


def test_a_worker_keeps_its_index() -> None:
    """Asking again gives the same index; another attempt is another worker."""
    store = Store(MIB)

    indices = [store.open_worker("r", *who) for who in ((0, 0), (3, 0), (0, 0), (0, 1))]

    assert indices == [0, 1, 0, 2]
    assert store.workers("r") == [(0, 0, 0), (1, 3, 0), (2, 0, 1)]


def test_metrics_come_in_natural_order() -> None:
    """Numbers within names sort as numbers."""
    store = Store(MIB)
    store.open_table("r", ("layer10/x", "layer2/x", "a", "layer2/b", "10", "2", "layer"))

    assert store.metrics("r") == ["2", "10", "a", "layer", "layer2/b", "layer2/x", "layer10/x"]


def test_structure_grows_with_workers_and_metrics_only() -> None:
    """Rows and known names leave the structure alone."""
    store = Store(MIB)
    seen = []
    for doing in (
        lambda: store.open_worker("r", 0, 0),
        lambda: store.open_table("r", ("loss",)),
        lambda: store.open_table("r", ("loss", "lr")),
    ):
        doing()
        seen.append(store.structure("r"))
    store.open_worker("r", 0, 0)
    store.open_table("r", ("lr",))
    append(store, "r", ("loss",), 0, [1, 2])

    assert seen == sorted(set(seen))
    assert store.structure("r") == seen[-1]
    assert store.written("r", "loss") == 2
    assert store.written("r", "lr") == 0


def test_last_step_is_the_highest() -> None:
    """Steps that return do not lower it; a silent worker has none."""
    store = Store(MIB)
    workers = [store.open_worker("r", rank, 0) for rank in range(2)]
    append(store, "r", ("loss",), workers[0], [7, 9, 3])
    append(store, "r", ("eval",), workers[0], [8])

    assert store.last_step("r", workers[0]) == 9
    assert store.last_step("r", workers[1]) is None


def test_names_past_the_cap_are_counted_not_stored() -> None:
    """A table keeps the names that are allowed and tells which were cut."""
    counters = Counters()
    store = Store(MIB, max_series_per_run=2, counters=counters)
    worker = store.open_worker("r", 0, 0)
    table = store.open_table("r", ("a", "b", "c"))
    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    store.append(table, worker, np.array([0, 1]), np.ones(2), values)
    append(store, "r", ("x", "y"), worker, [5])

    usage = store.usage()

    assert table.cut == ("c",)
    assert store.metrics("r") == ["a", "b"]
    assert store.query("r", "b").series[0].value.tolist() == [2.0, 5.0]
    assert usage.overflowed_values == counters.total("series_overflowed_total") == 4
    assert usage.overflow_names == {"r": ("c", "x", "y")}
    assert (usage.metrics, usage.series, usage.tables) == (2, 2, 1)


def test_the_cap_over_all_runs_holds_too() -> None:
    """Names of one run leave less room for those of another."""
    store = Store(MIB, max_series=3)
    store.open_table("r", ("a", "b"))

    assert store.open_table("s", ("a", "b")).cut == ("b",)


def test_caps_on_runs_and_workers_say_what_to_raise() -> None:
    """The error names the cap and the setting."""
    store = Store(MIB, max_runs=1, max_workers=2)
    store.open_worker("r", 0, 0)
    store.open_worker("r", 1, 0)

    with pytest.raises(StoreFull) as no_worker:
        store.open_worker("r", 2, 0)
    with pytest.raises(StoreFull) as no_run:
        store.open_worker("s", 0, 0)

    assert str(no_worker.value) == (
        "workers: the cap of 2 is reached; raise max_workers to admit more"
    )
    assert str(no_run.value) == "runs: the cap of 1 is reached; raise max_runs to admit more"
    assert store.open_worker("r", 1, 0) == 1


def test_a_budget_too_small_is_refused_with_the_smallest() -> None:
    """The error names the number that would do."""
    with pytest.raises(ConfigError, match="expected at least 1048576, the smallest usable"):
        Store(MIB - 1)


def test_when_memory_is_spent_new_workers_are_refused() -> None:
    """Workers without end meet the budget before they exceed it."""
    store = Store(MIB)

    def open_many() -> None:
        for rank in range(20_000):
            store.open_worker("r", rank, 0)

    with pytest.raises(BudgetSpent, match="the memory budget of 1048576 bytes is spent"):
        open_many()
    assert store.usage().bytes_held <= MIB


def test_a_table_without_room_counts_its_values() -> None:
    """A schema too wide for the budget is cut whole, and nothing raises."""
    store = Store(MIB)
    worker = store.open_worker("r", 0, 0)
    names = tuple(f"m{i}" for i in range(2_000))
    append(store, "r", names, worker, [1, 2])

    assert store.metrics("r") == []
    assert store.usage().overflowed_values == 4_000
    assert len(store.usage().overflow_names["r"]) == 20


def test_the_unknown_is_named() -> None:
    """No such run, no such metric: one kind of error, which says which."""
    store = Store(MIB)
    store.open_table("r", ("loss",))

    with pytest.raises(UnknownSeries, match="no run 'x'"):
        store.metrics("x")
    with pytest.raises(UnknownSeries, match="no run 'x'"):
        store.query("x", "loss")
    with pytest.raises(UnknownSeries, match="no metric 'acc' in run 'r'"):
        store.changes("r", "acc", None)


def test_arrays_that_do_not_fit_are_refused() -> None:
    """A row of one value for two metrics would otherwise be stretched over both."""
    store = Store(MIB)
    worker = store.open_worker("r", 0, 0)
    table = store.open_table("r", ("a", "b"))

    with pytest.raises(ValueError, match=r"found shape \(1, 1\), expected \(1, 2\)"):
        store.append(table, worker, np.array([1]), np.ones(1), np.ones((1, 1)))


def test_gaps_are_kept_by_worker_and_merged_past_256() -> None:
    """Rows stay the same however many gaps come."""
    store = Store(MIB)
    store.open_worker("r", 0, 0)
    version = store.gaps_version("r")
    for step in range(400):
        store.add_gap("r", 0, Gap(10 * step, 10 * step + 3, 0.0, 1.0, 4, "outbox"))
    store.add_gap("r", 5, Gap(1, 2, 0.0, 1.0, 2, "spill"))

    gaps = store.gaps("r")

    assert len(gaps) == 257
    assert sum(gap.rows for _, gap in gaps) == 1602
    assert store.gaps("r", [5, 9]) == [(5, Gap(1, 2, 0.0, 1.0, 2, "spill"))]
    assert store.gaps_version("r") == version + 401
