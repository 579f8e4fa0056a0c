"""What recording costs, what it takes on the disk, and how fast the past is read."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from benchmarks import Row, Settings, benchmark

from streamviz.counters import Counters
from streamviz.journal.directory import run_path
from streamviz.journal.entries import Commit, StreamRow, TableRows, WorkerRow
from streamviz.journal.history import History
from streamviz.journal.recorder import Recorder
from streamviz.journal.records import Record, pack
from streamviz.journal.runfile import RunFile
from streamviz.store.store import Store

METRICS, COMMIT_FRAMES = 10, 800
SLICE_ROWS = 1 << 20


@benchmark(repeats=3)
def journal(settings: Settings) -> Iterator[Row]:
    """Frames of one row, 800 a commit, on the disk and then in chunks; CPU of the process."""
    commits = settings.rounds(100)
    chance = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        file = new_run(Path(folder), "journal", METRICS)
        frames = commits * COMMIT_FRAMES
        rows = made("noise", chance, frames, METRICS)
        blobs = [
            b"".join(
                pack(record_of(rows, number)) for number in range(first, first + COMMIT_FRAMES)
            )
            for first in range(0, frames, COMMIT_FRAMES)
        ]
        began, waited = time.process_time(), time.perf_counter()
        for blob in blobs:
            file.commit(Commit(records=blob))
        cpu, waited = time.process_time() - began, time.perf_counter() - waited
        yield Row("journal: CPU a frame, 800 frames a commit", cpu / frames, "s", target=2e-6)
        yield Row("journal: a commit, fsync and all", waited / commits, "s")
        began = time.process_time()
        file.checkpoint([rows], file.last_journal_id)
        chunked = time.process_time() - began
        file.close()
        yield Row(
            f"the same and chunked, {METRICS} metrics a frame",
            (cpu + chunked) / frames,
            "s",
            target=4e-6,
        )


@benchmark(repeats=1)
def disk(settings: Settings) -> Iterator[Row]:
    """Bytes on the disk for each value, step and time included, once it is in chunks."""
    rows = settings.rounds(200_000)
    chance = np.random.default_rng(1)
    for kind, what in (
        ("loss", "a loss (float32)"),
        ("schedule", "a learning rate (float64)"),
        ("milliseconds", "milliseconds with three decimals"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            file = new_run(Path(folder), kind, METRICS)
            file.checkpoint([made(kind, chance, rows, METRICS)], None)
            file.close()
            used = sum(path.stat().st_size for path in Path(folder).rglob("run.db*"))
        yield Row(f"on the disk, a value of {what}", used / rows / METRICS, "B", target=10.0)


@benchmark(repeats=1)
def past(settings: Settings) -> Iterator[Row]:
    """Read one long series from its file: everything as an overview, and a piece as it was sent."""
    points = settings.rounds(100_000_000)
    chance = np.random.default_rng(2)
    with tempfile.TemporaryDirectory() as folder:
        file = new_run(Path(folder), "long", 1)
        for first in range(0, points, SLICE_ROWS):
            count = min(SLICE_ROWS, points - first)
            file.checkpoint([made("loss", chance, count, 1, first=first)], None)
        file.close()
        history = History(Path(folder))
        name = f"{points:.0e} points".replace("e+0", "0^")
        overview = median_of(lambda: history.query("long", "m/0", points=1_000))
        yield Row(f"overview of a series of {name}", overview, "s", target=0.05)
        middle = points // 2
        piece = median_of(
            lambda: history.query("long", "m/0", start=middle, stop=middle + 9_999, points=10_000)
        )
        yield Row(f"10,000 points of a series of {name}, as sent", piece, "s", target=0.05)


@benchmark(repeats=1)
def restart(settings: Settings) -> Iterator[Row]:
    """Call a run back into memory, as a start does."""
    width = 100
    rows = settings.rounds(100_000)
    with tempfile.TemporaryDirectory() as folder:
        file = new_run(Path(folder), "again", width)
        file.checkpoint([made("loss", np.random.default_rng(3), rows, width)], None)
        file.close()
        recorder = Recorder(Path(folder), 20 << 30, Counters())
        store = Store(2 << 30)
        began = time.perf_counter()
        for found in recorder.restore_all(store):
            assert not isinstance(found, str), found
        seconds = time.perf_counter() - began
        recorder.stop()
    assert store.usage().series == width
    yield Row(f"{rows * width:,} values back in memory after a restart", seconds, "s", target=5.0)


def new_run(directory: Path, run: str, width: int) -> RunFile:
    """Make a file with one worker and one table."""
    file = RunFile.create(run_path(directory, run), run, 1e9)
    stream = bytes(16)
    worker = WorkerRow(
        **dict.fromkeys(("index", "rank", "attempt", "local_rank", "pid"), 0),
        world_size=1,
        host="h",
        library="0",
        started=1e9,
        last_time=1e9,
        last_step=None,
        ended=None,
        stream=stream,
    )
    place = StreamRow(index=0, stream=stream, worker=0, next_seq=0, next_row=0, sent=0)
    names = tuple(f"m/{number}" for number in range(width))
    file.commit(Commit(tables=[(0, names)], workers=[worker], streams=[place]))
    return file


def made(
    kind: str, chance: np.random.Generator, rows: int, width: int, *, first: int = 0
) -> TableRows:
    """Return rows of one kind of values."""
    steps = np.arange(first, first + rows, dtype=np.int64)
    shape = (rows, width)
    if kind == "loss":
        falling = 2.0 * np.exp(-steps / 5e4)[:, None]
        values = np.float64(np.float32(falling + 0.05 * chance.standard_normal(shape)))
    elif kind == "schedule":
        values = (
            3e-4
            * 0.5
            * (1 + np.cos(np.pi * (steps[:, None] % 10**5) / 10**5))
            / (1 + np.arange(width))
        )
    elif kind == "milliseconds":
        values = np.round(20 + chance.gamma(2.0, 3.0, shape), 3)
    else:
        values = chance.standard_normal(shape)
    times = 1.7e9 + steps * 0.1 + chance.normal(0.0, 1e-3, rows)
    return TableRows(table=0, worker=0, first=first, steps=steps, times=times, values=values)


def record_of(rows: TableRows, number: int) -> Record:
    """Return the record of a frame of one row."""
    one = slice(number, number + 1)
    return Record(
        *(0, 0, 0, number, number + 1, number + 1),
        rows.steps[one],
        rows.times[one],
        rows.values[one],
    )


def median_of(ask: object) -> float:
    """Return the median time of some askings, after a first one."""
    assert callable(ask)
    ask()
    times = []
    for _ in range(9):
        began = time.perf_counter()
        assert ask() is not None
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]
