"""The collector with a journal: what is acknowledged when, and what the disk brings back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from handmade_frames import Ingest, Speaker, batch

from streamviz.counters import Counters
from streamviz.ingest.acknowledger import LEAST_WINDOW_BYTES
from streamviz.ingest.liveness import WorkerState
from streamviz.journal.directory import run_path
from streamviz.journal.recorder import COMMIT_EVERY_S, Recorder
from streamviz.wire.frames import Ack, Span

FLUSH_S = 20.0


class Disk:
    """A data directory with one server after the other on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.recorders: list[Recorder] = []

    def serve(self, *, start: bool = True, restore: bool = True, pending: int = 1 << 20) -> Ingest:
        """End the former server, and return the next."""
        self.end()
        recorder = Recorder(self.directory, 1 << 30, Counters(), pending_bytes=pending)
        self.recorders.append(recorder)
        ingest = Ingest(recorder=recorder)
        assert ingest.collector.recording is not None
        for found in recorder.restore_all(ingest.store) if restore else ():
            assert not isinstance(found, str), found
            ingest.collector.recording.take_back(found, ingest.now)
        if start:
            recorder.start()
        return ingest

    def end(self) -> None:
        """End the server there is."""
        while self.recorders:
            self.recorders.pop().stop()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A data directory, let go of at the end."""
    found = Disk(tmp_path)
    yield found
    found.end()


def settled(ingest: Ingest) -> list[Ack]:
    """Let everything reach the disk, and return what is acknowledged then."""
    return [ack for _, ack in ingest.collector.last_acknowledgements(FLUSH_S)]


def test_only_what_is_on_the_disk_is_acknowledged(disk: Disk) -> None:
    """Rows are drawn as they come; as long as nothing writes, nothing of them is acknowledged."""
    ingest = disk.serve(start=False)
    speaker = Speaker(ingest).meet()
    speaker.send(1, 2)
    speaker.send(3)

    waiting = [ack.next_seq for _, ack in ingest.acks(2 * COMMIT_EVERY_S)]
    assert waiting == [0]
    assert ingest.acks(2 * COMMIT_EVERY_S) == []
    assert ingest.rows() == {(0, 0): [(1, 1.0), (2, 1.0), (3, 1.0)]}
    speaker.hello()
    assert [ack.next_seq for _, ack in ingest.acks()] == [0]

    disk.recorders[0].start()
    assert [ack.next_seq for ack in settled(ingest)] == [2]


def test_a_repeated_frame_is_acknowledged_as_far_as_the_disk_is(disk: Disk) -> None:
    """A publisher that comes back before the commit is told of none, after it of all."""
    ingest = disk.serve(start=False)
    speaker = Speaker(ingest).meet()
    data = speaker.send(1)
    ingest.receive(data, speaker.peer)
    assert {ack.next_seq for _, ack in ingest.acks()} == {0}

    disk.recorders[0].start()
    settled(ingest)
    ingest.receive(data, speaker.peer)
    assert [ack.next_seq for _, ack in ingest.acks()] == [1]
    assert ingest.total("frames_duplicate_total") == 2


def test_what_has_no_room_to_wait_is_left_with_its_publisher(disk: Disk) -> None:
    """While the disk takes nothing so much is taken in and no more; later all is, once."""
    ingest = disk.serve(start=False, pending=4096)
    speaker = Speaker(ingest).meet()
    said = [speaker.send(step) for step in range(200)]
    put_off = ingest.total("frames_put_off_total")
    taken = 200 - put_off

    assert 0 < taken < 200
    assert ingest.rows() == {(0, 0): [(step, 1.0) for step in range(taken)]}
    disk.recorders[0].start()
    settled(ingest)
    for again in range(10):
        for data in said:
            ingest.receive(data, speaker.peer)
        if settled(ingest)[-1].next_seq == 200:
            break
        assert again < 9
    assert ingest.rows() == {(0, 0): [(step, 1.0) for step in range(200)]}
    assert ingest.gaps() == []


def test_a_stream_goes_on_where_the_disk_has_it(disk: Disk) -> None:
    """A hello to the next server finds the marks of the last: no gap, nothing twice."""
    ingest = disk.serve()
    speaker = Speaker(ingest, rank=3, world_size=8).meet()
    data = [speaker.send(step) for step in range(5)]
    settled(ingest)

    speaker.ingest = disk.serve()
    speaker.hello(base_seq=3, base_row=3, base_span=Span(0, 2, 0.0, 2.0))
    speaker.schema("m")
    for frame in data[3:]:
        speaker.ingest.receive(frame, speaker.peer)
    speaker.send(5)

    assert speaker.ingest.rows() == {(3, 0): [(step, 1.0) for step in range(6)]}
    assert speaker.ingest.gaps() == []
    assert speaker.ingest.total("frames_duplicate_total") == 2
    [worker] = speaker.ingest.workers()
    assert (worker.stored, worker.sent, worker.state) == (6, 5, WorkerState.LIVE)


def test_a_stream_of_another_rank_under_a_known_name_is_refused(disk: Disk) -> None:
    """Who a stream is does not change, whichever server is asked."""
    ingest = disk.serve()
    Speaker(ingest, 1, rank=0).meet().send(1)
    settled(ingest)
    ingest = disk.serve()

    Speaker(ingest, 1, rank=1).meet()

    assert ingest.total("streams_refused_total", "another identity") == 1


def test_who_does_not_come_back_was_there(disk: Disk) -> None:
    """Ended, failed and silent workers are shown as such by the next server."""
    ingest = disk.serve()
    Speaker(ingest, 1, rank=0).meet().send(1)
    ending = Speaker(ingest, 2, rank=1).meet()
    ending.send(1)
    ending.bye()
    failing = Speaker(ingest, 3, rank=2).meet()
    failing.send(1)
    failing.bye("RuntimeError")
    settled(ingest)

    ingest = disk.serve()

    stale, done, failed = WorkerState.STALE, WorkerState.DONE, WorkerState.FAILED
    assert ingest.states() == [stale, done, failed]
    assert [worker.ended for worker in ingest.workers()] == [None, "ok", "RuntimeError"]
    ingest.tick(61.0)
    assert ingest.states() == [WorkerState.GONE, done, failed]


def test_a_run_is_called_back_when_it_is_wanted(disk: Disk) -> None:
    """A run that a start left on the disk comes into memory when a viewer asks for it."""
    ingest = disk.serve()
    Speaker(ingest).meet().send(1, 2)
    settled(ingest)
    ingest = disk.serve(restore=False)
    recording = ingest.collector.recording
    assert recording is not None
    assert ingest.store.runs() == []

    for wish in ("run", "run", "no such run"):
        recording.want(wish)
        recording.call_back(ingest.now)

    assert ingest.rows() == {(0, 0): [(1, 1.0), (2, 1.0)]}
    assert ingest.store.runs() == ["run"]


def test_a_hello_calls_its_run_back(disk: Disk) -> None:
    """So does a process of it, and draws on its own line."""
    ingest = disk.serve()
    speaker = Speaker(ingest).meet()
    speaker.send(1, 2)
    settled(ingest)
    speaker.ingest = disk.serve(restore=False)

    speaker.hello(base_seq=1, base_row=2)
    speaker.schema("m")
    speaker.send(3)

    assert speaker.ingest.rows() == {(0, 0): [(1, 1.0), (2, 1.0), (3, 1.0)]}


def test_a_run_whose_file_is_beyond_repair_begins_anew(disk: Disk) -> None:
    """What cannot be read is set aside and told of; what is sent from then on is recorded."""
    ingest = disk.serve()
    Speaker(ingest, 1).meet().send(1)
    settled(ingest)
    disk.end()
    path = run_path(disk.directory, "run")
    path.write_bytes(b"no file of a run")
    ingest = disk.serve(restore=False)

    speaker = Speaker(ingest, 2).meet()
    speaker.send(5)
    settled(ingest)

    assert disk.serve().rows() == {(0, 0): [(5, 1.0)]}
    assert list(path.parent.glob("run.db.damaged-*")) != []


def test_a_goodbye_draws_no_gap_for_what_is_spilled() -> None:
    """What a process left on its own disk comes later, days later if need be."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    speaker.send(1)
    speaker.beat(sent=3, held=2, spilled=2)
    speaker.bye()
    assert ingest.gaps() == []

    speaker.hello(base_seq=1, base_row=1)
    speaker.schema("m")
    speaker.send(2, 3)
    speaker.beat(sent=3)
    speaker.bye()

    assert ingest.rows() == {(0, 0): [(1, 1.0), (2, 1.0), (3, 1.0)]}
    assert ingest.gaps() == []


def test_new_attempt_is_one_whatever_the_steps() -> None:
    """A publisher that says so begins another attempt, even where its steps go on."""
    ingest = Ingest()
    first = Speaker(ingest, 1).meet()
    first.send(1, 2)
    first.bye("new attempt")
    Speaker(ingest, 2, attempt=1).meet().send(3)
    second = Speaker(ingest, 3, attempt=1).meet()
    second.send(4)

    assert [(w.attempt, w.state) for w in ingest.workers()][:2] == [
        (0, WorkerState.DONE),
        (1, WorkerState.LIVE),
    ]
    assert ingest.rows()[0, 0] == [(1, 1.0), (2, 1.0)]
    assert ingest.rows()[0, 1] == [(3, 1.0)]


def test_a_server_that_runs_out_of_memory_gives_way_in_steps() -> None:
    """At 70 % nobody new is let in, at 80 % windows are small, at 90 % the oldest rows go."""
    ingest = Ingest()
    speaker = Speaker(ingest, 1).meet()
    for first in range(0, 40_000, 2000):
        steps = range(first, first + 2000)
        speaker.samples(batch(steps, [[1.0]] * 2000))
    full = ingest.store.usage().ring_rows

    ingest.collector.press(0.75)
    Speaker(ingest, 2, rank=1).meet()
    assert ingest.total("streams_refused_total", "memory") == 1
    ingest.collector.press(0.85)
    speaker.hello()
    assert [ack.window for _, ack in ingest.acks()][-1] == LEAST_WINDOW_BYTES
    assert ingest.store.usage().ring_rows == full
    ingest.collector.press(0.95)
    usage = ingest.store.usage()
    assert usage.ring_rows < 0.7 * full
    assert usage.bytes_held <= usage.bytes_allowed
    ingest.collector.press(0.5)
    Speaker(ingest, 3, rank=1).meet().send(1)
    assert len(ingest.workers()) == 2


def test_a_file_of_a_later_version_is_left_alone_and_named(disk: Disk) -> None:
    """Its run is not shown, its streams are refused, and not a byte of it changes."""
    ingest = disk.serve()
    Speaker(ingest, 1).meet().send(1)
    settled(ingest)
    disk.end()
    path = run_path(disk.directory, "run")
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA user_version = 99")
        file.execute("DELETE FROM meta WHERE name = 'version'")
    before = path.read_bytes()

    recorder = Recorder(disk.directory, 1 << 30, Counters())
    disk.recorders.append(recorder)
    ingest = Ingest(recorder=recorder)
    [note] = recorder.restore_all(ingest.store)
    recorder.start()
    Speaker(ingest, 2).meet()

    assert isinstance(note, str)
    assert "99" in note
    assert ingest.total("streams_refused_total", "journal") == 1
    disk.end()
    assert path.read_bytes() == before
