"""What arrives is stored as sent, once and in order; what is missing is drawn."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from handmade_frames import Ingest, Speaker, batch, stream_id

from streamviz.ingest.acknowledger import (
    ACK_EVERY_S,
    FRAMES_PER_S,
    LEAST_WINDOW_BYTES,
    MOST_FLUSH_MS,
    WATCHED_FLUSH_MS,
    WINDOW_BYTES,
    WINDOWS_BYTES,
)
from streamviz.store.gaps import Gap as StoredGap
from streamviz.wire.frames import MAX_STEP, Batch, Span

SPAN = Span(10, 20, 1.0, 2.0)


def test_samples_are_stored_as_sent() -> None:
    """Steps, times and values of every metric are in the store, by rank and attempt."""
    ingest = Ingest()
    speaker = Speaker(ingest, rank=3, world_size=8, attempt=2).meet("loss", "lr")
    speaker.samples(batch([1, 2, 4], [[0.5, 1.0], [0.25, 2.0], [0.125, 3.0]], times=[7, 8, 9]))

    assert ingest.rows("loss") == {(3, 2): [(1, 0.5), (2, 0.25), (4, 0.125)]}
    assert ingest.rows("lr") == {(3, 2): [(1, 1.0), (2, 2.0), (4, 3.0)]}
    [series] = ingest.store.query("run", "lr").series
    assert series.time.tolist() == [7.0, 8.0, 9.0]
    assert ingest.total("rows_received_total") == 3
    assert ingest.total("samples_received_total") == 6
    assert ingest.collector.rows_stored == 3


def test_every_bit_of_a_value_is_kept() -> None:
    """Not-a-numbers with a payload, signed zeros and subnormals come out bit for bit."""
    bits = [0x7FF8_0000_0000_0000, 0xFFF8_DEAD_BEEF_0001, 0x7FF0_0000_0000_0001, 1 << 63, 1, 0]
    ingest = Ingest()
    values = b"".join(struct.pack("<Q", value) for value in bits)
    steps = np.arange(len(bits), dtype="<i8").tobytes()
    times = np.arange(len(bits), dtype="<f8").tobytes()
    Speaker(ingest).meet("m").samples(Batch(0, steps, times, values))

    [series] = ingest.store.query("run", "m").series

    assert series.value.astype("<f8").tobytes() == values
    assert ingest.total("nonfinite_total") == 3


def test_what_is_not_finite_is_counted_without_a_warning() -> None:
    """Infinities of both signs, and sums past the largest number, are data like any other."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet("a", "b")
    speaker.samples(batch([1], [[float("inf"), float("-inf")]]))
    speaker.samples(batch([2, 3], [[1e308, 1e308], [1e308, float("nan")]]))

    assert ingest.total("nonfinite_total") == 3
    assert ingest.total("frames_bad_total") == 0
    assert ingest.rows("a")[0, 0] == [(1, float("inf")), (2, 1e308), (3, 1e308)]


def test_schemas_live_side_by_side() -> None:
    """A frame may carry rows of several schemas."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet("m")
    speaker.schema("n", "o", schema=9)
    speaker.samples(batch([1], [[1.0]]), batch([1, 2], [[2.0, 3.0], [4.0, 5.0]], schema=9))

    assert ingest.rows("m") == {(0, 0): [(1, 1.0)]}
    assert ingest.rows("o") == {(0, 0): [(1, 3.0), (2, 5.0)]}


def test_a_repeated_frame_is_stored_once() -> None:
    """A duplicate is counted and acknowledged again, and changes nothing."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    data = speaker.send(1, 2)
    ingest.acks()
    ingest.receive(data)

    assert ingest.rows()[0, 0] == [(1, 1.0), (2, 1.0)]
    assert ingest.total("frames_duplicate_total") == 1
    assert [ack.next_seq for _, ack in ingest.acks()] == [1]


def test_a_frame_that_came_too_early_waits_for_its_resend() -> None:
    """A frame whose predecessor is missing is not stored; the acknowledgement names the missing."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    speaker.send(1)
    ingest.acks()
    late = Speaker(Ingest()).meet()
    late.seq, late.row = 1, 1
    missing = late.send(2)
    speaker.seq, speaker.row = 2, 2
    speaker.send(3)

    assert ingest.rows()[0, 0] == [(1, 1.0)]
    assert ingest.total("frames_ahead_total") == 1
    assert [ack.next_seq for _, ack in ingest.acks()] == [1]

    ingest.receive(missing)
    assert ingest.rows()[0, 0] == [(1, 1.0), (2, 1.0)]


def test_a_gap_is_drawn_where_its_rows_would_be() -> None:
    """A gap record stands in the store with its range, its rows and its reason."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    speaker.send(1)
    speaker.gap(11, SPAN, frames=4)
    speaker.send(30)

    assert ingest.gaps() == [(0, StoredGap(10, 20, 1.0, 2.0, 11, "buffer full"))]
    assert ingest.rows()[0, 0] == [(1, 1.0), (30, 1.0)]
    assert ingest.total("gaps_total", "buffer full") == 1
    assert ingest.total("gap_rows_total", "buffer full") == 11


def test_a_gap_over_stored_frames_counts_the_others() -> None:
    """Of a gap over frames that had partly arrived, only the missing rows are counted."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    speaker.send(1, 2, 3)
    ingest.acks()
    speaker.seq, speaker.row = 0, 0
    speaker.gap(10, SPAN, frames=5)

    assert [gap.rows for _, gap in ingest.gaps()] == [7]
    assert [ack.next_seq for _, ack in ingest.acks()] == [5]


def test_a_gap_comes_once() -> None:
    """A repeated gap and one over rows that all are stored draw nothing."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    speaker.send(1, 2, 3)
    speaker.seq, speaker.row = 0, 0
    speaker.gap(3, SPAN)
    speaker.gap(2, SPAN)
    speaker.seq, speaker.row = 1, 3
    speaker.gap(2, SPAN)

    assert [gap.rows for _, gap in ingest.gaps()] == [2]


def test_reasons_of_gaps_are_a_closed_list() -> None:
    """Counters do not grow by what a sender writes; the gap keeps the sender's word."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    for number in range(50):
        speaker.gap(1, SPAN, reason=f"whim {number}")

    assert ingest.total("gap_rows_total") == 50
    assert len(ingest.counters.read()["gaps_total"]) < 5
    assert ingest.gaps()[0][1].reason.startswith("whim")


def test_an_unknown_stream_is_told_who_answers() -> None:
    """Frames of a stream that never greeted are answered with this server's epoch, unstored."""
    ingest = Ingest(epoch=77)
    speaker = Speaker(ingest)
    speaker.schema("m")
    speaker.send(1)
    speaker.beat()
    speaker.bye()

    assert {(peer, ack.epoch, ack.next_seq) for peer, ack in ingest.acks()} == {(b"peer 1", 77, 0)}
    assert ingest.store.runs() == []


def test_a_restarted_server_draws_what_only_the_old_one_held() -> None:
    """Greeted by a stream in mid-run, a new server shows the former one's rows as a gap."""
    ingest = Ingest(epoch=2)
    speaker = Speaker(ingest)
    speaker.seq, speaker.row = 5, 11
    speaker.meet(base_seq=5, base_row=11, base_span=SPAN)
    speaker.send(21)

    assert ingest.gaps() == [(0, StoredGap(10, 20, 1.0, 2.0, 11, "former server"))]
    assert ingest.rows() == {(0, 0): [(21, 1.0)]}
    assert [(ack.epoch, ack.next_seq) for _, ack in ingest.acks()] == [(2, 5), (2, 6)]


def test_a_new_connection_loses_and_repeats_nothing() -> None:
    """Greeting again, the stream goes on where it was, and its schemas are announced anew."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    speaker.send(1)
    speaker.peer = b"another connection"
    speaker.hello(base_seq=0, base_row=0)
    speaker.send(2)

    assert ingest.rows()[0, 0] == [(1, 1.0)]
    assert ingest.total("frames_ahead_total") == 1

    speaker.seq, speaker.row = 1, 1
    speaker.schema("m")
    speaker.send(2)
    assert ingest.rows()[0, 0] == [(1, 1.0), (2, 1.0)]
    assert {peer for peer, _ in ingest.acks()} == {b"peer 1", b"another connection"}
    assert ingest.gaps() == []
    assert len(ingest.workers()) == 1


# -- what no sender may send ---------------------------------------------------------------

GOOD = batch([3], [[1.0]])
BAD_COLUMNS = {
    "negative step": batch([-1], [[1.0]]),
    "step past 2**53": batch([MAX_STEP + 1], [[1.0]]),
    "a negative step among good ones": batch([4, -(2**63), 5], [[1.0]] * 3, times=[1, 1, 1]),
    "NaN time": batch([3], [[1.0]], times=[float("nan")]),
    "infinite time": batch([3], [[1.0]], times=[float("inf")]),
    "infinite times that cancel": batch([3, 4], [[1.0]] * 2, times=[float("inf"), -float("inf")]),
    "time beyond any calendar": batch([3], [[1.0]], times=[1e300]),
    "more columns than names": batch([3], [[1.0, 2.0]]),
    "many more columns than names": batch([3], [[1.0] * 50]),
}


@pytest.mark.parametrize("what", BAD_COLUMNS)
def test_a_bad_column_is_counted_and_drawn(what: str) -> None:
    """A column that no sender may send is a gap; this stream and the others go on."""
    ingest = Ingest()
    other = Speaker(ingest, 2, rank=1).meet()
    speaker = Speaker(ingest, 1, rank=0).meet()
    speaker.send(1)
    rows = len(BAD_COLUMNS[what].steps) // 8
    speaker.samples(GOOD, BAD_COLUMNS[what])
    speaker.send(9)
    other.send(1)

    assert ingest.rows() == {
        (0, 0): [(1, 1.0), (3, 1.0), (9, 1.0)],
        (1, 0): [(1, 1.0)],
    }
    assert [(worker, gap.rows, gap.reason) for worker, gap in ingest.gaps()] == [
        (1, rows, "refused")
    ]
    assert ingest.total("frames_bad_total", "bad column") == 1
    assert ingest.total("rows_received_total") == 4
    assert {ack.next_seq for _, ack in ingest.acks()} == {0, 1, 3}


def test_the_largest_step_is_stored() -> None:
    """2**53 itself is a step."""
    ingest = Ingest()
    Speaker(ingest).meet().samples(batch([0, MAX_STEP], [[1.0], [1.0]], times=[1, 2]))

    assert ingest.rows()[0, 0] == [(0, 1.0), (MAX_STEP, 1.0)]


def test_rows_that_contradict_are_counted() -> None:
    """A stream whose row numbers contradict each other is held up, and only it."""
    ingest = Ingest()
    other = Speaker(ingest, 2, rank=1).meet()
    speaker = Speaker(ingest, 1).meet()
    speaker.send(1)
    speaker.row = 7
    speaker.send(2)
    speaker.seq, speaker.row = 1, 0
    speaker.gap(0, SPAN)
    other.send(1)

    assert ingest.total("frames_bad_total", "row numbers") == 2
    assert ingest.rows() == {(0, 0): [(1, 1.0)], (1, 0): [(1, 1.0)]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not msgpack"),
        (b"\x93\x02\x01\x01", "other version"),
        (b"\x80", "not a frame"),
        (bytes(2 << 20), "too large"),
    ],
    ids=["nothing", "version", "map", "huge"],
)
def test_what_is_no_frame_is_counted_by_reason(data: bytes, reason: str) -> None:
    """Noise on the port is counted, and changes nothing else."""
    ingest = Ingest()
    ingest.receive(data)

    assert ingest.counters.read()["frames_bad_total"] == {reason: 1}
    assert ingest.total("frames_received_total") == 1
    assert ingest.total("bytes_received_total") == len(data)
    assert ingest.acks() == []


def test_a_stream_that_changes_its_name_is_refused() -> None:
    """One stream is one run and rank for ever: a second greeting cannot reach another run."""
    ingest = Ingest()
    Speaker(ingest, 2, run="other").meet().send(1)
    speaker = Speaker(ingest, 1, run="run").meet()
    speaker.send(1)
    speaker.hello(run="other")
    speaker.schema("m")
    speaker.send(2)

    assert ingest.rows(run="other") == {(0, 0): [(1, 1.0)]}
    assert ingest.total("streams_refused_total", "another identity") == 1


# -- caps ----------------------------------------------------------------------------------


def test_too_many_streams_are_refused() -> None:
    """Past the cap a stream is refused and counted; the others go on."""
    ingest = Ingest(max_streams=2)
    first = Speaker(ingest, 1, rank=0).meet()
    Speaker(ingest, 2, rank=1).meet()
    third = Speaker(ingest, 3, rank=2).meet()
    first.send(1)
    third.send(1)

    assert ingest.rows() == {(0, 0): [(1, 1.0)]}
    assert ingest.total("streams_refused_total", "too many streams") == 1
    assert ingest.total("streams_opened_total") == 2


@pytest.mark.parametrize(
    ("caps", "reason"),
    [({"max_workers": 1}, "too many workers"), ({"max_runs": 1}, "too many runs")],
    ids=["workers", "runs"],
)
def test_a_full_store_refuses_and_goes_on(caps: dict[str, Any], reason: str) -> None:
    """A worker or run past the store's caps is refused by reason; the others go on."""
    ingest = Ingest(**caps)
    first = Speaker(ingest, 1, run="run").meet()
    second = Speaker(ingest, 2, run="another").meet()
    first.send(1)
    second.send(1)

    assert ingest.rows() == {(0, 0): [(1, 1.0)]}
    assert ingest.total("streams_refused_total", reason) == 1
    assert ingest.store.runs()[0] == "run"


def test_an_attempt_past_the_cap_is_refused_when_it_shows() -> None:
    """That a stream is a new attempt shows by its first samples, or its first gap: refused then."""
    ingest = Ingest(max_workers=1)
    first = Speaker(ingest, 1).meet()
    first.send(1, 2, 3)
    first.bye()
    again = Speaker(ingest, 2).meet()
    again.send(1)
    third = Speaker(ingest, 3).meet()
    third.gap(2, Span(0, 1, 0.0, 0.0))
    Speaker(ingest, 4).meet(base_seq=1, base_row=1, base_span=Span(0, 0, 0.0, 0.0))

    assert ingest.total("streams_refused_total", "too many workers") == 3
    assert ingest.rows() == {(0, 0): [(1, 1.0), (2, 1.0), (3, 1.0)]}


def test_a_store_without_memory_refuses_under_one_reason() -> None:
    """However many runs and ranks are refused for memory, the counter keeps one label."""
    ingest = Ingest(budget=1 << 20)
    number = 0
    while ingest.total("streams_refused_total") < 20:
        number += 1
        Speaker(ingest, number, run=f"run {number}", rank=number).meet(
            *(f"metric {i}" for i in range(4000))
        )

    assert ingest.counters.read()["streams_refused_total"].keys() == {"memory"}


def test_names_past_the_cap_are_counted() -> None:
    """Metrics past the cap of a run are counted as overflow; those before it are stored."""
    ingest = Ingest(max_series_per_run=2)
    speaker = Speaker(ingest).meet("a", "b", "c")
    speaker.samples(batch([1], [[1.0, 2.0, 3.0]]))
    speaker.schema("d", schema=1)
    speaker.samples(batch([1], [[4.0]], schema=1))

    assert ingest.store.metrics("run") == ["a", "b"]
    assert ingest.rows("b") == {(0, 0): [(1, 2.0)]}
    assert ingest.total("series_overflowed_total") == 2


# -- acknowledgements and pace -------------------------------------------------------------


def test_a_hello_is_answered_at_once() -> None:
    """A greeting and a goodbye do not wait for the next round."""
    ingest = Ingest(epoch=5)
    ingest.acks()
    speaker = Speaker(ingest).meet()

    [(peer, ack)] = ingest.acks(after_s=0.0)
    assert (peer, ack.epoch, ack.next_seq) == (b"peer 1", 5, 0)
    assert (ack.window, ack.flush_ms) == (WINDOW_BYTES, WATCHED_FLUSH_MS)

    speaker.bye()
    assert len(ingest.acks(after_s=0.0)) == 1


def test_acknowledgements_are_gathered() -> None:
    """Many frames are answered by one acknowledgement, a moment later; then there is silence."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    ingest.acks()
    for step in range(10):
        speaker.send(step)

    assert ingest.acks(after_s=0.01) == []
    assert [ack.next_seq for _, ack in ingest.acks(after_s=ACK_EVERY_S)] == [10]
    assert ingest.acks() == []
    assert ingest.total("acks_sent_total") == 2


def test_a_full_window_is_acknowledged_early() -> None:
    """A sender whose window is half used is answered before its time."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    ingest.acks()
    for first in range(0, 30_000, 3000):
        speaker.send(*range(first, first + 3000))

    assert [ack.next_seq for _, ack in ingest.acks(after_s=0.001)] == [10]


def test_pace_and_window_follow_the_number_of_streams() -> None:
    """More streams are asked for fewer, larger frames and share the windows, within bounds."""
    ingest = Ingest()
    for number in range(1, 1001):
        Speaker(ingest, number, rank=number).hello()

    [*_, (_, ack)] = ingest.acks()
    assert ack.flush_ms == 1000 * 1000 // FRAMES_PER_S == 400
    assert ack.window == WINDOWS_BYTES // 1000

    ingest.collector._streams = dict.fromkeys(
        map(stream_id, range(100_000)), ingest.collector._streams[stream_id(1)]
    )
    last = ingest.collector._acks.ack(0)
    assert (last.flush_ms, last.window) == (MOST_FLUSH_MS, LEAST_WINDOW_BYTES)


def test_an_acknowledgement_goes_to_the_newest_connection() -> None:
    """After a new connection answers go there, not to the one before."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    ingest.acks()
    speaker.peer = b"new"
    speaker.send(1)

    assert [peer for peer, _ in ingest.acks()] == [b"new"]


def test_frames_are_counted_whatever_becomes_of_them() -> None:
    """Every message and its bytes are counted."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    data = speaker.send(1)
    before = ingest.total("bytes_received_total")
    ingest.receive(data)

    assert ingest.total("frames_received_total") == 4
    assert ingest.total("bytes_received_total") == before + len(data)


def test_what_a_process_could_not_deliver_is_drawn() -> None:
    """Rows that its last heartbeat counted and that had not come by its goodbye are a gap."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    speaker.send(1, 2)
    speaker.beat(sent=9)
    speaker.seq = 4
    speaker.bye()
    speaker.bye()

    assert [(gap.first_step, gap.rows, gap.reason) for _, gap in ingest.gaps()] == [
        (2, 7, "undelivered")
    ]
    assert [ack.next_seq for _, ack in ingest.acks()][-1] == 4


def test_a_process_that_delivered_everything_leaves_no_gap() -> None:
    """A goodbye after all rows came draws nothing."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet()
    speaker.send(1, 2)
    speaker.beat(sent=5)  # three of them turned out to be of no use
    speaker.beat(sent=2)
    speaker.bye()

    assert ingest.gaps() == []
