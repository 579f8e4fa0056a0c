"""Files of runs that are cut, changed or of another version: the rest is served, never a lie."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field
from pathlib import Path

import pytest
from recorded import RunMaker, table_rows

from streamviz.errors import DamagedFile, JournalError, NewerFile
from streamviz.journal import migrations
from streamviz.journal.directory import run_path
from streamviz.journal.entries import Head
from streamviz.journal.history import History
from streamviz.journal.nodes import WINDOW
from streamviz.journal.playback import Playback
from streamviz.journal.runfile import RunFile
from streamviz.journal.schema import VERSION, insert
from streamviz.journal.wal import PAGE
from streamviz.store.gaps import Gap

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ("train/loss", "train/lr")
GAP = Gap(100, 120, 1.7e9, 1.7e9 + 2.5, 21, "the buffer was full")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder in memory where there is one: these faults are not about a slow disk."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        yield Path(name)


@dataclass
class Truth:
    """What a file was made of."""

    files: dict[str, bytes]
    """Its bytes, and those of the write-ahead log beside it."""
    head: Head
    steps: dict[int, int]
    """How many rows each worker has, at steps 0, 1, 2…"""
    said: list[str] = field(default_factory=list)
    """What the last reader was told."""

    def lay(self, folder: Path, data: bytes | None = None, name: str = "run.db") -> Path:
        """Write the files to a new data directory, one of them with other bytes."""
        shutil.rmtree(folder, ignore_errors=True)
        path = run_path(folder, "made")
        path.parent.mkdir(parents=True)
        for beside, content in {**self.files, **({} if data is None else {name: data})}.items():
            path.with_name(beside).write_bytes(content)
        return path

    def check(self, path: Path) -> int | None:
        """Open a file, compare what it gives, and return how many rows are missing.

        Returns:
            ``None`` when the file was refused as one of an error's sentence.
        """
        try:
            file = RunFile.open(path)
        except (DamagedFile, NewerFile):
            return None
        head, losses = file.head(), file.losses
        for index, worker in head.workers.items():
            assert worker == self.head.workers[index]
        for index, names in head.tables.items():
            assert names == self.head.tables[index]
        for index, stream in head.streams.items():
            assert stream.stream == self.head.streams[index].stream
            assert stream.next_seq <= self.head.streams[index].next_seq
        assert all(gap in self.head.gaps for gap in head.gaps)
        assert (head.run, head.started) == (self.head.run, self.head.started)
        assert head.config in (None, self.head.config)
        file.close()
        missing = self._missing(path)
        whole = (head.workers, head.tables, head.streams, head.gaps) == (
            self.head.workers,
            self.head.tables,
            self.head.streams,
            self.head.gaps,
        )
        if missing or not whole:
            assert losses, f"{missing} rows are missing, and nothing is said"
            assert all("\n" not in sentence for sentence in losses)
        if losses:
            assert path.with_name("run.db.damaged-1").exists()
        return missing

    def _missing(self, path: Path) -> int:
        """Return how many values a reader does not get; those it gets are true, each once."""
        history = History(path.parent.parent.parent)
        missing = 0
        seen: dict[int, list[int]] = {worker: [] for worker in self.steps}
        for rows in history.rows("made"):
            expected = table_rows(rows.worker, range(self.steps[rows.worker]))
            assert rows.times.tobytes() == expected.times[rows.steps].tobytes()
            columns = [NAMES.index(name) for name in rows.names]
            assert rows.values.tobytes() == expected.values[rows.steps][:, columns].tobytes()
            seen[rows.worker] += rows.steps.tolist()
            missing += rows.steps.size * (2 - len(columns))
        for worker, count in self.steps.items():
            assert len(seen[worker]) == len(set(seen[worker])), "a row came twice"
            missing += 2 * (count - len(seen[worker]))
        self.said = history.losses("made")
        return missing


def make(folder: Path, rows: int, *, open_log: bool = False) -> Truth:
    """Make a file of two workers, most of whose rows are chunked, some in the journal."""
    made = RunMaker(folder, "made")
    made.worker(0, 0, rows=rows)
    made.worker(1, 1, rows=rows // 2)
    made.gap(0, GAP)
    late = max(4, rows // 10)
    for worker, count in ((0, rows), (1, rows // 2)):
        made.chunk(table_rows(worker, range(count - late)))
        half = count - late // 2
        made.journal(table_rows(worker, range(count - late, half), first=count - late))
        made.journal(table_rows(worker, range(half, count), first=half))
    if not open_log:
        made.file.close()
    files = {
        file.name: file.read_bytes()
        for file in made.path.parent.iterdir()
        if not file.name.endswith("-shm")
    }
    head = made.file.head()
    made.close()
    return Truth(files, head, {0: rows, 1: rows // 2})


def flipped(data: bytes, at: int, bits: int = 0xFF) -> bytes:
    """Return bytes of which one is changed."""
    return b"".join((data[:at], bytes((data[at] ^ bits,)), data[at + 1 :]))


def test_any_byte_of_a_small_file_may_change(
    place: Path, outcome: Callable[[int, str], None]
) -> None:
    """Whichever byte that holds something changes: opened, true, and what is missing is said."""
    truth = make(place / "small", 40)
    data = truth.files["run.db"]
    # Every third: all kinds of records are met many times over, in a third of the time.
    offsets = [at for at, byte in enumerate(data) if byte][::3]
    # What holds nothing is all alike: some places of it are enough.
    offsets += random.Random(1).sample([at for at, byte in enumerate(data) if not byte], 30)

    missing = [truth.check(truth.lay(place / "flip", flipped(data, at))) for at in sorted(offsets)]

    refused, whole = missing.count(None), missing.count(0)
    assert refused <= len(missing) // 100
    assert whole >= len(missing) // 2
    outcome(
        37,
        f"one byte at each of {len(missing):,} offsets of a small file: {whole:,} opened whole, "
        f"{len(missing) - whole - refused:,} with the loss named, {refused} refused by name, "
        "0 wrong values",
    )


def test_bytes_of_a_larger_file_may_change_or_be_cut_off(
    place: Path, outcome: Callable[[int, str], None]
) -> None:
    """A thousand times, a byte anywhere or the end from anywhere on: the rest is served."""
    truth = make(place / "large", 3 * WINDOW)
    data = truth.files["run.db"]
    chance = random.Random(2)
    missing = []
    for i in range(1000):
        at = chance.randrange(len(data))
        bad = data[:at] if i % 4 == 0 else flipped(data, at, 1 << chance.randrange(8))
        missing.append(truth.check(truth.lay(place / "bad", bad)))

    flips = [count for i, count in enumerate(missing) if i % 4]
    assert None not in flips
    assert max(count or 0 for count in flips) <= 2 * 2 * WINDOW
    outcome(
        37,
        f"1,000 random places of a {len(data) // 1024} KiB file, 750 bytes changed and 250 cuts: "
        f"{missing.count(None)} cuts left nothing to read and were refused by name, "
        "of the rest every value served was true",
    )


def test_a_cut_file_says_so_wherever_it_is_cut(place: Path) -> None:
    """At each page and beside it: rows that are gone are told of."""
    truth = make(place / "cut", 40)
    data = truth.files["run.db"]
    for page in range(0, len(data), PAGE):
        for at in (page, page + 1, page + PAGE - 1):
            truth.check(truth.lay(place / "bad", data[:at]))
    truth.check(truth.lay(place / "bad", b""))


def test_a_damaged_write_ahead_log_is_not_forgotten(place: Path) -> None:
    """A byte of the log changes: SQLite would drop what follows; it is served, or told of."""
    truth = make(place / "log", 40, open_log=True)
    log = truth.files["run.db-wal"]
    frame = PAGE + 24
    frames = (len(log) - 32) // frame
    ends = [32 + i * frame for i in range(frames - 1)]
    last = max(at for at in ends if log[at + 4 : at + 8] != bytes(4)) + frame
    chance = random.Random(3)
    offsets = [*range(64), *(chance.randrange(len(log)) for _ in range(150))]
    for at in offsets:
        path = truth.lay(place / "bad", flipped(log, at), "run.db-wal")
        if at >= last:
            # The last commit: as a power cut before it was acknowledged would have left it.
            file = RunFile.open(path)
            assert file.head().run == "made"
            file.close()
        else:
            truth.check(path)


def test_a_reader_gets_what_is_true_of_a_file_nobody_mended(place: Path) -> None:
    """Read as it is, a damaged file gives no wrong value, and names what it does not give."""
    truth = make(place / "large", 3 * WINDOW)
    data = truth.files["run.db"]
    chance = random.Random(4)
    for _ in range(200):
        path = truth.lay(place / "bad", flipped(data, chance.randrange(len(data))))
        try:
            missing = truth._missing(path)
            history = History(place / "bad")
            grid = history.grid("made", "train/lr", workers=[0], points=64)
        except JournalError:
            continue
        assert not missing or truth.said
        if grid is not None:
            assert grid.vmin[grid.count > 0].min() >= -(3 * WINDOW)
            assert grid.count.sum() == 3 * WINDOW or not grid.complete or history.losses("made")


def test_mending_is_finished_after_a_power_cut(place: Path) -> None:
    """A file that was mended but not put in its place yet is, when it is opened next."""
    truth = make(place / "small", 40)
    data = truth.files["run.db"]
    path = truth.lay(place / "bad", flipped(data, PAGE * 3 - 20))
    losses = RunFile.open(path).losses
    mended = path.read_bytes()

    path = truth.lay(place / "bad", flipped(data, PAGE * 3 - 20))
    path.with_name("run.db.mended").write_bytes(mended)
    file = RunFile.open(path)

    assert losses
    assert file.losses == ()
    assert file.head().losses == losses
    file.close()
    assert path.with_name("run.db.damaged-1").exists()
    assert not path.with_name("run.db.mended").exists()


def test_an_older_file_is_migrated_beside_a_copy(
    place: Path, monkeypatch: pytest.MonkeyPatch, outcome: Callable[[int, str], None]
) -> None:
    """Each step runs once, in order, beside a copy; one that fails changes nothing."""
    truth = make(place / "old", 40)
    path = truth.lay(place / "older")

    def add(connection: sqlite3.Connection) -> None:
        insert(connection, "loss", [(1, "migrated from 1")])

    def fail(connection: sqlite3.Connection) -> None:
        insert(connection, "loss", [(2, "half a step")])
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(migrations, "STEPS", {VERSION: add, VERSION + 1: fail})
    with pytest.raises(sqlite3.OperationalError):
        migrations.bring_up(path, VERSION + 2)
    file = RunFile.open(path)
    assert file.head().losses == ()
    file.close()

    migrations.bring_up(path, VERSION + 1)

    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)
        assert [row[1] for row in connection.execute("SELECT * FROM loss")] == ["migrated from 1"]
    copy = path.with_name(f"run.db.version-{VERSION}")
    copied = truth.lay(place / "copied", copy.read_bytes())
    assert truth.check(copied) == 0
    with pytest.raises(NewerFile, match=f"version {VERSION + 1}"):
        RunFile.open(path)
    outcome(41, "a step and a failing step over a file: migrated with a copy, or left as it was")


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_a_file_of_each_version_reads_for_ever(tmp_path: Path, version: int) -> None:
    """The golden file has what is written beside it, to the bit, before a migration and after."""
    told = json.loads((GOLDEN / f"run-version-{version}.json").read_text(encoding="utf-8"))
    path = run_path(tmp_path, told["run"])
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.decompress((GOLDEN / f"run-version-{version}.db.gz").read_bytes()))
    before = History(tmp_path).head(told["run"])
    assert History(tmp_path).items(told["run"], 1 << 20) is not None
    playback = Playback(path)
    assert sum(playback.items.values()) == len(told.get("items", []))
    playback.close()

    file = RunFile.open(path)
    head = file.head()
    file.close()

    assert before == head
    assert [head.facts, list(head.meshes.items())] == [
        told.get("facts", {}),
        [(int(worker), mesh) for worker, mesh in told.get("meshes", {}).items()],
    ]
    found_items = History(tmp_path).items(told["run"], 1 << 20)
    assert found_items is not None
    assert [
        [one.worker, one.kind, one.name, one.step, one.time, one.body.hex()] for one in found_items
    ] == told.get("items", [])
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert path.with_name("run.db.version-1").exists() == (version < VERSION)

    assert file.losses == ()
    assert [head.run, head.started, head.config] == [told["run"], told["started"], told["config"]]
    assert {str(number): list(names) for number, names in head.tables.items()} == told["tables"]
    assert [row.rank for row in head.workers.values()] == told["ranks"]
    assert [[worker, *astuple(gap)] for worker, gap in head.gaps] == told["gaps"]
    found = {str(worker): [[], [], []] for worker in head.workers}  # type: ignore[var-annotated]
    for rows in History(tmp_path).rows(told["run"]):
        for line, column in zip(
            found[str(rows.worker)], (rows.steps, rows.times, rows.values), strict=True
        ):
            line += [text_of(value) for value in column.ravel().tolist()]
    assert found == told["rows"]


def text_of(value: float) -> str:
    """Return a number as text that has every bit of it."""
    return str(value) if isinstance(value, int) else value.hex()
