"""CSV files as people and programs write them: read as they are meant, and what is not is named."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamviz.cli import csvfile
from streamviz.cli.csvfile import CsvFile
from streamviz.cli.plotting import Choice, Plotting
from streamviz.errors import ConfigError

pytest.importorskip("pyarrow")

NAN = math.nan


def written(folder: Path, text: str | bytes, name: str = "train.csv") -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def drawn(*paths: Path, **choice: Any) -> list[dict[str, Any]]:
    """Return the chart documents of files, their arrays as lists."""
    plotting = Plotting(paths, Choice(**choice))
    plotting.read()
    return [plain(document) for document in plotting.page().documents]


def plain(value: Any) -> Any:
    """Return arrays as lists, NaN as None, at any depth."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def told(*paths: Path, **choice: Any) -> str:
    """Return what is said of how files were read."""
    plotting = Plotting(paths, Choice(**choice))
    plotting.read()
    return "\n".join(plotting.told())


LOSS = {"name": "loss", "x": [1.0, 2.0], "y": [0.5, 0.25]}


@pytest.mark.parametrize(
    "text",
    [
        "epoch,loss\n1,0.5\n2,0.25\n",
        "epoch;loss\n1;0,5\n2;0,25\n",
        "epoch\tloss\r\n1\t0.5\r\n2\t0.25",
        "epoch|loss\r1|0.5\r2|0.25\r",
        ' epoch , "loss" \n1, 0.5\n\n"2","0.25"\n',
        "# run 7, a test\n#\nepoch,loss\n1,.5\n# half way\n2,2.5e-1\n",
        "# epoch, loss\n1,0.5\n2,0.25\n",
        "\ufeffepoch,loss\n1,0.5\n2,0.25\n",
        "epoch,loss\n1,0.5\n2,0.25\n".encode("utf-16"),
        "epoch,loss\n1,0.5\n2,0.25\n".encode("utf-16-le"),
        "epoch,note,loss\n1,\"a, b\nc\",0.5\n2,'d,0.25\n",
    ],
)  # fmt: skip
def test_it_is_found_out_how_a_file_is_written(tmp_path: Path, text: str | bytes) -> None:
    """Delimiter, decimal comma, line ends, quotes, comments, header, byte order, encoding."""
    path = written(tmp_path, text)

    [document] = drawn(path)

    assert document["series"] == [LOSS]
    assert document["labels"]["x"] == "epoch"
    assert told(path) == ""


def test_numbers_alone_have_columns_by_number(tmp_path: Path) -> None:
    """A file without a header loses no row to it."""
    [document] = drawn(written(tmp_path, "1,0.5\n2,0.25\n"))

    assert document["series"] == [{**LOSS, "name": "column 2"}]


def test_a_file_that_is_no_utf8_is_read_as_latin_1_and_that_is_said(tmp_path: Path) -> None:
    """A name with an accent in it, as an old spreadsheet writes it."""
    path = written(tmp_path, "epoch,pr\u00e9cision\n1,0.5\n".encode("latin-1"))

    assert drawn(path)[0]["series"][0]["name"] == "pr\u00e9cision"
    assert told(path) == "train.csv: not UTF-8 (byte 8 is no part of it), read as Latin-1"


@pytest.mark.parametrize(
    "dates",
    [
        ("2024-01-05", "2024-01-06"),
        ("2024-01-05 00:00:00", "2024-01-06T00:00:00"),
        ("2024-01-05T00:00:00Z", "2024-01-06T01:00:00+01:00"),
        ("01/05/2024", "01/06/2024"),
        ("05.01.2024", "06.01.2024"),
        ("Jan 5, 2024", "Jan 6, 2024"),
        ("2024/01/05 00:00", "2024/01/06 00:00"),
    ],
)
def test_dates_are_an_axis_of_time(tmp_path: Path, dates: tuple[str, str]) -> None:
    """Dates as they are commonly written are x without being asked for."""
    text = f'Date,loss\n"{dates[0]}",0.5\n"{dates[1]}",0.25\n'
    [document] = drawn(written(tmp_path, text))

    assert document["x_type"] == "datetime"
    assert document["series"][0]["x"] == [1704412800.0, 1704499200.0]


def test_bad_cells_are_left_out_and_the_first_is_named(tmp_path: Path) -> None:
    """File, line, column, what was found and what was expected; the other rows stay."""
    rows = ['2024-01-01,"two\nlines",1', "2024-01-02,,oops", "", "soon,x,3", "2024-01-04,x,n/a",
            "2024-01-05,x,5", "2024-01-06,x,1_0", "2024-01-07,x,7"]  # fmt: skip
    path = written(tmp_path, "Date,note,loss\n" + "\n".join(rows) + "\n")

    [document] = drawn(path, x="Date", y=("loss",))

    assert document["series"][0]["y"] == [1.0, None, 3.0, None, 5.0, None, 7.0]
    assert document["series"][0]["x"][2] is None
    assert told(path, x="Date", y=("loss",)).splitlines() == [
        "train.csv line 6, column 'Date': found 'soon', expected a date (left out)",
        ("train.csv line 4, column 'loss': found 'oops', expected a number "
        "(2 such cells left out)"),
    ]  # fmt: skip


def test_a_bad_cell_does_not_spoil_decimal_commas(tmp_path: Path) -> None:
    """Where one cell is no number, those beside it still are."""
    text = "epoch;loss\n1;0,5\n2;0,25\n3;?\n4;1,5\n"

    [document] = drawn(written(tmp_path, text))

    assert document["series"][0]["y"] == [0.5, 0.25, None, 1.5]


def test_lines_with_other_fields_are_left_out_and_counted(tmp_path: Path) -> None:
    """A line that was cut off, or has too much, is not guessed at."""
    path = written(tmp_path, "epoch,loss\n1,0.5\n2,0.25,9\n3\n4,1\n")

    assert drawn(path)[0]["series"][0]["x"] == [1.0, 4.0]
    assert "2 lines left out for their number of fields: near line 3 there are 3" in told(path)


@pytest.mark.parametrize(
    ("text", "choice", "sentence"),
    [
        ("a,loss\n1,2\n", {"y": ("Loss",)}, "--y: found 'Loss', expected 'loss', the nearest"),
        ("a,loss\n1,2\n", {"x": "q"}, "--x: found 'q', expected one of its columns; the header"),
        ("a,loss\n1,2\n", {"group_by": "b"}, "--group-by: found 'b', expected one of its"),
        ("a,loss\nx,y\nu,v\n", {"y": ("loss",)}, "column 'loss': found 'y', expected a number"),
        ("a,b\nx,y\n", {}, "--y: found 'none', expected a column of numbers in"),
        ("a,loss\n1,2\n", {"kinds": ("pie",)}, "expected a column with the words of the parts"),
        ("", {}, "expected a CSV file with a header; this one is empty"),
        (b"PAR1\x00\x01\x02\x00\xff", {}, "expected a CSV file; this one has binary data"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    tmp_path: Path, text: str | bytes, choice: dict[str, Any], sentence: str
) -> None:
    """One sentence: the flag or the file, what was found, what is there."""
    with pytest.raises(ConfigError) as raised:
        drawn(written(tmp_path, text), **choice)

    assert sentence in str(raised.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """So is a folder."""
    for path, why in ((tmp_path / "no.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError, match=f"expected a CSV file that can be read.*{why}"):
            drawn(path)


def test_columns_of_one_name_are_told_apart_by_file(tmp_path: Path) -> None:
    """The same column of two files is two series; a column of one file keeps its name."""
    train = written(tmp_path, "Date,loss,lr\n2024-01-01,1,5\n")
    test = written(tmp_path, "Date,loss\n2024-01-01,2\n", "test.csv")

    [document] = drawn(train, test, x="Date")

    assert [one["name"] for one in document["series"]] == ["loss (train)", "loss (test)", "lr"]
    by_column = drawn(train, test, x="Date", subplots=2, kinds=("line", "hist"))
    assert [(one["chart"], one["title"]) for one in by_column] == [
        ("line", "loss"), ("line", "lr"), ("hist", "loss"), ("hist", "lr"),
    ]  # fmt: skip
    (tmp_path / "b").mkdir()
    other = written(tmp_path / "b", "Date,loss\n2024-01-01,2\n")
    names = [one["name"] for one in drawn(train, other, x="Date", y=("loss",))[0]["series"]]
    assert names == [f"loss ({tmp_path.name}/train.csv)", "loss (b/train.csv)"]


TABLE = "digit,loss,lr\nthree,1,a\neight,3,b\nthree,2,b\nthree,6,a\n"


def test_each_kind_is_made_of_rows(tmp_path: Path) -> None:
    """Bars are means, pies sums, boxes quartiles, histograms counts, heatmaps rows of series."""
    path = written(tmp_path, TABLE)

    [bar] = drawn(path, kinds=("bar",))
    assert bar["series"] == [{"name": "loss", "x": ["three", "eight"], "y": [3.0, 3.0]}]
    assert bar["note"] == "the mean where a word comes several times"
    [pie] = drawn(path, kinds=("pie",))
    assert (pie["x"], pie["series"][0]["y"]) == (["three", "eight"], [9.0, 3.0])
    [box] = drawn(path, kinds=("box",), group_by="lr")
    assert [(one["name"], one["median"]) for one in box["series"]] == [("a", 3.5), ("b", 2.5)]
    [hist] = drawn(path, kinds=("hist",))
    assert hist["series"][0]["counts"] == [1, 1, 1, 0, 0, 1]
    [scatter] = drawn(path, kinds=("scatter",), x="digit")
    assert scatter["series"][0]["x"] == ["three", "eight", "three", "three"]
    [heat] = drawn(path, kinds=("heatmap",), x="digit", group_by="lr")
    assert (heat["x"], heat["rows"]) == (["three", "eight"], ["a", "b"])
    assert heat["z"] == [[3.5, None], [2.0, 3.0]]
    [line] = drawn(path, group_by="lr")
    assert line["series"][1] == {"name": "b", "x": [1.0, 2.0], "y": [3.0, 2.0]}


def test_a_growing_file_is_read_on(tmp_path: Path) -> None:
    """Only whole lines count while it is written; a file that is begun anew is read anew."""
    path = written(tmp_path, "epoch,loss\n1,0.5\n2,0.2")
    plotting = Plotting([path], Choice())
    plotting.read(to_end=False)

    def ys() -> list[float]:
        y: list[float] = plain(plotting.page().documents[0])["series"][0]["y"]
        return y

    assert ys() == [0.5]
    assert not plotting.follow()
    with path.open("a") as file:
        file.write("5\n3,0.125\n")
    assert plotting.follow()
    assert ys() == [0.5, 0.25, 0.125]
    written(tmp_path, "epoch,loss\n1,9\n")
    assert plotting.follow()
    assert ys() == [9.0]
    assert "train.csv: begun anew" in plotting.told()
    path.unlink()
    assert not plotting.follow()


FINITE = st.floats(allow_nan=False, allow_infinity=False)
NOTES = st.text("ab\"',\n\r ;#\u00e9", max_size=6)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(FINITE, NOTES), min_size=1, max_size=30), block=st.integers(1, 64))
def test_values_survive_any_block_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[float, str]], block: int
) -> None:
    """Wherever the file is cut between two reads, each row is read once, with its bits."""
    monkeypatch.setattr(csvfile, "_BLOCK", block)
    quoted = [(value, text.replace('"', '""')) for value, text in rows]
    text = "note,loss\n" + "".join(f'"{words}x",{value!r}\n' for value, words in quoted)
    file = CsvFile(written(tmp_path, text))

    found = [value for part in file.parts(["loss"]) for value in part.table["loss"].to_pylist()]

    assert found == [value for value, _ in rows]
    assert file.remarks == []
