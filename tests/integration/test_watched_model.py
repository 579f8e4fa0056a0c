"""Models that are watched on every rank of a real training, as a real server tells them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from serving import ServerProcess

pytest.importorskip("torch")

pytestmark = pytest.mark.torch

PROGRAM = Path(__file__).parents[1] / "watched_ranks.py"
STEPS = [0, 2, 4]
LAYERS = ["0", "1", "2", "3"]
PARAMETERS = [f"{layer}.{kind}" for layer in ("0", "1", "3") for kind in ("weight", "bias")]


def values(server: ServerProcess, run: str, metric: str) -> list[list[float]]:
    """Return a metric's values by rank, all at the steps that are measured."""
    series = server.series(run, metric)
    assert [one["rank"] for one in series] == [0, 1], metric
    assert all(one["step"] == STEPS for one in series), metric
    return [one["value"] for one in series]


def modules(server: ServerProcess, run: str) -> list[dict[str, Any]]:
    """Return the modules of a run's structure."""
    payloads = server.get("/api/v1/payloads", run=run)["payloads"]
    [graph] = [one for one in payloads if one["kind"] == "graph"]
    body = server.get("/api/v1/payload", run=run, number=graph["numbers"][0])["body"]
    return list(body["modules"])


def test_every_rank_s_model_arrives(server: ServerProcess, tmp_path: Path) -> None:
    """Gradients after their reduction, each rank's own activations, histograms and structure."""
    ranks = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), server.ingest, str(rank), str(tmp_path / "store")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        said = [rank.communicate(timeout=100)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], said

    for name in PARAMETERS:
        mine, other = values(server, "replicated", f"watch/grad_norm/{name}")
        assert mine == other, "what an optimizer gets is the same on all ranks"
        assert min(mine) > 0
        # Of a shard the norm is its own; together they are the whole's, which had the same start.
        parts = values(server, "sharded", f"watch/param_norm/{name}")
        whole = values(server, "replicated", f"watch/param_norm/{name}")[0]
        assert parts[0][0] ** 2 + parts[1][0] ** 2 == pytest.approx(whole[0] ** 2, rel=1e-5)
        for run in ("replicated", "sharded"):
            for kind in ("grad_zero", "update_ratio"):
                values(server, run, f"watch/{kind}/{name}")
    for layer in LAYERS:
        mine, other = values(server, "replicated", f"watch/act_mean/{layer}")
        assert mine != other, "each rank has data of its own"
        values(server, "replicated", f"watch/seconds/{layer}")

    told = server.get("/api/v1/items", run="replicated", kind="histogram")["items"]
    wanted = {
        *(f"{kind}/{name}" for kind in ("parameters", "gradients") for name in PARAMETERS),
        *(f"activations/{layer}" for layer in LAYERS),
    }
    assert {one["name"] for one in told} == wanted
    assert {(one["rank"], one["step"]) for one in told} == {(r, s) for r in (0, 1) for s in STEPS}
    assert {one["body"]["count"] for one in told if one["name"] == "gradients/0.weight"} == {128.0}

    replicated, sharded = modules(server, "replicated"), modules(server, "sharded")
    assert [one["path"] for one in replicated] == ["", *LAYERS]
    assert (replicated[0]["input"], replicated[0]["output"]) == ("[3, 8]", "[3, 2]")
    assert [one["path"] for one in sharded] == ["", *LAYERS]
    assert sharded[0]["input"] == "", "a sharded model is not called by one rank alone"
    assert "it is sharded" in said[0]
    assert "streamviz" not in said[1]
