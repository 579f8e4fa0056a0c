"""Laws of what lies on the disk: columns come back bit for bit, grids are what the rows make."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.journal.directory import run_path
from streamviz.journal.entries import Commit, TableRows, WorkerRow
from streamviz.journal.history import History
from streamviz.journal.records import Record, iterate, pack
from streamviz.journal.runfile import RunFile
from streamviz.journal.values import (
    decode,
    decode_all,
    decode_axis,
    encode,
    encode_all,
    encode_axis,
)
from streamviz.store.grid import (
    FloatArray,
    IntArray,
    distinct,
    finest_shift,
    finish,
    reduce_rows,
)

NAMES = ("train/loss", "train/lr")
BITS = st.lists(st.integers(0, 2**64 - 1), max_size=200)
ODD = [0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 5e-324, 1.7e308, 2.0**53, 0.1, 0.3, 1e16 + 2]


def same(found: FloatArray, expected: FloatArray) -> bool:
    """Say whether two arrays are the same to the bit."""
    return found.dtype == expected.dtype and found.tobytes() == expected.tobytes()


@given(BITS)
def test_any_bits_come_back(bits: list[int]) -> None:
    """A column of any float64, every NaN and zero among them, is the same to the bit."""
    values = np.array(bits, np.uint64).view(np.float64)

    assert same(decode(encode(values), values.size), values)


KINDS_OF_COLUMN = (
    st.floats(allow_nan=True),
    st.floats(width=32),
    st.integers(-(10**6), 10**6).map(lambda whole: whole / 1000),
    st.integers(0, 2**64 - 1).map(lambda bits: float(np.uint64(bits).view(np.float64))),
)


@given(st.data(), st.integers(0, 80), st.integers(0, 5), st.booleans())
def test_columns_encoded_together_come_back(
    data: st.DataObject,
    size: int,
    count: int,
    roughly: bool,  # noqa: FBT001
) -> None:
    """Many columns at once are read alone and together, and not roughly are as small as alone."""
    lines = [
        np.array(data.draw(st.lists(kind, min_size=size, max_size=size)), np.float64)
        for kind in data.draw(
            st.lists(st.sampled_from(KINDS_OF_COLUMN), min_size=count, max_size=count)
        )
    ]

    columns = encode_all(lines, roughly=roughly)

    for found, column, line in zip(decode_all(columns, size), columns, lines, strict=True):
        assert same(decode(column, size), line)
        assert same(np.ascontiguousarray(found), line)
        assert roughly or column == encode(line)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(ODD),
            st.integers(-(2**60), 2**60).map(float),
            st.floats(width=32),
            st.integers(-(10**12), 10**12).map(lambda whole: whole / 1000),
        ),
        max_size=200,
    )
)
def test_mixed_kinds_come_back(numbers: list[float]) -> None:
    """Integers, decimals, singles and oddities in one column are the same to the bit."""
    values = np.array(numbers, np.float64)

    assert same(decode(encode(values), values.size), values)


@given(
    st.sampled_from(["integer", "decimal", "single", "constant"]),
    st.integers(0, 2**32 - 1),
    st.one_of(st.none(), st.sampled_from(ODD)),
    st.integers(0, 299),
)
def test_one_odd_value_in_a_tame_column_comes_back(
    kind: str, seed: int, odd: float | None, place: int
) -> None:
    """A column that a coding fits but for one value, anywhere in it, is the same to the bit."""
    random = np.random.default_rng(seed)
    values = {
        "integer": random.integers(-1000, 1000, 300).astype(np.float64),
        "decimal": random.integers(0, 10**6, 300) / 1000,
        "single": random.standard_normal(300).astype(np.float32).astype(np.float64),
        "constant": np.full(300, 1.5),
    }[kind]
    if odd is not None:
        values[place] = odd

    assert same(decode(encode(values), values.size), values)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=200))
def test_any_axis_comes_back(numbers: list[int]) -> None:
    """A column of any int64 is the same."""
    values = np.array(numbers, np.int64)

    assert decode_axis(encode_axis(values), values.size).tolist() == numbers


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_foreign_bytes_are_refused(data: bytes, size: int) -> None:
    """Bytes that no column has are refused, and never become more numbers than were asked for."""
    for read in (decode, decode_axis):
        try:
            found = read(data, size)
        except ValueError:
            continue
        assert found.shape == (size,)


@pytest.mark.parametrize("size", [1, 1023, 1025, 10**6])
def test_a_column_of_another_size_is_refused(size: int) -> None:
    """The size is the reader's, not the column's."""
    data = encode(np.arange(1024) / 7)

    with pytest.raises(ValueError, match="column"):
        decode(data, size)


records = st.builds(
    lambda stream, table, first, count: Record(
        *(stream, 0, table, first, first + 1, first + 1),
        np.arange(count, dtype=np.int64),
        np.arange(count) / 3,
        np.full((count, table + 1), -0.0),
    ),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(0, 2**40),
    st.integers(0, 5),
)


@given(st.lists(records, max_size=6), st.integers(0, 10_000))
def test_records_are_whole_or_refused(some: list[Record], cut: int) -> None:
    """Records come back as they were; a blob that is cut gives whole records, then an error."""
    widths = {0: 1, 1: 2, 2: 3}
    blob = b"".join(map(pack, some))

    found = list(iterate(blob, widths))

    assert [record[:6] for record in found] == [record[:6] for record in some]
    assert all(same(a.values, b.values) for a, b in zip(found, some, strict=True))
    whole = 0
    try:
        for _ in iterate(blob[:cut], widths):
            whole += 1
    except ValueError:
        assert cut < len(blob)
    else:
        assert blob[:cut] == b"".join(map(pack, some[:whole]))


@dataclass(frozen=True)
class Sent:
    """All rows of one worker."""

    steps: IntArray
    times: FloatArray
    values: FloatArray


def make_rows(seed: int, count: int, pattern: str) -> Sent:
    """Return rows with NaN and spikes whose steps follow a pattern."""
    random = np.random.default_rng(seed)
    steps = np.arange(count, dtype=np.int64)
    if pattern == "sparse":
        steps *= 1000
    elif pattern == "jittered":
        steps = np.maximum(0, steps * 3 + random.integers(-40, 40, count))
    elif pattern == "again":
        steps %= max(1, count // 3)
    elif pattern == "far":
        steps[count // 2 :] += 2**40
    values: FloatArray = random.standard_normal((count, 2)).astype(np.float32).astype(np.float64)
    values[random.random(count) < 0.01, 0] = np.nan
    values[random.random(count) < 0.001, 1] = np.inf
    times = np.array(np.arange(count) * 0.1 + 1.7e9, np.float64)
    return Sent(steps, times, values)


def part(rows: Sent, worker: int, begin: int, end: int) -> TableRows:
    """Return some of the rows."""
    return TableRows(
        table=0,
        worker=worker,
        first=begin,
        steps=rows.steps[begin:end],
        times=rows.times[begin:end],
        values=rows.values[begin:end],
    )


@pytest.fixture(scope="module")
def folders() -> Iterator[Path]:
    """A folder in memory where there is one: these laws are not about the disk."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        yield Path(name)


def write(folder: Path, sent: list[Sent], cuts: list[float], journal: float) -> History:
    """Write all workers' rows, cut into checkpoints; the last share stays in the journal."""
    directory = Path(tempfile.mkdtemp(dir=folder))
    file = RunFile.create(run_path(directory, "r"), "r", 1.7e9)
    workers = [
        WorkerRow(
            index=i,
            rank=i,
            attempt=0,
            world_size=2,
            local_rank=i,
            host="h",
            pid=1,
            library="0",
            started=1.7e9,
            last_time=1.7e9,
            last_step=None,
            ended=None,
            stream=bytes([i]) * 16,
        )
        for i in range(len(sent))
    ]
    file.commit(Commit(tables=[(0, NAMES)], workers=workers))
    for worker, rows in enumerate(sent):
        count = rows.steps.size
        last = int(count * (1 - journal))
        places = sorted({0, last, *(int(cut * last) for cut in cuts)})
        for begin, end in itertools.pairwise(places):
            # A checkpoint may bring rows that are chunked already.
            file.checkpoint([part(rows, worker, max(0, begin - 5), end)], None)
        if last < count:
            late = part(rows, worker, max(0, last - 3), count)
            record = Record(
                *(worker, worker, 0, late.first, 1, count), late.steps, late.times, late.values
            )
            file.commit(Commit(records=pack(record)))
    file.close()
    return History(directory)


sent_rows = st.builds(
    make_rows,
    st.integers(0, 2**32 - 1),
    st.one_of(st.integers(1, 3000), st.sampled_from([1024, 16_384, 16_385, 20_000, 40_000])),
    st.sampled_from(["even", "sparse", "jittered", "again", "far"]),
)


@settings(max_examples=25, deadline=None)
@given(
    sent=st.lists(sent_rows, min_size=1, max_size=2),
    cuts=st.lists(st.floats(0, 1), max_size=12),
    journal=st.sampled_from([0.0, 0.1, 1.0]),
    points=st.sampled_from([1, 7, 100, 1000, 5000]),
    metric=st.integers(0, 1),
    ends=st.one_of(st.none(), st.tuples(st.floats(0, 1), st.floats(0, 1))),
)
def test_the_disk_answers_as_the_rows_do(
    folders: Path,
    sent: list[Sent],
    cuts: list[float],
    journal: float,
    points: int,
    metric: int,
    ends: tuple[float, float] | None,
) -> None:
    """Whatever checkpoint brought which rows: all come back, and grids are what they reduce to."""
    history = write(folders, sent, cuts, journal)

    for worker, rows in enumerate(sent):
        held = [some for some in history.rows("r") if some.worker == worker]
        for name in ("steps", "times", "values"):
            found = np.concatenate([getattr(some, name) for some in held])
            assert found.tobytes() == getattr(rows, name).tobytes()
    check_grid(history, sent, points, metric)
    check_range(history, sent, points, metric, ends)


def check_grid(history: History, sent: list[Sent], points: int, metric: int) -> None:
    """Compare the whole of a metric with what the rows reduce to."""
    steps = np.concatenate([rows.steps for rows in sent])
    column = np.repeat(np.arange(len(sent)), [rows.steps.size for rows in sent])
    value = np.concatenate([rows.values[:, metric] for rows in sent])
    time = np.concatenate([rows.times for rows in sent])
    shift = finest_shift(distinct(steps), points)
    bucket = distinct(distinct(steps) >> shift)
    sums = reduce_rows(bucket, steps >> shift, column, value, time, columns=len(sent))
    workers = tuple(range(len(sent)))
    expected = finish(sums, shift=shift, bucket=bucket, workers=workers, complete=True)

    found = history.grid("r", NAMES[metric], workers=workers, points=points)

    assert found is not None
    assert (found.shift, found.complete) == (shift, True)
    for name in ("bucket", "count", "bad", "vmin", "vmax"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.time, expected.time, rtol=1e-12)


def check_range(
    history: History,
    sent: list[Sent],
    points: int,
    metric: int,
    ends: tuple[float, float] | None,
) -> None:
    """Compare a range, as sent where it is given so, else the counts of its inner buckets."""
    top = max(int(rows.steps.max()) for rows in sent)
    start, stop = (0, top) if ends is None else sorted(int(end * top) for end in ends)

    result = history.query("r", NAMES[metric], start=start, stop=stop, points=points)

    assert result is not None
    inside = [(rows.steps >= start) & (rows.steps <= stop) for rows in sent]
    few = all(int(mask.sum()) <= points for mask in inside)
    if result.resolution == "raw":
        assert few
        for series in result.series:
            rows, mask = sent[series.worker], inside[series.worker]
            order = np.argsort(rows.steps[mask], kind="stable")
            assert series.step.tolist() == rows.steps[mask][order].tolist()
            assert same(series.value, np.ascontiguousarray(rows.values[mask][order, metric]))
    else:
        assert not few
        width = int(result.resolution)
        for series in result.series:
            rows = sent[series.worker]
            assert series.step.size <= points
            for step, count, bad in zip(series.step, series.count, series.bad, strict=True):
                if start <= step and step + width - 1 <= stop:
                    there = (rows.steps >= step) & (rows.steps < step + width)
                    assert count + bad == there.sum()
