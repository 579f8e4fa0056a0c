"""The codec's law: what was encoded comes back; for any bytes, a frame or one of the reasons."""

from __future__ import annotations

import random
import unicodedata

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.errors import DecodeError
from streamviz.wire.codec import MAX_FLUSH_MS, REASONS, decode, decode_ack, encode, encode_ack
from streamviz.wire.frames import (
    MAX_STEP,
    MAX_TIME_S,
    PROTOCOL_VERSION,
    Ack,
    Batch,
    Bye,
    Frame,
    Gap,
    Heartbeat,
    Hello,
    Item,
    Kind,
    Samples,
    Schema,
    Span,
)
from streamviz.wire.names import name_fault

MUTATIONS = 20_000
"""Of each frame; there are eleven."""

streams = st.binary(min_size=16, max_size=16)
counts = st.integers(0, 2**63 - 1)
smalls = st.integers(0, 2**24 - 1)
steps = st.integers(0, MAX_STEP)
times = st.floats(-MAX_TIME_S, MAX_TIME_S)
names = (
    st.text(min_size=1, max_size=40)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda text: name_fault(text) is None)
)
spans = st.builds(
    lambda a, b, first, last: Span(min(a, b), max(a, b), first, last), steps, steps, times, times
)
totals = st.dictionaries(names, counts, max_size=4)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Columns of any bits, NaN of every kind among them."""
    rows, width = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    column = st.binary(min_size=8 * rows, max_size=8 * rows)
    values = st.binary(min_size=8 * rows * width, max_size=8 * rows * width)
    return Batch(draw(st.integers(0, 65535)), draw(column), draw(column), draw(values))


hellos = st.builds(
    Hello,
    stream=streams,
    wall=times,
    mono=times,
    base_seq=counts,
    base_row=counts,
    base_span=st.none() | spans,
    run=names,
    rank=smalls,
    world_size=smalls,
    local_rank=smalls,
    host=names,
    pid=counts,
    attempt=smalls,
    parent=st.none() | streams,
    library=names,
    config=st.dictionaries(st.text(max_size=8), plain, max_size=4),
)
schemas = st.builds(
    Schema,
    stream=streams,
    wall=times,
    mono=times,
    schema=st.integers(0, 65535),
    names=st.lists(names, min_size=1, max_size=6, unique=True).map(tuple),
)
samples = st.builds(
    lambda stream, seq, wall, mono, row, parts: Samples(
        stream, seq, wall, mono, row, tuple(parts), sum(len(part.steps) // 8 for part in parts)
    ),
    streams,
    counts,
    times,
    times,
    counts,
    st.lists(batches(), min_size=1, max_size=3),
)
gaps = st.builds(
    lambda stream, seqs, rows, wall, mono, span, reason: Gap(
        stream, min(seqs), wall, mono, max(seqs), min(rows), max(rows), span, reason
    ),
    streams,
    st.tuples(counts, counts),
    st.tuples(counts, counts),
    times,
    times,
    spans,
    names,
)
heartbeats = st.builds(
    Heartbeat,
    stream=streams,
    wall=times,
    mono=times,
    sent=counts,
    held=counts,
    spilled=counts,
    dropped=totals,
    refused=totals,
    last_step=st.none() | steps,
    phase=st.none() | names,
    phase_s=times,
)
items = st.builds(
    Item,
    stream=streams,
    seq=counts,
    wall=times,
    mono=times,
    row=counts,
    kind=names,
    name=names,
    step=steps,
    time=times,
    body=st.one_of(
        st.dictionaries(st.text(max_size=8), plain, max_size=4).map(msgpack.packb),
        st.integers(1 << 16, 1 << 18).map(lambda size: msgpack.packb({"data": bytes(size)})),
    ),
)
byes = st.builds(Bye, stream=streams, wall=times, mono=times, next_seq=counts, how=names)
frames = st.one_of(hellos, schemas, samples, items, gaps, heartbeats, byes)


@pytest.mark.parametrize(
    "kind",
    [hellos, schemas, samples, items, gaps, heartbeats, byes],
    ids=["hello", "schema", "samples", "item", "gap", "heartbeat", "bye"],
)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_frame_comes_back_as_it_was(kind: st.SearchStrategy[Frame], data: st.DataObject) -> None:
    """Every kind of frame survives its bytes, in value and in type."""
    frame = data.draw(kind)

    again = decode(encode(frame))

    assert again == frame
    assert type(again) is type(frame)
    assert encode(again) == encode(frame)


@given(st.builds(Ack, counts, counts, counts, st.integers(0, MAX_FLUSH_MS)))
def test_an_acknowledgement_comes_back_as_it_was(ack: Ack) -> None:
    """An acknowledgement survives its bytes."""
    assert decode_ack(encode_ack(ack)) == ack


def judge(data: bytes) -> str | None:
    """Return why some bytes are refused, both as a frame and as an acknowledgement."""
    reasons: list[str | None] = []
    for read in (decode, decode_ack):
        try:
            read(data)
            reasons.append(None)
        except DecodeError as error:
            reasons.append(error.reason)
    assert set(reasons) <= {None, *REASONS}
    return reasons[0]


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    """For any bytes there is a frame or a reason, and nothing else is raised."""
    judge(data)


@settings(max_examples=500, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats()
        | st.text(max_size=5)
        | st.binary(max_size=20)
        | streams,
        lambda inner: (
            st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=30,
    ),
    st.integers(0, 9),
    st.booleans(),
)
def test_any_message_gets_a_verdict(body: object, kind: int, listed: bool) -> None:  # noqa: FBT001
    """So for well-formed messages whose header is right and whose body is anything."""
    inner = body if not listed else [body]
    judge(msgpack.packb([PROTOCOL_VERSION, kind, bytes(16), 0, 0.0, 0.0, inner]))


@settings(max_examples=300, deadline=None)
@given(frame=frames, data=st.data())
def test_a_frame_with_a_part_replaced_gets_a_verdict(frame: Frame, data: st.DataObject) -> None:
    """So for a frame with one element, at any depth, of another type or range."""
    message = msgpack.unpackb(encode(frame))
    odd = st.none() | st.booleans() | st.integers(-5, 2**64 - 1) | st.floats() | st.text(max_size=3)
    where = message
    while True:
        at = data.draw(st.integers(0, len(where) - 1))
        if not isinstance(where[at], list) or not where[at] or data.draw(st.booleans()):
            break
        where = where[at]
    where[at] = data.draw(odd | st.lists(odd, max_size=8) | st.binary(max_size=24))

    judge(msgpack.packb(message))


def seeds() -> list[bytes]:
    """Return the bytes of eleven frames, two of each kind that has structure."""
    stream = bytes(range(16))
    span = Span(3, 70_000, 1.5e9, 1.6e9)
    column = bytes(range(8)) * 3
    batch = Batch(3, column, column, column * 2)
    hello = Hello(
        *(stream, 1.0, 2.0, 5, 7, span, "run/ü", 3, 8, 3, "node", 4242, 1, None, "0.1.0"),
        {"lr": 0.1, "model": {"depth": 4, "act": ["relu", None, True]}},
    )
    beat = Heartbeat(stream, 1.0, 2.0, 10, 2, 0, {"outbox full": 3}, {"x": 1}, 9, "data", 0.5)
    return [
        encode(hello),
        encode(hello._replace(base_span=None, parent=stream, config={})),
        encode(Schema(stream, 1.0, 2.0, 3, ("train/loss", "lr"))),
        encode(Samples(stream, 1, 1.0, 2.0, 0, (batch,), 3)),
        encode(Samples(stream, 2**40, 1.0, 2.0, 9, (batch, batch), 6)),
        encode(Gap(stream, 1, 1.0, 2.0, 5, 10, 20, span, "buffer full")),
        encode(beat),
        encode(beat._replace(phase=None, last_step=None, dropped={})),
        encode(Bye(stream, 1.0, 2.0, 300, "KeyboardInterrupt")),
        encode(Item(stream, 7, 1.0, 2.0, 9, "mark", "checkpoint", 70_000, 1.5e9, b"\x81\xa1a\x01")),
        encode_ack(Ack(2**60, 5, 1 << 20, 20)),
    ]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one to four accidents in them."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(changed) + 1)
        upto = min(at + chance.choice((1, 1, 2, 8, 40)), len(changed))
        accident = chance.randrange(5)
        if accident == 0 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif accident == 1 and at < len(changed):
            changed[at] = chance.choice(_MARKERS)
        elif accident == 2:
            del changed[at:upto]
        elif accident == 3:
            changed[at:at] = chance.randbytes(upto - at or 1)
        else:
            changed[at:at] = changed[at:upto]
    return bytes(changed)


_MARKERS = [*range(0x80, 0xE0), 0x00, 0x7F, 0xFF]
"""First bytes of msgpack's types."""


@pytest.mark.parametrize("number", range(10))
def test_a_mutated_frame_gets_a_verdict(number: int) -> None:
    """Bits flipped, bytes cut, inserted and repeated: a frame or a reason, each time."""
    seed = seeds()[number]
    chance = random.Random(number)
    seen: dict[str | None, int] = {}
    for _ in range(MUTATIONS):
        reason = judge(mutate(seed, chance))
        seen[reason] = seen.get(reason, 0) + 1

    assert sum(seen.values()) == MUTATIONS
    assert len(seen) >= (2 if number == 9 else 4), seen


def test_the_kinds_have_the_numbers_they_always_had() -> None:
    """Numbers of kinds are for ever."""
    assert [(kind.name, int(kind)) for kind in Kind] == [
        ("HELLO", 1),
        ("SCHEMA", 2),
        ("SAMPLES", 3),
        ("GAP", 4),
        ("HEARTBEAT", 5),
        ("BYE", 6),
        ("ACK", 7),
        ("ITEM", 8),
    ]
