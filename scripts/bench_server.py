"""What a server costs: taking in frames, and what it holds under a flood."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from benchmarks import Row, Settings, benchmark, said_by
from procs import cpu_seconds, resident

from streamviz.counters import Counters
from streamviz.ingest.collector import Collector
from streamviz.ingest.receiver import Receiver
from streamviz.ingest.roster import Roster
from streamviz.journal.recorder import Recorder
from streamviz.security.keys import open_keys
from streamviz.store.store import Store

METRICS = 10
_FLOOD = Path(__file__).with_name("flood.py")
_FLEET = Path(__file__).with_name("fleet.py")


@benchmark(repeats=5)
def ingest(settings: Settings) -> Iterator[Row]:
    """Frames through a real socket into the store, per second of CPU that the process takes.

    Recorded and with keys, as a server is unless it is told otherwise, next to plaintext kept in
    memory only. The process's whole CPU time is counted, the writer and ZeroMQ's own thread
    included; the sender is another process that has its frames ready before the clock starts.
    """
    for rows, frames in ((1, settings.rounds(60_000)), (64, settings.rounds(12_000))):
        plain = take_in(rows, frames, as_shipped=False)
        seconds = take_in(rows, frames, as_shipped=True)
        what = f"ingest, 10 metrics x {rows} row{'s' * (rows > 1)} a frame"
        yield Row(
            what,
            frames / seconds,
            "frames per CPU second",
            target=40_000 if rows == 1 else None,
            at_least=True,
            peer="plaintext in memory",
            peer_reached=frames / plain,
        )
        if rows > 1:
            yield Row(
                "the same, values",
                frames * rows * METRICS / seconds,
                "values per CPU second",
                target=10e6,
                at_least=True,
            )
        yield Row(
            f"{what}: share of what plaintext in memory takes",
            plain / seconds,
            "",
            target=0.8,
            at_least=True,
        )


def take_in(rows: int, frames: int, *, as_shipped: bool) -> float:
    """Return the CPU seconds that some frames took, until all of them are on the disk if any is."""
    counters = Counters()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STREAMVIZ_JOIN")}
    with tempfile.TemporaryDirectory() as folder:
        environment["STREAMVIZ_HOME"] = f"{folder}/keys"
        keys = open_keys(Path(folder, "keys")) if as_shipped else None
        recorder = Recorder(Path(folder, "data"), 20 << 30, counters) if as_shipped else None
        store = Store(2**28, counters=counters)
        collector = Collector(store, Roster(), counters, epoch=1, recorder=recorder)
        receiver = Receiver("tcp://127.0.0.1:0", collector, counters, lambda: None, keys=keys)
        command = [sys.executable, str(_FLOOD), receiver.endpoint, str(rows), str(frames)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        ) as sender:
            assert sender.stdout is not None
            assert sender.stdin is not None
            sender.stdout.readline()
            if recorder is not None:
                recorder.start()
            receiver.start()
            began = time.process_time()
            sender.stdin.write(b"go\n")
            sender.stdin.flush()
            while counters.total("rows_received_total") < rows * frames or (
                recorder is not None and recorder.room.taken
            ):
                time.sleep(0.02)
                assert counters.total("frames_put_off_total") == 0, "the disk is too slow"
            seconds = time.process_time() - began
            sender.kill()
            receiver.stop()
            if recorder is not None:
                recorder.stop()
    assert counters.total("frames_bad_total") == 0
    return seconds


@benchmark(repeats=1)
def fleet(settings: Settings) -> Iterator[Row]:
    """Many connections that send a frame a second each, all acknowledged: the server's CPU."""
    count, seconds = settings.rounds(4_000), 3.0 if settings.quick else 20.0
    command = [
        *(sys.executable, "-m", "streamviz", "serve", "--port", "0", "--no-token"),
        *("--ingest", "tcp://127.0.0.1:0", "--memory", "2GiB"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        # Recorded, as a server is unless it is told otherwise.
        command += ["--data-dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                yield from fleet_rows(server, count, seconds)
            finally:
                server.terminate()


def fleet_rows(server: subprocess.Popen[str], count: int, seconds: float) -> Iterator[Row]:
    """Yield what some thousand ranks cost a server, and that it keeps up with them."""
    endpoint = said_by(server)["ingest"]
    command = [sys.executable, str(_FLEET), endpoint, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ranks:
        assert ranks.stdin is not None
        assert ranks.stdout is not None

        def ask(word: bytes) -> dict[str, int]:
            assert ranks.stdin is not None
            assert ranks.stdout is not None
            ranks.stdin.write(word + b"\n")
            ranks.stdin.flush()
            answer: dict[str, int] = json.loads(ranks.stdout.readline())
            return answer

        try:
            ranks.stdout.readline()
            ask(b"how")
            time.sleep(2.0)  # the pace has settled
            before, began = ask(b"how")["made"], time.monotonic()
            cpu_before = cpu_seconds(server.pid)
            time.sleep(seconds)
            cpu, told = cpu_seconds(server.pid) - cpu_before, ask(b"how")
            elapsed = time.monotonic() - began
            held = resident(server.pid)
            end = ask(b"end")
        finally:
            ranks.kill()
    what = f"{count:,} connections, {(told['made'] - before) / elapsed:,.0f} acknowledged frames/s"
    yield Row(f"{what}: the server's CPU", 100 * cpu / elapsed, "% of a core", target=25.0)
    yield Row("the same: resident size", held, "B")
    kept_up = float(told["ranks_behind"] == 0 and end["made"] == end["acknowledged"])
    yield Row(
        "the same: all acknowledged within 3 s of being sent", kept_up, "of 1", 1, at_least=True
    )


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
        *("--ingest", "tcp://127.0.0.1:0", "--memory", "64MiB", "--no-record"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        facts = said_by(server)
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
