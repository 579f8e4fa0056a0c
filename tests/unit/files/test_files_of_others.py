"""What reads files of others, by itself: holes in rows, bins, cells, records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.files.attempts import Attempts
from streamviz.files.cells import numbers, seconds, whole
from streamviz.files.histograms import MAX_BINS, histogram_body
from streamviz.files.portions import Account, Options
from streamviz.files.sorting import SETS, Sorter
from streamviz.files.tables import CsvSource
from streamviz.files.tail import Tail
from streamviz.publisher.past import Rows
from streamviz.publisher.pour import Who


@given(
    st.lists(
        st.lists(st.booleans(), min_size=5, max_size=5),
        min_size=1,
        max_size=200,
    )
)
def test_every_value_that_is_there_comes_once(holes: list[list[bool]]) -> None:
    """Whatever the holes, each value is in one row of its name, in order, and no other is."""
    there = np.array(holes)
    values = np.arange(there.size, dtype=np.float64).reshape(there.shape)
    steps = np.arange(len(holes))
    times = steps.astype(np.float64)
    names = tuple("abcde")

    rows = Sorter().rows(names, steps, times, values, there, steps)

    for column, name in enumerate(names):
        found = [
            (int(step), float(value))
            for one in rows
            if name in one.names
            for step, value in zip(one.steps, one.values[:, one.names.index(name)], strict=True)
        ]
        expected = [(int(i), float(values[i, column])) for i in np.flatnonzero(there[:, column])]
        assert sorted(found) == expected
        assert all((np.diff(one.steps) > 0).all() for one in rows)


def test_the_sets_of_names_are_bounded() -> None:
    """A table with holes at random costs as many sets of names as it has names, or few."""
    rng = np.random.default_rng(0)
    there = rng.random((1000, 12)) < 0.5
    sorter, steps = Sorter(), np.arange(1000)
    times, values = steps.astype(np.float64), there.astype(np.float64)
    names = tuple(f"m{i}" for i in range(12))

    sets = {one.names for one in sorter.rows(names, steps, times, values, there, steps)}

    assert len(sets) <= SETS + len(names)


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=1500).filter(any),
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2, unique=True),
)
@settings(max_examples=60)
def test_no_count_of_a_histogram_is_lost(counts: list[int], ends: list[float]) -> None:
    """Edges increase, there are few enough, the ends are those told, and the counts add up."""
    low, high = sorted(ends)
    limits = np.linspace(low, high, len(counts) + 1)

    body = histogram_body(limits, np.array(counts, float), low, high)

    assert isinstance(body["edges"], bytes)
    assert isinstance(body["counts"], bytes)
    edges, found = np.frombuffer(body["edges"]), np.frombuffer(body["counts"])
    assert len(edges) == len(found) + 1 <= MAX_BINS + 1
    assert (np.diff(edges) > 0).all()
    assert found.sum() == sum(counts) == body["count"]
    assert (edges[0], edges[-1]) == (low, high)


def test_cells_are_what_they_say() -> None:
    """Blanks are nothing, nan and inf are values, words are bad; dates are times."""
    column = numbers(["1.5", "", "nan", "-inf", "x", " 2 ", "True"])
    assert column.there is not None
    assert column.there.tolist() == [True, False, True, True, False, True, True]
    assert column.bad == [4]
    assert str(column.values.tolist()) == "[1.5, nan, nan, -inf, nan, 2.0, 1.0]"
    steps, good = whole(numbers(["3", "3.5", "-1", "1e3", ""]))
    assert steps[good].tolist() == [3, 1000]
    times = seconds(["1700000000", "1700000000123", "2023-11-14T22:13:20Z", "soon"])
    assert times.values[:3].tolist() == [1.7e9, 1700000000.123, 1.7e9]
    assert times.bad == [3]


def test_a_line_is_given_when_it_is_whole(tmp_path: Path) -> None:
    """A file that grows gives a line once its end is there, or nothing more will be written."""
    path = tmp_path / "grows.txt"
    path.write_bytes(b"one\r\ntw")
    tail = Tail(path)
    tail.last = False
    assert list(tail) == ["one\n"]
    with path.open("ab") as file:
        file.write("o\nthr\u00e9".encode()[:-1])
    assert list(tail) == ["two\n"]
    with path.open("ab") as file:
        file.write("\u00e9e".encode()[1:])
    tail.last = True
    assert list(tail) == ["thr\u00e9e"]
    tail.close()


def test_a_file_that_goes_back_is_another_attempt() -> None:
    """Only a metric that is there already counts, and a file stays with its attempt."""
    attempts = Attempts()

    def place(file: str, name: str, *steps: int) -> int:
        axis = np.array(steps)
        rows = Rows((name,), axis, axis * 1.0, np.zeros((len(steps), 1)))
        return attempts.place(file, Who("run"), [rows]).attempt

    assert place("a", "loss", 0, 9) == 0
    assert place("b", "other", 0, 9) == 0
    assert place("c", "loss", 5, 6) == 1
    assert place("a", "loss", 10, 11) == 0
    assert place("d", "loss", 7, 20) == 1
    assert place("e", "loss", 7) == 2


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_a_table_is_read_in_any_portions(
    tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many lines are read at a time, the rows are the same."""
    monkeypatch.setattr("streamviz.files.tables.BATCH_LINES", batch)
    path = tmp_path / "t.csv"
    path.write_text("rank,a\n" + "".join(f"{i % 3},{i}\n" for i in range(50)))
    source = CsvSource(path, Options(), Account(), Attempts())

    found: dict[int, list[tuple[int, float]]] = {}
    for who, pieces in source.read(last=True):
        for piece in pieces:
            assert isinstance(piece, Rows)
            pairs = zip(piece.steps.tolist(), piece.values[:, 0].tolist(), strict=True)
            found.setdefault(who.rank, []).extend(pairs)

    assert found == {
        rank: [(step, 3.0 * step + rank) for step in range(17 if rank < 2 else 16)]
        for rank in range(3)
    }
