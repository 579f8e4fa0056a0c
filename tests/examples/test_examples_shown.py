"""The examples and the demo, with a server that shows what they send."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from serving import ServerProcess, wait_until

ROOT = Path(__file__).parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def run(*arguments: str, server: ServerProcess) -> None:
    """Run Python against a server."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "STREAMVIZ_ENDPOINT": server.ingest, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "streamviz: " not in ended.stderr


def test_all_of_the_minimal_example_arrives(server: ServerProcess) -> None:
    """Each step of the smallest program is stored."""
    run("examples/minimal.py", "--seconds=1", server=server)

    for metric in ("train/loss", "train/lr"):
        [series] = server.series("minimal", metric)
        assert series["step"] == list(range(50))


@pytest.mark.torch
def test_all_that_a_summary_writer_wrote_arrives(server: ServerProcess, tmp_path: Path) -> None:
    """Scalars of each step, and each kind of payload at the end of each epoch."""
    for needed in ("torch", "sklearn", "matplotlib"):
        pytest.importorskip(needed)

    folder = tmp_path / "digits"
    run("examples/summary_writer.py", "--epochs=2", f"--logdir={folder}", server=server)

    name = str(folder)
    [loss] = server.series(name, "train/loss")
    assert loss["step"] == list(range(46))
    index = server.get("/api/v1/payloads", run=name)["payloads"]
    steps = {(one["kind"], one["name"]): one["steps"] for one in index}
    for kind, payload in (
        ("histogram", "gradients/0.weight"),
        ("image", "digits/wrong"),
        ("image", "confusion"),
        ("pr_curve", "precision and recall/is it an 8"),
        ("text", "report"),
    ):
        assert steps[kind, payload] == [23, 46]
    assert steps["hparams", "hparams"] == [46]


@pytest.mark.torch
def test_every_rank_of_a_real_training_arrives(server: ServerProcess) -> None:
    """Under torchrun each rank's own loss, schedule, norm, speed and phases arrive; no alarm."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")

    run(*TORCHRUN, "examples/ddp_digits.py", "--epochs=8", server=server)

    workers = server.workers("digits")
    assert [(w["rank"], w["world_size"]) for w in workers] == [(0, 2), (1, 2)]
    wait_until(
        lambda: {w["state"] for w in server.workers("digits")} == {"done"}, "both ranks are done"
    )
    losses = server.series("digits", "train/loss")
    assert [series["rank"] for series in losses] == [0, 1]
    assert losses[0]["step"] == losses[1]["step"]
    assert losses[0]["value"] != losses[1]["value"]
    lrs = server.series("digits", "train/lr")
    assert lrs[0]["value"] == lrs[1]["value"]
    [run_info] = server.get("/api/v1/runs")
    assert {
        "train/grad_norm", "perf/samples_per_s", "validation/accuracy",
        "phase/data", "phase/forward", "phase/backward", "phase/optimizer",
    } <= set(run_info["metrics"])  # fmt: skip
    assert server.get("/api/v1/alerts", run="digits") == {
        "run": "digits", "situation": "", "alerts": [],
    }  # fmt: skip


@pytest.mark.torch
def test_the_demo_shows_a_real_training_and_ends_cleanly() -> None:
    """``streamviz demo`` trains on N ranks behind a page, and SIGTERM ends all of it."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    demo = subprocess.Popen(
        [sys.executable, "-m", "streamviz", "demo", "--ranks", "2", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        shown = ServerProcess.of(demo)
        assert urllib.parse.urlsplit(shown.page).hostname == "127.0.0.1"
        wait_until(
            lambda: [
                w
                for w in shown.workers("digits")
                if w["state"] == "live" and (w["last_step"] or 0) > 5
            ][1:],
            "two ranks train",
            deadline_s=60,
        )
        demo.send_signal(signal.SIGTERM)
        assert shown.wait() == 0
    finally:
        if demo.poll() is None:
            demo.kill()
    with pytest.raises(OSError, match="refused"):
        shown.get("/healthz")
