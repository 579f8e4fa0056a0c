"""What readers get, case by case."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from streamviz.errors import ConfigError
from streamviz.store import Store

MIB = 1 << 20
NAN = np.nan


def send(
    store: Store,
    steps: list[int] | range,
    values: list[float] | None = None,
    *,
    rank: int = 0,
    names: tuple[str, ...] = ("loss",),
) -> None:
    """Append rows of one rank; all metrics have the value, the time is the step."""
    at = np.array(steps, np.int64)
    column = at.astype(np.float64) if values is None else np.array(values)
    table = store.open_table("r", names)
    worker = store.open_worker("r", rank, 0)
    store.append(table, worker, at, at.astype(np.float64), np.tile(column[:, None], len(names)))


def test_raw_rows_come_back_bit_for_bit_in_the_order_of_steps() -> None:
    """Out of order, repeated, NaN and infinite: nothing is dropped or merged."""
    store = Store(MIB)
    odd = np.array([0x7FF8000000000123], np.uint64).view(np.float64)
    send(store, [5, 3, 5, 4, 3], [1.0, odd[0], 3.0, np.inf, 5.0])

    (series,) = (result := store.query("r", "loss")).series

    assert result.resolution == "raw"
    assert series.step.tolist() == [3, 3, 4, 5, 5]
    assert series.value[1:].tolist() == [5.0, np.inf, 1.0, 3.0]
    assert series.value.view(np.uint64)[0] == 0x7FF8000000000123
    assert series.count.tolist() == [0, 1, 0, 1, 1]
    assert series.bad.tolist() == [1, 0, 1, 0, 0]


def test_more_rows_than_points_become_buckets() -> None:
    """A bucket has mean, extremes and count; its width is the resolution."""
    store = Store(MIB)
    send(store, range(16))

    result = store.query("r", "loss", points=4)

    (series,) = result.series
    assert result.resolution == 4
    assert series.step.tolist() == [0, 4, 8, 12]
    assert series.value.tolist() == [1.5, 5.5, 9.5, 13.5]
    assert series.min.tolist() == [0.0, 4.0, 8.0, 12.0]
    assert series.max.tolist() == [3.0, 7.0, 11.0, 15.0]
    assert series.count.tolist() == [4, 4, 4, 4]


def test_a_bucket_of_bad_values_only_has_no_value() -> None:
    """NaN and infinities never enter the extremes; they are counted."""
    store = Store(MIB)
    send(store, range(8), [NAN, np.inf, 1.0, 2.0, NAN, 5.0, 6.0, -np.inf])

    (series,) = store.query("r", "loss", points=4).series

    np.testing.assert_array_equal(series.value, [NAN, 1.5, 5.0, 6.0])
    np.testing.assert_array_equal(series.max, [NAN, 2.0, 5.0, 6.0])
    assert series.bad.tolist() == [2, 0, 1, 1]
    assert series.count.tolist() == [0, 2, 1, 1]


def test_start_and_stop_are_both_included() -> None:
    """A range of one step holds that step; an empty one is no error."""
    store = Store(MIB)
    send(store, range(10))

    def steps(start: int | None, stop: int | None) -> list[int]:
        series = store.query("r", "loss", start=start, stop=stop).series
        return [int(step) for one in series for step in one.step]

    assert steps(4, 4) == [4]
    assert steps(7, None) == [7, 8, 9]
    assert steps(None, 1) == [0, 1]
    assert steps(5, 4) == []
    assert steps(-(2**80), 2**80) == list(range(10))


def test_the_overview_keeps_every_extreme_when_rows_are_gone() -> None:
    """After the ring has wrapped, a spike at the very start is still there."""
    store = Store(MIB)
    spike = [0.0] * 100_000
    spike[17] = 1e6
    send(store, range(100_000), spike)

    usage = store.usage()
    grid = store.changes("r", "loss", None, points=100).grid

    assert usage.evicted_rows > 0
    assert usage.evicted_rows + usage.ring_rows == 100_000
    assert not grid.complete
    assert grid.vmax.max() == 1e6
    assert grid.count.sum() == 100_000
    assert grid.bucket.size <= 100


def test_a_recent_range_is_read_in_full_resolution() -> None:
    """Rows that went elsewhere do not spoil the ones that are held."""
    store = Store(MIB)
    send(store, range(100_000))

    recent = store.changes("r", "loss", None, start=99_900).grid

    assert recent.complete
    assert recent.shift == 0
    assert recent.bucket.tolist() == list(range(99_900, 100_000))


def test_one_step_far_off_costs_no_resolution() -> None:
    """Only buckets that hold rows take a place."""
    store = Store(8 * MIB)
    send(store, range(500))
    send(store, [2**53])

    grid = store.changes("r", "loss", None).grid

    assert grid.shift == 0
    assert grid.bucket.tolist() == [*range(500), 2**53]


def test_steps_far_apart_coarsen_at_once() -> None:
    """Thousands of steps spread over all there are still give few buckets and all rows."""
    store = Store(8 * MIB)
    send(store, range(0, 2**53, 2**41))

    grid = store.changes("r", "loss", None, points=64).grid

    assert grid.bucket.size == 64
    assert grid.shift == 47
    assert grid.count.sum() == 4096


def test_a_worker_that_joins_late_resets_readers_of_all() -> None:
    """A reader of chosen workers goes on without."""
    store = Store(MIB)
    send(store, range(5))
    everybody = store.changes("r", "loss", None)
    chosen = store.changes("r", "loss", None, workers=[0, 7])
    send(store, [2], rank=1)

    after = store.changes("r", "loss", everybody.cursor)
    still = store.changes("r", "loss", chosen.cursor, workers=[0, 7])

    assert after.reset
    assert after.grid.workers == (0, 1)
    np.testing.assert_array_equal(after.grid.mean[:, 1], [NAN, NAN, 2.0, NAN, NAN])
    assert not still.reset
    assert np.isnan(chosen.grid.mean[:, 1]).all()


def test_a_tail_begins_at_the_lowest_bucket_touched() -> None:
    """A late row brings back everything from its step on; no row brings nothing."""
    store = Store(MIB)
    send(store, range(10))
    first = store.changes("r", "loss", None)
    send(store, [10, 7], [1.0, 2.0])

    second = store.changes("r", "loss", first.cursor)
    third = store.changes("r", "loss", second.cursor)

    assert second.grid.bucket.tolist() == [7, 8, 9, 10]
    assert second.grid.count[0, 0] == 2
    assert second.grid.mean[0, 0] == 4.5
    assert second.newest == 10.0
    assert not third.reset
    assert third.grid.bucket.size == 0


def test_a_cursor_of_another_question_is_a_reset() -> None:
    """Other points, another range: the answer is whole, not wrong."""
    store = Store(MIB)
    send(store, range(10))
    cursor = store.changes("r", "loss", None).cursor

    assert store.changes("r", "loss", cursor, points=5).reset
    assert store.changes("r", "loss", cursor, start=3).reset
    assert not store.changes("r", "loss", cursor).reset


def test_a_metric_in_several_tables_is_one() -> None:
    """Two schemas and two workers meet on one grid."""
    store = Store(MIB)
    send(store, [0, 1, 2], [1.0, 2.0, 3.0])
    send(store, [1], [4.0], names=("loss", "lr"))
    send(store, [2], [9.0], names=("loss", "lr"), rank=3)

    grid = store.changes("r", "loss", None).grid

    assert grid.workers == (0, 1)
    np.testing.assert_array_equal(grid.mean, [[1.0, NAN], [3.0, NAN], [3.0, 9.0]])
    assert grid.count.tolist() == [[1, 0], [2, 0], [1, 1]]
    assert store.written("r", "loss") == 5


def test_values_at_the_end_of_the_range_keep_a_mean() -> None:
    """A sum that overflows does not make the mean infinite."""
    store = Store(MIB)
    send(store, [0, 0, 0], [1.7e308, 1.7e308, 1.7e308])

    grid = store.changes("r", "loss", None).grid

    assert grid.mean[0, 0] == 1.7e308


def test_before_any_row_there_is_an_empty_grid() -> None:
    """A metric that is known and silent is no error, and its first row is a change."""
    store = Store(MIB)
    store.open_table("r", ("loss",))
    worker = store.open_worker("r", 0, 0)
    before = store.changes("r", "loss", None, workers=[worker])
    send(store, [3])

    after = store.changes("r", "loss", before.cursor, workers=[worker])

    assert before.grid.mean.shape == (0, 1)
    assert before.newest is None
    assert store.query("r", "loss", start=9).series == []
    assert not after.reset
    assert after.grid.bucket.tolist() == [3]


def test_points_below_one_are_refused() -> None:
    """There is no grid without a bucket."""
    store = Store(MIB)
    store.open_table("r", ("loss",))

    with pytest.raises(ConfigError, match="points: found 0, expected at least 1"):
        store.query("r", "loss", points=0)


def test_the_unwatched_gives_way_to_the_watched() -> None:
    """Of two full rings the one nobody reads makes room for the other."""
    store = Store(2 * MIB)
    send(store, range(50_000), names=("idle",))
    send(store, range(100), names=("seen",))
    idle = store.open_table("r", ("idle",)).ring_bytes
    store.query("r", "seen")
    for start in range(0, 60_000, 100):
        send(store, range(start, start + 100), names=("seen",))

    assert store.open_table("r", ("idle",)).ring_bytes < idle / 2
    assert store.query("r", "idle").series[0].count.sum() == 50_000


def test_readers_and_writers_may_be_different_threads() -> None:
    """A reader sees whole rows only, while another thread writes and evicts."""
    store = Store(MIB)
    send(store, [0])
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        seen = 0
        while not done.is_set():
            grid = store.changes("r", "loss", None).grid
            count = int(grid.count.sum())
            if count < seen or not (grid.vmin >= (grid.bucket << grid.shift)[:, None]).all():
                wrong.append(f"{count} rows after {seen}")
            seen = count

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(1, 60_000, 60):
        send(store, range(start, start + 60))
    done.set()
    reader.join(10)

    assert wrong == []
    assert not reader.is_alive()
