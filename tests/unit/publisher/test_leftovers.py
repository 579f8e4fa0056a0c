"""Spill files that somebody finds: whole, cut, damaged, or no spill files at all."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from handmade_frames import hello_frame, stream_id
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.errors import UnusableSpill
from streamviz.publisher.leftovers import LeftOver, find_left_overs
from streamviz.publisher.spill import SUFFIX, LockedFile, file_prefix
from streamviz.publisher.spillformat import HEADER, MAGIC, RECORD_BYTES, record
from streamviz.wire.codec import encode
from streamviz.wire.frames import Bye, Gap, Schema, Span

GOLDEN_FOLDER = Path(__file__).parents[2] / "golden"
GOLDEN = bytes.fromhex((GOLDEN_FOLDER / "spill.hex").read_text())
FRAMES = {
    name: bytes.fromhex("".join(golden["hex"]))
    for name, golden in json.loads((GOLDEN_FOLDER / "frames.json").read_text()).items()
}
IN_GOLDEN = ("hello", "schema", "samples", "samples-not-finite", "gap", "heartbeat", "bye")


@pytest.fixture
def leave(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return a function that leaves bytes behind as a spill file."""

    def write(data: bytes) -> Path:
        path = tmp_path / f"run.0.{len(list(tmp_path.iterdir()))}{SUFFIX}"
        path.write_bytes(data)
        return path

    return write


def taken(left_over: LeftOver) -> list[tuple[int, int, int, int]]:
    """Return the numbers of what can be taken from a file."""
    found = []
    while (parcel := left_over.take()) is not None:
        found.append((parcel.seq, parcel.last_seq, parcel.row, parcel.end_row))
    return found


def claim(path: Path) -> LeftOver:
    """Claim a file that nobody holds."""
    left_over = LeftOver.claim(path)
    assert left_over is not None
    return left_over


def test_the_golden_file_has_these_bytes() -> None:
    """A header, then the golden frames, each with its length and its checksum."""
    assert HEADER + b"".join(record(FRAMES[name]) for name in IN_GOLDEN) == GOLDEN
    assert HEADER == b"streamviz spill\x01"


def test_the_golden_file_is_read(leave: Callable[[bytes], Path]) -> None:
    """All that is in it is found: who it is of, its frames in order, and how it ended."""
    left_over = claim(leave(GOLDEN))

    assert left_over.hello is not None
    assert (left_over.hello.run, left_over.hello.rank) == ("resnet50", 3)
    assert (left_over.frames, left_over.end_seq, left_over.rows) == (3, 5, 11)
    assert left_over.announcements == [FRAMES["schema"]]
    assert left_over.farewell == [FRAMES["heartbeat"], FRAMES["bye"]]
    assert left_over.torn_bytes == 0
    assert taken(left_over) == [(0, 0, 0, 2), (1, 1, 2, 4), (2, 4, 4, 11)]
    left_over.close()


def test_a_file_cut_anywhere_is_read_to_the_cut(leave: Callable[[bytes], Path]) -> None:
    """At every offset, the records that lie whole before the cut are found, and no more."""
    ends = [len(HEADER)]
    for name in IN_GOLDEN:
        ends.append(ends[-1] + RECORD_BYTES + len(FRAMES[name]))
    path = leave(b"")
    for cut in range(len(GOLDEN)):
        path.write_bytes(GOLDEN[:cut])
        left_over = claim(path)
        whole = sum(end <= cut for end in ends[1:])
        assert (left_over.hello is not None) == (whole > 0)
        assert left_over.frames == sum(end <= cut for end in ends[3:6])
        assert (left_over.bye is not None) == (whole == 7)
        assert left_over.torn_bytes == cut - (ends[whole] if cut >= ends[0] else cut)
        assert len(taken(left_over)) == left_over.frames
        left_over.close()


def test_a_flipped_byte_ends_the_reading(leave: Callable[[bytes], Path]) -> None:
    """Whatever byte of a file is damaged, what comes before is found, and nothing is made up."""
    path = leave(b"")
    expected = [(0, 0, 0, 2), (1, 1, 2, 4), (2, 4, 4, 11)]
    for offset in range(len(GOLDEN)):
        damaged = bytearray(GOLDEN)
        damaged[offset] ^= 0x5A
        path.write_bytes(damaged)
        if offset < len(HEADER):
            with pytest.raises(UnusableSpill):
                LeftOver.claim(path)
            continue
        left_over = claim(path)
        assert left_over.torn_bytes > 0
        found = taken(left_over)
        assert found == expected[: len(found)]
        assert len(found) == left_over.frames
        left_over.close()


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=300), start=st.sampled_from([b"", HEADER, GOLDEN[:200], GOLDEN]))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, start: bytes
) -> None:
    """No bytes make the reading raise anything but the one error."""
    path = tmp_path_factory.getbasetemp() / f"any{SUFFIX}"
    path.write_bytes(start + data)
    try:
        left_over = claim(path)
    except UnusableSpill:
        assert not (start + data).startswith(HEADER)
        return
    assert len(taken(left_over)) == left_over.frames
    left_over.close()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"%PDF-1.4 and more", "it is no spill file"),
        (MAGIC + b"\x02", "it is of version 2, this is 1"),
    ],
)
def test_what_is_no_spill_file_is_refused(
    leave: Callable[[bytes], Path], data: bytes, fault: str
) -> None:
    """A file of something else, or of a later version, is named with its fault, and stays."""
    path = leave(data)

    with pytest.raises(UnusableSpill, match=fault):
        LeftOver.claim(path)
    assert path.read_bytes() == data


def test_frames_that_do_not_follow_are_left_out(leave: Callable[[bytes], Path]) -> None:
    """Frames of another stream, and numbers with a hole, end the reading as damage does."""
    name = stream_id(1)
    gap = Gap(name, 0, 0.0, 0.0, 0, 0, 5, Span(0, 4, 0.0, 4.0), "buffer full")
    good = [encode(hello_frame(name)), encode(gap)]
    for wrong in (
        gap._replace(seq=2, last_seq=2, row=5, end_row=6),
        gap._replace(seq=1, last_seq=1, row=4, end_row=6),
        gap._replace(stream=stream_id(2), seq=1, last_seq=1, row=5, end_row=6),
        hello_frame(name),
    ):
        frames = [*good, encode(wrong), encode(Bye(name, 0.0, 0.0, 1, "ok"))]
        left_over = claim(leave(HEADER + b"".join(map(record, frames))))
        assert (left_over.frames, left_over.rows, left_over.bye) == (1, 5, None)
        left_over.close()
    first_no_hello = [encode(Schema(name, 0.0, 0.0, 0, ("m",)))]
    assert claim(leave(HEADER + b"".join(map(record, first_no_hello)))).hello is None


def test_one_process_has_a_file(tmp_path: Path) -> None:
    """A file in use is nobody else's, in this process or another, until it is let go of."""
    path = tmp_path / f"run.0.a{SUFFIX}"
    mine = LockedFile.create(path)
    os.write(mine.descriptor, GOLDEN)

    assert LeftOver.claim(path) is None
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        LockedFile.create(path)

    mine.close()
    first = claim(path)
    assert LeftOver.claim(path) is None
    first.remove()
    with pytest.raises(FileNotFoundError):
        LeftOver.claim(path)


def test_a_forked_child_does_not_hold_the_file(tmp_path: Path) -> None:
    """A child that outlives its parent's file, as a DataLoader's worker may, locks nothing."""
    path = tmp_path / f"run.0.a{SUFFIX}"
    mine = LockedFile.create(path)
    os.write(mine.descriptor, GOLDEN)
    context = multiprocessing.get_context("fork")
    hold = context.Event()
    up = context.Event()

    def live() -> None:
        up.set()
        hold.wait(20)

    child = context.Process(target=live)
    child.start()
    assert up.wait(20)
    mine.close()
    left_over = LeftOver.claim(path)
    hold.set()
    child.join(20)

    assert left_over is not None
    left_over.close()


def test_files_are_found_by_run_and_rank(tmp_path: Path) -> None:
    """A rank finds its own, oldest first, and nothing that is no file."""
    names = ["a/b.1.x", "a/b.10.x", "a/c.1.x", "a/b.1.y"]
    for age, name in enumerate(reversed(names)):
        run, rank, rest = name.split(".")
        path = tmp_path / f"{file_prefix(run, int(rank))}{rest}{SUFFIX}"
        path.write_bytes(b"")
        os.utime(path, (age, age))
    (tmp_path / f"a-b.1.folder{SUFFIX}").mkdir()
    (tmp_path / f"a-b.1.link{SUFFIX}").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a-b.1.other").write_bytes(b"")

    found = [path.name for path in find_left_overs(tmp_path, "a/b", 1)]
    assert found == [f"a-b.1.y{SUFFIX}", f"a-b.1.x{SUFFIX}"]
    assert len(find_left_overs(tmp_path)) == 4


@given(run=st.text(min_size=1), rank=st.integers(0, 2**24))
def test_any_run_makes_a_file_name(run: str, rank: int) -> None:
    """Whatever a run is called, its files lie in the directory, under a name that all take."""
    name = f"{file_prefix(run, rank)}{'0' * 32}{SUFFIX}"

    assert Path(name).name == name
    assert not name.startswith("..")
    assert len(name) < 150
    assert name.isascii()
