"""★ Damaged frames, bombs, other versions, steps out of range: refused, counted, cheap."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable

import msgpack
import pytest
from handmade_frames import Ingest, Speaker, stream_id
from mutants import frames_of_each_kind, mutants

from streamviz.errors import DecodeError
from streamviz.wire.codec import MAX_FRAME_BYTES, REASONS, decode, encode
from streamviz.wire.frames import (
    MAX_STEP,
    PROTOCOL_VERSION,
    Batch,
    Gap,
    Span,
)

MUTANTS = 1_000_000
BOMB_S, BOMB_BYTES = 0.002, 2_000_000
"""What refusing a bomb may take, beside the bomb's own bytes."""


def test_a_million_damaged_frames_hurt_nobody(outcome: Callable[[int, str], None]) -> None:
    """Each is taken or refused for a reason; a stream beside them is stored whole, in order."""
    ingest = Ingest(max_runs=100, max_workers=500, max_streams=1000)
    # No four bytes of another stream's name make this one's.
    bystander = Speaker(ingest, 2**127 - 99, run="innocent").meet("m")
    began = time.process_time()
    for number, mutant in enumerate(mutants(MUTANTS)):
        ingest.receive(mutant, b"hostile")
        if number % 1000 == 0:
            bystander.send(number)
            ingest.acks(0.01)
            ingest.tick()
    seconds = time.process_time() - began
    ingest.collector.settle()
    refused = ingest.counters.read()["frames_bad_total"]

    assert ingest.total("frames_received_total") == MUTANTS + MUTANTS // 1000 + 2
    assert set(refused) <= {*REASONS, "bad column", "row numbers"}
    assert MUTANTS / 3 < sum(refused.values()) < MUTANTS
    assert ingest.rows("m", "innocent") == {
        (0, 0): [(number, 1.0) for number in range(0, MUTANTS, 1000)]
    }
    assert ingest.gaps("innocent") == []
    outcome(
        15,
        f"{MUTANTS:,} damaged frames in {seconds:.0f} s of CPU: {sum(refused.values()):,} refused "
        "for one of six reasons, the others were frames; the stream beside them whole",
    )


def headed(body: bytes, kind: int = 3) -> bytes:
    """Return a message with a right header and any body."""
    header: bytes = msgpack.packb([PROTOCOL_VERSION, kind, bytes(16), 0, 1.0, 1.0, None])
    return header[:-1] + body


def array(length: int) -> bytes:
    """Return the first bytes of an array."""
    return b"\xdd" + length.to_bytes(4, "big")


def tree(depth: int) -> bytes:
    """Return an array of four arrays of four arrays …: every one of them is short."""
    return b"\x94" + tree(depth - 1) * 4 if depth else b"\xc0"


def nested(part: bytes, length: int = 16_000) -> bytes:
    """Return arrays in arrays, all filled up from the front, so that none ends before the last."""
    one = array(length) + part * (length - 1)
    levels = (MAX_FRAME_BYTES - 200) // len(one)
    return one * levels + b"\xc0"


BOMBS = {
    "a million empty maps": b"\x9f" + (array(65_000) + b"\x80" * 65_000) * 15,
    "the longest list": array(16_000) + b"\x80" * 16_000,
    "lists of lists of nothing": nested(b"\xc0"),
    "lists of lists of text": nested(b"\xa3abc"),
    "lists of lists of maps": nested(b"\x80"),
    "lists of lists of integers": nested(b"\xcd\xff\xff"),
    "the same, as batches": b"\x92\x00" + array(4096) + nested(b"\xa3abc"),
    "short lists, as batches": b"\x92\x00" + array(4096) + tree(9),
    "half a megabyte of short lists": tree(9),
    "what is just not large": (array(16_000) + b"\xa3abc" * 16_000) * 2,
    "the largest map": b"\xdf\x00\x00\x10\x00"
    + b"".join(msgpack.packb(f"key {number}") + b"\x80" for number in range(4096)),
    "depth": b"\x91" * 100_000 + b"\xc0",
    "depth that is read": b"\x91" * 500 + b"\xc0",
    "four gigabytes": b"\xc6\xff\xff\xff\xff",
    "four billion elements": b"\xdd\xff\xff\xff\xff",
    "an extension": b"\xc7\x04\x05abcd",
    "text without an end": b"\xdb\xff\xff\xff\xff",
}


def test_a_bomb_is_refused_at_once(outcome: Callable[[int, str], None]) -> None:
    """What is small on the wire and large in memory is refused before it is built."""
    slowest_s = largest = 0.0
    for name, body in BOMBS.items():
        data = headed(body)
        assert len(data) <= MAX_FRAME_BYTES, name
        fastest_s = min(refuse(data) for _ in range(7))
        # Keys are interned: now and then the interpreter doubles its own table of names in one.
        peak = min(peak_of_refusing(data) for _ in range(3))
        assert peak <= BOMB_BYTES + len(data), name
        # The promise is of a machine that does nothing else.
        assert fastest_s <= 5 * BOMB_S, name
        slowest_s, largest = max(slowest_s, fastest_s), max(largest, peak)

    outcome(
        17,
        f"{len(BOMBS)} bombs of up to 1 MiB refused within {slowest_s * 1e3:.1f} ms and "
        f"{largest / 1e6:.1f} MB each",
    )


def peak_of_refusing(data: bytes) -> int:
    """Return how many bytes of memory the decoder took at most before it refused some bytes."""
    tracemalloc.start()
    try:
        refuse(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refuse(data: bytes) -> float:
    """Return for how many seconds of CPU some bytes kept the decoder before it refused them."""
    began = time.process_time()
    with pytest.raises(DecodeError):
        decode(data)
    return time.process_time() - began


def test_another_version_is_named_and_read_by_nobody(outcome: Callable[[int, str], None]) -> None:
    """Of each kind, in any other version: refused with both versions named, nothing half-read."""
    ingest = Ingest()
    versions = (0, 2, 3, 127, 2**32)
    for version in versions:
        for frame in frames_of_each_kind():
            other = msgpack.packb([version, *msgpack.unpackb(frame)[1:]])
            with pytest.raises(DecodeError, match=f"protocol {version}, this is 1"):
                decode(other)
            ingest.receive(other)

    refused = len(versions) * len(frames_of_each_kind())
    assert ingest.total("frames_bad_total", "other version") == refused
    assert ingest.total("streams_opened_total") == 0
    assert ingest.store.runs() == []
    outcome(
        19,
        f"{refused} frames of {len(versions)} other versions refused with both versions named; "
        "every golden frame of version 1 is read",
    )


STEPS = {
    "zero": (0, True),
    "the largest": (MAX_STEP, True),
    "one past it": (MAX_STEP + 1, False),
    "minus one": (-1, False),
    "the largest of 64 bits": (2**63 - 1, False),
    "the smallest": (-(2**63), False),
}


def test_steps_are_stored_as_they_are_or_refused(outcome: Callable[[int, str], None]) -> None:
    """A step is never wrapped, rounded or clipped: the row is stored, or is a gap of one row."""
    ingest = Ingest()
    speaker = Speaker(ingest).meet("m")
    for step, _ in STEPS.values():
        columns = Batch(0, struct.pack("<q", step), struct.pack("<d", 1.0), struct.pack("<d", 1.0))
        speaker.samples(columns)

    taken = [step for step, legal in STEPS.values() if legal]
    assert [step for step, _ in ingest.rows("m")[0, 0]] == taken
    assert ingest.total("gap_rows_total", "refused") == len(STEPS) - len(taken)
    with pytest.raises(DecodeError):
        decode(encode(Gap(stream_id(1), 0, 1.0, 1.0, 3, 0, 9, Span(0, MAX_STEP + 1, 1, 1), "x")))
    outcome(
        27,
        f"{len(taken)} legal steps stored exactly, {len(STEPS) - len(taken)} illegal ones refused, "
        "counted and drawn as gaps",
    )
