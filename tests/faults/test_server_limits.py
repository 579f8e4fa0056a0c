"""A server without descriptors left, and run names that would rather be paths."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from serving import ServerProcess, wait_until

import streamviz

DESCRIPTORS, EARLY, LATE = 192, 10, 200
BUSY_SHARE = 0.5
"""Most of a core that a server at its limit may use: spinning takes all of one."""

RUNS = (
    "../../escaped",
    "..",
    ".",
    "/etc/streamviz",
    "C:\\\\Windows\\\\x",
    "CON",
    "aux.txt",
    "a:b",
    "Case",
    "case",
    "tail.",
    "tail",
    "x" * 256,
    "x" * 255,
    "\U0001f600 emoji",
    "%2e%2e%2f",
    "-rf *",
    "run.db",
)


def test_a_server_without_descriptors_keeps_who_is_there(
    outcome: Callable[[int, str], None],
) -> None:
    """Those who came before the limit go on; later ones are refused; the server does not spin."""

    def starve() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))

    command = [sys.executable, "-m", "streamviz", "serve", "--no-record", "--port", "0"]
    server = ServerProcess.of(
        subprocess.Popen(
            [*command, "--ingest", "tcp://127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            preexec_fn=starve,
        )
    )
    early = [
        streamviz.Publisher(server.ingest, run="early", rank=rank, world_size=EARLY)
        for rank in range(EARLY)
    ]
    late: list[streamviz.Publisher] = []
    try:
        for publisher in early:
            publisher.send({"m": 0.0}, step=0)
        assert all(publisher.flush(10) for publisher in early)
        late += [
            streamviz.Publisher(server.ingest, run="late", rank=rank, world_size=LATE)
            for rank in range(LATE)
        ]
        for publisher in late:
            publisher.send({"m": 0.0}, step=0)
        wait_until(lambda: len(server.workers("late")) > 20, "some of them are let in")
        threading.Event().wait(2.0)
        let_in, before_s = len(server.workers("late")), cpu_seconds(server)
        threading.Event().wait(3.0)
        share = (cpu_seconds(server) - before_s) / 3.0
        for publisher in early:
            publisher.send({"m": 1.0}, step=1)
        assert all(publisher.flush(10) for publisher in early)
        series = server.series("early", "m")
    finally:
        for publisher in early + late:
            publisher.close(0.1)
        server.stop()

    assert [one["step"] for one in series] == [[0, 1]] * EARLY
    assert let_in < LATE
    assert share < BUSY_SHARE
    assert not any("Traceback" in line for line in server.lines)
    outcome(
        40,
        f"{DESCRIPTORS} descriptors, {EARLY + LATE} ranks: {EARLY} early ones go on, {let_in} of "
        f"{LATE} late ones let in, {100 * share:.0f} % of a core",
    )


def cpu_seconds(server: ServerProcess) -> float:
    """Return the CPU time that a server has taken."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_run_name_is_no_path(tmp_path: Path, outcome: Callable[[int, str], None]) -> None:
    """Whatever runs are called, their files lie in the data directory, and none is another's."""
    data = tmp_path / "inner" / "data"
    server = ServerProcess(data_dir=data)
    for number, run in enumerate(RUNS):
        with streamviz.Publisher(server.ingest, run=run) as publisher:
            publisher.send({"m": float(number)}, step=number)
            assert publisher.flush(10)
    server.kill()
    again = ServerProcess(data_dir=data)
    try:
        recalled = {run: again.series(run, "m") for run in RUNS}
    finally:
        again.stop()

    for number, run in enumerate(RUNS):
        [series] = recalled[run]
        assert (series["step"], series["value"]) == ([number], [float(number)]), run
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(data) for path in made)
    folders = {path.parent.name.lower() for path in made if path.name == "run.db"}
    assert len(folders) == len(RUNS)
    outcome(31, f"{len(RUNS)} names: every file in the data directory, {len(folders)} runs apart")
