"""How children of ``multiprocessing`` end, as the server is told."""

from __future__ import annotations

import multiprocessing
import os
import sys

import pytest
from serving import ServerProcess, wait_until

from streamviz.integrations.opening import LazyPublisher


def child(run: str, *, fails: bool) -> None:
    """Send a row, and end without closing; well, or as torch.multiprocessing ends what failed."""
    publisher = LazyPublisher(run, endpoint=os.environ["STREAMVIZ_ENDPOINT"]).get()
    publisher.send({"a": 1.0}, step=0)
    try:
        if fails:
            raise ValueError("as it was told to")
    except ValueError:
        sys.exit(1)


def test_a_child_that_failed_is_shown_as_failed(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are there, and the state is what became of it, though it never said goodbye."""
    monkeypatch.setenv("STREAMVIZ_ENDPOINT", server.ingest)
    context = multiprocessing.get_context("spawn")

    for run, fails in (("well", False), ("ill", True)):
        process = context.Process(target=child, args=(run,), kwargs={"fails": fails})
        process.start()
        process.join(30)
        assert process.exitcode == int(fails)

    for run, state in (("well", "done"), ("ill", "failed")):
        wait_until(lambda run=run: server.series(run, "a"), "the row is there")  # type: ignore[misc]
        wait_until(
            lambda run=run, state=state: [w["state"] for w in server.workers(run)] == [state],  # type: ignore[misc]
            f"{run} is {state}",
        )
