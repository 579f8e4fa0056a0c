"""★ A disk that is full, read-only or gone: all is drawn, nothing acknowledged, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from serving import ServerProcess, wait_until

import streamviz
from streamviz.clock import monotonic_time

Outcome = Callable[[int, str], None]
Serve = Callable[..., ServerProcess]
BACK_S = 15.0
"""A disk is asked again every 5 s."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB in memory."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=False
    )
    if made.returncode != 0:
        pytest.skip("needs a kernel that lets us mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    """Change how a file system is mounted."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def journal(server: ServerProcess) -> dict[str, object]:
    """Return how recording goes."""
    state = server.get("/api/v1/status")["journal"]
    assert isinstance(state, dict)
    return state


def is_drawn(server: ServerProcess, run: str, rows: int) -> bool:
    """Tell whether the page has so many steps of a run's one worker."""
    workers = server.workers(run)
    return bool(workers) and workers[0]["last_step"] == rows - 1


def send(publisher: streamviz.Publisher, first: int, rows: int) -> int:
    """Send rows of random values, which do not compress; return the next step."""
    noise = os.urandom(8 * rows)
    for i in range(rows):
        value = int.from_bytes(noise[8 * i : 8 * i + 6], "little")
        publisher.send({"m": value / 3, "step": first + i}, step=first + i)
    return first + rows


def test_a_full_disk_stops_acknowledging_and_nothing_else(
    serve: Serve, small_disk: Path, outcome: Outcome
) -> None:
    """The page goes on, the publishers keep their rows, and all is stored once there is room."""
    server = serve(data_dir=small_disk / "data")
    publisher = streamviz.Publisher(server.ingest, run="full")
    step = 0
    while journal(server)["kind"] == "ok":
        step = send(publisher, step, 2000)
        wait_until(partial(is_drawn, server, "full", step), "it is drawn")
    assert journal(server)["kind"] == "full"
    step = send(publisher, step, 500)
    wait_until(partial(is_drawn, server, "full", step), "drawing goes on")
    assert not publisher.flush(0.5)

    remount(small_disk, "size=64m")
    began = monotonic_time()
    assert publisher.flush(BACK_S)
    back_s = monotonic_time() - began
    wait_until(lambda: journal(server)["kind"] == "ok", "it says that it goes on")
    server.kill()

    after = serve(data_dir=small_disk / "data")
    [series] = after.series("full", "step")
    gaps = after.get("/api/v1/status")["counters"]["gap_rows_total"]
    after.stop()
    publisher.close()
    assert series["step"] == series["value"] == list(range(step))
    assert gaps == {}
    outcome(36, f"0 of {step:,} rows lost, drawn meanwhile; stored {back_s:.1f} s after room came")


def test_a_disk_that_may_not_be_written_is_refused_at_the_start(small_disk: Path) -> None:
    """A server that could acknowledge nothing says so in one line instead of starting."""
    remount(small_disk, "ro")

    refused = refused_serve(small_disk / "data")

    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert "cannot be written" in line
    assert "--no-record" in line


def test_a_data_directory_that_is_moved_away_is_waited_for(
    serve: Serve, tmp_path: Path, outcome: Outcome
) -> None:
    """Nothing is acknowledged into files that nobody will find; put back, all is stored."""
    data, aside = tmp_path / "data", tmp_path / "aside"
    server = serve(data_dir=data)
    publisher = streamviz.Publisher(server.ingest, run="moved")
    send(publisher, 0, 100)
    assert publisher.flush(10)

    data.rename(aside)
    send(publisher, 100, 100)
    wait_until(lambda: journal(server)["kind"] == "failing", "it says that it waits")
    assert str(data) in str(journal(server)["detail"])
    wait_until(partial(is_drawn, server, "moved", 200), "drawing goes on")
    assert not publisher.flush(0.5)
    assert not data.exists()
    aside.rename(data)
    assert publisher.flush(BACK_S)
    publisher.close()
    server.kill()

    after = serve(data_dir=data)
    [series] = after.series("moved", "step")
    after.stop()
    assert series["step"] == series["value"] == list(range(200))
    outcome(42, "moved away and back: 0 of 200 rows lost, drawn meanwhile")


def test_two_servers_do_not_share_a_directory(
    serve: Serve, tmp_path: Path, outcome: Outcome
) -> None:
    """The second is refused in one line that names the first; a killed one leaves no lock."""
    first = serve(data_dir=tmp_path)

    refused = refused_serve(tmp_path)

    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert f"process {first.process.pid}" in line
    assert str(tmp_path) in line
    first.kill()
    second = serve(data_dir=tmp_path)
    assert second.stop() == 0
    outcome(38, "the second server ends with one line that names the first one's process")


def refused_serve(data: Path) -> subprocess.CompletedProcess[str]:
    """Start a server that is to be refused."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "streamviz", "serve", str(data)),
            *("--port", "0", "--ingest", "tcp://127.0.0.1:0"),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
