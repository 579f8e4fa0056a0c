"""Stragglers in a real data-parallel training: named right, or nobody is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from serving import ServerProcess

from streamviz.insight.stragglers import Abstention, Verdict, straggler

BLOCK = 15
SETTLE = 2
"""Steps after a change that belong to both sides of it."""
PHASES = ("data", "forward", "backward", "optimizer")
RANKS, SLOW, EXTRA_S = 3, 1, 0.07


@pytest.mark.torch
def test_the_slow_rank_of_a_real_training_is_named_or_nobody(
    server: ServerProcess, tmp_path: Path
) -> None:
    """Slow in data, forward or optimizer: its name; in backward, which holds the barrier: none."""
    pytest.importorskip("torch")
    program = Path(__file__).parents[1] / "slow_ddp.py"
    told = (server.ingest, str(RANKS), str(SLOW), str(EXTRA_S), str(tmp_path / "meeting"))
    ended = subprocess.run(
        [sys.executable, str(program), *told],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr

    series = [server.series("slow", f"phase/{phase}") for phase in PHASES]
    spent = np.array([[one["value"] for one in phase] for phase in series]).transpose(2, 1, 0)
    assert spent.shape == (6 * BLOCK, RANKS, len(PHASES))

    def verdict(block: int) -> Verdict | Abstention:
        return straggler(spent[block * BLOCK + SETTLE : (block + 1) * BLOCK], range(RANKS), PHASES)

    for block, phase in ((1, "data"), (2, "forward"), (4, "optimizer")):
        found = verdict(block)
        assert isinstance(found, Verdict), (phase, found)
        assert (found.rank, found.phase, found.waited_in) == (SLOW, phase, "backward")
        assert EXTRA_S / 2 < found.excess_s < EXTRA_S * 2
    for block in (0, 3, 5):
        found = verdict(block)
        assert isinstance(found, Abstention), found
    # A window that holds slow steps of two kinds may abstain; it names nobody else.
    for begin in range(0, 5 * BLOCK, 5):
        found = straggler(spent[begin : begin + 2 * BLOCK], range(RANKS), PHASES)
        assert isinstance(found, Abstention) or found.rank == SLOW, (begin, found)
