"""What the codec refuses, for which reason, in which words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from handmade_frames import batch, hello_frame, stream_id

from streamviz.errors import DecodeError, EncodeError
from streamviz.wire.codec import (
    MAX_BATCHES,
    MAX_CONFIG_DEPTH,
    MAX_CONFIG_ENTRIES,
    MAX_FLUSH_MS,
    MAX_FRAME_BYTES,
    MAX_METRICS,
    MAX_SCHEMAS,
    MAX_TOTALS,
    decode,
    decode_ack,
    encode,
    encode_ack,
)
from streamviz.wire.frames import (
    MAX_STEP,
    PROTOCOL_VERSION,
    Ack,
    Batch,
    Bye,
    Frame,
    Gap,
    Heartbeat,
    Samples,
    Schema,
    Span,
)

STREAM = stream_id(7)
SPAN = Span(1, 2, 3.0, 4.0)
FRAMES: dict[str, Frame] = {
    "hello": hello_frame(STREAM, base_span=SPAN, config={"lr": 0.1}),
    "schema": Schema(STREAM, 1.0, 2.0, 3, ("loss", "lr")),
    "samples": Samples(STREAM, 5, 1.0, 2.0, 9, (batch([1, 2], [[0.5], [0.25]]),), 2),
    "gap": Gap(STREAM, 5, 1.0, 2.0, 6, 9, 12, SPAN, "buffer full"),
    "heartbeat": Heartbeat(STREAM, 1.0, 2.0, 9, 2, 0, {"outbox full": 1}, {}, 4, "data", 0.5),
    "bye": Bye(STREAM, 1.0, 2.0, 9, "ok"),
}
HELLO_FIELDS = (
    *("base_row", "span", "run", "rank", "world_size", "local_rank"),
    *("host", "pid", "attempt", "parent", "library", "config"),
)
ODD_HEADERS: dict[int, list[object]] = {
    2: [b"", bytes(15), bytes(17), "0123456789abcdef", None, 7],
    3: [-1, 2**63, 1.0, None, True, "1"],
    4: [math.nan, math.inf, -math.inf, 1, None, "now"],
    5: [math.nan, math.inf, 0, None],
    6: [None, {}, b"", 1],
}


def message(kind: str) -> list[Any]:
    """Return a good frame as the array it is on the wire."""
    array: list[Any] = msgpack.unpackb(encode(FRAMES[kind]))
    return array


def refused(data: bytes, read: Callable[[bytes], object] = decode) -> tuple[str, str]:
    """Return the reason and the words with which some bytes are refused."""
    with pytest.raises(DecodeError) as caught:
        read(data)
    return caught.value.reason, str(caught.value)


@pytest.mark.parametrize("kind", FRAMES)
def test_the_frames_that_are_spoilt_below_are_good(kind: str) -> None:
    """Each of them is refused for nothing but what was changed in it."""
    assert decode(msgpack.packb(message(kind))) == FRAMES[kind]


# -- the envelope --------------------------------------------------------------------------


def test_a_frame_at_the_limit_of_size_is_read() -> None:
    """The limit itself is allowed, one byte more is not."""
    room = MAX_FRAME_BYTES - len(
        encode(Samples(STREAM, 0, 0.0, 0.0, 0, (Batch(0, b"", b"", b""),), 0))
    )
    rows = room // 24 - 1
    column = bytes(8 * rows)
    frame = Samples(STREAM, 0, 0.0, 0.0, 0, (Batch(0, column, column, column),), rows)

    data = encode(frame)

    assert MAX_FRAME_BYTES - 64 < len(data) <= MAX_FRAME_BYTES
    assert decode(data) == frame
    assert refused(data + bytes(MAX_FRAME_BYTES + 1 - len(data)))[0] == "too large"


def test_a_frame_past_the_limit_is_not_made() -> None:
    """What a peer would refuse is not sent, and the error names size and limit."""
    column = bytes(8 * 50_000)

    with pytest.raises(EncodeError, match=r"1200\d\d\d bytes is over the limit of 1048576"):
        encode(Samples(STREAM, 0, 0.0, 0.0, 0, (Batch(0, column, column, column),), 50_000))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x97\x01",
        encode(FRAMES["bye"]) + b"\x00",
        encode(FRAMES["bye"]) * 2,
        encode(FRAMES["bye"])[:-1],
        b"\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\xdf\xff\xff\xff\xff",  # a map of four billion
        b"\xc6\xff\xff\xff\xff",  # four gigabytes of binary
        b"\xdb\xff\xff\xff\xff",  # and of text
        b"\xdd\x00\x01\x00\x01" + bytes(65_537),  # one element too many
        b"\x91" * 100_000 + b"\x00",  # deep
        b"\x81\x01" * 100_000 + b"\x00",
        b"\x92\x01\xd4\x01\x00",  # extension types of one,
        b"\x92\x01\xc7\x04\x05abcd",  # several
        b"\x92\x01\xd6\xff\x00\x00\x00\x00",  # and a timestamp
        b"\x92\x01\xa1\xff",  # text that is no UTF-8
        b"\x92\x01\x81\x01\x02",  # a map with numbers for keys
    ],
    ids=lambda data: ascii(data[:12]),
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    """Damaged, trailing, bombing and extended input is no message, and costs no memory."""
    assert refused(data)[0] == "not msgpack"
    assert refused(data, decode_ack)[0] == "not msgpack"


@pytest.mark.parametrize(
    "value", [None, 1, "frame", {}, [], [1], [1, 6], [1] * 6, [1] * 8], ids=repr
)
def test_a_message_of_another_shape_is_no_frame(value: object) -> None:
    """A frame is an array of seven."""
    assert refused(msgpack.packb(value))[0] == "not a frame"


@pytest.mark.parametrize("version", [0, 2, 2**40])
def test_another_version_is_refused_with_both_named(version: int) -> None:
    """The words name the peer's version and ours, so that a user knows which side to update."""
    array = message("bye")
    array[0] = version

    reason, words = refused(msgpack.packb(array))

    assert reason == "other version"
    assert f"protocol {version}, this is {PROTOCOL_VERSION}" in words


def nested(depth: int) -> bytes:
    """Return an empty list inside ``depth`` lists."""
    return b"\x91" * depth + b"\x90"


@pytest.mark.parametrize("depth", [0, 10, 500, 900, 1000, 1015])
def test_deep_nesting_is_refused_wherever_it_stands(depth: int) -> None:
    """A version or a kind that is nested to the limit of the unpacker has no harmless text."""
    rest = b"\xc4\x10" + bytes(16) + b"\x00" + (b"\xcb" + bytes(8)) * 2 + b"\x90"

    assert refused(b"\x97" + nested(depth) + b"\x06" + rest)[0] == "other version"
    assert refused(b"\x97\x01" + nested(depth) + rest)[0] == "unknown kind"


@pytest.mark.parametrize("version", [True, 1.0, "1", b"\x01", None, [1]], ids=repr)
def test_a_version_is_an_integer(version: object) -> None:
    """What merely equals our version is another one."""
    assert refused(msgpack.packb([version, *message("bye")[1:]]))[0] == "other version"


@pytest.mark.parametrize("kind", [0, 7, 9, -1, 2**63, True, 6.0, "bye", None], ids=repr)
def test_an_unknown_kind_is_refused(kind: object) -> None:
    """Kinds are the integers 1 to 6 and 8; an acknowledgement is no frame."""
    array = message("bye")
    array[1] = kind

    assert refused(msgpack.packb(array))[0] == "unknown kind"


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    ("at", "value"),
    [(at, odd) for at, values in ODD_HEADERS.items() for odd in values],
    ids=lambda value: repr(value)[:20],
)
def test_a_bad_header_is_refused(kind: str, at: int, value: object) -> None:
    """Stream, number and times have one type and range each, in every kind of frame."""
    array = message(kind)
    array[at] = value

    assert refused(msgpack.packb(array))[0] == "bad field"


@pytest.mark.parametrize("kind", FRAMES)
def test_a_body_has_its_length(kind: str) -> None:
    """An element too few, an element too many, and none are refused in every kind."""
    array = message(kind)
    body = array[6]
    for other in (body[:-1], [*body, None], []):
        array[6] = other
        assert refused(msgpack.packb(array))[0] == "bad field"


# -- the bodies ----------------------------------------------------------------------------

BAD_NAMES = ["", "x" * 257, "x" * 65_536, "a\0b", "a\u202eb", "e\u0301", b"loss", 1, None]


def spoilt(kind: str, at: tuple[int, ...], value: object) -> bytes:
    """Return a frame with one element of its body replaced."""
    array = message(kind)
    where = array[6]
    for index in at[:-1]:
        where = where[index]
    where[at[-1]] = value
    return bytes(msgpack.packb(array))


@pytest.mark.parametrize("field", ["run", "host", "library"])
@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: repr(name)[:12])
def test_a_bad_name_in_a_hello_is_refused(field: str, name: object) -> None:
    """Names are checked where they enter; what breaks text is refused, and says which field."""
    reason, words = refused(spoilt("hello", (HELLO_FIELDS.index(field),), name))

    assert reason == "bad field"
    assert words.startswith(f"bad field: {field}: ")
    assert len(words) < 200


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: repr(name)[:12])
def test_a_bad_name_elsewhere_is_refused(name: object) -> None:
    """Metrics, reasons of gaps, phases and ways to end are names too."""
    assert refused(spoilt("schema", (1, 0), name))[0] == "bad field"
    assert refused(spoilt("gap", (4,), name))[0] == "bad field"
    assert refused(spoilt("bye", (0,), name))[0] == "bad field"
    if name is not None:
        assert refused(spoilt("heartbeat", (6,), name))[0] == "bad field"
    if isinstance(name, str):
        assert refused(spoilt("heartbeat", (3,), {name: 1}))[0] == "bad field"


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "\\href{javascript:x}{y}", "{{x}}", "a\u200bb", "ü/β"]
)
def test_markup_is_text(name: str) -> None:
    """A name that looks like markup is passed on unchanged."""
    schema = decode(spoilt("schema", (1, 0), name))

    assert isinstance(schema, Schema)
    assert schema.names[0] == name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, odd) for name in ("rank", "world_size", "local_rank", "attempt")
          for odd in (-1, 1 << 24, 1.0, True, None)),
        ("base_row", -1),
        ("base_row", 2**63),
        ("pid", "4242"),
        ("parent", b"short"),
        ("parent", "0123456789abcdef"),
        ("span", []),
        ("span", [1, 2, 3.0]),
        ("span", [2, 1, 3.0, 4.0]),
        ("span", [-1, 1, 3.0, 4.0]),
        ("span", [0, MAX_STEP + 1, 3.0, 4.0]),
        ("span", [0, 1, math.nan, 4.0]),
        ("span", [0, 1, 3.0, math.inf]),
        ("span", [0, 1, 3, 4]),
        ("config", None),
        ("config", []),
        ("config", {b"lr": 1}),
        ("config", {"a": {b"lr": 1}}),
        ("config", {"a": b"bytes"}),
        ("config", {"a": [[b"bytes"]]}),
    ],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
def test_a_bad_hello_is_refused(field: str, value: object) -> None:
    """Every field of a hello has its type and range."""
    assert refused(spoilt("hello", (HELLO_FIELDS.index(field),), value))[0] == "bad field"


def test_a_configuration_is_bounded() -> None:
    """A configuration has its limits of depth and of entries, which themselves are allowed."""
    deep: object = 1
    for _ in range(MAX_CONFIG_DEPTH - 2):
        deep = [deep]
    at = (HELLO_FIELDS.index("config"),)

    decode(spoilt("hello", at, {"a": deep}))
    assert refused(spoilt("hello", at, {"a": [deep]}))[0] == "bad field"
    decode(spoilt("hello", at, {"a": [0] * (MAX_CONFIG_ENTRIES - 2)}))
    assert refused(spoilt("hello", at, {"a": [0] * (MAX_CONFIG_ENTRIES - 1)}))[0] == "bad field"


def test_an_extension_in_a_configuration_is_refused() -> None:
    """An extension of no length passes msgpack's own limit, not ours."""
    data = spoilt("hello", (HELLO_FIELDS.index("config"),), {"a": "mark"})

    assert refused(data.replace(b"\xa4mark", b"\xc7\x00\x05"))[0] == "bad field"


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ((0,), MAX_SCHEMAS),
        ((0,), -1),
        ((0,), None),
        ((1,), []),
        ((1,), "loss"),
        ((1,), ["loss", "loss"]),
        ((1,), [f"m{i}" for i in range(MAX_METRICS + 1)]),
        ((1,), {"loss": 1}),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_bad_schema_is_refused(at: tuple[int, ...], value: object) -> None:
    """A schema has an id below the limit and 1 to 4096 names, each once."""
    assert refused(spoilt("schema", at, value))[0] == "bad field"


def test_a_schema_may_have_as_many_names_as_the_limit() -> None:
    """The limit itself is allowed, and so is the last schema id."""
    names = [f"m{i}" for i in range(MAX_METRICS)]

    decode(spoilt("schema", (1,), names))
    decode(spoilt("schema", (0,), MAX_SCHEMAS - 1))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ((0,), -1),
        ((0,), 2**63),
        ((1,), []),
        ((1,), {}),
        ((1,), [[0, bytes(8), bytes(8), bytes(8)]] * (MAX_BATCHES + 1)),
        ((1, 0), None),
        ((1, 0), []),
        ((1, 0), [0, bytes(8), bytes(8)]),
        ((1, 0, 0), MAX_SCHEMAS),
        ((1, 0, 0), -1),
        ((1, 0, 0), True),
        ((1, 0, 1), b""),
        ((1, 0, 1), bytes(8)),
        ((1, 0, 1), bytes(15)),
        ((1, 0, 1), "0123456789abcdef"),
        ((1, 0, 1), [1, 2]),
        ((1, 0, 2), bytes(24)),
        ((1, 0, 2), None),
        ((1, 0, 3), b""),
        ((1, 0, 3), bytes(24)),
        ((1, 0, 3), bytes(17)),
        ((1, 0, 3), 0.5),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_bad_samples_are_refused(at: tuple[int, ...], value: object) -> None:
    """Columns are binary, of whole values, and of lengths that fit each other."""
    assert refused(spoilt("samples", at, value))[0] == "bad field"


@pytest.mark.parametrize(
    ("at", "value"),
    [((0,), 4), ((2,), 8), ((0,), 2**63), ((1,), -1), ((3,), None), ((3, 0), 3)],
    ids=repr,
)
def test_a_bad_gap_is_refused(at: tuple[int, ...], value: object) -> None:
    """A gap ends where it starts or later, in frames, rows and steps."""
    assert refused(spoilt("gap", at, value))[0] == "bad field"


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ((0,), -1),
        ((1,), None),
        ((2,), 0.5),
        ((3,), []),
        ((3,), {"outbox full": -1}),
        ((3,), {"outbox full": 1.5}),
        ((4,), {f"reason {i}": 1 for i in range(MAX_TOTALS + 1)}),
        ((5,), -1),
        ((5,), MAX_STEP + 1),
        ((7,), math.nan),
        ((7,), None),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_bad_heartbeat_is_refused(at: tuple[int, ...], value: object) -> None:
    """A heartbeat's totals are numbers by reason, a bounded number of them."""
    assert refused(spoilt("heartbeat", at, value))[0] == "bad field"


# -- acknowledgements ----------------------------------------------------------------------


def test_a_pace_past_the_limit_is_refused() -> None:
    """An acknowledgement may not silence its peer for longer than a minute."""
    decode_ack(encode_ack(Ack(1, 2, 3, MAX_FLUSH_MS)))

    assert refused(encode_ack(Ack(1, 2, 3, MAX_FLUSH_MS + 1)), decode_ack)[0] == "bad field"


@pytest.mark.parametrize("at", [2, 3, 4, 5])
@pytest.mark.parametrize("value", [-1, 2**63, 1.0, None, "1", True], ids=repr)
def test_a_bad_acknowledgement_is_refused(at: int, value: object) -> None:
    """Its fields are whole numbers."""
    array = msgpack.unpackb(encode_ack(Ack(1, 2, 3, 4)))
    array[at] = value

    assert refused(msgpack.packb(array), decode_ack)[0] == "bad field"


@pytest.mark.parametrize(
    "array",
    [[1, 7], [1, 7, 0, 0, 0], [1, 7, 0, 0, 0, 0, 0], [1, 6, 0, 0, 0, 0], [1, [], 0, 0, 0, 0]],
)
def test_what_is_no_acknowledgement_is_refused(array: list[object]) -> None:
    """It has six elements and its kind."""
    assert refused(msgpack.packb(array), decode_ack)[0] == "not a frame"


def test_an_acknowledgement_of_another_version_names_both() -> None:
    """A publisher that meets a newer server can say so."""
    reason, words = refused(msgpack.packb([2, 7, 0, 0, 0, 0]), decode_ack)

    assert reason == "other version"
    assert "protocol 2, this is 1" in words
