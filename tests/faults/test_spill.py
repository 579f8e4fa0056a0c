"""What no server took: it waits on disk, comes later, once; and a bad disk ends nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import ServerProcess, wait_until

import streamviz
from streamviz.clock import monotonic_time
from streamviz.publisher.spill import LockedFile

NOWHERE = "tcp://127.0.0.1:9"
Outcome = Callable[[int, str], None]


def sync(directory: Path, endpoint: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Deliver what lies in a directory."""
    command = [sys.executable, "-m", "streamviz", "sync", str(directory), *arguments]
    return subprocess.run(
        [*command, "--endpoint", endpoint],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def leave(directory: Path, rows: int, *, run: str = "left", rank: int = 0, start: int = 0) -> Path:
    """Let a process without a network leave rows in a directory; return the file."""
    before = set(directory.iterdir()) if directory.exists() else set()
    with streamviz.Publisher(run=run, rank=rank, mode="file", spill_dir=directory) as publisher:
        for step in range(start, start + rows):
            publisher.send({"m": float(step)}, step=step)
            if step % 2000 == 0:
                assert publisher.flush(10)
    [path] = set(directory.iterdir()) - before
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 256 KiB of its own."""
    if os.getuid() != 0:
        pytest.skip("mounting takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def flood(publisher: streamviz.Publisher, rows: int) -> None:
    """Send rows that all reach a frame."""
    for step in range(rows):
        publisher.send({"m": float(step)}, step=step)
        if step % 4000 == 0:
            wait_until(lambda: not publisher._rows, "the outbox is framed")
    wait_until(lambda: not publisher._rows, "the outbox is framed")


@pytest.mark.parametrize("fault", ["full", "read-only", "gone"])
def test_a_bad_disk_costs_only_what_it_should_have_kept(
    small_disk: Path, fault: str, caplog: pytest.LogCaptureFixture, outcome: Outcome
) -> None:
    """On a disk that fills up, or was read-only, the oldest become a gap; training goes on."""
    where = small_disk / "spill"
    if fault == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    elif fault == "gone":
        where = small_disk / "file" / "below"
        (small_disk / "file").write_text("")
    first = ServerProcess()
    endpoint = first.ingest
    first.stop()
    publisher = streamviz.Publisher(endpoint, run="disk", spill_dir=where, buffer_bytes=100_000)
    flood(publisher, 40_000)
    totals = publisher.totals()
    assert publisher._stream.outgoing.held_bytes <= 100_000 + 70_000
    assert totals.sent == 40_000
    assert totals.dropped["buffer full"] > 10_000
    assert (totals.spilled > 1000) == (fault == "full")
    warned = [record.getMessage() for record in caplog.records]
    assert sum("the spill file" in message for message in warned) == 1, warned

    # The server comes: everything that was kept arrives, the rest is drawn.
    server = ServerProcess(ingest=endpoint)
    try:
        assert publisher.flush(20)
        publisher.close()
        stored, drawn = server.count("rows_received_total"), server.count("gap_rows_total")
        [series] = server.series("disk", "m")
    finally:
        server.stop()
    dropped = sum(publisher.totals().dropped.values())
    assert (stored + drawn, drawn) == (40_000, dropped)
    assert series["step"] == sorted(set(series["step"]))
    if fault == "full":
        outcome(12, f"full, read-only, gone: 1 warning each, {drawn:,} of 40,000 drawn, 0 lost")


def test_sync_delivers_once(server: ServerProcess, tmp_path: Path) -> None:
    """What is there already is not stored again; a file goes when it is delivered; 0 says all."""
    first, second = leave(tmp_path, 3000), leave(tmp_path, 500, rank=1)

    kept = sync(tmp_path, server.ingest, "--keep")
    assert kept.returncode == 0, kept.stdout + kept.stderr
    assert {path.name for path in tmp_path.iterdir()} == {first.name, second.name}
    again = sync(tmp_path, server.ingest)
    assert again.returncode == 0
    assert again.stdout.count("0 frames sent") == 2
    assert "there before" in again.stdout
    assert list(tmp_path.iterdir()) == []
    empty = sync(tmp_path, server.ingest)
    assert (empty.returncode, empty.stdout) == (0, f"nothing to deliver in {tmp_path}\n")

    lengths = [len(entry["step"]) for entry in server.series("left", "m")]
    assert lengths == [3000, 500]
    assert server.count("rows_received_total") == 3500
    wait_until(
        lambda: all(worker["state"] == "done" for worker in server.workers("left")),
        "both have ended",
    )


def test_sync_says_what_it_could_not_do(server: ServerProcess, tmp_path: Path) -> None:
    """Files of others, torn ones and living ones each get their line; 1 says that some stay."""
    torn = leave(tmp_path, 3000)
    torn.write_bytes(torn.read_bytes()[:-200])
    (tmp_path / "photo.spill").write_bytes(b"GIF89a")
    (tmp_path / "later.spill").write_bytes(b"streamviz spill\x02")
    (tmp_path / "cut.spill").write_bytes(b"streamviz")
    living = LockedFile.create(tmp_path / "living.spill")

    done = sync(tmp_path, server.ingest)
    living.close()

    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert done.returncode == 1
    assert "at the end are torn and left out" in lines[torn.name]
    assert "its process was killed" in lines[torn.name]
    assert "it is no spill file" in lines["photo.spill"]
    assert "version 2" in lines["later.spill"]
    assert "nothing in it is whole" in lines["cut.spill"]
    assert "alive" in lines["living.spill"]
    assert lines["not delivered"].startswith("3 of 5 files")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"photo.spill", "later.spill", "living.spill"}


def test_sync_without_a_server_keeps_everything(tmp_path: Path) -> None:
    """With nobody there it says so once, with exit code 1, and leaves the files."""
    files = {leave(tmp_path, 10), leave(tmp_path, 10)}

    done = sync(tmp_path, NOWHERE, "--wait", "0.5")

    assert done.returncode == 1
    assert "no streamviz server is there" in done.stdout
    assert "not delivered: 2 of 2 files" in done.stdout
    assert set(tmp_path.iterdir()) == files
    command = [sys.executable, "-m", "streamviz", "sync", str(tmp_path), "--wait", "0.2"]
    environ = {**os.environ, "STREAMVIZ_ENDPOINT": "tcp://127.0.0.1:19"}
    by_variable = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert "not delivered to tcp://127.0.0.1:19" in by_variable.stdout
    wrong = sync(tmp_path / "nowhere", NOWHERE)
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == 1


def test_the_next_start_delivers_what_was_left(server: ServerProcess, tmp_path: Path) -> None:
    """A rank's files of its run come in behind its live rows; other ranks' and runs' stay."""
    mine = [leave(tmp_path, 20_000), leave(tmp_path, 20_000, start=20_000)]
    others = {leave(tmp_path, 10, rank=1), leave(tmp_path, 10, run="other")}

    with streamviz.Publisher(server.ingest, run="left", spill_dir=tmp_path) as publisher:
        slowest = 0.0
        for step in range(40_000, 40_040):
            publisher.send({"m": float(step)}, step=step)
            began = monotonic_time()
            assert publisher.flush(10)
            slowest = max(slowest, monotonic_time() - began)
        wait_until(lambda: not any(path.exists() for path in mine), "both are delivered")
        assert set(tmp_path.iterdir()) == others
    assert slowest < 2.0
    steps = sorted(
        step for entry in server.series("left", "m", points=50_000) for step in entry["step"]
    )
    assert steps == list(range(40_040))


def test_two_processes_share_out_the_files(server: ServerProcess, tmp_path: Path) -> None:
    """Several that deliver one directory at a time send each file once between them."""
    for rank in range(6):
        leave(tmp_path, 2000, rank=rank)
    command = [sys.executable, "-m", "streamviz", "sync", str(tmp_path)]
    running = [
        subprocess.Popen([*command, "--endpoint", server.ingest], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = "".join(process.communicate(timeout=60)[0] for process in running)

    assert list(tmp_path.iterdir()) == []
    assert said.count("frames sent") + said.count("1 frame sent") == 6
    assert server.count("rows_received_total") == 12_000
    assert server.count("frames_duplicate_total") == 0


def test_a_courier_that_is_killed_is_taken_over(server: ServerProcess, tmp_path: Path) -> None:
    """A sync that is killed in the middle leaves the file, and the next one sends the rest."""
    path = leave(tmp_path, 60_000)
    command = [sys.executable, "-m", "streamviz", "sync", str(tmp_path)]
    first = subprocess.Popen(
        [*command, "--endpoint", server.ingest], stdout=subprocess.PIPE, text=True
    )
    wait_until(lambda: server.count("rows_received_total") > 0, "some of it has arrived")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    if path.exists():
        assert sync(tmp_path, server.ingest).returncode == 0

    assert list(tmp_path.iterdir()) == []
    assert server.count("rows_received_total") == 60_000


def test_a_new_attempt_is_drawn_apart(server: ServerProcess, outcome: Outcome) -> None:
    """Steps taken back after new_attempt are another attempt; both are whole, nothing waits."""
    publisher = streamviz.Publisher(server.ingest, run="again")
    slowest = 0.0
    for attempt in range(3):
        for step in range(200):
            publisher.send({"m": float(attempt)}, step=step)
        began = monotonic_time()
        if attempt < 2:
            publisher.new_attempt()
        slowest = max(slowest, monotonic_time() - began)
    assert publisher.flush(10)
    totals = publisher.totals()
    publisher.close()

    series = server.series("again", "m")
    assert [(entry["attempt"], set(entry["value"])) for entry in series] == [
        (attempt, {float(attempt)}) for attempt in range(3)
    ]
    assert all(entry["step"] == list(range(200)) for entry in series)
    assert (totals.sent, totals.held) == (600, 0)
    assert slowest < 1.0
    wait_until(lambda: server.workers("again")[-1]["state"] == "done", "the last has ended")
    assert server.count("duplicate_ranks_total") == 0
    outcome(26, "three attempts in one process by new_attempt(): three lines, each whole")


def test_attempts_without_a_server_are_kept_or_counted(tmp_path: Path) -> None:
    """Attempts that no server took are each a file; there is a limit, and the end stays quick."""
    program = f"""
        import time, streamviz
        publisher = streamviz.Publisher("{NOWHERE}", run="many", spill_dir="{tmp_path}")
        for attempt in range(12):
            publisher.send({{"m": 1.0}}, step=0)
            publisher.new_attempt()
        publisher.send({{"m": 1.0}}, step=0)
        print(publisher.totals().sent, time.monotonic(), flush=True)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    end = monotonic_time()

    assert ended.returncode == 0, ended.stderr
    sent, last_line = ended.stdout.split()
    assert sent == "13"
    assert end - float(last_line) < 2.0
    assert "earlier attempts are still being delivered" in ended.stderr
    assert len(list(tmp_path.iterdir())) == 9
