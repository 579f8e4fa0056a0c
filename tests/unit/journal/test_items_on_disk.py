"""Items and facts in a run's file: bounded, called back, read by every reader, kept on mending."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from recorded import RunMaker

from streamviz.counters import Counters
from streamviz.journal import items
from streamviz.journal.connection import connect_reader
from streamviz.journal.entries import ItemRow
from streamviz.journal.history import History
from streamviz.journal.playback import Playback
from streamviz.journal.recorder import Recorder
from streamviz.journal.runfile import RunFile
from streamviz.journal.salvage import salvage
from streamviz.store.store import Store


def item(
    ordinal: int, *, worker: int = 0, size: int = 1, step: int | None = None, kind: str = "mark"
) -> ItemRow:
    """Return an item that tells its number."""
    place = ordinal if step is None else step
    return ItemRow(worker, ordinal, kind, f"n{ordinal}", place, 1.5, b"\x80" * size)


@pytest.fixture
def made(tmp_path: Path) -> RunMaker:
    """A run of two workers."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.worker(1, 7)
    return made


def held(path: Path) -> list[tuple[int, int]]:
    """Return worker and ordinal of each item in a file, in order."""
    connection = connect_reader(path)
    found = [(row.worker, row.ordinal) for row in items.newest(connection, 1 << 40)]
    connection.close()
    return found


def test_the_oldest_items_go_when_they_take_too_much(
    made: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within its bytes a run keeps the newest; a worker's last stays, and all are counted."""
    monkeypatch.setattr(items, "DISK_ITEMS_BYTES", 100_000)
    made.items(item(0, worker=1, size=5000))
    for ordinal in range(60):
        made.items(item(ordinal, size=5000))

    found = held(made.path)

    assert found[0] == (1, 0)
    assert found[1:] == [(0, ordinal) for ordinal in range(61 - len(found), 60)]
    assert made.file.items_shed == 61 - len(found)
    assert 10 < len(found) <= 20
    path = made.close()
    file = RunFile.open(path)
    assert file.shrink(1 << 30) > 0
    assert 0 < len(held(path)) < len(found)
    assert held(path)[-1] == (0, 59)
    file.close()
    assert items.counts(connect_reader(path)) == {0: 60, 1: 1}


def test_pictures_do_not_push_marks_out(made: RunMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest that are neither marks nor alerts go first."""
    monkeypatch.setattr(items, "DISK_ITEMS_BYTES", 100_000)
    made.items(item(0), item(1, kind="alert"))
    for ordinal in range(2, 60):
        made.items(item(ordinal, size=5000, kind="image"))

    found = held(made.path)

    assert found[:2] == [(0, 0), (0, 1)]
    assert 10 < len(found) <= 22


def test_a_run_is_called_back_with_its_items_and_facts(tmp_path: Path, made: RunMaker) -> None:
    """The store has them, the head says them, and numbers go on where the file ends."""
    made.items(item(0), item(1), item(0, worker=1))
    made.facts({"total_steps": 9}, {1: {"dp": 3}})
    made.facts({"total_steps": 10}, {})
    made.close()
    recorder = Recorder(tmp_path, 1 << 30, Counters())
    store = Store(64 << 20)

    [restored] = recorder.restore_all(store)

    assert not isinstance(restored, str), restored
    assert (restored.head.facts, restored.head.meshes) == ({"total_steps": 10}, {1: {"dp": 3}})
    assert restored.stored == {0: 2, 1: 1}
    told = [(one.worker, one.rank, one.name) for one in store.items("made")]
    assert told == [(0, 0, "n0"), (0, 0, "n1"), (1, 7, "n0")]
    log = recorder.log("made")
    assert log is not None
    assert log._item_counts == {0: 2, 1: 1}
    recorder.stop()


def test_readers_have_them_beside_the_writer(tmp_path: Path, made: RunMaker) -> None:
    """An export and a replay see what is committed; damaged ones are passed over in a replay."""
    made.items(item(0), item(1, step=50), item(2), item(0, worker=1))

    found = History(tmp_path).items("made", 1 << 20)
    assert found is not None
    assert [(one.rank, one.step) for one in found] == [(0, 0), (0, 50), (0, 2), (7, 0)]
    assert History(tmp_path).items("nobody", 1 << 20) is None
    playback = Playback(made.path)
    assert playback.items == {0: 3, 1: 1}
    with sqlite3.connect(made.path) as connection:
        connection.execute("UPDATE item SET step = 4 WHERE id = 1")
    assert [row.step for row in playback.items_of(0)] == [0, 2]
    assert [row.step for row in playback.items_of(1)] == [0]
    playback.close()


def test_a_damaged_file_keeps_its_items(tmp_path: Path, made: RunMaker) -> None:
    """Those that fit their checksum are in the mended file; one that is lost is told of."""
    made.items(*(item(ordinal, size=2000) for ordinal in range(5)))
    made.facts({"total_steps": 10}, {0: {"pp": 1}})
    path = made.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE item SET name = 'another' WHERE ordinal = 2")

    losses = salvage(path, tmp_path / "mended.db", "a test")

    assert held(tmp_path / "mended.db") == [(0, 0), (0, 1), (0, 3), (0, 4)]
    assert any("1 items between others" in sentence for sentence in losses)
    file = RunFile.open(tmp_path / "mended.db")
    head = file.head()
    assert (head.facts, head.meshes) == ({"total_steps": 10}, {0: {"pp": 1}})
    file.close()
