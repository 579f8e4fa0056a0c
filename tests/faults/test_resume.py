"""★ A training that dies and goes on from a checkpoint at an earlier step."""

from __future__ import annotations

import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from serving import ServerProcess

SAVED, DIED, ENDED = 20, 33, 50
ROW = np.dtype([("step", "<i8"), ("value", "<f8")])

TRAINING = """
    import os, struct, sys
    import torch, streamviz
    endpoint, checkpoint, log, dies_at, ends_at = sys.argv[1:]
    torch.manual_seed(int(dies_at))
    model = torch.nn.Linear(8, 1)
    begins_at = 0
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        begins_at = state["step"]
    publisher = streamviz.Publisher(endpoint, run="resumed")
    told = open(log, "xb")
    for step in range(begins_at, int(ends_at)):
        x = torch.randn(32, 8)
        loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():  # by hand: an optimizer takes torch two more seconds to import
            for parameter in model.parameters():
                parameter -= 0.05 * parameter.grad
        told.write(struct.pack("<qd", step, loss.item()))
        told.flush()
        publisher.send({"train/loss": loss.detach()}, step=step)
        if step + 1 == %(saved)d:
            torch.save({"model": model.state_dict(), "step": step + 1}, checkpoint)
        if step == int(dies_at):
            publisher.flush(20)
            os._exit(9)
    publisher.close()
"""


@pytest.mark.torch
def test_a_checkpoint_at_an_earlier_step_is_another_attempt(
    server: ServerProcess, tmp_path: Path, outcome: Callable[[int, str], None]
) -> None:
    """What follows a resume is drawn beside what was there; nothing is overwritten or joined."""
    pytest.importorskip("torch")
    program = textwrap.dedent(TRAINING % {"saved": SAVED})
    logs = [tmp_path / "first.rows", tmp_path / "second.rows"]
    for log, dies_at, code in ((logs[0], DIED, 9), (logs[1], ENDED, 0)):
        arguments = (server.ingest, str(tmp_path / "state.pt"), str(log), str(dies_at), str(ENDED))
        ended = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == code, ended.stderr

    attempts = server.series("resumed", "train/loss")

    assert [one["attempt"] for one in attempts] == [0, 1]
    for one, log in zip(attempts, logs, strict=True):
        told = np.fromfile(log, ROW)
        assert one["step"] == told["step"].tolist()
        assert struct.pack(f"<{told.size}d", *one["value"]) == told["value"].tobytes()
    assert attempts[0]["step"][-1] == DIED
    assert attempts[1]["step"][0] == SAVED
    assert server.count("gap_rows_total") == 0
    outcome(
        26,
        f"died at step {DIED}, resumed from {SAVED}: attempt 0 keeps its {DIED + 1} steps, attempt "
        f"1 has {ENDED - SAVED}, both to the bit, both ascending",
    )
