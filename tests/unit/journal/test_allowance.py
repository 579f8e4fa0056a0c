"""What runs may take on the disk: the oldest full resolution goes first, and is counted."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from streamviz.counters import Counters
from streamviz.journal.allowance import Allowance
from streamviz.journal.directory import run_path
from streamviz.journal.entries import Commit, TableRows
from streamviz.journal.history import History
from streamviz.journal.runfile import RunFile

ROWS = 40 * 1024


def write(directory: Path, run: str, written: float) -> int:
    """Make a run of rows that do not compress, last written then; return its bytes."""
    path = run_path(directory, run)
    file = RunFile.create(path, run, written)
    file.commit(Commit(tables=[(0, ("m",))]))
    steps = np.arange(ROWS)
    values = np.random.default_rng(0).normal(size=(ROWS, 1))
    file.checkpoint(
        [
            TableRows(
                table=0,
                worker=0,
                first=0,
                steps=steps,
                times=steps.astype(np.float64),
                values=values,
            )
        ],
        None,
    )
    file.close()
    os.utime(path, (written, written))
    return path.stat().st_size


def test_the_oldest_run_gives_way_first(tmp_path: Path) -> None:
    """Over the limit the run written longest ago is shortened, until that is enough."""
    counters = Counters()
    size = write(tmp_path, "old", 1000.0)
    write(tmp_path, "new", 2000.0)
    enough = Allowance(tmp_path, 2 * size + (1 << 20), counters)
    tight = Allowance(tmp_path, 2 * size - size // 4, counters)

    assert enough.keep({}, 0.0) == enough.measure()
    assert counters.total("journal_shed_bytes_total") == 0

    for now in range(10):
        used = tight.keep({}, float(now))
    assert used <= 2 * size - size // 4
    assert run_path(tmp_path, "new").stat().st_size == size
    assert run_path(tmp_path, "old").stat().st_size < size
    assert counters.total("journal_shed_bytes_total") > 0
    answer = History(tmp_path).query("old", "m", points=100)
    assert answer is None or sum(int(one.count.sum()) for one in answer.series) == ROWS


def test_what_may_not_go_is_left_and_not_asked_for_each_time(tmp_path: Path) -> None:
    """Overviews and the newest rows stay, however little is allowed."""
    counters = Counters()
    write(tmp_path, "only", 1000.0)
    allowance = Allowance(tmp_path, 1, counters)

    for now in range(200):
        allowance.keep({}, float(now))
    least = allowance.keep({}, 1000.0)

    assert least > 1
    assert allowance.keep({}, 2000.0) == least
