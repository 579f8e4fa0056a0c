"""``streamviz.init``, ``log`` and ``finish``, with a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import ServerProcess, wait_until

import streamviz
from streamviz.errors import ConfigError
from streamviz.integrations import session


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """One server for all tests here, each of which has runs of its own."""
    running = ServerProcess()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def no_run() -> Iterator[None]:
    """No run is open before a test, nor after it."""
    session._current = None
    yield
    streamviz.finish()
    session._current = None


def test_a_script_made_for_wandb_is_shown(server: ServerProcess) -> None:
    """What is logged arrives as one run with its configuration, and is done at its end."""
    run = streamviz.init(
        project="vision", name="first", config=Namespace(lr=0.1), group="a", tags=["x"],
        job_type="train", notes="n", endpoint=server.ingest, total_steps=3,
    )  # fmt: skip
    assert streamviz.run is run
    assert streamviz.init() is run
    for step in range(3):
        streamviz.log({"loss": 1.0 / (1 + step), "opt": {"lr": 0.1}})
    streamviz.alert("odd", "look", level="WARN")
    streamviz.finish()
    assert session.current() is None

    name = "vision/first"
    wait_until(lambda: [w["state"] for w in server.workers(name)] == ["done"], "it is done")
    assert server.series(name, "opt.lr")[0]["step"] == [0, 1, 2]
    [found] = [one for one in server.get("/api/v1/runs") if one["run"] == name]
    assert found["facts"] == {"total_steps": 3}
    [alert] = server.get("/api/v1/items", run=name, kind="alert")["items"]
    assert alert["body"]["level"] == "warning"


def fail(server: ServerProcess) -> None:
    """Log something, and fail."""
    with streamviz.init(name="raises", endpoint=server.ingest):
        streamviz.log({"a": 1.0}, commit=False)
        _ = 1 / 0


def test_how_it_ended_is_shown(server: ServerProcess) -> None:
    """An exception within the block, or an exit code, is a failure; what was gathered is there."""
    with pytest.raises(ZeroDivisionError):
        fail(server)
    run = streamviz.init(name="exits", endpoint=server.ingest)
    run.log({"a": 1.0})
    streamviz.finish(exit_code=3)

    for name in ("raises", "exits"):
        wait_until(lambda name=name: server.series(name, "a"), "the value is there")  # type: ignore[misc]
        wait_until(
            lambda name=name: [w["state"] for w in server.workers(name)] == ["failed"],  # type: ignore[misc]
            "it has failed",
        )


def test_beginning_again() -> None:
    """A second init returns the run, ends it first, or begins one beside it, as it is told."""
    first = streamviz.init(name="one", mode="disabled")
    beside = streamviz.init(name="two", mode="disabled", reinit="create_new")
    assert streamviz.init(config={"a": 1}, mode="disabled") is first
    assert first.config.a == 1
    second = streamviz.init(name="three", mode="disabled", reinit=True)

    assert first.is_finished
    assert not beside.is_finished
    assert streamviz.run is second
    beside.finish()


def test_nothing_of_a_log_call_raises(caplog: pytest.LogCaptureFixture) -> None:
    """Before init, after finish, and whatever it is given: what cannot be sent is counted."""
    streamviz.log({"a": 1.0})  # begins a run with defaults, and no server listens
    run = streamviz.run
    assert run is not None
    streamviz.log({"a": object(), "b": 2.0})
    streamviz.log(3)  # type: ignore[arg-type]
    streamviz.log({"a": 1.0}, step="x")  # type: ignore[arg-type]
    run.finish()
    streamviz.log({"late": 1.0})

    refused = run.publisher.totals().refused
    assert sum(refused.values()) == 4, refused
    assert "after close" in refused
    with pytest.raises(ConfigError, match="config"):
        streamviz.init(config=7, reinit=True)
    streamviz.init(name="odd", entity="me", mode="disabled")
    assert "no use for entity" in caplog.text


def test_all_ranks_come_to_one_name(server: ServerProcess, tmp_path: Path) -> None:
    """Under a launcher, ``init(project=...)`` on every rank names the same run."""
    program = tmp_path / "wandb_like.py"
    program.write_text(
        "import streamviz\n"
        f"with streamviz.init(project='p', endpoint={server.ingest!r}) as run:\n"
        "    run.log({'rank': run.publisher.rank})\n"
    )
    for rank in ("0", "1"):
        environment = {"RANK": rank, "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "job7"}
        subprocess.run(
            [sys.executable, str(program)],
            check=True,
            timeout=60,
            env={**os.environ, **environment},
        )

    [found] = [one for one in server.get("/api/v1/runs") if one["run"].startswith("p/")]
    assert found["run"].startswith("p/wandb_like-")
    assert [w["rank"] for w in found["workers"]] == [0, 1]
