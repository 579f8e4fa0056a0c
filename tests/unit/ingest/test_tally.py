"""What became of a worker's rows, as the server adds it up."""

from __future__ import annotations

from handmade_frames import Ingest, Speaker, batch, stream_id

from streamviz.wire.frames import Span


def told(ingest: Ingest) -> tuple[int, int, int, int]:
    """Return what was sent, stored, is missing and is held, of the one worker."""
    ingest.tick()
    [worker] = ingest.workers()
    return worker.sent, worker.stored, worker.missing, worker.held


def test_rows_are_stored_missing_or_held() -> None:
    """Of twelve rows two came, seven were given up, three are still with the sender."""
    ingest = Ingest()
    rank = Speaker(ingest).meet()
    rank.samples(batch((1, 2), [[1.0], [2.0]]))
    rank.gap(7, Span(3, 9, 1.0, 2.0))
    rank.beat(sent=12, held=3, spilled=2)
    assert told(ingest) == (12, 2, 7, 3)
    [worker] = ingest.workers()
    assert worker.spilled == 2


def test_a_goodbye_leaves_nothing_held() -> None:
    """What has not come by then is a gap; a heartbeat that comes late changes nothing."""
    ingest = Ingest()
    rank = Speaker(ingest).meet()
    rank.samples(batch((1, 2), [[1.0], [2.0]]))
    rank.beat(sent=5, held=3)
    rank.seq += 1  # the frame that holds them never comes
    rank.bye()
    assert told(ingest) == (5, 2, 3, 0)
    rank.bye()
    assert told(ingest) == (5, 2, 3, 0)


def test_processes_and_children_of_a_worker_are_added_up() -> None:
    """Each reports its own rows only; a heartbeat twice counts once."""
    ingest = Ingest()
    first = Speaker(ingest, 1).meet()
    first.samples(batch((1,), [[1.0]]))
    child = Speaker(ingest, 2, parent=stream_id(1)).meet()
    child.samples(batch((2,), [[1.0]]))
    for _ in range(2):
        first.beat(sent=1, held=0)
        child.beat(sent=4, held=3)
    assert told(ingest) == (5, 2, 0, 3)


def test_a_frame_that_comes_again_is_counted_and_left_out() -> None:
    """It is stored once."""
    ingest = Ingest()
    rank = Speaker(ingest).meet()
    frame = rank.samples(batch((1,), [[1.0]]))
    ingest.receive(frame)
    ingest.tick()
    [worker] = ingest.workers()
    assert (worker.stored, worker.repeated) == (1, 1)
