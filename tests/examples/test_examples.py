"""The examples, run as a user would run them: those of frameworks with a server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import ServerProcess, wait_until

from streamviz.views.charts import figure_of

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture
def deaf_endpoint() -> Iterator[str]:
    """Hold a port on which nobody listens, so that no other test can open it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{held.getsockname()[1]}"


def run(*arguments: str, endpoint: str, seconds: float) -> str:
    """Run Python, and return all that it printed; fail if it fails or takes longer."""
    environment = {name: value for name, value in os.environ.items() if name != "STREAMVIZ_RUN"}
    environment |= {"STREAMVIZ_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert process.returncode == 0, process.stdout
    return process.stdout


def warnings_in(output: str) -> int:
    """Count the lines in which streamviz had something to say."""
    return sum("streamviz: " in line for line in output.splitlines())


def test_the_minimal_example_needs_no_server(deaf_endpoint: str) -> None:
    """The smallest program ends by itself, with one warning at most, though nobody listens."""
    output = run(
        "examples/minimal.py",
        "--seconds=1",
        endpoint=deaf_endpoint,
        seconds=30,
    )

    assert "Traceback" not in output
    assert warnings_in(output) <= 1, output


@pytest.mark.torch
def test_ddp_runs_under_torchrun_without_a_server(deaf_endpoint: str) -> None:
    """Two ranks train to the end, each with one warning at most, though nobody listens."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")

    output = run(
        *TORCHRUN,
        "examples/ddp_digits.py",
        "--epochs=2",
        endpoint=deaf_endpoint,
        seconds=90,
    )

    assert "Traceback" not in output
    assert warnings_in(output) <= 2, output


@pytest.mark.torch
def test_ddp_runs_as_a_single_process(deaf_endpoint: str) -> None:
    """The distributed example needs no launcher."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")

    output = run(
        "examples/ddp_digits.py",
        "--epochs=1",
        endpoint=deaf_endpoint,
        seconds=60,
    )

    assert "Traceback" not in output
    assert warnings_in(output) <= 1, output


@pytest.mark.torch
def test_lightning_shows_every_rank(server: ServerProcess, tmp_path: Path) -> None:
    """Both processes send their own values, and do not wait for one that logs something else."""
    pytest.importorskip("lightning")
    pytest.importorskip("sklearn")

    output = run(
        "examples/lightning_digits.py",
        "--epochs=3",
        f"--save-dir={tmp_path}",
        endpoint=server.ingest,
        seconds=100,
    )

    assert warnings_in(output) == 0, output
    name = "lightning-digits"
    wait_until(lambda: {w["state"] for w in server.workers(name)} == {"done"}, "both are done")
    assert [(w["rank"], w["world_size"]) for w in server.workers(name)] == [(0, 2), (1, 2)]
    own = server.series(name, "rank/loss")
    assert [one["step"] for one in own] == [list(range(66))] * 2
    assert own[0]["value"] != own[1]["value"]
    logged = server.series(name, "train/loss")
    assert [one["step"] for one in logged] == [[9, 19, 29, 39, 49, 59]] * 2
    for rank in (0, 1):
        by_step = dict(zip(own[rank]["step"], own[rank]["value"], strict=True))
        assert [by_step[step] for step in logged[rank]["step"]] == logged[rank]["value"]
    assert [one["rank"] for one in server.series(name, "train/brightness")] == [0]
    for phase in ("data", "forward", "backward", "optimizer", "validation", "checkpoint"):
        assert [one["rank"] for one in server.series(name, f"phase/{phase}")] == [0, 1], phase
    items = server.get("/api/v1/items", run=name)["items"]
    assert {one["rank"] for one in items} == {0}
    assert [one["kind"] for one in items][:2] == ["hparams", "graph"]
    saved = [one["body"]["text"] for one in items if one["kind"] == "mark"]
    assert Path(saved[-1]).is_relative_to(tmp_path / name / "version_0" / "checkpoints")


@pytest.mark.torch
def test_transformers_shows_every_rank(server: ServerProcess, tmp_path: Path) -> None:
    """Each rank's own loss arrives, with the NaN that the trainer hides; the rest comes once."""
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    pytest.importorskip("sklearn")

    output = run(
        *TORCHRUN,
        "examples/transformers_tiny.py",
        "--steps=24",
        "--spoil-rank=1",
        f"--output-dir={tmp_path}",
        endpoint=server.ingest,
        seconds=100,
    )

    assert warnings_in(output) == 0, output
    name = "transformers-tiny"
    wait_until(lambda: {w["state"] for w in server.workers(name)} == {"done"}, "both are done")
    assert [(w["rank"], w["attempt"]) for w in server.workers(name)] == [(0, 0), (1, 0)]
    own = server.series(name, "rank/loss")
    assert [one["step"] for one in own] == [list(range(1, 25))] * 2
    assert [one["step"][one["value"].index("NaN")] for one in own if "NaN" in one["value"]] == [20]
    [logged] = server.series(name, "train/loss")
    assert (logged["rank"], logged["step"]) == (0, [10, 20])
    means = [(a + b) / 2 for a, b in zip(own[0]["value"][:10], own[1]["value"][:10], strict=True)]
    assert logged["value"][0] == pytest.approx(sum(means) / 10, rel=1e-3)
    [evaluated] = server.series(name, "eval/loss")
    assert evaluated["step"] == [6, 12, 18, 24, 24]  # the last one after the training
    for phase in ("data", "forward", "backward", "optimizer", "evaluation", "logging"):
        assert [one["rank"] for one in server.series(name, f"phase/{phase}")] == [0, 1], phase
    marks = server.get("/api/v1/items", run=name, kind="mark")["items"]
    assert {one["name"] for one in marks} == {"checkpoint", "epoch", "evaluation"}
    [found] = [one for one in server.get("/api/v1/runs") if one["run"] == name]
    assert found["facts"] == {"total_steps": 24, "samples_per_step": 16.0}
    alerts = server.get("/api/v1/alerts", run=name)["alerts"]
    assert [(one["rule"], one["rank"], one["metric"]) for one in alerts] == [
        ("nan", 1, "rank/loss")
    ]


@pytest.mark.torch
def test_a_watched_model_shows_its_layers(server: ServerProcess) -> None:
    """Norms and histograms of every layer arrive, the structure with its shapes, and a profile."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")

    output = run(
        "examples/watch_model.py",
        "--steps=20",
        "--every=5",
        endpoint=server.ingest,
        seconds=90,
    )

    assert warnings_in(output) == 0, output
    name = "watched-digits"
    [norms] = server.series(name, "watch/grad_norm/3.0.weight")
    assert norms["step"] == [0, 5, 10, 15]
    [zeros] = server.series(name, "watch/act_zero/0.2")
    assert all(0 < value < 1 for value in zeros["value"])
    told = server.get("/api/v1/payloads", run=name)["payloads"]
    steps = {(one["kind"], one["name"]): one["steps"] for one in told}
    for kind in ("parameters/3.0.weight", "gradients/3.0.weight", "activations/0.2"):
        assert steps["histogram", kind] == [0, 5, 10, 15]
    [graph] = [one for one in told if one["kind"] == "graph"]
    body = server.get("/api/v1/payload", run=name, number=graph["numbers"][0])["body"]
    assert (body["modules"][0]["input"], body["modules"][0]["output"]) == (
        "[32, 1, 8, 8]",
        "[32, 10]",
    )
    assert ("profile", "forward of 64 digits") in steps


@pytest.mark.torch
def test_csv_files_are_charts(deaf_endpoint: str, tmp_path: Path) -> None:
    """A training's CSV files become two pages, with a chart of each kind that was promised."""
    for package in ("torch", "sklearn", "pyarrow"):
        pytest.importorskip(package)

    output = run(
        "examples/csv_charts.py",
        "--epochs=4",
        f"--folder={tmp_path}",
        endpoint=deaf_endpoint,
        seconds=60,
    )

    assert "html: loss.html" in output
    assert len((tmp_path / "train.csv").read_text().splitlines()) == 5
    page = (tmp_path / "digits.html").read_text()
    for glyph in ("Line", "VBar", "Scatter", "Quad", "Wedge"):
        assert f'"name": "{glyph}"' in page, glyph


@pytest.mark.torch
@pytest.mark.parametrize(
    ("program", "kinds"),
    [("examples/custom_charts.py", ["chart"] * 16), ("examples/plotly_figure.py", ["figure"] * 2)],
)
def test_charts_and_figures_arrive(server: ServerProcess, program: str, kinds: list[str]) -> None:
    """All that is sent beside the metrics is there, each chart one that can be drawn."""
    for package in ("torch", "sklearn", "plotly"):
        pytest.importorskip(package)

    output = run(
        program, "--epochs=2", *(["--every=1"] if "chart" in program else []),
        endpoint=server.ingest, seconds=60,
    )  # fmt: skip

    assert warnings_in(output) == 0, output
    name = Path(program).stem.replace("_", "-")
    wait_until(lambda: {w["state"] for w in server.workers(name)} == {"done"}, "it is done")
    listed = server.get("/api/v1/payloads", run=name)["payloads"]
    assert sorted(one["kind"] for one in listed for _ in one["steps"]) == kinds
    for one in listed:
        body = server.get("/api/v1/payload", run=name, number=str(one["numbers"][-1]))["body"]
        if one["kind"] == "chart":
            figure_of(body)
        else:
            assert body["library"] == "plotly"


def test_every_example_is_documented_and_run() -> None:
    """A program in examples/ is named in its README and in a test of this folder."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    readme = (EXAMPLES / "README.md").read_text()

    programs = sorted(path.name for path in EXAMPLES.glob("*.py"))

    assert programs
    assert [name for name in programs if name not in readme] == []
    assert [name for name in programs if f"examples/{name}" not in tests] == []
