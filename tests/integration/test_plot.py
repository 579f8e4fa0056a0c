"""``streamviz plot`` as a process: files in, a page out, on disk or served behind its token."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from plotting import served

pytest.importorskip("pyarrow")

TABLE = "epoch,loss\n" + "".join(f"{i},{1 / (i + 1)}\n" for i in range(50))


def plot(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "streamviz", "plot", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def charts_in(html: str) -> dict[str, Any]:
    """Return what a page's script is given."""
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', html, re.S)
    assert found
    charts: dict[str, Any] = json.loads(found[1])
    return charts


def test_a_file_of_charts_needs_nothing_else(tmp_path: Path) -> None:
    """One HTML file with everything in it, that may ask nobody; what was left out is said."""
    (tmp_path / "train.csv").write_text(TABLE + "oops,1\n")
    (tmp_path / "test.csv").write_text(TABLE)

    done = plot(
        "train.csv", "test.csv", "--kind", "line", "--kind", "hist", "--subplots", "2",
        "--title", "<i>Runs</i>", "--html", "out.html", folder=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0
    assert re.fullmatch(r"html: out\.html \(1\.\d MB\)\n", done.stdout)
    assert done.stderr == (
        "streamviz: train.csv line 52, column 'epoch': found 'oops', expected a number (left out)\n"
    )
    html = (tmp_path / "out.html").read_text()
    charts = charts_in(html)
    assert (charts["title"], charts["columns"], len(charts["items"])) == ("<i>Runs</i>", 2, 2)
    assert "train.csv: 51 rows" in charts["note"]
    assert "<i>" not in html
    assert "default-src &#x27;none&#x27;" in html
    assert not re.search(r'<(script|link|img)[^>]+"(https?:)?//', html)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.html", "test.csv", "train.csv"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no.csv"], 2, "FILE: found 'no.csv', expected a CSV file that can be read (No such file"),
        (["t.csv", "--y", "los"], 2, "--y: found 'los', expected 'loss', the nearest"),
        (["t.csv", "--kind", "donut"], 2, "invalid choice: 'donut'"),
        (["t.csv", "--subplots", "0"], 2, "found '0', expected 1 to 6 charts"),
        (["t.csv", "--html", "x/y.html"], 1, "cannot write x/y.html: No such file or directory"),
        (["t.csv", "--html", "y.html", "--follow"], 2, "expected no --html beside it"),
        ([], 2, "the following arguments are required: FILE"),
    ],
)
def test_a_wrong_call_is_one_line(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    """What was found, what is allowed; nothing is written."""
    (tmp_path / "t.csv").write_text(TABLE)

    done = plot(*arguments, folder=tmp_path)

    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def ask(address: str, path: str, **headers: str) -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_a_growing_file_is_followed(tmp_path: Path) -> None:
    """Who has the token sees new rows as they are written; nobody else sees anything."""
    path = tmp_path / "train.csv"
    path.write_text(TABLE)
    with served(path, "--follow", folder=tmp_path) as address:
        token = address.partition("token=")[2]
        login = {"Authorization": f"Bearer {token}"}
        for closed in ("/charts.json", "/assets/plotted.js", "/static/js/bokeh.min.js"):
            assert ask(address, closed)[0] == 401
        assert ask(address, "/")[0] == 403
        assert ask(address, "/charts.json", Host="evil.example", **login)[0] == 403
        assert ask(address, "/charts.json?after=x", **login)[0] == 400
        assert ask(address, "/nothing", **login)[0] == 404

        status, body = ask(address, "/charts.json", **login)
        first = json.loads(body)
        assert (status, first["version"], first["live"]) == (200, 0, True)
        assert "50 rows" in first["note"]
        with path.open("a") as file:
            file.write("50,0.01\n51,0.0")
        status, body = ask(address, "/charts.json?after=0", **login)
        newer = json.loads(body)
        assert (status, newer["version"]) == (200, 1)
        assert "51 rows" in newer["note"]
