"""A run's file is read from the first row to the last, also while it is written or damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from recorded import RunMaker, table_rows

from streamviz.errors import DamagedFile, NewerFile
from streamviz.journal.nodes import WINDOW
from streamviz.journal.playback import Playback, is_run_file


def steps_of(playback: Playback, worker: int = 0, **steps: int) -> list[int]:
    """Return the steps that a playback yields."""
    pieces = [rows.steps for rows in playback.rows(0, worker, **steps)]
    return [int(step) for step in np.concatenate(pieces)] if pieces else []


def test_what_is_chunked_and_what_is_not_is_one_line(tmp_path: Path) -> None:
    """Full chunks, segments and the journal follow each other without a seam, bit for bit."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.chunk(table_rows(0, range(2 * WINDOW + 7)))
    made.chunk(table_rows(0, range(2 * WINDOW + 7, 2 * WINDOW + 30), first=2 * WINDOW + 7))
    # The journal still has rows that are chunked already.
    made.journal(table_rows(0, range(2 * WINDOW, 2 * WINDOW + 50), first=2 * WINDOW))
    expected = table_rows(0, range(2 * WINDOW + 50))

    playback = Playback(made.path)

    pieces = list(playback.rows(0, 0))
    assert np.concatenate([piece.steps for piece in pieces]).tolist() == expected.steps.tolist()
    for column in ("times", "values"):
        found = np.concatenate([getattr(piece, column) for piece in pieces])
        assert found.tobytes() == getattr(expected, column).tobytes()
    assert playback.kept == {(0, 0): expected.steps.size}
    assert (playback.gone, playback.unreadable) == (0, 0)
    playback.close()
    made.close()


def test_the_file_may_change_meanwhile(tmp_path: Path) -> None:
    """Segments that are joined and rows that are added while it is read change nothing of it."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.chunk(table_rows(0, range(WINDOW + 10)))
    made.journal(table_rows(0, range(WINDOW + 10, WINDOW + 20), first=WINDOW + 10))
    playback = Playback(made.path)
    reading = playback.rows(0, 0)
    first = next(reading)

    made.chunk(table_rows(0, range(WINDOW + 10, 3 * WINDOW), first=WINDOW + 10))

    rest = list(reading)
    found = np.concatenate([piece.steps for piece in [first, *rest]])
    assert found.tolist() == list(range(WINDOW + 20))
    playback.close()
    made.close()


def test_chunks_outside_the_steps_are_not_read(tmp_path: Path) -> None:
    """A part is read without decoding what lies before and after it."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.chunk(table_rows(0, range(4 * WINDOW)))
    playback = Playback(made.close())

    found = steps_of(playback, start=WINDOW + 5, stop=WINDOW + 9)

    assert found == list(range(WINDOW, 2 * WINDOW))
    playback.close()


def test_a_damaged_chunk_is_left_out_and_counted(tmp_path: Path) -> None:
    """One changed byte costs the rows of its chunk, which are counted, and no others."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.chunk(table_rows(0, range(3 * WINDOW)))
    path = made.close()
    connection = sqlite3.connect(path)
    [(number, data)] = connection.execute(
        "SELECT part.id, data FROM part JOIN chunk ON chunk.id = part.id / 8192 "
        "WHERE level = 0 AND first = ? ORDER BY part.id LIMIT 1",
        (WINDOW,),
    ).fetchall()
    connection.execute(
        "UPDATE part SET data = ? WHERE id = ?", (data[:-1] + bytes([data[-1] ^ 1]), number)
    )
    connection.commit()
    connection.close()

    playback = Playback(path)

    assert steps_of(playback) == [*range(WINDOW), *range(2 * WINDOW, 3 * WINDOW)]
    assert playback.unreadable == WINDOW
    playback.close()


def test_what_made_room_is_counted(tmp_path: Path) -> None:
    """Rows whose full resolution was given up are not there, and their number is known before."""
    made = RunMaker(tmp_path)
    made.worker(0, 0)
    made.chunk(table_rows(0, range(40 * WINDOW)))
    made.file.shrink(100_000)
    playback = Playback(made.close())

    found = steps_of(playback)

    assert playback.gone > 0
    assert found == list(range(playback.gone, 40 * WINDOW))
    assert playback.kept == {(0, 0): len(found)}
    assert playback.unreadable == 0
    playback.close()


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """A file of a later version is named, and neither read nor changed."""
    path = RunMaker(tmp_path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(NewerFile, match="is of version 99"):
        Playback(path)

    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"text", b"SQLite format 3\0" + bytes(100)])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """What is no run's file is said to be none."""
    path = tmp_path / "file"
    path.write_bytes(content)

    assert is_run_file(path) == content.startswith(b"SQLite")
    with pytest.raises(DamagedFile, match="cannot be read"):
        Playback(path)
