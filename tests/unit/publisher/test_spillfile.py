"""The spill file as a shelf: what is put there is taken in order, or refused in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from handmade_frames import batch, hello_frame, stream_id
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.publisher.leftovers import LeftOver
from streamviz.publisher.spill import SpillFile
from streamviz.wire.codec import encode
from streamviz.wire.delivery import Outgoing
from streamviz.wire.frames import Bye, Heartbeat, Samples, Span
from streamviz.wire.parcels import Parcel

STREAM = stream_id(7)


class Rig:
    """A spill file, what it warned of, and frames to put there."""

    def __init__(self, directory: Path, limit: int = 1 << 20) -> None:
        self.warned: list[tuple[str, str]] = []
        self.spill = SpillFile(
            directory,
            limit,
            lambda seq, row, span: hello_frame(
                STREAM, base_seq=seq, base_row=row, base_span=span, run="a run"
            ),
            lambda cause, words: self.warned.append((cause, words)),
        )
        self.spill.schemas = [("m",)]
        self.next_seq = 0

    def parcel(self, rows: int = 3) -> Parcel:
        """Return the next frame."""
        seq, row = self.next_seq, self.next_seq * 3
        self.next_seq += 1
        steps = range(row, row + rows)
        one = batch(steps, [[float(step)] for step in steps])
        data = encode(Samples(STREAM, seq, 1.0, 1.0, row, (one,), rows))
        span = Span(row, row + rows - 1, float(row), float(row + rows - 1))
        return Parcel(seq, seq, row, row + rows, span, data)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Return an empty one in a directory that is not there yet."""
    rig = Rig(tmp_path / "deep" / "down")
    yield rig
    rig.spill.remove()


def test_what_is_put_is_taken_in_order(rig: Rig) -> None:
    """Frames and gaps come back as they were, whatever is put in between."""
    gap = Parcel(1, 4, 3, 15, Span(3, 14, 3.0, 14.0), None, "buffer full")
    first = rig.parcel()
    rig.next_seq = 5
    second, third = rig.parcel(), rig.parcel()
    rig.spill.begin(0, 0, None)
    assert rig.spill.put(first)
    assert rig.spill.put(gap)
    assert rig.spill.take() == first
    assert rig.spill.put(second)
    assert [rig.spill.take(), rig.spill.take()] == [gap, second]
    assert rig.spill.put(third)
    rig.spill.skip()
    fourth = rig.parcel()
    assert rig.spill.put(fourth)
    assert rig.spill.take() == fourth
    assert not rig.warned
    assert rig.spill.take() is None


def test_no_file_until_there_is_something(rig: Rig) -> None:
    """Nothing is made before it is needed; then it is its owner's alone."""
    assert not rig.spill.path.parent.exists()
    rig.spill.begin(0, 0, None)
    assert rig.spill.put(rig.parcel())

    assert rig.spill.path.stat().st_mode & 0o777 == 0o600
    assert rig.spill.path.parent.stat().st_mode & 0o777 == 0o700
    assert rig.spill.path.name == f"a-run.0.{STREAM.hex()}.spill"


def test_a_cleared_file_starts_again(rig: Rig) -> None:
    """After clearing it is a file of its own: greeting, schemas, and what is put from then on."""
    rig.spill.begin(0, 0, None)
    for _ in range(4):
        assert rig.spill.put(rig.parcel())
    rig.spill.clear()
    assert rig.spill.path.stat().st_size == 0
    span = Span(0, 11, 0.0, 11.0)
    rig.spill.begin(4, 12, span)
    assert rig.spill.put(rig.parcel())
    rig.spill.leave()

    left_over = LeftOver.claim(rig.spill.path)
    assert left_over is not None
    assert left_over.hello is not None
    assert (left_over.hello.base_seq, left_over.hello.base_row) == (4, 12)
    assert left_over.hello.base_span == span
    assert (left_over.frames, left_over.end_seq, left_over.torn_bytes) == (1, 5, 0)
    assert len(left_over.announcements) == 1
    left_over.close()


def test_a_full_file_takes_its_end_only(tmp_path: Path) -> None:
    """Past its limit it takes no frames, but has room for the gap and the goodbye."""
    rig = Rig(tmp_path, limit=20_000)
    rig.spill.begin(0, 0, None)
    while rig.spill.put(rig.parcel()):
        pass
    seq = rig.next_seq - 1
    assert [cause for cause, _ in rig.warned] == ["spill full"]
    assert "STREAMVIZ_SPILL_BYTES" in rig.warned[0][1]
    gap = Parcel(seq, seq, seq * 3, seq * 3 + 3, Span(0, 1, 0.0, 0.0), None, "buffer full")
    assert not rig.spill.put(gap)
    rig.spill.prepare_end()
    assert rig.spill.put(gap)
    beat = Heartbeat(STREAM, 1.0, 1.0, 9, 9, 9, {}, {}, None, None, 0.0)
    assert rig.spill.finish(beat, Bye(STREAM, 1.0, 1.0, seq + 1, "ok"))
    assert rig.spill.path.stat().st_size <= 20_000

    left_over = LeftOver.claim(rig.spill.path)
    assert left_over is not None
    assert left_over.end_seq == seq + 1
    assert len(left_over.farewell) == 2
    left_over.close()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Where no file can be, nothing is taken, and that is not tried again for a while."""
    (tmp_path / "file").write_text("")
    rig = Rig(tmp_path / "file" / "below")
    rig.spill.begin(0, 0, None)
    assert not rig.spill.put(rig.parcel())
    assert not rig.spill.put(rig.parcel())
    assert len(rig.warned) == 1
    assert str(rig.spill.path) in rig.warned[0][1]
    rig.spill.prepare_end()
    assert not rig.spill.put(rig.parcel())
    assert len(rig.warned) == 2


def test_a_torn_write_leaves_no_trace(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle of a record keeps what was whole, and takes the next."""
    rig.spill.begin(0, 0, None)
    first, second = rig.parcel(), rig.parcel()
    assert rig.spill.put(first)
    size = rig.spill.path.stat().st_size
    really = os.pwrite
    with monkeypatch.context() as patch:
        written: list[int] = []

        def fail_midway(descriptor: int, data: bytes, offset: int) -> int:
            if written:
                raise OSError(28, "No space left on device")
            written.append(really(descriptor, data[:10], offset))
            return written[0]

        patch.setattr(os, "pwrite", fail_midway)
        assert not rig.spill.put(second)
    assert rig.spill.path.stat().st_size == size
    assert "No space left" in rig.warned[0][1]
    rig.spill.prepare_end()
    assert rig.spill.put(second)
    assert [rig.spill.take(), rig.spill.take()] == [first, second]


def test_a_damaged_frame_is_not_taken(rig: Rig) -> None:
    """What the disk changed is not delivered as data: it is gone, and said."""
    rig.spill.begin(0, 0, None)
    assert rig.spill.put(rig.parcel())
    with rig.spill.path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"\0\0\0\0\0")

    assert rig.spill.take() is None
    assert "damaged" in rig.warned[0][1]


def test_a_file_that_was_deleted_is_not_named(rig: Rig) -> None:
    """Nobody is told to deliver a file that is gone; the next start makes another."""
    rig.spill.begin(0, 0, None)
    assert rig.spill.put(rig.parcel())
    rig.spill.path.unlink()
    rig.spill.clear()
    rig.spill.begin(1, 3, None)
    assert rig.spill.put(rig.parcel())
    assert rig.spill.path.exists()
    rig.spill.path.unlink()
    beat = Heartbeat(STREAM, 1.0, 1.0, 9, 9, 9, {}, {}, None, None, 0.0)
    assert not rig.spill.finish(beat, Bye(STREAM, 1.0, 1.0, 2, "ok"))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=60),
    limit=st.integers(300, 4000),
    room=st.sampled_from([17_500, 22_000, 1 << 20]),
)
def test_memory_stays_bounded_and_order_is_kept(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int, room: int
) -> None:
    """Behind a small buffer, what comes out is what went in, in order, or stands in a gap."""
    rig = Rig(tmp_path_factory.mktemp("spill"), room)
    out = Outgoing(limit, rig.spill)
    for rows in sizes:

        def make(seq: int, row: int, rows: int = rows) -> bytes:
            one = batch(range(row, row + rows), [[1.0]] * rows)
            return encode(Samples(STREAM, seq, 1.0, 1.0, row, (one,), rows))

        out.add(make, rows, Span(out.next_row, out.next_row + rows - 1, 0.0, 0.0))
        assert out.held_bytes <= limit + 128 or len(out._waiting) == 1
    row = gaps = 0
    out.window = 1 << 30
    while (parcel := out.peek()) is not None:
        assert parcel.row == row
        row = parcel.end_row
        gaps += parcel.rows if parcel.data is None else 0
        out.sent(0.0)
        out._under_way.clear()
        out._under_way_bytes = 0
    assert row == sum(sizes)
    assert gaps == out.dropped_rows
    assert not out.lost_rows
    rig.spill.remove()
