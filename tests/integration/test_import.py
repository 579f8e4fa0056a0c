"""``streamviz import``: real event files, tables and JSON lines, through a real server."""

from __future__ import annotations

import gzip
import json
import math
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import EPOCH, RunMaker, table_rows
from serving import ServerProcess, wait_until

from streamviz.cli import run as run_command
from streamviz.journal.entries import ItemRow
from streamviz.wire.bodies import pack_body

STEPS = 60


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that records, for the whole file: every test has runs of its own."""
    running = ServerProcess(data_dir=tmp_path_factory.mktemp("data"))
    yield running
    running.stop()


def bring(server: ServerProcess, *arguments: str | Path) -> int:
    """Import, and return the exit code."""
    return run_command(["import", *map(str, arguments), "--endpoint", server.ingest])


def values(series: dict[str, Any]) -> list[float]:
    """Return the values of a series as numbers."""
    return [float(value) for value in series["value"]]


def said_of(capsys: pytest.CaptureFixture[str]) -> str:
    """Return all that was said since the last time."""
    said = capsys.readouterr()
    return said.out + said.err


# -- event files ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log directory as PyTorch's writer leaves it: a run, a restart of it, and two ranks."""
    writers = pytest.importorskip("torch.utils.tensorboard")
    pytest.importorskip("tensorboard.backend")
    folder = tmp_path_factory.mktemp("logs")
    rng = np.random.default_rng(0)
    writer = writers.SummaryWriter(str(folder / "exp/a"))
    for step in range(STEPS):
        writer.add_scalar("train/loss", 1 / (step + 1), step, walltime=EPOCH + step)
        writer.add_scalar("new", step / 3, step, new_style=True, double_precision=True)
    writer.add_scalar("train/loss", math.nan, STEPS, walltime=EPOCH + STEPS)
    writer.add_histogram("weights", rng.normal(size=500), 3)
    writer.add_image("sample", rng.integers(0, 255, (3, 8, 12), dtype=np.uint8), 4)
    writer.add_text("words", "**bold** <script>", 5)
    writer.add_pr_curve("pr", np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.6, 0.4]), 6)
    writer.add_custom_scalars({"all": {"both": ["Multiline", ["train/loss", "new"]]}})
    writer.add_hparams({"lr": 0.1, "opt": "adam"}, {"score": 0.75}, run_name="tried")
    writer.close()
    again = writers.SummaryWriter(str(folder / "exp/a"), filename_suffix=".again")
    for step in range(STEPS // 2, STEPS):
        again.add_scalar("train/loss", 2.0, step)
    again.close()
    for rank in range(2):
        writer = writers.SummaryWriter(str(folder / f"ddp/rank_{rank}"))
        writer.add_scalar("loss", float(rank), 7)
        writer.close()
    return folder


@pytest.mark.torch
def test_a_log_directory_becomes_runs(
    recorder: ServerProcess, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Directories are runs and ranks; scalars old and new have their steps and wall times."""
    assert bring(recorder, logs) == 0

    said = said_of(capsys)
    assert "all of them arrived" in said
    runs = {entry["run"]: entry for entry in recorder.get("/api/v1/runs")}
    assert {"exp/a", "exp/a/tried", "ddp"} <= set(runs)
    first, second = recorder.series("exp/a", "train/loss")
    assert (first["attempt"], second["attempt"]) == (0, 1)
    assert first["step"] == list(range(STEPS + 1))
    assert first["time"][:3] == [EPOCH, EPOCH + 1, EPOCH + 2]
    assert values(first)[:2] == [1.0, 0.5]
    assert math.isnan(values(first)[-1])
    assert second["step"] == list(range(STEPS // 2, STEPS))
    [new] = recorder.series("exp/a", "new")
    assert values(new) == [step / 3 for step in range(STEPS)]
    assert [(one["rank"], values(one)) for one in recorder.series("ddp", "loss")] == [
        (0, [0.0]),
        (1, [1.0]),
    ]


@pytest.mark.torch
def test_pictures_and_the_like_become_payloads(recorder: ServerProcess, logs: Path) -> None:
    """Histograms, images, texts, curves, layouts and hyperparameters are what they were."""
    assert bring(recorder, logs / "exp/a", "--run", "kinds") == 0

    def body(run: str, kind: str) -> Any:
        listed = recorder.get("/api/v1/payloads", run=run)["payloads"]
        [one] = [entry for entry in listed if entry["kind"] == kind]
        told = recorder.get("/api/v1/payload", run=run, number=one["numbers"][-1])
        return {**told["body"], "name": one["name"], "step": told["step"]}

    histogram = body("kinds", "histogram")
    assert (histogram["name"], histogram["step"]) == ("weights", 3)
    assert sum(histogram["counts"]) == histogram["count"] == 500
    assert histogram["edges"][0] == histogram["min"]
    image = body("kinds", "image")
    assert (image["width"], image["height"], image["media"]) == (12, 8, "image/png")
    text = body("kinds", "text")
    assert (text["name"], text["text"]) == ("words", "**bold** <script>")
    curve = body("kinds", "pr_curve")
    assert len(curve["thresholds"]) == len(curve["precision"]) == 127
    assert body("kinds", "layout")["charts"][0]["metrics"] == ["train/loss", "new"]
    hparams = body("kinds/tried", "hparams")
    assert hparams["hparams"] == {"lr": 0.1, "opt": "adam"}
    assert hparams["metrics"] == {"score": 0.75}


@pytest.mark.torch
def test_a_damaged_file_is_read_as_far_as_it_goes(
    recorder: ServerProcess, logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged record costs itself, a damaged length what is behind it, a torn end is no fault."""
    source = min((logs / "exp/a").glob("*tfevents*"))
    data = bytearray(source.read_bytes())
    starts = []
    at = 0
    while at < len(data):
        starts.append(at)
        at += struct.unpack_from("<Q", data, at)[0] + 16
    record = bytearray(data)
    record[starts[3] + 14] ^= 0xFF
    length = bytearray(data)
    length[starts[5]] ^= 0xFF
    torn = data[: starts[9] + 20]
    codes = {}
    for name, content in (("record", record), ("length", length), ("torn", torn)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / source.name).write_bytes(bytes(content))
        codes[name] = bring(recorder, folder)
        said = said_of(capsys)
        assert {
            "record": "damaged record of an event file: 1 left out, first at",
            "length": "bytes are given up",
            "torn": "the last 20 bytes are no whole record",
        }[name] in said

    assert codes == {"record": 1, "length": 1, "torn": 0}
    [series] = recorder.series("record", "train/loss")
    # The file's first record says its version; of the others every second is this metric.
    assert len(series["step"]) == STEPS
    assert [series["step"] for series in recorder.series("length", "new")] == [[0, 1]]
    assert recorder.series("torn", "train/loss")[0]["step"] == [0, 1, 2, 3]


@pytest.mark.torch
def test_a_growing_directory_is_followed(recorder: ServerProcess, tmp_path: Path) -> None:
    """New events, files and directories arrive as they are written, until Ctrl-C ends it well."""
    writers = pytest.importorskip("torch.utils.tensorboard")
    (tmp_path / "live").mkdir()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "streamviz", "import", str(tmp_path), "--follow"),
            *("--endpoint", recorder.ingest),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        writer = writers.SummaryWriter(str(tmp_path / "live"))

        def arrived(run: str, steps: int) -> bool:
            found = recorder.series(run, "m") if recorder.workers(run) else []
            return [one["step"] for one in found] == [list(range(steps))]

        for step in range(20):
            writer.add_scalar("m", step, step)
            if step == 9:
                writer.flush()
                wait_until(lambda: arrived("live", 10), "the first half")
        writer.flush()
        wait_until(lambda: arrived("live", 20), "the second half")
        other = writers.SummaryWriter(str(tmp_path / "later"))
        other.add_scalar("m", 1, 0)
        other.close()
        wait_until(lambda: arrived("later", 1), "a directory that came later")
        assert recorder.workers("live")[0]["state"] == "live"
        writer.close()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0, said
    assert "21 rows and 0 items sent, all of them arrived" in said
    wait_until(lambda: recorder.workers("live")[0]["state"] == "done", "it said goodbye")


# -- tables --------------------------------------------------------------------------------


def test_a_table_of_lightning(
    recorder: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blanks are no values and NaN is one; the run is named after the version's directory."""
    folder = tmp_path / "version_7"
    folder.mkdir()
    (folder / "metrics.csv").write_text(
        "epoch,step,train_loss,val_loss\n0,0,1.5,\n0,10,0.5,\n0,10,,0.75\n1,20,nan,\n1,20,,inf\n"
    )

    assert bring(recorder, folder / "metrics.csv") == 0

    assert "all of them arrived" in said_of(capsys)
    [loss] = recorder.series("version_7", "train_loss")
    assert loss["step"] == [0, 10, 20]
    assert [str(value) for value in loss["value"]] == ["1.5", "0.5", "NaN"]
    [validation] = recorder.series("version_7", "val_loss")
    assert (validation["step"], validation["value"]) == ([10, 20], [0.75, "Infinity"])


def test_ranks_times_and_named_columns(recorder: ServerProcess, tmp_path: Path) -> None:
    """Columns are what they are said to be; dates, milliseconds and a gzip are understood."""
    lines = ["when;worker;n;loss"]
    for step in range(5):
        lines += [f"{(EPOCH + step) * 1000:.0f};{rank};{step};{rank},{step}" for rank in range(3)]
    path = tmp_path / "ranked.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode("utf-16")))

    code = bring(recorder, path, "--step", "n", "--time", "when", "--rank", "worker")

    assert code == 0
    series = recorder.series("ranked", "loss")
    assert [one["rank"] for one in series] == [0, 1, 2]
    assert values(series[2]) == [2.0, 2.1, 2.2, 2.3, 2.4]
    assert series[0]["time"] == [EPOCH + step for step in range(5)]


def test_tables_of_tensorboard_and_wandb(recorder: ServerProcess, tmp_path: Path) -> None:
    """What these pages give out has its run and metric in its name or its headings."""
    board = tmp_path / "run-exp_1-tag-train_loss.csv"
    board.write_text(f"Wall time,Step,Value\n{EPOCH},0,1.5\n{EPOCH + 9},10,0.25\n")
    chart = tmp_path / "chart.csv"
    heads = [f"{run} - acc{end}" for run in ("one", "two") for end in ("", "__MIN", "__MAX")]
    chart.write_text(f'"Step","{chr(34).join([heads[0]])}"' + "".join(f',"{h}"' for h in heads[1:]))
    with chart.open("a") as file:
        file.write('\n"0","0.1","0.1","0.1","","",""\n"1","0.2","0.2","0.2","0.4","0.4","0.4"\n')

    assert bring(recorder, board, chart) == 0

    [series] = recorder.series("exp_1", "train_loss")
    assert (series["step"], series["time"]) == ([0, 10], [EPOCH, EPOCH + 9])
    assert values(recorder.series("one", "acc")[0]) == [0.1, 0.2]
    assert recorder.series("two", "acc")[0]["step"] == [1]


def test_what_is_wrong_is_named_by_line_and_column(
    recorder: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad cell costs itself, a bad step its row, and both are told with their place."""
    path = tmp_path / "bad.csv"
    path.write_text("step,loss,acc\n0,1,2\n1,oops,3\nx,1,1\n3,4\n4,5,6\n")

    assert bring(recorder, path) == 1

    said = said_of(capsys)
    assert f"{path}, line 3, column 'loss': 'oops'" in said
    assert f"{path}, line 4, column 'step': 'x'" in said
    assert f"{path}, line 5: 2 of 3" in said
    assert recorder.series("bad", "loss")[0]["step"] == [0, 4]
    assert recorder.series("bad", "acc")[0]["step"] == [0, 1, 4]


def test_the_same_file_again_is_the_next_attempt(recorder: ServerProcess, tmp_path: Path) -> None:
    """Nothing is doubled within a line; a file that goes on behind the last goes on."""
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("step,m\n" + "".join(f"{step},1\n" for step in range(10)))
    second.write_text("step,m\n" + "".join(f"{step},2\n" for step in range(10, 20)))

    for paths in ((first, second), (first,), (first, first)):
        assert bring(recorder, *paths, "--run", "twice") == 0

    found = [(one["attempt"], one["step"]) for one in recorder.series("twice", "m")]
    whole, half = list(range(20)), list(range(10))
    assert found == [(0, whole), (1, half), (2, half), (3, half)]


# -- JSON lines ----------------------------------------------------------------------------


def test_json_lines_of_a_training_script(
    recorder: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Objects are flattened, steps and times recognised, and a broken line is told."""
    path = tmp_path / "script.jsonl"
    path.write_text(
        f'{{"_step": 1, "_timestamp": {EPOCH}, "train": {{"loss": 0.5, "n": {{"x": 1}}}}}}\n'
        '{"_step": 2, "train": {"loss": "NaN"}, "note": "a word"}\nno json\n'
        '{"_step": 3, "rank": 2, "ok": true}\n'
    )

    assert bring(recorder, path, "--run", "script") == 1

    assert f"a line that is no JSON: 1 left out, first at {path}, line 3" in said_of(capsys)
    [loss] = recorder.series("script", "train/loss")
    assert (loss["step"], loss["value"], loss["time"][0]) == ([1, 2], [0.5, "NaN"], EPOCH)
    assert values(recorder.series("script", "train/n/x")[0]) == [1.0]
    assert [(one["rank"], values(one)) for one in recorder.series("script", "ok")] == [(2, [1.0])]


def test_what_we_export_comes_back(
    recorder: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ranks, attempts, every bit of the values, and the items: exported again, it is the same."""
    made = RunMaker(tmp_path / "made", "made")
    made.worker(0, 0, rows=40)
    made.worker(1, 3, rows=40)
    made.worker(2, 0, attempt=1, rows=40)
    rows = table_rows(0, range(40))
    rows.values[:3, 0] = [math.nan, math.inf, -0.0]
    made.chunk(rows)
    made.journal(table_rows(1, range(40)))
    made.journal(table_rows(2, range(20, 40)))
    body = pack_body({"text": "saved", "data": b"\x00\xff", "n": 1.5})
    made.items(ItemRow(1, 0, "mark", "checkpoint", 7, EPOCH, body))
    made.close()
    first = tmp_path / "first.jsonl"
    give("made", first, tmp_path / "made")

    assert bring(recorder, first) == 0

    assert "200 rows and 1 items sent, all of them arrived" in said_of(capsys)
    second = tmp_path / "second.jsonl"
    give("made", second, data_dir(recorder))
    assert lines(second) == lines(first)


def give(run: str, path: Path, folder: Path | str) -> None:
    """Export a run as JSON lines."""
    arguments = ["export", run, "--jsonl", "-o", str(path), "--data-dir", str(folder)]
    assert run_command(arguments) == 0


def data_dir(server: ServerProcess) -> str:
    """Return where a server records."""
    arguments = server.process.args
    assert isinstance(arguments, list)
    return str(arguments[arguments.index("--data-dir") + 1])


def lines(path: Path) -> list[str]:
    """Return a file's lines as sets of facts, in an order of their own."""
    return sorted(
        json.dumps(json.loads(line), sort_keys=True) for line in path.read_text().splitlines()
    )


# -- wrong calls ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, (), "expected a file or a directory that is there"),
        (b"step,a\n1,2\n", ("--step", "stop"), "--step: found 'stop', expected a column of"),
        (b"a,a\n1,2\n", (), "expected each column once; 'a' stands twice"),
        (b"", (), "expected a table; there is nothing in it"),
        (b"step,a\n1,\xff\n", (), "name another with --encoding"),
        (b"step,a\n1,2\n", ("--run", "a\nb"), "--run: found 'a\\nb', expected a legal name"),
        (b"run,step,a\none,1,2\ntwo,1,2\n", ("--run", "x"), "has several runs ('one', 'two')"),
    ],
)
def test_a_wrong_call_is_one_line(
    recorder: ServerProcess,
    tmp_path: Path,
    content: bytes | None,
    arguments: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is wrong is named with what is allowed, and the exit code is 2."""
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_bytes(content)

    assert bring(recorder, path, *arguments) == 2

    said = capsys.readouterr().err
    assert words in said
    assert said.startswith("streamviz: ")
    assert said.count("\n") == 1
