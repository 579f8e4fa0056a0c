"""A server that is killed and started again shows what it showed, and goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import ServerProcess, wait_until

import streamviz

Serve = Callable[..., ServerProcess]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory."""
    return tmp_path / "data"


@pytest.fixture
def publishers() -> Iterator[list[streamviz.Publisher]]:
    """Where a test puts its publishers, to be closed at its end."""
    opened: list[streamviz.Publisher] = []
    yield opened
    for publisher in opened:
        publisher.close(0.1)


def picture(server: ServerProcess, run: str) -> dict[str, Any]:
    """Return all that is answered about a run, but for what time changes."""
    [entry] = [entry for entry in server.get("/api/v1/runs") if entry["run"] == run]
    workers = [
        {key: worker[key] for key in ("rank", "world_size", "host", "pid", "attempt", "last_step")}
        for worker in entry["workers"]
    ]
    return {
        "workers": workers,
        "metrics": {
            metric: [server.series(run, metric), server.series(run, metric, points=7)]
            for metric in entry["metrics"]
        },
    }


def test_the_picture_is_the_same_after_a_kill(
    serve: Serve, data: Path, publishers: list[streamviz.Publisher]
) -> None:
    """Runs, ranks, attempts, metrics and values: all as before, those that ended and the live."""
    first = serve(data_dir=data)
    for attempt in range(2):
        with streamviz.Publisher(first.ingest, run="ended", config={"lr": 0.1}) as publisher:
            for step in range(50 * attempt, 100):
                publisher.send({"loss": step / 7, "nan": float("nan")}, step=step)
            assert publisher.flush(10)
    for rank in range(3):
        publisher = streamviz.Publisher(first.ingest, run="live", rank=rank, world_size=3)
        publishers.append(publisher)
        for step in range(200):
            publisher.send({"loss": rank + step / 3}, step=step)
            if step % 10 == 0:
                publisher.send({"val/acc": step / 200}, step=step)
        assert publisher.flush(10)
    wait_until(lambda: len(picture(first, "ended")["workers"]) == 2, "both attempts show")
    before = {run: picture(first, run) for run in ("ended", "live")}
    first.kill()

    second = serve(ingest=first.ingest, data_dir=data)
    after = {run: picture(second, run) for run in ("ended", "live")}
    states = [worker["state"] for worker in second.workers("ended")]
    assert after == before
    assert states == ["done", "done"]

    for publisher in publishers:
        publisher.send({"loss": -1.0}, step=200)
        assert publisher.flush(20)
    wait_until(
        lambda: [worker["state"] for worker in second.workers("live")] == ["live"] * 3,
        "everybody is live again",
    )
    counters = second.get("/api/v1/status")["counters"]
    series = second.series("live", "loss")
    assert [one["step"] for one in series] == [list(range(201))] * 3
    assert (counters["gaps_total"], counters["duplicate_ranks_total"]) == ({}, {})
    assert second.stop() == 0


def test_what_memory_refuses_stays_on_the_disk_until_it_is_wanted(serve: Serve, data: Path) -> None:
    """A start says what it left on the disk; a process of such a run calls it back."""
    first = serve(data_dir=data)
    names = [f"m{i}" for i in range(300)]
    publisher = streamviz.Publisher(first.ingest, run="early")
    for step in range(30):
        publisher.send(dict.fromkeys(names, float(step)), step=step)
    assert publisher.flush(10)
    with streamviz.Publisher(first.ingest, run="late") as late:
        for step in range(30):
            late.send(dict.fromkeys(names, float(step)), step=step)
        assert late.flush(10)
    assert first.stop() == 0

    second = serve("--memory", "1MiB", ingest=first.ingest, data_dir=data)
    assert any(line.startswith("note: 1 run") for line in second.lines), second.lines
    assert second.workers("late") != []
    publisher.send({"m0": -1.0}, step=30)
    assert publisher.flush(20)
    publisher.close()
    [series] = second.series("early", "m0")

    assert series["step"] == list(range(31))
    assert second.get("/api/v1/status")["counters"]["gaps_total"] == {}
    assert second.stop() == 0
