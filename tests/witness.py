"""Training processes whose every row is known, and the comparison with what a server has.

Law: the judge reads the processes' own logs and the server's own answers, and nothing else.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from serving import ServerProcess
from witness_program import DRAIN_S

__all__ = ["Fleet", "Verdict", "judge"]

_PROGRAM = Path(__file__).with_name("witness_program.py")
_LOG_ROW = np.dtype([("step", "<i8"), ("value", "<f8")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the rows of a fleet."""

    offered: int
    stored: int
    lost: int
    """Rows that were offered and are not stored."""
    twice: int
    """Rows that are stored more than once, or were never offered."""
    swapped: int
    """Rows that are stored before one that was offered earlier."""
    gap_rows: int
    """Rows that this server or, if there are files, any before it drew gaps for."""

    @property
    def is_whole(self) -> bool:
        """Whether each row is stored once, in order."""
        whole = (self.lost, self.twice, self.swapped, self.gap_rows) == (0, 0, 0, 0)
        return whole and self.stored == self.offered

    def __str__(self) -> str:
        told = f"{self.lost} of {self.offered:,} rows lost, {self.twice} twice"
        return f"{told}, {self.swapped} out of order"


class Fleet:
    """Some training processes, one a rank."""

    def __init__(
        self,
        endpoint: str,
        folder: Path,
        *,
        ranks: int,
        hz: float,
        run: str = "witness",
        prefix: Sequence[str] = (),
    ) -> None:
        """Start them, and wait until each has begun.

        Args:
            endpoint: Where they send.
            folder: Where they write down what they send.
            ranks: How many.
            hz: Rows a second of each.
            run: Their run.
            prefix: What to start them through, such as ``ip netns exec NAME``.
        """
        self.run = run
        self.logs = [folder / f"{run}-{rank}.rows" for rank in range(ranks)]
        self.processes = [
            subprocess.Popen(
                [
                    *(*prefix, sys.executable, str(_PROGRAM), endpoint, run),
                    *(str(rank), str(ranks), str(log), str(hz)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank, log in enumerate(self.logs)
        ]
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def finish(self) -> list[dict[str, Any]]:
        """Let them end, and return what each says: its totals, and whether all is acknowledged."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("end\n")
            process.stdin.flush()
        said = []
        for process in self.processes:
            output, errors = process.communicate(timeout=DRAIN_S + 20)
            assert process.returncode == 0, errors
            said.append({**json.loads(output), "warnings": errors.splitlines()})
        return said

    def kill(self) -> None:
        """End whoever still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def offered(self) -> list[np.ndarray[Any, np.dtype[np.void]]]:
        """Return what each rank has offered: steps and values, in order."""
        return [np.fromfile(log, _LOG_ROW) for log in self.logs]


def judge(fleet: Fleet, server: ServerProcess, data: Path | None = None) -> Verdict:
    """Compare what was offered with what a server has at full resolution.

    Args:
        fleet: Who offered.
        server: Who has it.
        data: The server's data directory, if it records.

    The values of a rank ascend, and its steps repeat; the server sorts rows by step and keeps the
    order of arrival among equal ones. So values that descend were stored in another order.
    """
    offered = stored = lost = twice = swapped = 0
    for rank, rows in enumerate(fleet.offered()):
        series = server.series(fleet.run, "m", rank=rank)
        values = np.array([value for one in series for value in one["value"]], float)
        assert all(count == 1 for one in series for count in one["count"]), "not full resolution"
        sent = rows["value"]
        offered += sent.size
        stored += values.size
        lost += int(np.setdiff1d(sent, values).size)
        twice += values.size - int(np.intersect1d(sent, values).size)
        swapped += int(np.count_nonzero(np.diff(values) < 0))
        expected = rows["step"][np.isin(sent, values)]
        steps = np.array([step for one in series for step in one["step"]])
        assert twice or np.array_equal(expected, steps), "a value has changed its step"
    return Verdict(
        offered=offered,
        stored=stored,
        lost=lost,
        twice=twice,
        swapped=swapped,
        gap_rows=max(server.count("gap_rows_total"), 0 if data is None else recorded_gaps(data)),
    )


def recorded_gaps(data: Path) -> int:
    """Return the rows of all gaps in the files of a data directory."""
    total = 0
    for path in data.glob("runs/*/run.db"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
            [(rows,)] = file.execute("SELECT coalesce(sum(rows), 0) FROM gap")
            total += int(rows)
    return total
