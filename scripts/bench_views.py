"""What watching costs a server: fifty pages beside a thousand ranks."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench_page import serving, simulation
from benchmarks import Row, Settings, benchmark
from procs import cpu_seconds, ended

VIEWERS = 50
CHARTS = ("train/loss", "train/lr", "grad/norm", "phase/data", "phase/forward", "phase/backward")
"""As many as a page of 1440 x 900 shows at once, and a row more."""
_CROWD = Path(__file__).with_name("crowd.py")


@benchmark(repeats=1)
def views(settings: Settings) -> Iterator[Row]:
    """The server's CPU under 10^6 values a second, alone and with fifty pages that watch."""
    seconds = 4.0 if settings.quick else 20.0
    with ExitStack() as stack:
        server, address, endpoint = stack.enter_context(serving("--memory", "1GiB"))
        load = simulation(endpoint, "--simulate=1024", "--metrics=100", "--rate=10")
        stack.enter_context(ended(load))
        time.sleep(15.0)  # all ranks are greeted, and the first charts have something to show
        alone = share(server.pid, seconds)
        crowd = stack.enter_context(ended(watching(address)))
        time.sleep(3.0)
        frames, began = ask(crowd), time.monotonic()
        watched = share(server.pid, seconds)
        frames, elapsed = ask(crowd) - frames, time.monotonic() - began
    what = "1,024 ranks x 100 metrics x 10 Hz"
    yield Row(f"{what}, nobody watches: the server's CPU", 100 * alone, "% of a core")
    yield Row(
        f"{what}, {VIEWERS} pages of {len(CHARTS)} charts watch", 100 * watched, "% of a core", 35.0
    )
    cost = (watched - alone) * elapsed / max(frames, 1)
    yield Row("the same: for each page and frame", cost, "s", target=50e-6)
    yield Row("the same: frames of each page", frames / elapsed / VIEWERS, "a second")


@benchmark(repeats=1)
def newcomers(settings: Settings) -> Iterator[Row]:
    """Pages that come one after the other to a run of 1,024 ranks that has ended."""
    with ExitStack() as stack:
        server, address, endpoint = stack.enter_context(serving("--memory", "1GiB"))
        steps = f"--steps={settings.rounds(600)}"
        load = simulation(endpoint, "--simulate=1024", "--metrics=8", "--rate=20", steps)
        load.wait()
        time.sleep(5.0)
        costs = []
        for count in (1, VIEWERS):
            idle = share(server.pid, 5.0)
            before, began = cpu_seconds(server.pid), time.monotonic()
            stack.enter_context(ended(watching(address, count)))
            cpu = cpu_seconds(server.pid) - before - idle * (time.monotonic() - began)
            costs.append(cpu / count)
    yield Row("the first page of a run of 1,024 ranks: the server's CPU", costs[0], "s")
    yield Row("a page more: the server's CPU", costs[1], "s", target=0.005)


def share(pid: int, seconds: float) -> float:
    """Return the share of a core that a process takes."""
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - began)


def watching(address: str, count: int = VIEWERS) -> subprocess.Popen[str]:
    """Start the pages; return when each has had its first frame."""
    live = address.replace("http://", "ws://").split("?")[0].rstrip("/") + "/live"
    command = [sys.executable, str(_CROWD), live, str(count), "simulated", *CHARTS]
    crowd = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert crowd.stdout is not None
    crowd.stdout.readline()
    return crowd


def ask(crowd: subprocess.Popen[str]) -> int:
    """Return how many frames the pages have had."""
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    crowd.stdin.write("\n")
    crowd.stdin.flush()
    return int(crowd.stdout.readline())
