"""Long storms over real processes: what takes too long for the tests.

``soak.py [--quick] [--seed N] [NAME ...]``. Each storm is a function that returns what it measured
and raises AssertionError where a promise broke.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from handmade_frames import Ingest, Speaker
from mutants import mutants
from nemesis import Nemesis
from pageserver import LivePage
from serving import ServerProcess, wait_until
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect
from witness import Fleet, judge

import streamviz

FLEET = Path(__file__).with_name("fleet.py")
BACK_S = 30.0
OPEN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What this run was asked for."""

    quick: bool
    seed: int

    def much(self, count: int) -> int:
        """Return how often to do what is done ``count`` times in a full run."""
        return max(count // 10, 2) if self.quick else count


def storm(asked: Asked, folder: Path) -> str:
    """24 kill -9 and 5 stops under eight processes."""
    kills, stops = asked.much(24), asked.much(5)
    nemesis = Nemesis(folder / "data", seed=asked.seed)
    fleet = Fleet(nemesis.endpoint, folder, ranks=8, hz=200)
    try:
        began = time.monotonic()
        nemesis.storm(kills=kills, stops=stops, longest_stop_s=5.0)
        seconds = time.monotonic() - began
        said = fleet.finish()
        verdict = judge(fleet, nemesis.server, folder / "data")
    finally:
        fleet.kill()
        nemesis.end()
    assert all(one["drained"] for one in said), said
    assert verdict.is_whole, verdict
    return f"{verdict}; {kills} kill -9 and {stops} stops in {seconds:.0f} s"


def commits(asked: Asked, folder: Path) -> str:
    """100 kill -9, each at the moment when a commit is being written."""
    kills = asked.much(100)
    data = folder / "data"
    nemesis = Nemesis(data, seed=asked.seed)
    fleet = Fleet(nemesis.endpoint, folder, ranks=4, hz=300)
    slowest_s = 0.0
    try:
        for _ in range(kills):
            before = written(data)
            while written(data) == before:
                pass  # no pause: a commit takes a millisecond
            nemesis.kill()
            began = time.monotonic()
            nemesis.start()
            slowest_s = max(slowest_s, time.monotonic() - began)
        said = fleet.finish()
        verdict = judge(fleet, nemesis.server, folder / "data")
    finally:
        fleet.kill()
        nemesis.end()
    assert all(one["drained"] for one in said), said
    assert verdict.is_whole, verdict
    assert slowest_s <= OPEN_S, slowest_s
    return f"{verdict}; {kills} kill -9 in a commit; up again in {slowest_s:.1f} s at most"


def written(data: Path) -> tuple[tuple[int, int], ...]:
    """Return the sizes and times of the write-ahead logs."""
    try:
        stats = [path.stat() for path in sorted(data.glob("runs/*/run.db-wal"))]
    except FileNotFoundError:
        return ()
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)


def damaged(asked: Asked, folder: Path) -> str:  # noqa: ARG001 - every storm takes one
    """Ten million damaged frames."""
    count = asked.much(1000) * 10_000
    ingest = Ingest(max_runs=100, max_workers=500, max_streams=1000)
    bystander = Speaker(ingest, 2**127 - 99, run="innocent").meet("m")
    before = resident(os.getpid())
    for number, mutant in enumerate(mutants(count)):
        ingest.receive(mutant, b"hostile")
        if number % 1000 == 0:
            bystander.send(number)
            ingest.acks(0.01)
            ingest.tick()
    grown = resident(os.getpid()) - before
    # Mutants that are frames still fill the memory: of the bystander's oldest rows the overview is
    # left, which counts them all.
    (kept,) = ingest.store.query("innocent", "m", points=1 << 20).series
    assert int(kept.count.sum()) == count // 1000, f"{int(kept.count.sum())} of {count // 1000}"
    return f"{count:,} damaged frames, the stream beside them whole, {grown / 1e6:.0f} MB more held"


def fleet(asked: Asked, folder: Path) -> str:
    """4,000 connections that are all cut at once, and come back."""
    count = asked.much(4000)
    nemesis = Nemesis(folder / "data", "--memory", "2GiB")
    command = [sys.executable, str(FLEET), nemesis.endpoint, str(count)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as ranks:
        assert ranks.stdin is not None
        assert ranks.stdout is not None

        def ask(word: str) -> dict[str, int]:
            assert ranks.stdin is not None
            assert ranks.stdout is not None
            ranks.stdin.write(f"{word}\n")
            ranks.stdin.flush()
            answer: dict[str, int] = json.loads(ranks.stdout.readline())
            return answer

        try:
            assert ranks.stdout.readline() == "ready\n"
            wait_until(lambda: ask("how")["made"] > 5 * count, "they send", 60)
            nemesis.kill()
            wait_until(lambda: ask("how")["ranks_behind"] == count, "all of them wait", 30)
            nemesis.start()
            began = time.monotonic()
            wait_until(lambda: ask("how")["ranks_behind"] == 0, "all are back", BACK_S)
            back_s = time.monotonic() - began
            told = ask("end")
            stored = nemesis.server.count("rows_received_total")
            missing = nemesis.server.count("gap_rows_total")
        finally:
            ranks.kill()
            nemesis.end()
    assert told["made"] == told["acknowledged"], told
    assert missing == 0
    return (
        f"{count:,} ranks all back {back_s:.1f} s after the server; {told['made']:,} rows "
        f"acknowledged, {stored:,} of them by the new one; no gap"
    )


def slope(asked: Asked, folder: Path) -> str:
    """Ten minutes of 10,000 series, with pages opening and closing."""
    minutes = 1.0 if asked.quick else 10.0
    series, warm = 10_000, 0.3
    server = ServerProcess("--memory", "256MiB", data_dir=folder / "data")
    samples: list[tuple[float, int, int]] = []
    try:
        with streamviz.Publisher(server.ingest, run="soak", outbox_rows=100_000) as publisher:
            names = [f"group{i // 100}/metric{i}" for i in range(series)]
            began, step = time.monotonic(), 0
            while time.monotonic() - began < 60 * minutes:
                publisher.send({name: step * 0.5 + i for i, name in enumerate(names)}, step=step)
                step += 1
                asyncio.run(asyncio.wait_for(look(server, names[step % series]), 30))
                if step % 3 == 0:
                    elapsed = time.monotonic() - began
                    pid = server.process.pid
                    samples.append((elapsed / 60, resident(pid), descriptors(pid)))
                time.sleep(max(began + step - time.monotonic(), 0))
            assert publisher.flush(30)
            assert not publisher.totals().dropped, publisher.totals()
        gaps = server.count("gap_rows_total")
    finally:
        server.stop()
    steady = np.array([each for each in samples if each[0] > warm * minutes])
    grown = float(np.polyfit(steady[:, 0], steady[:, 1] / 1e6, 1)[0])
    opened = steady[:, 2]
    assert gaps == 0
    assert np.ptp(opened) <= 10, f"descriptors from {opened.min()} to {opened.max()}"
    assert grown < 1.0 or asked.quick, f"{grown:.2f} MB a minute"
    return (
        f"{minutes:.0f} min of {series:,} series at 1 Hz: {grown:+.2f} MB a minute after warm-up, "
        f"{steady[-1, 1] / 1e6:.0f} MB; {opened.min():.0f} to {opened.max():.0f} descriptors"
    )


async def look(server: ServerProcess, metric: str) -> None:
    """Open a page, see a chart, close the page."""
    headers = {"Authorization": f"Bearer {server.token}"}
    request = HTTPRequest(f"ws://127.0.0.1:{server.port}/live", headers=headers)
    page = LivePage(await websocket_connect(request))
    await page.view("soak", metric)
    page.channel.close()
    while await page.channel.read_message() is not None:
        pass


def resident(pid: int) -> int:
    """Return a process's resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


STORMS: dict[str, tuple[int, Callable[[Asked, Path], str]]] = {
    "storm": (2, storm),
    "commits": (34, commits),
    "mutants": (15, damaged),
    "fleet": (22, fleet),
    "slope": (43, slope),
}
"""Each with the line of the fault table that it is about."""


def main() -> int:
    """Run what was asked for; return how many storms broke a promise."""
    parser = argparse.ArgumentParser(prog="./scripts/soak", description="Long storms.")
    parser.add_argument("--quick", action="store_true", help="a tenth of it, to see that it works")
    parser.add_argument("--seed", type=int, default=1, help="decides what happens when (1)")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(STORMS)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(STORMS):
        parser.error(f"no storm {', '.join(sorted(unknown))}; there are: {', '.join(STORMS)}")
    asked = Asked(quick=arguments.quick, seed=arguments.seed)
    failed = 0
    for name, (row, run) in STORMS.items():
        if arguments.names and name not in arguments.names:
            continue
        with tempfile.TemporaryDirectory(prefix="streamviz-soak-") as folder:
            os.environ["STREAMVIZ_HOME"] = f"{folder}/home"
            began = time.monotonic()
            try:
                told, verdict = run(asked, Path(folder)), "kept"
            except AssertionError as error:
                traceback.print_exc()
                told, verdict = f"{error}"[:300], "BROKEN"
                failed += 1
            seconds = time.monotonic() - began
        print(f"{name} (line {row}): {verdict}: {told} [{seconds:.0f} s]", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
