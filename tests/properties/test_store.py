"""The store's laws under any order of rows, readers and shortage."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamviz.errors import BudgetSpent
from streamviz.store.budget import BUDGET_MIN
from streamviz.store.changes import Changes
from streamviz.store.gaps import Gap, Gaps
from streamviz.store.grid import Grid
from streamviz.store.store import GAP_BYTES, RUN_BYTES, WORKER_BYTES, Store

ARRAYS = ("mean", "vmin", "vmax", "time", "count", "bad")
SCHEMAS = (("loss",), ("loss", "lr"), (*(f"m{i}" for i in range(40)), "loss"))


@dataclass(frozen=True)
class Batch:
    """Rows of one ``append``."""

    worker: int
    schema: int
    start: int
    stride: int
    rows: int
    seed: int

    def steps(self) -> NDArray[np.int64]:
        """Return steps that mostly ascend, with repeats and returns."""
        rng = np.random.default_rng(self.seed)
        steps = self.start + self.stride * np.arange(self.rows, dtype=np.int64)
        if self.seed % 3 == 0:
            steps = rng.permutation(steps)
        return np.minimum(steps, 2**53)

    def append_to(self, store: Store) -> None:
        """Append the rows to run ``r``."""
        rng = np.random.default_rng(self.seed)
        names = SCHEMAS[self.schema]
        values = rng.normal(size=(self.rows, len(names)))
        if self.seed % 2:
            values[rng.random(values.shape) < 0.2] = np.nan
            values[rng.random(values.shape) < 0.1] = np.inf
        worker = store.open_worker("r", self.worker, 0)
        store.append(
            store.open_table("r", names), worker, self.steps(), rng.random(self.rows), values
        )


batches = st.builds(
    Batch,
    worker=st.integers(0, 4),
    schema=st.integers(0, 2),
    start=st.one_of(st.integers(0, 3000), st.integers(0, 2**53)),
    stride=st.sampled_from([0, 1, 1, 1, 2, 100, 2**44]),
    rows=st.sampled_from([0, 1, 1, 3, 64, 300, 2500]),
    seed=st.integers(0, 1000),
)
ranges = st.tuples(
    st.sampled_from([None, (0,), (3, 1), (0, 99)]),
    st.sampled_from([None, None, 0, 5, 700, 2**40]),
    st.sampled_from([None, None, 4, 999, 2**50]),
    st.sampled_from([1, 3, 20, 300, 1024, 5000]),
)


@dataclass
class Reader:
    """Keeps what it was told, as a browser does."""

    arrays: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    bucket: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    shift: int = 0
    workers: tuple[int, ...] = ()

    def take(self, changes: Changes) -> None:
        """Apply one answer."""
        grid = changes.grid
        if changes.reset:
            self.workers, self.shift, self.bucket = grid.workers, grid.shift, grid.bucket
            self.arrays = {name: getattr(grid, name) for name in ARRAYS}
            return
        assert (grid.workers, grid.shift) == (self.workers, self.shift)
        if grid.bucket.size:
            keep = int(np.searchsorted(self.bucket, grid.bucket[0]))
            self.bucket = np.concatenate((self.bucket[:keep], grid.bucket))
            self.arrays = {
                name: np.concatenate((array[:keep], getattr(grid, name)))
                for name, array in self.arrays.items()
            }

    def assert_has(self, grid: Grid) -> None:
        """Fail unless this is what a whole reading gives, to the last bit."""
        assert (self.workers, self.shift) == (grid.workers, grid.shift)
        np.testing.assert_array_equal(self.bucket, grid.bucket)
        for name in ARRAYS:
            np.testing.assert_array_equal(self.arrays[name], getattr(grid, name))


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(batches, st.just("read")), min_size=1, max_size=25), ranges)
def test_changes_one_by_one_equal_one_whole_reading(
    doings: list[Batch | str],
    asked: tuple[tuple[int, ...] | None, int | None, int | None, int],
) -> None:
    """Whatever comes in whichever order, tails lead to what a new reader gets."""
    workers, start, stop, points = asked
    store = Store(BUDGET_MIN)
    store.open_table("r", SCHEMAS[0])
    reader = Reader()
    cursor = None
    for doing in [*doings, "read"]:
        if isinstance(doing, Batch):
            doing.append_to(store)
            continue

        def ask(known: Changes | None) -> Changes:
            return store.changes(
                "r",
                "loss",
                None if known is None else known.cursor,
                workers=workers,
                start=start,
                stop=stop,
                points=points,
            )

        changes = ask(cursor)
        reader.take(changes)
        whole = ask(None)
        reader.assert_has(whole.grid)
        assert whole.grid.bucket.size <= points
        assert changes.newest == whole.newest
        again = ask(changes)
        assert not again.reset
        assert again.grid.bucket.size == 0
        cursor = again


@settings(max_examples=60, deadline=None)
@given(st.lists(batches, min_size=1, max_size=20), ranges)
def test_a_query_tells_the_rows_that_were_sent(
    sent: list[Batch],
    asked: tuple[tuple[int, ...] | None, int | None, int | None, int],
) -> None:
    """Raw rows come back as sent in the order of steps; buckets hold each finite value once."""
    workers, start, stop, points = asked
    store = Store(64 << 20)
    store.open_table("r", SCHEMAS[0])
    for batch in sent:
        batch.append_to(store)
    ranks = {index: rank for index, rank, _ in store.workers("r")}
    low, high = start or 0, 2**53 if stop is None else stop

    result = store.query("r", "loss", workers=workers, start=start, stop=stop, points=points)

    assert [one.rank for one in result.series] == sorted(one.rank for one in result.series)
    for one in result.series:
        assert ranks[one.worker] == one.rank
        assert 0 < one.step.size <= points
        steps = np.concatenate([b.steps() for b in sent if b.worker == one.rank])
        steps = np.sort(steps[(steps >= low) & (steps <= high)])
        if result.resolution == "raw":
            np.testing.assert_array_equal(one.step, steps)
            np.testing.assert_array_equal(np.isfinite(one.value), one.count == 1)
        else:
            assert isinstance(result.resolution, int)
            np.testing.assert_array_equal(
                one.step, np.unique(steps // result.resolution) * result.resolution
            )
            assert int((one.count + one.bad).sum()) == steps.size


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(batches, st.integers(0, 3), st.integers(0, 30), st.integers(1, 80)), max_size=30
    )
)
def test_never_holds_more_than_the_budget(
    flood: list[tuple[Batch, int, int, int]],
) -> None:
    """Runs, workers and metrics without end leave the account right and within the budget."""
    store = Store(BUDGET_MIN)
    refused = 0
    for batch, run, rank, width in flood:
        names = tuple(f"flood{i}" for i in range(rank, rank + width))
        try:
            worker = store.open_worker(f"r{run}", rank, 0)
        except BudgetSpent:
            continue
        table = store.open_table(f"r{run}", names)
        store.append(
            table, worker, batch.steps(), np.ones(batch.rows), np.ones((batch.rows, width))
        )
        store.add_gap(f"r{run}", worker, Gap(0, 1, 0.0, 1.0, 1, "outbox"))
        refused += len(table.cut) * batch.rows

        usage = store.usage()
        assert usage.bytes_held <= usage.bytes_allowed
        runs = store._runs.values()
        bytes_held = sum(table.nbytes for held in runs for table in held.tables.values())
        bytes_held += usage.runs * RUN_BYTES + usage.workers * WORKER_BYTES
        bytes_held += sum(
            GAP_BYTES * (len(gaps) - 1) for held in runs for gaps in held.gaps.values()
        )
        assert usage.bytes_held == bytes_held
    assert store.usage().overflowed_values >= refused


gaps = st.builds(
    Gap,
    first_step=st.integers(0, 100),
    last_step=st.integers(100, 200),
    first_time=st.floats(0, 10),
    last_time=st.floats(10, 20),
    rows=st.integers(1, 1000),
    reason=st.sampled_from(["outbox", "spill"]),
)


@given(st.lists(gaps, min_size=1, max_size=40), st.integers(1, 8))
def test_merging_gaps_conserves_rows_and_range(added: list[Gap], limit: int) -> None:
    """However many gaps become one, their rows and their ends stay."""
    held = Gaps()
    for gap in added:
        held.add(gap, limit)

    assert len(held) == min(limit, len(added))
    assert sum(gap.rows for gap in held) == sum(gap.rows for gap in added)
    assert min(gap.first_step for gap in held) == min(gap.first_step for gap in added)
    assert max(gap.last_step for gap in held) == max(gap.last_step for gap in added)
    assert min(gap.first_time for gap in held) == min(gap.first_time for gap in added)
    assert [gap.first_step for gap in held] == sorted(gap.first_step for gap in held)
