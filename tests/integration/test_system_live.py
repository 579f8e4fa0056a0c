"""What a real publisher measures of this machine arrives beside the training's metrics."""

from __future__ import annotations

import pytest
from serving import ServerProcess, wait_until

import streamviz


def test_the_machine_arrives_beside_the_training(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the training's last step, under its rank; nothing of it before the first step."""
    monkeypatch.setenv("STREAMVIZ_SYSTEM", "auto")
    wanted = {"system/cpu", "system/ram", "system/process_rss"}

    def metrics() -> set[str]:
        return {name for run in server.get("/api/v1/runs") for name in run["metrics"]}

    with streamviz.Publisher(server.ingest, run="r") as publisher:
        publisher.send({"loss": 1.0}, step=41)
        wait_until(lambda: wanted <= metrics(), "metrics of the machine")
        [line] = server.series("r", "system/ram")
    assert set(line["step"]) == {41}
