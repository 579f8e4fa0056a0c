"""Journal records to columns: each row once, in order, and what is cut is told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.journal.columns import Mark, gather, last_marks
from streamviz.journal.records import Record, iterate, pack

WIDTHS = {0: 1, 1: 3}


def records_of(frames: Sequence[tuple[int, int, int]]) -> list[Record]:
    """Return records of these tables, workers and numbers of rows, numbered as they come."""
    rng = np.random.default_rng(0)
    counts: dict[tuple[int, int], int] = {}
    made = []
    for number, (table, worker, rows) in enumerate(frames):
        first = counts.get((table, worker), 0)
        counts[table, worker] = first + rows
        values = rng.normal(size=(rows, WIDTHS[table]))
        steps, times = rng.integers(0, 2**53, rows), rng.normal(size=rows)
        made.append(Record(worker, worker, table, first, number + 1, 7, steps, times, values))
    return made


frames = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(1, 4)), max_size=30)


@given(frames, st.integers(0, 30))
def test_rows_come_out_as_they_went_in(said: list[tuple[int, int, int]], cut: int) -> None:
    """Whatever the frames' sizes and order, and however they lie in blobs."""
    records = records_of(said)
    blobs = [b"".join(map(pack, part)) for part in (records[:cut], records[cut:])]

    found = {(rows.table, rows.worker): rows for rows in gather(blobs, WIDTHS)}

    assert found.keys() == {(record.table, record.worker) for record in records}
    for key, rows in found.items():
        own = [one for blob in blobs for one in iterate(blob, WIDTHS)]
        own = [one for one in own if (one.table, one.worker) == key]
        assert rows.first == 0
        np.testing.assert_array_equal(rows.steps, np.concatenate([one.steps for one in own]))
        np.testing.assert_array_equal(rows.times, np.concatenate([one.times for one in own]))
        np.testing.assert_array_equal(rows.values, np.concatenate([one.values for one in own]))


@given(frames)
def test_a_stream_s_last_record_says_how_far_it_is(said: list[tuple[int, int, int]]) -> None:
    """The mark of each stream is the highest it reached."""
    records = records_of(said)

    marks = last_marks([b"".join(map(pack, records))], WIDTHS)

    last = {record.stream: record for record in records}
    assert marks == {
        stream: Mark(record.worker, record.next_seq, record.next_row)
        for stream, record in last.items()
    }


@pytest.mark.parametrize("keep", [1, 39, 40, 63])
def test_a_cut_record_is_told(keep: int) -> None:
    """Neither its head nor its rows are guessed."""
    [record] = records_of([(0, 0, 1)])
    with pytest.raises(ValueError, match="journal record"):
        gather([pack(record)[:keep]], WIDTHS)


def test_a_record_of_an_unknown_table_is_told() -> None:
    """Without its width nobody knows where the next begins."""
    [record] = records_of([(1, 0, 1)])
    with pytest.raises(ValueError, match="cannot be read at byte"):
        gather([pack(record)], {0: 1})
