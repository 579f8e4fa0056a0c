"""``streamviz replay``: a run's file and a spill file, through a real server, as they were."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import EPOCH, RunMaker, table_rows
from serving import ServerProcess, wait_until

import streamviz
from streamviz.cli import run as run_command
from streamviz.journal.directory import run_path
from streamviz.journal.entries import TableRows
from streamviz.journal.nodes import WINDOW
from streamviz.journal.playback import Playback
from streamviz.store.gaps import Gap

STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """End what a test that failed has left."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


def replay(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start a replay."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streamviz", "replay", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    STARTED.append(process)
    return process


def replayed(*arguments: str | Path) -> str:
    """Replay to the end, and return what was said; the exit code says that all went well."""
    process = replay(*arguments)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


def floats(values: list[float | str]) -> bytes:
    """Return the bits of what the API answers, in which NaN and infinities are text."""
    return np.array([float(value) for value in values]).tobytes()


def test_a_recorded_run_comes_back_as_it_was(server: ServerProcess, tmp_path: Path) -> None:
    """Values, steps, times, attempts, endings, gaps and configuration are those of the file."""
    made = RunMaker(tmp_path)
    made.worker(0, 0, ended="RuntimeError", rows=1500)
    made.worker(1, 1, rows=1500)
    made.worker(2, 0, attempt=1, rows=2000)
    for worker in (0, 1):
        made.chunk(table_rows(worker, range(1200)))
        made.journal(table_rows(worker, range(1200, 1500), first=1200))
    made.journal(table_rows(2, range(1400, 2000)))
    made.gap(1, Gap(700, 710, EPOCH + 70, EPOCH + 71, 11, "buffer full"))
    made.close()

    said = replayed(
        *("made", "--data-dir", tmp_path, "--endpoint", server.ingest),
        *("--speed", "max", "--keep-times"),
    )

    assert "3,611 of 3,611 rows sent, 3,611 acknowledged" in said
    name = "made (replay)"
    wait_until(
        lambda: {worker["state"] for worker in server.workers(name)} == {"done", "failed"},
        "all have ended",
    )
    assert sorted(
        (one["rank"], one["attempt"], one["state"], one["host"], one["last_step"])
        for one in server.workers(name)
    ) == [
        (0, 0, "failed", "node0", 1499),
        (0, 1, "done", "node0", 1999),
        (1, 0, "done", "node1", 1499),
    ]
    found = {(one["rank"], one["attempt"]): one for one in server.series(name, "train/loss")}
    for worker, key, steps in (
        (0, (0, 0), range(1500)),
        (1, (1, 0), range(1500)),
        (2, (0, 1), range(1400, 2000)),
    ):
        expected = table_rows(worker, steps)
        assert found[key]["step"] == list(steps)
        assert floats(found[key]["value"]) == expected.values[:, 0].tobytes()
        assert floats(found[key]["time"]) == expected.times.tobytes()
    assert server.count("gap_rows_total") == 11
    assert server.count("frames_bad_total") == 0


def test_every_bit_survives(server: ServerProcess, tmp_path: Path) -> None:
    """NaN and infinities, signed zeros and subnormals are sent as they were recorded."""
    values = [0.1, -0.0, 5e-324, 1e308, math.nan, math.inf, -math.inf]
    steps = np.arange(len(values))
    rows = TableRows(
        table=0,
        worker=0,
        first=0,
        steps=steps,
        times=np.array(EPOCH + steps, np.float64),
        values=np.array([values, values]).T.copy(),
    )
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.chunk(rows)

    # By its path, while its writer has it open.
    replayed(made.path, "--endpoint", server.ingest, "--speed", "max", "--as", "bits")
    made.close()

    [series] = server.series("bits", "train/lr")
    assert floats(series["value"]) == np.array(values).tobytes()


def test_a_part_of_a_run(server: ServerProcess, tmp_path: Path) -> None:
    """Ranks and steps choose, under any name; what lies outside is not sent."""
    made = RunMaker(tmp_path)
    for rank in range(4):
        made.worker(rank, rank)
        made.chunk(table_rows(rank, range(3000)))
    path = made.close()

    said = replayed(
        *(path, "--endpoint", server.ingest, "--speed", "max", "--as", "part"),
        *("--rank", "1,3-9", "--start", "1000", "--stop", "1009"),
    )

    assert "20 rows sent, 20 acknowledged" in said
    series = server.series("part", "train/loss")
    assert [one["rank"] for one in series] == [1, 3]
    assert all(one["step"] == list(range(1000, 1010)) for one in series)


def test_it_looks_live(server: ServerProcess, tmp_path: Path) -> None:
    """Ranks come side by side, heartbeats keep them live, and times are moved to now."""
    made = RunMaker(tmp_path)
    for rank in range(8):
        made.worker(rank, rank, rows=2000)
        made.chunk(table_rows(rank, range(2000)))
    path = made.close()
    process = replay(path, "--endpoint", server.ingest, "--speed", "4", "--as", "live")

    def under_way() -> list[dict[str, Any]] | None:
        workers = server.workers("live")
        return workers if sum((one["last_step"] or 0) > 20 for one in workers) == 8 else None

    workers = wait_until(under_way, "all ranks have come some way")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)

    assert process.returncode == 0, said
    assert {one["state"] for one in workers} == {"live"}
    assert all(one["last_step"] < 1999 for one in workers)
    [series] = server.series("live", "train/loss", rank=3)
    assert series["step"] == list(range(len(series["step"])))
    assert np.diff(series["time"]) == pytest.approx(
        np.full(len(series["step"]) - 1, 0.025), abs=1e-5
    )
    assert series["time"][0] > EPOCH + 1e7


def test_a_spill_file_is_replayed_and_stays(server: ServerProcess, tmp_path: Path) -> None:
    """What a process without a network wrote is shown as a run, and can still be delivered."""
    with streamviz.Publisher(
        run="alone", mode="file", spill_dir=str(tmp_path), rank=2, world_size=4
    ) as publisher:
        for step in range(100):
            publisher.send({"m": step / 7}, step=step)
    [path] = tmp_path.glob("*.spill")
    before = path.read_bytes()

    said = replayed(path, "--endpoint", server.ingest, "--speed", "max", "--as", "shown")

    assert "100 of 100 rows sent, 100 acknowledged" in said
    [series] = server.series("shown", "m")
    assert (series["rank"], series["step"]) == (2, list(range(100)))
    assert floats(series["value"]) == (np.arange(100) / 7).tobytes()
    wait_until(lambda: server.workers("shown")[0]["state"] == "done", "it has ended as recorded")
    assert path.read_bytes() == before


def test_a_server_killed_in_mid_replay_has_every_row_once(tmp_path: Path) -> None:
    """Over a kill -9 and a restart the recording of the replay is the recording, bit for bit."""
    made = RunMaker(tmp_path / "made")
    for rank in range(8):
        made.worker(rank, rank, rows=20_000)
        made.chunk(table_rows(rank, range(20_000)))
    made.close()
    served = tmp_path / "served"
    first = ServerProcess(data_dir=served)
    STARTED.append(first.process)
    # Two thousand recorded seconds in two.
    process = replay(
        *("made", "--data-dir", tmp_path / "made", "--endpoint", first.ingest),
        *("--speed", "1000", "--keep-times", "--as", "again"),
    )
    wait_until(
        lambda: any((one["last_step"] or 0) > 4000 for one in first.workers("again")),
        "it is under way",
    )

    first.kill()
    second = ServerProcess(data_dir=served, ingest=first.ingest)
    STARTED.append(second.process)

    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "160,000 of 160,000 rows sent, 160,000 acknowledged" in said
    assert second.stop() == 0
    recorded = Playback(run_path(served, "again"))
    ranks = {worker.rank: index for index, worker in recorded.head.workers.items()}
    assert sorted(ranks) == list(range(8))
    for rank, worker in ranks.items():
        expected = table_rows(rank, range(20_000))
        pieces = list(recorded.rows(0, worker))
        for column in ("steps", "times", "values"):
            found = np.concatenate([getattr(piece, column) for piece in pieces])
            assert found.tobytes() == getattr(expected, column).tobytes()
    assert list(recorded.head.gaps) == []
    recorded.close()


def test_what_is_damaged_is_said(server: ServerProcess, tmp_path: Path) -> None:
    """Rows that cannot be read are left out, counted, and make the exit code 1."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.chunk(table_rows(0, range(3 * WINDOW)))
    path = made.close()
    connection = sqlite3.connect(path)
    connection.execute(
        "DELETE FROM part WHERE id / 8192 = (SELECT id FROM chunk WHERE level = 0 AND first = ?)",
        (WINDOW,),
    )
    connection.commit()
    connection.close()

    process = replay(path, "--endpoint", server.ingest, "--speed", "max", "--as", "damaged")
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert f"about {WINDOW} rows of {path} are damaged and were not sent" in said
    [series] = server.series("damaged", "train/loss")
    assert series["step"] == [*range(WINDOW), *range(2 * WINDOW, 3 * WINDOW)]


def test_a_stopped_replay_says_goodbye(server: ServerProcess, tmp_path: Path) -> None:
    """Ctrl-C ends it within seconds; its workers have ended, and everything sent is there."""
    made = RunMaker(tmp_path)
    made.worker(0, 0, rows=100_000)
    made.chunk(table_rows(0, range(100_000)))
    process = replay(made.close(), "--endpoint", server.ingest, "--as", "stopped", "--speed", "5")
    wait_until(lambda: server.series("stopped", "train/loss"), "it is under way")

    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)

    assert process.returncode == 0, said
    wait_until(lambda: server.workers("stopped")[0]["state"] == "failed", "it said goodbye")
    [series] = server.series("stopped", "train/loss")
    assert f"{len(series['step']):,} of 100,000 rows sent" in said


def test_sixty_four_ranks_in_one_process(server: ServerProcess, tmp_path: Path) -> None:
    """Many ranks are replayed by one process, each with all of its rows."""
    made = RunMaker(tmp_path)
    for rank in range(64):
        made.worker(rank, rank)
        made.journal(table_rows(rank, range(500)))

    replayed(made.close(), "--endpoint", server.ingest, "--speed", "max", "--as", "many")

    series = server.series("many", "train/loss")
    assert [one["rank"] for one in series] == list(range(64))
    for one in series:
        assert floats(one["value"]) == table_rows(one["rank"], range(500)).values[:, 0].tobytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing",), "SOURCE: found 'nothing', expected a run in"),
        ((__file__,), "expected a run's file or a spill file"),
        (("made", "--rank", "7"), "--rank: found '7', expected ranks that 'made' has"),
        (("made", "--start", "9", "--stop", "3"), "--stop: found 3, expected a step from 9 on"),
        (("made", "--endpoint", "here"), "found 'here', expected tcp://HOST:PORT"),
        (("made", "--as", "a\nb"), "--as: found 'a\\nb', expected a legal name"),
    ],
)
def test_a_wrong_call_is_one_line(
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is wrong is named with what is allowed, and the exit code is 2."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.journal(table_rows(0, range(10)))
    made.close()

    assert run_command(["replay", *arguments, "--data-dir", str(tmp_path)]) == 2

    said = capsys.readouterr().err
    assert said.startswith("streamviz: ")
    assert said.count("\n") == 1
    assert words in said
