"""``streamviz export``: rows as they were sent, in what other programs read."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recorded import EPOCH, RunMaker, table_rows

from streamviz.journal.nodes import WINDOW
from streamviz.journal.wal import PAGE

RUN = 'a "run", of sorts'
HEAD = ["run", "rank", "attempt", "metric", "step", "time", "value"]


def export(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "streamviz", "export", *arguments, "--data-dir", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def made(tmp_path: Path) -> RunMaker:
    """A run of two ranks that is still being written."""
    made = RunMaker(tmp_path, RUN)
    made.worker(0, 0)
    made.worker(1, 5, attempt=2, ended=None)
    rows = table_rows(0, range(WINDOW + 3))
    values = rows.values.copy()
    values[:4, 0] = [math.nan, math.inf, -math.inf, -0.0]
    made.chunk(replace(rows, values=values))
    made.journal(table_rows(1, range(4)))
    return made


def test_csv_has_every_value_beside_a_writer(tmp_path: Path, made: RunMaker) -> None:
    """One line a value, numbers to the bit, oddities spelled out; the file is still open."""
    done = export(tmp_path, RUN, "--csv")

    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = list(csv.reader(io.StringIO(done.stdout)))
    assert head == HEAD
    assert len(lines) == 2 * (WINDOW + 3) + 2 * 4
    assert [line[6] for line in lines[:5]] == ["NaN", "Infinity", "-Infinity", "-0.0", repr(4 / 3)]
    assert lines[-1] == [RUN, "5", "2", "train/lr", "3", repr(EPOCH + 3 * 0.1), "-3.0"]
    made.close()


def test_json_lines_are_json(tmp_path: Path, made: RunMaker) -> None:
    """Each line is an object, of the ranks and metrics that were asked for."""
    done = export(tmp_path, RUN, "--jsonl", "--metric", "train/loss", "--rank", "0,2-3")

    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == WINDOW + 3
    assert list(rows[0]) == HEAD
    assert [row["value"] for row in rows[:3]] == ["NaN", "Infinity", "-Infinity"]
    assert {(row["run"], row["rank"], row["metric"]) for row in rows} == {(RUN, 0, "train/loss")}
    made.close()


def test_parquet_has_the_bits(tmp_path: Path, made: RunMaker) -> None:
    """Columns have their types, and values every bit."""
    parquet = pytest.importorskip("pyarrow.parquet")
    target = tmp_path / "out.parquet"

    done = export(tmp_path, RUN, "--parquet", "-o", str(target))

    assert (done.returncode, done.stderr) == (0, "")
    table = parquet.read_table(target)
    assert table.column_names == HEAD
    assert table.num_rows == 2 * (WINDOW + 3) + 2 * 4
    values = table.column("value").to_numpy()
    assert np.isnan(values[0])
    assert str(values[3]) == "-0.0"
    assert table.column("rank").to_pylist()[-1] == 5
    assert list(tmp_path.glob("*.part")) == []
    made.close()


@pytest.mark.parametrize("what", ["parts", "header"])
def test_a_damaged_file_is_exported_as_far_as_it_goes(
    tmp_path: Path, made: RunMaker, what: str
) -> None:
    """What is missing is said beside the rows, and the file stays as it is."""
    path = made.close()
    data = bytearray(path.read_bytes())
    places = [at for at in range(PAGE, len(data)) if data[at]] if what == "parts" else [0]
    for at in places[:: -(-len(places) // 5)]:
        data[at] ^= 0xFF
    path.write_bytes(bytes(data))

    done = export(tmp_path, RUN, "--csv")

    lines = done.stdout.splitlines()
    assert done.returncode == 0
    if what == "header":
        assert "has been mended; no row is known to be lost" in done.stderr
        assert len(lines) == 1 + 2 * (WINDOW + 3) + 2 * 4
    else:
        assert "cannot be read" in done.stderr
        assert 1 < len(lines) < 1 + 2 * (WINDOW + 3) + 2 * 4
    assert path.read_bytes() == bytes(data)
    assert list(path.parent.glob("*damaged*")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["other", "--csv"], 2, "RUN: found 'other', expected a run recorded in"),
        ([RUN], 2, "one of the arguments --csv --jsonl --parquet --tfevents --html is required"),
        ([RUN, "--parquet"], 2, "expected -o FILE"),
        ([RUN, "--csv", "--rank", "x"], 2, "--rank: found 'x'"),
        ([RUN, "--csv", "-o", "/nowhere/out.csv"], 1, "cannot write"),
    ],
)
def test_a_wrong_call_is_one_line(
    tmp_path: Path, made: RunMaker, arguments: list[str], code: int, words: str
) -> None:
    """What was found, what is allowed; nothing is written."""
    done = export(tmp_path, *arguments)

    assert done.returncode == code
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    made.close()


def test_a_reader_that_has_seen_enough_ends_it(tmp_path: Path, made: RunMaker) -> None:
    """Cut off by ``head``, it ends without a word."""
    command = f"{sys.executable} -m streamviz export '{RUN}' --csv --data-dir {tmp_path} | head -1"

    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == ",".join(HEAD) + "\n"
    assert done.stderr == ""
    made.close()
