"""One server a data directory."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from streamviz.errors import DirectoryInUse, DiskError
from streamviz.journal.lock import DirectoryLock


def test_the_second_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    """The words name process, host, time and directory, and what to do."""
    first = DirectoryLock(tmp_path / "data")

    with pytest.raises(DirectoryInUse) as refused:
        DirectoryLock(tmp_path / "data")
    first.release()
    DirectoryLock(tmp_path / "data").release()

    for part in (f"process {os.getpid()}", socket.gethostname(), "since ", "--data-dir"):
        assert part in str(refused.value)


def test_a_holder_that_left_no_words_still_holds(tmp_path: Path) -> None:
    """What stands in the file is only for the words."""
    first = DirectoryLock(tmp_path)
    (tmp_path / "server.lock").write_bytes(b"\xff{")

    with pytest.raises(DirectoryInUse, match="another server records to"):
        DirectoryLock(tmp_path)
    first.release()


def test_a_directory_that_went_away_is_noticed(tmp_path: Path) -> None:
    """Removed, moved or replaced by another: nothing is to be written there."""
    place = tmp_path / "data"
    lock = DirectoryLock(place)
    lock.check()

    place.rename(tmp_path / "aside")
    with pytest.raises(DiskError, match="removed or replaced"):
        lock.check()
    place.mkdir()
    (place / "server.lock").touch()
    with pytest.raises(DiskError, match="removed or replaced"):
        lock.check()
    lock.release()


def test_a_place_that_cannot_be_a_directory_is_told(tmp_path: Path) -> None:
    """The words name it and what to do."""
    (tmp_path / "file").touch()

    with pytest.raises(DiskError, match="--no-record"):
        DirectoryLock(tmp_path / "file" / "data")
