"""The page that explains the files says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from streamviz.journal import chunks, connection, nodes, schema, wal
from streamviz.journal.directory import run_path
from streamviz.journal.records import HEADER, Record, iterate, pack
from streamviz.journal.values import decode, decode_axis, encode
from streamviz.store.grid import FloatArray

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "storage-format.md").read_text(encoding="utf-8")
BLOCKS = {
    name: bytes.fromhex(text)
    for name, text in re.findall(r"^```hex (\S+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
}


@pytest.mark.parametrize("table", schema.COLUMNS)
def test_the_page_names_every_column_in_order(table: str) -> None:
    """Each table has its part of the page, with its columns and their types."""
    part = re.split(r"\n##", PAGE.split(f"\n### {table}\n")[1])[0]

    told = re.findall(r"^\| (\w+ (?:INTEGER|TEXT|REAL|BLOB)) \|", part, re.MULTILINE)

    assert told == list(schema.COLUMNS[table])


def test_the_page_has_no_table_that_there_is_not() -> None:
    """And nothing else is called a table."""
    told = re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)

    assert told == list(schema.COLUMNS)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("xor", np.array([np.pi, np.pi, -0.0, np.nan])),
        ("float32", np.array([0.1, 0.2, 0.3], np.float32).astype(np.float64)),
        ("integers", np.array([3.0, 1.0, 4.0])),
        ("decimals", np.array([12.345, 12.5, -0.001])),
    ],
)
def test_the_columns_on_the_page_are_read(name: str, values: FloatArray) -> None:
    """Each example gives its values to the bit, and they are coded by its tag."""
    assert decode(BLOCKS[name], values.size).tobytes() == values.tobytes()
    assert encode(values)[0] == BLOCKS[name][0]


def test_the_axis_on_the_page_is_read() -> None:
    """So does the axis."""
    assert decode_axis(BLOCKS["axis"], 4).tolist() == [100, 110, 120, 130]


def test_the_record_on_the_page_is_the_one_it_tells_of() -> None:
    """The record has these bytes for ever."""
    steps, times = np.array([40, 41]), np.array([1.7e9, 1.7e9 + 0.5])
    record = Record(1, 2, 0, 5, 9, 7, steps, times, np.array([[0.5], [0.25]]))

    assert pack(record) == BLOCKS["record"]
    [found] = iterate(BLOCKS["record"], {0: 1})
    assert found.values.tolist() == [[0.5], [0.25]]
    assert HEADER.size == 40


def test_the_checksums_on_the_page_are_right() -> None:
    """Both examples have the checksum that stands beside them."""
    gap = (0, 1, 100, 120, 1.7e9, 1.7e9 + 2.5, 21, "the buffer was full")
    stream = (0, bytes(range(16)), None, 1, 2, 3)

    assert f"| {schema.checksum('gap', gap)} |" in PAGE
    assert f"| {schema.checksum('stream', stream)} |" in PAGE


def test_the_numbers_on_the_page_hold(tmp_path: Path) -> None:
    """Version, sizes and limits are those of the code, and of a file that it makes."""
    path = tmp_path / "run.db"
    made = connection.create(path, "r", 0.0)
    found = {
        name: made.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version", "page_size", "auto_vacuum", "encoding")
    }
    made.close()

    assert found == {
        "application_id": schema.APPLICATION_ID,
        "user_version": schema.VERSION,
        "page_size": wal.PAGE,
        "auto_vacuum": 2,
        "encoding": "UTF-8",
    }
    assert f"# The files of runs, version {schema.VERSION}" in PAGE
    assert f"0x{schema.APPLICATION_ID:08X}" in PAGE
    assert f"| `page_size` | {wal.PAGE:,} |" in PAGE
    assert f"windows of {nodes.WINDOW:,}" in PAGE
    assert f"at most {nodes.BUCKETS:,} buckets" in PAGE
    assert f"stands for {nodes.FAN}\n" in PAGE
    assert f"chunk.id × {nodes.PARTS:,}`" in PAGE  # noqa: RUF001 - as the page writes it
    assert f"of at most {chunks.SEGMENTS_MAX + 1} in all" in PAGE
    name = run_path(Path(), "../A run").parent.name
    assert re.fullmatch(r"A-run-[0-9a-f]{10}", name)
