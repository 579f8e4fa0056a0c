"""What a server costs: taking in frames, and what it holds under a flood."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from benchmarks import Row, Settings, benchmark

from streamviz.counters import Counters
from streamviz.ingest.collector import Collector
from streamviz.ingest.receiver import Receiver
from streamviz.ingest.roster import Roster
from streamviz.store.store import Store

METRICS = 10
_FLOOD = Path(__file__).with_name("flood.py")


@benchmark(repeats=5)
def ingest(settings: Settings) -> Iterator[Row]:
    """Frames through a real socket into the store, per second of CPU that the process takes.

    The process's whole CPU time is counted, ZeroMQ's own thread included; the sender is another
    process that has its frames ready before the clock starts.
    """
    for rows, frames in ((1, settings.rounds(60_000)), (64, settings.rounds(12_000))):
        seconds = take_in(rows, frames)
        yield Row(
            f"ingest, 10 metrics x {rows} row{'s' * (rows > 1)} a frame",
            frames / seconds,
            "frames per CPU second",
            target=40_000 if rows == 1 else None,
            at_least=True,
        )
        if rows > 1:
            yield Row(
                "the same, values",
                frames * rows * METRICS / seconds,
                "values per CPU second",
                target=10e6,
                at_least=True,
            )


def take_in(rows: int, frames: int) -> float:
    """Return the CPU seconds that some frames took."""
    counters = Counters()
    collector = Collector(Store(2**28, counters=counters), Roster(), counters, epoch=1)
    receiver = Receiver("tcp://127.0.0.1:0", collector, counters, on_rows=lambda: None)
    command = [sys.executable, str(_FLOOD), receiver.endpoint, str(rows), str(frames)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
        assert sender.stdout is not None
        assert sender.stdin is not None
        sender.stdout.readline()
        receiver.start()
        began = time.process_time()
        sender.stdin.write(b"go\n")
        sender.stdin.flush()
        while counters.total("rows_received_total") < rows * frames:
            time.sleep(0.02)
        seconds = time.process_time() - began
        sender.kill()
        receiver.stop()
    assert counters.total("frames_bad_total") == 0
    return seconds


@benchmark(repeats=1)
def memory(settings: Settings) -> Iterator[Row]:
    """A server with --memory 64MiB under ten times as much data: its resident size, and its truth.

    The overview of the whole run must still have the run's extremes.
    """
    limit = 64 * 2**20
    row_bytes = 8 * (METRICS + 3)
    rows = 10 * limit // row_bytes // (10 if settings.quick else 1)
    command = [
        *(sys.executable, "-m", "streamviz", "serve", "--port", "0", "--no-token"),
        *("--ingest", "tcp://127.0.0.1:0", "--memory", "64MiB"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        facts = dict(
            line.strip().split(": ", 1) for line in (next(server.stdout) for _ in range(2))
        )
        try:
            before = resident(server.pid)
            peak, seen = flood_server(server.pid, facts, rows)
        finally:
            server.terminate()
    yield Row("resident size, --memory 64MiB, 10x the data", peak, "B", target=limit + 150 * 2**20)
    yield Row("resident size of the idle server", before, "B")
    extremes = (float(np.min(seen["min"])), float(np.max(seen["max"])))
    yield Row(
        "extremes of the whole run still in its overview",
        extremes == (-1e6, 1e6),
        "of 1",
        1,
        at_least=True,
    )


def flood_server(pid: int, facts: dict[str, str], rows: int) -> tuple[int, dict[str, list[float]]]:
    """Return the largest resident size, and the overview of a metric after the flood."""
    import json
    import urllib.parse
    import urllib.request

    command = [sys.executable, str(_FLOOD), facts["ingest"], "64", str(rows // 64), "acknowledged"]
    peak = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
        assert sender.stdin is not None
        sender.stdin.write(b"go\n")
        sender.stdin.flush()
        while sender.poll() is None:
            peak = max(peak, resident(pid))
            time.sleep(0.05)
    query = urllib.parse.urlencode({"run": "flood", "metric": "m/0", "points": 500})
    with urllib.request.urlopen(f"{facts['page']}api/v1/query?{query}") as answer:
        [series] = json.load(answer)["series"]
    assert sum(series["count"]) == rows // 64 * 64
    return max(peak, resident(pid)), series


def resident(pid: int) -> int:
    """Return a process's resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
