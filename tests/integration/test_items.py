"""Marks, alerts and facts, from real publishers through a killed server to every reader."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving import ServerProcess, wait_until

import streamviz
from streamviz.publisher.publisher import Publisher

Serve = Callable[..., ServerProcess]


def items(server: ServerProcess, run: str, **wanted: str) -> list[dict[str, Any]]:
    """Return a run's items as the API tells them, without what a restart changes."""
    told = server.get("/api/v1/items", run=run, **wanted)
    assert told["left_off"] == 0
    return [{key: one[key] for key in one if key != "number"} for one in told["items"]]


def entry(server: ServerProcess, run: str) -> dict[str, Any]:
    """Return what is told of a run."""
    [found] = [one for one in server.get("/api/v1/runs") if one["run"] == run]
    return dict(found)


def streamviz_command(*arguments: str | Path) -> str:
    """Run a command to its end and return what it wrote."""
    command = [sys.executable, "-m", "streamviz", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def send_all(publisher: Publisher) -> None:
    """Send rows and items, in turns."""
    for step in range(20):
        publisher.send({"loss": step / 7}, step=step)
        if step % 5 == 0:
            publisher.mark("checkpoint", text=f"at {step}")
    publisher.alert("loss is <b>high</b>\n", "look at it", level="error")
    publisher._item("note", "of another kind", 7, {"data": b"\0\1", "number": 1.5})


def test_items_are_there_once_after_kills(serve: Serve, tmp_path: Path) -> None:
    """Killed between, the server has each item once; API, replay, export and facts agree."""
    data = tmp_path / "data"
    first = serve(data_dir=data)
    publisher = streamviz.Publisher(
        first.ingest,
        run="marked",
        rank=1,
        world_size=2,
        config={"lr": 0.1, "streamviz": "mine"},
        mesh={"dp": 1, "pp": 0},
        replicated=["loss_scale"],
        total_steps=1000,
        tokens_per_step=4096,
    )
    publisher.mark("begin")  # before the first row: it gets the first row's step
    send_all(publisher)
    assert publisher.flush(10)
    before = items(first, "marked")
    first.kill()
    publisher.mark("while nobody was there", step=20)
    publisher.send({"loss": 0.0}, step=21)
    second = serve(data_dir=data, ingest=first.ingest)
    assert publisher.flush(20)
    after = items(second, "marked")

    assert [(one["kind"], one["name"], one["step"]) for one in before] == [
        ("mark", "begin", 0),
        *(("mark", "checkpoint", step) for step in (0, 5, 10, 15)),
        ("alert", "loss is <b>high</b>", 19),
        ("note", "of another kind", 7),
    ]
    assert after[:-1] == before
    assert after[-1]["name"] == "while nobody was there"
    assert before[1]["body"] == {"text": "at 0"}
    assert before[-1]["body"] == {"data": {"base64": "AAE="}, "number": 1.5}
    assert items(second, "marked", kind="mark", name="begin") == before[:1]
    assert {one["rank"] for one in after} == {1}

    def summed() -> bool:
        """The sum comes out: what was sent is stored, items among it."""
        delivery = entry(second, "marked")["delivery"]
        return bool(delivery["sent"] == delivery["stored"] == 21 + 8)

    wait_until(summed, "sent = stored")
    told = entry(second, "marked")
    assert told["workers"][0]["mesh"] == {"dp": 1, "pp": 0}
    assert told["facts"] == {
        "replicated": ["loss_scale"],
        "total_steps": 1000,
        "tokens_per_step": 4096.0,
    }
    publisher.close()

    lines = streamviz_command("export", "marked", "--jsonl", "--data-dir", data).splitlines()
    exported = [one for one in map(json.loads, lines) if "kind" in one]
    assert [{key: one[key] for key in one if key != "run"} for one in exported] == [
        {key: one[key] for key in exported[0] if key != "run"} for one in after
    ]
    streamviz_command(
        *("replay", "marked", "--data-dir", data, "--endpoint", second.ingest),
        *("--speed", "max", "--as", "again"),
    )
    replayed = items(second, "again")
    names = [(one["kind"], one["name"], one["step"], one["body"]) for one in replayed]
    assert names == [(one["kind"], one["name"], one["step"], one["body"]) for one in after]
    assert entry(second, "again")["facts"] == told["facts"]


def test_a_spill_file_brings_its_items(serve: Serve, tmp_path: Path) -> None:
    """What went to a file without a network comes with ``sync``, items in their places."""
    spill = tmp_path / "spill"
    with streamviz.Publisher(run="spilled", mode="file", spill_dir=spill) as publisher:
        publisher.mark("before any row")
        send_all(publisher)
    server = serve()

    streamviz_command("sync", spill, "--endpoint", server.ingest)

    told = items(server, "spilled")
    assert [one["name"] for one in told][:2] == ["before any row", "checkpoint"]
    assert len(told) == 7
    assert not list(spill.iterdir())


def test_a_rank_that_is_killed_and_back_within_seconds_goes_on(server: ServerProcess) -> None:
    """Its forerunner's connection is gone, so it is no second job: one attempt, one line."""
    program = f"""
import os, sys, signal, streamviz
publisher = streamviz.Publisher("{server.ingest}", run="restarted")
first = int(sys.argv[1])
for step in range(first, first + 10):
    publisher.send({{"loss": float(step)}}, step=step)
assert publisher.flush(10)
os.kill(os.getpid(), signal.SIGKILL)
"""
    for first in ("0", "10"):
        ended = subprocess.run([sys.executable, "-c", program, first], check=False, timeout=60)
        assert ended.returncode == -9

    [worker] = server.workers("restarted")
    [series] = server.series("restarted", "loss")
    assert (worker["attempt"], worker["last_step"]) == (0, 19)
    assert series["step"] == list(range(20))
    assert server.count("duplicate_ranks_total") == 0
