"""Where runs lie: inside the data directory whatever they are called, and on a disk that can."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.errors import DiskError, UnfitDisk
from streamviz.journal.directory import (
    FILE_NAME,
    make_folder,
    refuse_network_disk,
    run_files,
    run_path,
    set_aside,
)

AWKWARD = [
    *("../../x", "..", ".", "/etc/passwd", "CON", "nul", "a/b", "a\\b", "x" * 300, "é" * 150),
    *("Run", "run", "RUN", "run ", "run.", "-rf", "~", "🚀" * 70, "a\nb", "run:1", "%2e%2e", ""),
]
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}-[0-9a-f]{10}")


@pytest.mark.parametrize("run", AWKWARD)
def test_an_awkward_name_has_a_plain_folder(run: str) -> None:
    """Whatever a run is called, its folder is a short plain name directly below ``runs``."""
    path = run_path(Path("/data"), run)

    assert path.parent.parent == Path("/data/runs")
    assert path.name == FILE_NAME
    assert FOLDER.fullmatch(path.parent.name)


@given(st.text(max_size=300))
def test_every_name_has_a_plain_folder(run: str) -> None:
    """So has any text."""
    path = run_path(Path("/data"), run)

    assert path.parent.parent == Path("/data/runs")
    assert FOLDER.fullmatch(path.parent.name)


@given(st.lists(st.text(max_size=20), unique=True, max_size=8))
def test_different_names_have_different_folders(runs: list[str]) -> None:
    """Names that differ in anything have folders that differ in more than case."""
    for names in (runs, AWKWARD):
        folders = {run_path(Path("/data"), run).parent.name.lower() for run in names}
        assert len(folders) == len(names)


def test_runs_are_found_by_their_files(tmp_path: Path) -> None:
    """A folder counts as a run when its file is there."""
    for run in ("b", "a"):
        path = run_path(tmp_path, run)
        make_folder(path)
        path.touch()
    (tmp_path / "runs" / "empty").mkdir()
    (tmp_path / "runs" / "note.txt").touch()

    assert run_files(tmp_path) == [run_path(tmp_path, "a"), run_path(tmp_path, "b")]
    assert run_files(tmp_path / "nowhere") == []


def test_files_set_aside_never_meet(tmp_path: Path) -> None:
    """A damaged file gets the next free number, and its write-ahead log goes with it."""
    path = tmp_path / FILE_NAME
    kept = []
    for text in ("first", "second"):
        path.write_text(text)
        path.with_name(FILE_NAME + "-wal").write_text(f"log of {text}")
        kept.append(set_aside(path))

    assert [aside.name for aside in kept] == ["run.db.damaged-1", "run.db.damaged-2"]
    assert [aside.read_text() for aside in kept] == ["first", "second"]
    assert kept[1].with_name(kept[1].name + "-wal").read_text() == "log of second"
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """A file in the way is said in one sentence."""
    (tmp_path / "runs").write_text("a file")

    with pytest.raises(DiskError, match=r"cannot make .*runs"):
        make_folder(run_path(tmp_path, "r"))


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        *((kind, True) for kind in ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse")),
        *((kind, False) for kind in ("ext4", "xfs", "tmpfs", "overlay", "fuseblk", "btrfs")),
    ],
)
def test_network_disks_are_refused(tmp_path: Path, kind: str, refused: bool) -> None:  # noqa: FBT001 - a column of the table
    """What counts is the innermost mount that the directory lies on."""
    mounts = tmp_path / "mounts"
    share = tmp_path / "the share"
    told = str(share).replace(" ", "\\040")
    mounts.write_text(
        f"dev / ext4 rw 0 0\nhost:/x {told} {kind} rw 0 0\nhost:/y /other nfs rw 0 0\n"
    )

    refuse_network_disk(tmp_path, mounts)
    if refused:
        with pytest.raises(UnfitDisk, match=rf"network file system \({kind}\).*--data-dir"):
            refuse_network_disk(share / "data", mounts)
    else:
        refuse_network_disk(share / "data", mounts)


def test_without_a_table_of_mounts_nothing_is_refused(tmp_path: Path) -> None:
    """Where the kernel tells of no mounts a directory is taken as it is."""
    refuse_network_disk(tmp_path, tmp_path / "absent")
