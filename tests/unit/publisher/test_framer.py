"""Rows into columns."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.publisher.framer import FRAME_BYTES, MAX_ROW_SCHEMAS, Framer, Load, is_ready
from streamviz.publisher.outbox import Row
from streamviz.publisher.values import DeviceValue
from streamviz.wire.codec import MAX_BATCHES, MAX_FRAME_BYTES, encode
from streamviz.wire.frames import Samples, Span


class Refusals(list[tuple[str, str, int]]):
    """What was refused: reason, name, number of values."""

    def __call__(self, reason: str, name: str, values: int) -> None:
        """Note a refusal."""
        if values:
            self.append((reason, name, values))


@pytest.fixture
def refused() -> Refusals:
    """Return what the framer refused."""
    return Refusals()


@pytest.fixture
def framer(refused: Refusals) -> Framer:
    """Return an empty framer."""
    return Framer(refused)


def rows_of(framer: Framer, loads: list[Load]) -> list[tuple[str, int, float, float]]:
    """Return metric, step, time and value of everything in some loads, in order."""
    rows = []
    for load in loads:
        for batch in load.batches:
            names = framer.schemas[batch.schema]
            steps = np.frombuffer(batch.steps, "<i8")
            times = np.frombuffer(batch.times, "<f8")
            values = np.frombuffer(batch.values, "<f8").reshape(steps.size, len(names))
            rows += [
                (name, int(step), float(time), float(value))
                for step, time, line in zip(steps, times, values, strict=True)
                for name, value in zip(names, line, strict=True)
            ]
    return rows


def taken(framer: Framer) -> list[Load]:
    """What the framer gathered; it was given rows alone."""
    loads = framer.take()
    assert all(isinstance(load, Load) for load in loads)
    return [load for load in loads if isinstance(load, Load)]


def test_rows_of_one_shape_become_one_batch(framer: Framer) -> None:
    """Calls with the same names share a schema and a batch."""
    for step in range(3):
        assert framer.add(step, 10.0 + step, {"a": float(step), "b": 0.5}) == 1
    [load] = taken(framer)

    assert framer.schemas == [("a", "b")]
    assert len(load.batches) == 1
    assert (load.rows, load.span) == (3, Span(0, 2, 10.0, 12.0))
    assert rows_of(framer, [load])[:2] == [("a", 0, 10.0, 0.0), ("b", 0, 10.0, 0.5)]


def test_shapes_are_told_apart(framer: Framer) -> None:
    """Calls with other names, or the same in another order, have schemas of their own."""
    framer.add(7, 1.0, {"a": 1.0})
    framer.add(3, 2.0, {"b": 2.0})
    framer.add(9, 3.0, {"a": 3.0, "b": 4.0})
    framer.add(5, 4.0, {"b": 5.0, "a": 6.0})
    framer.add(8, 5.0, {"a": 7.0})
    [load] = taken(framer)

    assert framer.schemas == [("a",), ("b",), ("a", "b"), ("b", "a")]
    assert (load.rows, load.span) == (5, Span(3, 9, 1.0, 5.0))
    assert [row[3] for row in rows_of(framer, [load])] == [1.0, 7.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_what_was_taken_is_gone(framer: Framer) -> None:
    """A second taking gives nothing; the schemas stay."""
    framer.add(1, 1.0, {"a": 1.0})
    assert len(taken(framer)) == 1
    assert taken(framer) == []
    framer.add(2, 2.0, {"a": 2.0})
    [load] = taken(framer)

    assert rows_of(framer, [load]) == [("a", 2, 2.0, 2.0)]
    assert len(framer.schemas) == 1


def test_a_load_is_split_at_its_size(framer: Framer) -> None:
    """Much is cut into frames of about the limit, none past what the wire takes, all rows once."""
    rows = 3 * FRAME_BYTES // 24
    for step in range(rows):
        framer.add(step, float(step), {"a": float(step)})
    loads = taken(framer)

    assert [load.rows * 24 // FRAME_BYTES for load in loads] in ([1, 1, 0, 0], [1, 1, 0], [1, 1, 1])
    assert [row[1] for row in rows_of(framer, loads)] == list(range(rows))
    assert sum(load.rows for load in loads) == rows
    firsts = [load.span.first_step for load in loads]
    assert firsts == sorted(firsts)
    for load in loads:
        size = len(encode(Samples(bytes(16), 0, 0.0, 0.0, 0, load.batches, load.rows)))
        assert size < FRAME_BYTES + 200
    assert taken(framer) == []


def test_many_schemas_fit_frames(framer: Framer) -> None:
    """A thousand shapes of one row each are cut by number, each frame within the wire's limits."""
    for number in range(MAX_ROW_SCHEMAS):
        framer.add(number, 0.0, {f"m{number}": 1.0})
    loads = taken(framer)

    assert sum(load.rows for load in loads) == MAX_ROW_SCHEMAS
    for load in loads:
        assert len(load.batches) <= MAX_BATCHES
        size = len(encode(Samples(bytes(16), 0, 0.0, 0.0, 0, load.batches, load.rows)))
        assert size <= MAX_FRAME_BYTES


def test_a_wide_row_is_a_frame(framer: Framer) -> None:
    """A row wider than the limit is one frame of its own."""
    wide: dict[str, float | DeviceValue] = {f"m{i}": 1.0 for i in range(FRAME_BYTES // 8 + 1)}
    framer.add(1, 1.0, wide)
    framer.add(2, 2.0, wide)

    assert [load.rows for load in taken(framer)] == [1, 1]


def test_too_many_shapes_are_split_by_metric(framer: Framer, refused: Refusals) -> None:
    """Past the limit of shapes each metric is a shape of its own; no value is lost."""
    for number in range(MAX_ROW_SCHEMAS):
        framer.add(0, 0.0, {"common": 0.0, f"own {number}": 1.0})
    taken(framer)

    assert framer.add(1, 1.0, {"common": 2.0, "new a": 3.0, "new b": 4.0}) == 3
    assert framer.add(2, 2.0, {"common": 5.0, "new b": 6.0}) == 2
    assert framer.add(3, 3.0, {"common": 7.0, "own 5": 8.0}) == 1
    loads = taken(framer)

    assert sorted(rows_of(framer, loads), key=lambda row: row[3]) == [
        ("common", 1, 1.0, 2.0),
        ("new a", 1, 1.0, 3.0),
        ("new b", 1, 1.0, 4.0),
        ("common", 2, 2.0, 5.0),
        ("new b", 2, 2.0, 6.0),
        ("common", 3, 3.0, 7.0),
        ("own 5", 3, 3.0, 8.0),
    ]
    assert refused == []


def test_names_without_end_do_not_grow_memory(framer: Framer, refused: Refusals) -> None:
    """A loop that makes up a name each step reaches a limit, after which its values are counted."""
    total = MAX_ROW_SCHEMAS + MAX_BATCHES + 1000
    for number in range(total):
        framer.add(number, 0.0, {f"m{number}": 1.0})
    taken(framer)

    assert len(framer.schemas) == MAX_ROW_SCHEMAS + MAX_BATCHES
    assert len(framer._split) == MAX_BATCHES
    assert sum(values for _, _, values in refused) == 1000
    assert framer.add(1, 0.0, {"m0": 1.0}) == 1


BAD_NAMES: list[Any] = ["", "x" * 300, "a\0b", "\u202e", "e\u0301", 7, None, b"a", 1.5, (1,)]


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[:10])
def test_a_bad_name_leaves_the_others(framer: Framer, refused: Refusals, name: Any) -> None:
    """A name that breaks text is refused, each time; the other metrics of the call are kept."""
    for step in range(2):
        assert framer.add(step, 0.0, {"a": 1.0, name: 2.0, "b": 3.0}) == 1
    assert framer.add(2, 0.0, {name: 1.0}) == 0
    loads = taken(framer)

    assert [(row[0], row[3]) for row in rows_of(framer, loads)] == [("a", 1.0), ("b", 3.0)] * 2
    assert [(reason, values) for reason, _, values in refused] == [("bad name", 1)] * 3
    assert all(len(told) <= 80 for _, told, _ in refused)


def test_a_name_that_raises_is_refused(framer: Framer, refused: Refusals) -> None:
    """An object as a name, whose text cannot be had, is refused like any other."""

    class Key:
        def __repr__(self) -> str:
            raise RuntimeError

    assert framer.add(0, 0.0, {Key(): 1.0}) == 0  # type: ignore[dict-item] # the point
    assert refused == [("bad name", "<Key>", 1)]


def test_a_call_without_metrics_is_nothing(framer: Framer, refused: Refusals) -> None:
    """An empty call makes no row and no complaint."""
    assert framer.add(0, 0.0, {}) == 0
    assert taken(framer) == []
    assert refused == []


class Lost:
    """An event of a device that failed."""

    def query(self) -> bool:
        """Raise, as CUDA does after an error."""
        raise RuntimeError


def test_a_value_that_fails_late_leaves_the_others(framer: Framer, refused: Refusals) -> None:
    """What turns out to be unusable only when it is written is refused, its neighbours kept."""
    gone = DeviceValue(np.array(0.0), Lost())
    assert gone.is_ready()

    assert framer.add(1, 1.0, {"a": 1.0, "huge": 10**400, "gone": gone, "b": 2.0}) == 1
    assert framer.add(2, 2.0, {"huge": 10**400}) == 0
    assert framer.add(3, 3.0, {"a": 3.0, "huge": 4.0, "gone": 5.0, "b": 6.0}) == 1
    loads = taken(framer)

    assert sorted(rows_of(framer, loads), key=lambda row: row[3]) == [
        ("a", 1, 1.0, 1.0),
        ("b", 1, 1.0, 2.0),
        ("a", 3, 3.0, 3.0),
        ("huge", 3, 3.0, 4.0),
        ("gone", 3, 3.0, 5.0),
        ("b", 3, 3.0, 6.0),
    ]
    assert refused == [
        ("too large for a float", "huge", 1),
        ("lost by its device", "gone", 1),
        ("too large for a float", "huge", 1),
    ]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**53),
            st.dictionaries(st.sampled_from("abcd"), st.floats(), min_size=1),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_nothing_is_lost_between_rows_and_columns(
    calls: list[tuple[int, dict[str, float], bool]],
) -> None:
    """Every value comes out once, bit for bit, with its step; rows and spans add up."""
    framer = Framer(Refusals())
    loads: list[Load] = []
    for time, (step, metrics, take) in enumerate(calls):
        framer.add(step, float(time), dict(metrics))
        if take:
            loads += taken(framer)
    loads += taken(framer)

    sent = [
        (name, step, float(time), np.float64(value).tobytes())
        for time, (step, metrics, _) in enumerate(calls)
        for name, value in metrics.items()
    ]
    framed = [
        (name, step, time, np.float64(value).tobytes())
        for name, step, time, value in rows_of(framer, loads)
    ]
    assert sorted(framed) == sorted(sent)
    assert sum(load.rows for load in loads) == len(calls)
    if calls:
        spans = [load.span for load in loads]
        assert min(span.first_step for span in spans) == min(step for step, _, _ in calls)
        assert max(span.last_step for span in spans) == max(step for step, _, _ in calls)


def queue(*rows: Row) -> deque[Row]:
    """Return rows as the outbox holds them."""
    return deque(rows)


def test_rows_are_gathered_from_a_queue(framer: Framer, refused: Refusals) -> None:
    """A number of rows is taken from the left, whatever their shapes; more stay."""
    rows = queue(
        (1, 1.0, {"a": 1.0}, None),
        (2, 2.0, {"a": 2.0}, None),
        (3, 3.0, {"b": 3.0}, None),
        (4, 4.0, {"": 4.0}, None),
        (5, 5.0, {}, None),
        (6, 6.0, {"b": 6.0}, None),
        (7, 7.0, {"a": 7.0}, None),
    )

    assert framer.gather(rows, 6) is None
    assert list(rows) == [(7, 7.0, {"a": 7.0}, None)]
    assert framer.gather(rows, 10) is None
    assert sorted(row[3] for row in rows_of(framer, taken(framer))) == [1.0, 2.0, 3.0, 6.0, 7.0]
    assert refused == [("bad name", "", 1)]


class Arriving:
    """An event that happens when the test says so."""

    happened = False

    def query(self) -> bool:
        """Say whether it happened."""
        return self.happened


def test_order_is_kept_behind_a_value_on_its_way(framer: Framer) -> None:
    """A row that waits for a device is handed back, and those after it wait behind it."""
    event, host = Arriving(), np.array(0.0)
    value = DeviceValue(host, event)
    waiting: Row = (2, 2.0, {"a": value}, [value])
    rows = queue((1, 1.0, {"a": 1.0}, None), waiting, (3, 3.0, {"a": 3.0}, None))

    assert framer.gather(rows, 3) is waiting
    assert len(rows) == 1
    assert not is_ready(waiting)
    host[...] = 2.0
    event.happened = True
    assert is_ready(waiting)
    framer.add(*waiting[:3])
    framer.gather(rows, 1)
    assert [row[3] for row in rows_of(framer, taken(framer))] == [1.0, 2.0, 3.0]
