"""The ring, driven through its table, against a deque of rows."""

from __future__ import annotations

from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.store.budget import BUDGET_MIN, Budget
from streamviz.store.ring import FIRST_ROWS
from streamviz.store.table import Table, table_bytes

NAMES = tuple(f"m{i}" for i in range(60))
Row = tuple[int, int, float, float]


def build_table(*, free_bytes: int) -> Table:
    """Return a table that may grow by ``free_bytes`` beyond its smallest."""
    budget = Budget(BUDGET_MIN)
    assert budget.take(table_bytes(NAMES, len(NAMES)))
    assert budget.take(max(0, budget.allowed - budget.held - free_bytes))
    table = Table("run", NAMES, tuple(range(len(NAMES))), budget)
    budget.holders.append(table)
    return table


def held_rows(table: Table, since: int = 0) -> list[Row]:
    """Return worker column, step, time and last value of the rows held."""
    rows: list[Row] = []
    for piece in table.ring.snapshot(since):
        segment, span = piece.segment, slice(piece.begin, piece.end)
        columns = (segment.column, segment.step, segment.time, segment.values[:, -1])
        rows += zip(*(column[span].tolist() for column in columns), strict=True)
    return rows


batches = st.tuples(
    st.integers(0, 2), st.sampled_from([0, 1, 2, 7, 64, 127, 128, 300, 1500]), st.integers(0, 2**53)
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(batches, st.just("shrink")), max_size=25),
    st.integers(0, 1 << 19),
)
def test_holds_the_newest_rows_without_a_hole(
    doings: list[tuple[int, int, int] | str], free_bytes: int
) -> None:
    """Whatever is appended and taken away, the ring is the end of the deque of all rows."""
    table = build_table(free_bytes=free_bytes)
    model: deque[Row] = deque()
    count = 0
    for doing in doings:
        if isinstance(doing, str):
            table.shrink_ring()
        else:
            worker, rows, step = doing
            steps = step + np.arange(rows) % 5
            numbers = np.arange(count, count + rows, dtype=np.float64)
            values = np.repeat(numbers[:, None], len(NAMES), axis=1)
            table.append(worker, steps, numbers, values)
            column = table.columns.get(worker, -1)
            if column >= 0:
                count += rows
                model += [
                    (column, *row)
                    for row in zip(steps.tolist(), numbers.tolist(), numbers.tolist(), strict=True)
                ]

        tail, head = table.ring.tail, table.ring.head
        assert head == len(model) == table.rows
        assert held_rows(table) == list(model)[tail:]
        assert held_rows(table, since=head - 3) == list(model)[max(tail, head - 3) :]
        assert table.ring.capacity >= FIRST_ROWS
        assert table._budget.held <= table._budget.allowed


@settings(max_examples=40, deadline=None)
@given(st.lists(batches, max_size=25), st.integers(0, 1 << 18))
def test_remembers_the_highest_evicted_step(
    doings: list[tuple[int, int, int]], free_bytes: int
) -> None:
    """A worker's evicted step is the highest one among its rows that went, -1 without any."""
    table = build_table(free_bytes=free_bytes)
    steps_of: list[tuple[int, int]] = []
    for worker, rows, step in doings:
        steps = np.random.default_rng(rows).integers(0, step + 1, rows)
        table.append(worker, steps, np.zeros(rows), np.zeros((rows, len(NAMES))))
        steps_of += [(worker, int(s)) for s in steps] if worker in table.columns else []

    gone = steps_of[: table.ring.tail]
    for worker, column in table.columns.items():
        expected = max((step for other, step in gone if other == worker), default=-1)
        assert table.overview.evicted_step[column] == expected
