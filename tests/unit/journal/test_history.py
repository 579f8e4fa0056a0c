"""The past of runs, read from their files beside whoever writes them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from recorded import EPOCH, RunMaker, table_rows

from streamviz.errors import ConfigError
from streamviz.journal.entries import Commit, TableRows
from streamviz.journal.history import History
from streamviz.journal.nodes import WINDOW
from streamviz.store.grid import FloatArray


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    """Every run has its name, its times and its bytes; what is no run's file is named."""
    first = RunMaker(tmp_path, "first")
    first.worker(0, 0, rows=50)
    first.close()
    RunMaker(tmp_path, "../second").close()
    strange = tmp_path / "runs" / "strange" / "run.db"
    strange.parent.mkdir()
    strange.write_text("not a database")
    history = History(tmp_path)

    found = history.runs()

    assert sorted(summary.run for summary in found) == ["../second", "first"]
    [summary] = [summary for summary in found if summary.run == "first"]
    assert (summary.started, summary.last_time) == (EPOCH, EPOCH + 5)
    assert summary.bytes == first.path.stat().st_size
    assert summary.path == first.path
    [sentence] = history.losses("strange")
    assert "damaged" in sentence
    assert "move it away" in sentence
    assert strange.read_text() == "not a database"


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    """No run, no such metric, no such worker: nothing, without an error."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.chunk(table_rows(0, range(5)))
    made.close()
    history = History(tmp_path)

    assert history.head("other") is None
    assert history.query("other", "train/loss") is None
    assert history.query("made", "other") is None
    assert history.grid("made", "train/loss", workers=[7]) is None
    assert list(history.rows("other")) == []
    empty = history.query("made", "train/loss", start=100)
    assert empty is not None
    assert empty.series == []
    with pytest.raises(ConfigError, match="points"):
        history.query("made", "train/loss", points=0)


def test_a_recorder_gives_what_it_has_in_hand(tmp_path: Path) -> None:
    """With a recorder the journal is not read; what is chunked by now is not given twice."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.worker(1, 1)
    made.chunk(table_rows(0, range(10)))
    made.journal(table_rows(0, range(10, 12), first=10))
    in_hand = [table_rows(0, range(8, 20), first=8), table_rows(1, range(3))]
    asked = []

    def pending(run: str) -> list[TableRows]:
        asked.append(run)
        return in_hand

    history = History(tmp_path, pending)
    result = history.query("made", "train/lr")

    assert asked == ["made"]
    assert result is not None
    assert [series.step.tolist() for series in result.series] == [list(range(20)), [0, 1, 2]]
    assert result.series[0].value.tolist() == [-float(step) for step in range(20)]
    made.close()


def test_columns_are_those_asked_for(tmp_path: Path) -> None:
    """Workers come in the order asked for; one without rows is an empty column."""
    made = RunMaker(tmp_path)
    for worker in range(3):
        made.worker(worker, worker)
        if worker < 2:
            made.chunk(table_rows(worker, range(100)))
    made.close()

    grid = History(tmp_path).grid("made", "train/loss", workers=[2, 1, 0])

    assert grid is not None
    assert grid.workers == (2, 1, 0)
    assert grid.count.sum(axis=0).tolist() == [0, 100, 100]
    assert grid.mean[7].tolist()[1:] == [1 + 7 / 3, 7 / 3]
    assert np.isnan(grid.mean[:, 0]).all()


def test_a_metric_of_several_tables_is_one(tmp_path: Path) -> None:
    """A metric that is sent with different others at times is put together again."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.file.commit(Commit(tables=[(1, ("eval/loss", "train/loss"))]))
    made.chunk(table_rows(0, range(0, 100, 2)))
    made.chunk(table_rows(0, range(1, 100, 2), table=1))
    made.close()

    result = History(tmp_path).query("made", "train/loss")

    assert result is not None
    [series] = result.series
    assert series.step.tolist() == list(range(100))
    assert series.value[1::2].tolist() == [-float(step) for step in range(1, 100, 2)]


def test_readers_beside_a_writer_see_whole_commits(tmp_path: Path) -> None:
    """While rows are committed and chunked, every reading is a beginning of what was sent."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    history = History(tmp_path)
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not stop.is_set():
            grid = history.grid("made", "train/lr", workers=[0], points=64)
            if grid is not None:
                seen.append(int(grid.count.sum()))
                if grid.vmin.min() != -(seen[-1] - 1):
                    seen.append(-1)
                    return

    reader = threading.Thread(target=read)
    reader.start()
    for begin in range(0, 30 * WINDOW, WINDOW // 2):
        rows = table_rows(0, range(begin, begin + WINDOW // 2), first=begin)
        made.journal(rows)
        made.file.checkpoint([rows], made.file.last_journal_id)
        made.file.settle()
    stop.set()
    reader.join()

    assert seen == sorted(seen)
    assert all(count % (WINDOW // 2) == 0 for count in seen)
    assert len(set(seen)) > 3
    made.close()


def loss() -> FloatArray:
    """Return a loss in single precision, as training has it."""
    noise = np.random.default_rng(1).standard_normal(100_000)
    return (np.exp(-np.arange(100_000) / 5e4) + 0.05 * noise).astype(np.float32).astype(np.float64)


def schedule() -> FloatArray:
    """Return a learning rate in double precision."""
    return np.array(1e-3 * (1 + np.cos(np.pi * np.arange(100_000) / 1e5)) / 2, np.float64)


def milliseconds() -> FloatArray:
    """Return durations with three decimals."""
    noise = np.random.default_rng(2).standard_normal(100_000)
    return np.array(np.round(120 + 5 * noise, 3), np.float64)


@pytest.mark.parametrize("values", [loss(), schedule(), milliseconds()], ids=["loss", "lr", "ms"])
def test_a_point_takes_few_bytes(tmp_path: Path, values: FloatArray) -> None:
    """Step, wall time, value and overview of a series of its own are below 10 bytes a point."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.file.commit(Commit(tables=[(1, ("value",))]))
    steps = np.arange(values.size)
    times = EPOCH + steps * 0.1 + np.random.default_rng(3).random(values.size) * 1e-3
    empty = made.file.bytes_used

    made.chunk(
        TableRows(
            table=1, worker=0, first=0, steps=steps, times=times, values=values.reshape(-1, 1)
        )
    )

    made.file.close()
    assert (made.path.stat().st_size - empty) / values.size < 10
