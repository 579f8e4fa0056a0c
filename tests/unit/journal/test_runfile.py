"""One run's file: what was committed is there, what failed is not, what is old gives way."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recorded import RunMaker, table_rows

from streamviz.errors import DiskError, NewerFile
from streamviz.journal.connection import WAL_BYTES
from streamviz.journal.entries import Commit, TableRows
from streamviz.journal.history import History
from streamviz.journal.nodes import FAN, WINDOW
from streamviz.journal.records import Record, pack
from streamviz.journal.runfile import RunFile
from streamviz.store.gaps import Gap

GROUP = FAN * WINDOW


def record_of(rows: TableRows) -> bytes:
    """Return rows as one journal record of stream 0."""
    end = rows.first + rows.steps.size
    numbers = (0, rows.worker, rows.table, rows.first, end, end)
    return pack(Record(*numbers, rows.steps, rows.times, rows.values))


def noisy(begin: int, end: int) -> TableRows:
    """Return rows whose values do not compress."""
    rows = table_rows(0, range(begin, end), first=begin)
    values = np.random.default_rng(begin).standard_normal(rows.values.shape)
    values[0] = [-5e9, 5e9]
    return replace(rows, values=values)


def levels(path: Path) -> dict[int, int]:
    """Return how many nodes of each level a file has."""
    with sqlite3.connect(path) as connection:
        return dict(connection.execute("SELECT level, count(*) FROM chunk GROUP BY level"))


def test_everything_committed_is_there_after_opening(tmp_path: Path) -> None:
    """Workers, streams, tables, gaps, configuration and rows come back as they were."""
    made = RunMaker(tmp_path, "a run")
    made.worker(0, 3, attempt=1, ended=None, rows=5)
    gap = Gap(1, 2, 3.0, 4.5, 6, "the buffer was full")
    made.gap(0, gap)
    before = made.file.head()
    stream = before.streams[0]
    made.file.commit(Commit(records=record_of(table_rows(0, range(9))), config={"lr": 0.2}))
    made.close()

    file = RunFile.open(made.path)
    head = file.head()

    assert file.losses == ()
    assert (head.run, head.started, head.config) == ("a run", 1_700_000_000.0, {"lr": 0.2})
    assert head.workers == before.workers
    assert head.tables == {0: ("train/loss", "train/lr")}
    assert head.gaps == [(0, gap)]
    assert head.streams == {0: replace(stream, next_seq=9, next_row=9)}
    [(number, record)] = file.journal()
    assert number == file.last_journal_id
    assert record.steps.tolist() == list(range(9))
    assert record.values.tobytes() == table_rows(0, range(9)).values.tobytes()
    file.close()


def test_a_stream_stays_at_its_mark_when_its_rows_are_chunked(tmp_path: Path) -> None:
    """Between a checkpoint's slices the journal's marks count, though its rows are skipped."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    rows = table_rows(0, range(10))
    made.file.commit(Commit(records=record_of(rows)))

    made.file.checkpoint([rows], None)

    assert list(made.file.journal()) == []
    assert made.file.head().streams[0].next_seq == 10
    made.close()


def test_rows_are_skipped_up_to_the_mark(tmp_path: Path) -> None:
    """A record that is chunked in part gives the rest."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.file.commit(Commit(records=record_of(table_rows(0, range(10)))))

    made.chunk(table_rows(0, range(4)))

    [(_, record)] = made.file.journal()
    assert (record.first, record.steps.tolist()) == (4, list(range(4, 10)))
    assert made.file.marks() == {(0, 0): 4}
    made.close()


def test_a_checkpoint_deletes_the_journal_it_was_told_to(tmp_path: Path) -> None:
    """Rows of the journal go up to a number; those after it stay."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.file.commit(Commit(records=record_of(table_rows(0, range(5)))))
    first = made.file.last_journal_id
    made.file.commit(Commit(records=record_of(table_rows(0, range(5, 8), first=5))))

    made.file.checkpoint([table_rows(0, range(5))], first)

    assert [number for number, _ in made.file.journal()] == [first + 1]
    made.close()


def test_segments_become_one_leaf_when_their_window_is_full(tmp_path: Path) -> None:
    """Checkpoints of any size leave one leaf of every window that is past."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    for begin in range(0, 2 * WINDOW + 100, 100):
        made.chunk(table_rows(0, range(begin, begin + 100), first=begin))
    last = made.file.recent(0, 0, 150)
    made.close()

    with sqlite3.connect(made.path) as connection:
        sizes = [size for (size,) in connection.execute("SELECT size FROM chunk ORDER BY first")]
    assert sizes[:2] == [WINDOW, WINDOW]
    assert sum(sizes) == 2200
    assert last is not None
    assert last.steps[-1] == 2199
    assert last.values.tobytes() == table_rows(0, range(last.first, 2200)).values.tobytes()


def test_many_small_segments_are_joined_before_their_window_is_full(tmp_path: Path) -> None:
    """A slow run's newest rows lie in a bounded number of leaves."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    for step in range(100):
        made.chunk(table_rows(0, range(step, step + 1), first=step))
    made.close()

    assert levels(made.path)[0] <= 17
    assert sum(rows.steps.size for rows in History(tmp_path).rows("made")) == 100


def test_blocks_stand_above_full_groups(tmp_path: Path) -> None:
    """Sixteen windows have a block, sixteen blocks have one again, and each is there once."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    size = 17 * GROUP + 5
    for begin in range(0, size, 50_000):
        made.chunk(table_rows(0, range(begin, min(size, begin + 50_000)), first=begin))
    made.close()

    assert levels(made.path) == {0: 17 * 16 + 1, 1: 17, 2: 1}
    grid = History(tmp_path).grid("made", "train/lr", workers=[0], points=100)
    assert grid is not None
    assert (grid.count.sum(), grid.vmin.min(), grid.vmax.max()) == (size, -(size - 1), 0)


def test_shrinking_deletes_the_oldest_and_keeps_its_overview(tmp_path: Path) -> None:
    """What was deleted is answered more coarsely, never left out; the newest tenth stays."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    size = 20 * GROUP
    for begin in range(0, size, GROUP):
        made.chunk(noisy(begin, begin + GROUP))
    made.file.settle()
    before = made.file.bytes_used

    freed = made.file.shrink(before // 4)

    assert before // 4 <= freed <= before // 2
    assert made.file.bytes_used <= before - freed // 2
    assert levels(made.path)[1] == 20
    while made.file.shrink(before):
        pass
    assert made.file.shrink(before) == 0
    made.close()
    assert levels(made.path)[0] >= 2 * FAN
    history = History(tmp_path)
    newest = history.query("made", "train/lr", start=size - GROUP, points=GROUP)
    oldest = history.grid("made", "train/lr", workers=[0], start=0, stop=GROUP - 1, points=GROUP)
    whole = history.grid("made", "train/lr", workers=[0], points=200)
    assert newest is not None
    assert newest.resolution == "raw"
    assert oldest is not None
    assert not oldest.complete
    assert oldest.shift > 0
    assert whole is not None
    assert (whole.count.sum(), whole.vmax.max()) == (size, 5e9)
    assert history.losses("made") == []


def test_shrinking_a_run_of_few_rows_a_rank_coarsens_it_too(tmp_path: Path) -> None:
    """Rows too few for a block get one, and those that come later are counted once all the same."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.chunk(noisy(0, 3000))

    freed = made.file.shrink(10**9)

    assert freed > 2 * 8 * 2 * WINDOW * 0.7
    assert made.file.shrink(10**9) == 0
    history = History(tmp_path)
    coarse = history.grid("made", "train/lr", workers=[0], points=3000)
    assert coarse is not None
    assert not coarse.complete
    assert (coarse.count.sum(), coarse.vmax.max()) == (3000, 5e9)
    newest = history.query("made", "train/lr", start=2048, points=3000)
    assert newest is not None
    assert newest.resolution == "raw"

    for begin in range(3000, 20 * GROUP, GROUP):
        made.chunk(noisy(begin, min(20 * GROUP, begin + GROUP)))
    made.close()

    assert levels(made.path) == {0: 20 * FAN - 2, 1: 21, 2: 1}
    whole = history.grid("made", "train/lr", workers=[0], points=100)
    assert whole is not None
    assert (whole.complete, whole.count.sum()) == (True, 20 * GROUP)
    found = [rows.steps for rows in history.rows("made")]
    assert np.concatenate(found).tolist() == list(range(2048, 20 * GROUP))
    assert history.losses("made") == []


def test_a_reader_sees_one_moment_beside_the_writer(tmp_path: Path) -> None:
    """A reading that began before a commit sees nothing of it, and does not hold it up."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.chunk(table_rows(0, range(WINDOW)))
    scan = History(tmp_path).rows("made")
    first = next(scan)
    made.chunk(table_rows(0, range(WINDOW, 2 * WINDOW), first=WINDOW))
    made.journal(table_rows(0, range(2 * WINDOW, 2 * WINDOW + 5), first=2 * WINDOW))

    steps = [first.steps, *(rows.steps for rows in scan)]

    assert np.concatenate(steps).tolist() == list(range(2 * WINDOW + 5))
    made.close()


def test_the_write_ahead_log_stays_bounded(tmp_path: Path) -> None:
    """Settling after each commit keeps the log near its size, however much is committed."""
    made = RunMaker(tmp_path)
    log = made.path.with_name(made.path.name + "-wal")
    largest = 0
    for _ in range(40):
        made.file.commit(Commit(records=b""))
        made.file.commit(Commit(records=record_of(table_rows(0, range(30_000)))))
        made.file.checkpoint([], made.file.last_journal_id)
        made.file.settle()
        largest = max(largest, log.stat().st_size)

    assert largest <= 3 * WAL_BYTES
    assert made.file.bytes_used <= 6 * WAL_BYTES
    made.close()


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    """A file of a later version is refused by name, and not a byte of its folder changes."""
    path = RunMaker(tmp_path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA user_version = 7")
    connection.execute("DELETE FROM meta WHERE name = 'version'")
    connection.close()
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}

    with pytest.raises(NewerFile, match=r"version 7, .* reads up to 2.*left as it is"):
        RunFile.open(path)
    with pytest.raises(NewerFile, match="version 7"):
        History(tmp_path).grid("made", "train/lr", workers=[0])

    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_what_cannot_be_opened_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """A file that is not there, or a folder in its place, is said in one sentence."""
    with pytest.raises(DiskError, match="No such file"):
        RunFile.open(tmp_path / "run.db")
    (tmp_path / "run.db").mkdir()
    with pytest.raises(DiskError, match="directory"):
        RunFile.open(tmp_path / "run.db")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine does not allow mounts")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_takes_nothing_by_halves(small_disk: Path) -> None:
    """On a full disk commits and checkpoints fail as a whole, and go on once there is room."""
    made = RunMaker(small_disk)
    made.worker(0, 0)
    size = 0

    def commit_until_full() -> None:
        nonlocal size
        for _ in range(100):
            some = table_rows(0, range(size, size + 4000), first=size)
            made.file.commit(Commit(records=record_of(some)))
            size += 4000

    with pytest.raises(DiskError, match="disk is full") as error:
        commit_until_full()
    assert error.value.kind == "full"
    rows = table_rows(0, range(size))
    with pytest.raises(DiskError, match="disk is full"):
        made.file.checkpoint([rows], made.file.last_journal_id)
    assert made.file.marks() == {}
    assert sum(record.steps.size for _, record in made.file.journal()) == size

    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    more = table_rows(0, range(size, size + 4000), first=size)
    made.file.commit(Commit(records=record_of(more)))
    made.file.checkpoint([rows], made.file.last_journal_id - 1)
    made.file.settle()
    made.close()

    steps = [some.steps for some in History(small_disk).rows("made")]
    assert np.concatenate(steps).tolist() == list(range(size + 4000))
    assert RunFile.open(made.path).losses == ()


def test_a_disk_that_became_read_only_is_told_of(small_disk: Path) -> None:
    """A commit to a read-only disk fails as a whole, and the next one works after it."""
    made = RunMaker(small_disk)
    made.worker(0, 0)
    made.journal(table_rows(0, range(5)))
    made.file.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(DiskError) as error:
        made.file.commit(Commit(records=record_of(table_rows(0, range(5, 9), first=5))))
    assert error.value.kind == "failing"
    assert sum(rows.steps.size for rows in History(small_disk).rows("made")) == 5

    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    made.file.commit(Commit(records=record_of(table_rows(0, range(5, 9), first=5))))
    assert [record.steps.size for _, record in made.file.journal()] == [5, 4]
    made.close()
