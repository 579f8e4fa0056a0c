"""Frames to bytes and back, under explicit limits.

Law: for any bytes whatever, :func:`decode` returns a frame or raises
:class:`~streamviz.errors.DecodeError` with one of :data:`REASONS`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from streamviz.errors import DecodeError, EncodeError
from streamviz.wire.frames import (
    MAX_STEP,
    MAX_TIME_S,
    PROTOCOL_VERSION,
    STREAM_ID_BYTES,
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
from streamviz.wire.packing import (
    FRAME_LENGTH,
    MAX_BATCHES,
    MAX_CONFIG_ENTRIES,
    MAX_FRAME_BYTES,
    is_map,
    pack,
    unpack,
)

__all__ = [
    "MAX_BATCHES",
    "MAX_CONFIG_DEPTH",
    "MAX_CONFIG_ENTRIES",
    "MAX_FLUSH_MS",
    "MAX_FRAME_BYTES",
    "MAX_ITEM_BYTES",
    "MAX_METRICS",
    "MAX_SCHEMAS",
    "MAX_TOTALS",
    "REASONS",
    "decode",
    "decode_ack",
    "encode",
    "encode_ack",
]

MAX_METRICS = 4096
"""Names in a schema."""
MAX_SCHEMAS = 65536
"""Schema ids of a stream."""
MAX_TOTALS = 256
"""Reasons that a heartbeat may tell apart, dropped and refused each."""
MAX_CONFIG_DEPTH = 8
"""How deep lists and maps of a configuration may nest."""
MAX_ITEM_BYTES = MAX_FRAME_BYTES - 1024
"""Bytes of an item's body: what a frame has room for beside two names of 256 bytes."""
MAX_FLUSH_MS = 60_000
"""Longest pace that an acknowledgement may ask for, milliseconds."""

REASONS = ("too large", "not msgpack", "not a frame", "other version", "unknown kind", "bad field")
"""Why a frame may be refused."""

_MAX_COUNT = 2**63 - 1


def encode(frame: Frame) -> bytes:
    """Return a frame's bytes.

    Raises:
        EncodeError: They are more than :data:`MAX_FRAME_BYTES`.
    """
    kind, seq, body = _body(frame)
    array = [PROTOCOL_VERSION, kind, frame.stream, seq, frame.wall, frame.mono, body]
    data = pack(array)
    if len(data) > MAX_FRAME_BYTES:
        raise EncodeError(f"frame of {len(data)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return data


def _body(frame: Frame) -> tuple[int, int, object]:
    if isinstance(frame, Samples):
        return Kind.SAMPLES, frame.seq, [frame.row, frame.batches]
    if isinstance(frame, Item):
        # Everything after the header, in the order of the fields.
        return Kind.ITEM, frame.seq, list(frame[4:])
    if isinstance(frame, Gap):
        body = [frame.last_seq, frame.row, frame.end_row, frame.span, frame.reason]
        return Kind.GAP, frame.seq, body
    if isinstance(frame, Hello):
        # Everything after the header and base_seq, in the order of the fields.
        return Kind.HELLO, frame.base_seq, list(frame[4:])
    if isinstance(frame, Schema):
        return Kind.SCHEMA, 0, [frame.schema, frame.names]
    if isinstance(frame, Heartbeat):
        return Kind.HEARTBEAT, 0, list(frame[3:])
    return Kind.BYE, frame.next_seq, [frame.how]


def encode_ack(ack: Ack) -> bytes:
    """Return an acknowledgement's bytes."""
    return pack([PROTOCOL_VERSION, Kind.ACK, *ack])


def decode_ack(data: bytes) -> Ack:
    """Return the acknowledgement that some bytes are.

    Raises:
        DecodeError: They are none.
    """
    array = _unpack(data)
    if len(array) != len(Ack._fields) + 2 or array[1] != Kind.ACK:
        _refuse("not a frame", f"an acknowledgement has {len(Ack._fields) + 2} elements")
    ack = Ack(*(_count(array[i + 2], name) for i, name in enumerate(Ack._fields)))
    if ack.flush_ms > MAX_FLUSH_MS:
        _refuse("bad field", f"flush_ms is at most {MAX_FLUSH_MS}, found {ack.flush_ms}")
    return ack


def decode(data: bytes) -> Frame:
    """Return the frame that some bytes are.

    Names are checked as :func:`~streamviz.wire.names.name_fault` says, numbers for their range,
    columns for equal lengths; steps and times inside the columns are the collector's to check.

    Raises:
        DecodeError: They are none; ``reason`` says why.
    """
    array = _unpack(data)
    if len(array) != FRAME_LENGTH:
        _refuse("not a frame", f"a frame has {FRAME_LENGTH} elements, found {len(array)}")
    _, kind, stream, seq, wall, mono, body = array
    if type(stream) is not bytes or len(stream) != STREAM_ID_BYTES:
        _refuse("bad field", f"stream is {STREAM_ID_BYTES} bytes")
    if type(body) is not list:
        _refuse("bad field", "body is an array")
    header = (stream, _count(seq, "seq"), _time(wall, "wall"), _time(mono, "mono"))
    reader = _READERS.get(kind) if type(kind) is int else None
    if reader is None:
        _refuse("unknown kind", _shown(kind))
    return reader(header, body)


_Header = tuple[bytes, int, float, float]


def _unpack(data: bytes) -> list[object]:
    array = unpack(data)
    if type(array) is not list or len(array) < 2:
        _refuse("not a frame", "a frame is an array")
    if array[0] != PROTOCOL_VERSION or type(array[0]) is not int:
        _refuse(
            "other version",
            f"the peer speaks protocol {_shown(array[0])}, this is {PROTOCOL_VERSION}",
        )
    return array


def _shown(value: object) -> str:
    # The text of a list nested a thousand deep would be a RecursionError.
    return str(value) if type(value) is int else f"of type {type(value).__name__}"


def _refuse(reason: str, detail: str) -> NoReturn:
    raise DecodeError(reason, detail)


def _count(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_COUNT:
        _refuse("bad field", f"{name} is an integer from 0 to 2**63 - 1")
    return value


def _time(value: object, name: str) -> float:
    if type(value) is not float or not -MAX_TIME_S <= value <= MAX_TIME_S:
        _refuse("bad field", f"{name} is a float of at most 2**40 seconds")
    return value


def _text(value: object, name: str) -> str:
    fault = name_fault(value)
    if fault is not None:
        _refuse("bad field", f"{name}: {fault}")
    assert isinstance(value, str)  # noqa: S101 - name_fault has said so
    return value


def _step(value: object, name: str) -> int:
    step = _count(value, name)
    if step > MAX_STEP:
        _refuse("bad field", f"{name} is at most 2**53")
    return step


def _span(value: object) -> Span:
    if type(value) is not list or len(value) != len(Span._fields):
        _refuse("bad field", f"a span has {len(Span._fields)} elements")
    span = Span(
        _step(value[0], "first_step"),
        _step(value[1], "last_step"),
        _time(value[2], "first_time"),
        _time(value[3], "last_time"),
    )
    # Its times may run backwards: a clock was set.
    if span.last_step < span.first_step:
        _refuse("bad field", "a span ends at the step where it starts or later")
    return span


def _totals(value: object, name: str) -> dict[str, int]:
    if type(value) is not dict or len(value) > MAX_TOTALS:
        _refuse("bad field", f"{name} is a map of at most {MAX_TOTALS} reasons")
    return {_text(key, name): _count(total, name) for key, total in value.items()}


def _config(value: object) -> dict[str, object]:
    """Check that a configuration is plain data: what shows it may walk it without care."""
    if type(value) is not dict:
        _refuse("bad field", "config is a map")
    level: list[object] = [value]
    entries = 0
    for _ in range(MAX_CONFIG_DEPTH):
        entries += len(level)
        if entries > MAX_CONFIG_ENTRIES:
            _refuse("bad field", f"config has at most {MAX_CONFIG_ENTRIES} values")
        below: list[object] = []
        for entry in level:
            if type(entry) is list:
                below += entry
            elif type(entry) is dict:
                if not all(type(key) is str for key in entry):
                    _refuse("bad field", "config has text for keys")
                below += entry.values()
            elif entry is not None and type(entry) not in (bool, int, float, str):
                _refuse("bad field", f"config holds no {type(entry).__name__}")
        level = below
        if not level:
            return value
    _refuse("bad field", f"config nests at most {MAX_CONFIG_DEPTH} deep")


def _length(body: list[object], expected: int, kind: str) -> None:
    if len(body) != expected:
        _refuse("bad field", f"{kind} has {expected} elements, found {len(body)}")


def _read_samples(header: _Header, body: list[object]) -> Samples:
    # The one reader that runs thousands of times a second: checks are written out.
    if len(body) != 2:
        _length(body, 2, "samples")
    row, raw_batches = body
    if type(raw_batches) is not list or not 0 < len(raw_batches) <= MAX_BATCHES:
        _refuse("bad field", f"samples have 1 to {MAX_BATCHES} batches")
    batches = []
    rows = 0
    for raw in raw_batches:
        if type(raw) is not list or len(raw) != 4:
            _refuse("bad field", f"a batch has {len(Batch._fields)} elements")
        schema, steps, times, values = raw
        if type(steps) is not bytes or type(times) is not bytes or type(values) is not bytes:
            _refuse("bad field", "columns are binary")
        size = len(steps)
        if not size or size & 7 or len(times) != size or not values or len(values) % size:
            _refuse(
                "bad field",
                f"columns of {size}, {len(times)} and {len(values)} bytes do not fit together",
            )
        if type(schema) is not int or not 0 <= schema < MAX_SCHEMAS:
            _refuse("bad field", f"schema is a number below {MAX_SCHEMAS}")
        rows += size >> 3
        batches.append(Batch(schema, steps, times, values))
    stream, seq, wall, mono = header
    return Samples(stream, seq, wall, mono, _count(row, "row"), tuple(batches), rows)


def _read_item(header: _Header, body: list[object]) -> Item:
    _length(body, len(Item._fields) - 4, "item")
    row, kind, name, step, time, data = body
    if type(data) is not bytes or len(data) > MAX_ITEM_BYTES:
        _refuse("bad field", f"an item's body is binary, at most {MAX_ITEM_BYTES} bytes")
    if not is_map(data):
        _refuse("bad field", "an item's body is the bytes of a map")
    return Item(
        *header,
        _count(row, "row"),
        _text(kind, "kind"),
        _text(name, "name"),
        _step(step, "step"),
        _time(time, "time"),
        data,
    )


def _read_gap(header: _Header, body: list[object]) -> Gap:
    _length(body, 5, "gap")
    stream, seq, wall, mono = header
    last_seq, row, end_row = (_count(body[i], "gap") for i in range(3))
    if last_seq < seq or end_row < row:
        _refuse("bad field", "a gap ends where it starts or later")
    return Gap(
        stream, seq, wall, mono, last_seq, row, end_row, _span(body[3]), _text(body[4], "reason")
    )


def _read_hello(header: _Header, body: list[object]) -> Hello:
    _length(body, len(Hello._fields) - 4, "hello")
    stream, base_seq, wall, mono = header
    (
        base_row,
        span,
        run,
        rank,
        world_size,
        local_rank,
        host,
        pid,
        attempt,
        parent,
        library,
        config,
    ) = body
    if parent is not None and (type(parent) is not bytes or len(parent) != STREAM_ID_BYTES):
        _refuse("bad field", f"parent is nil or {STREAM_ID_BYTES} bytes")
    return Hello(
        stream=stream,
        wall=wall,
        mono=mono,
        base_seq=base_seq,
        base_row=_count(base_row, "base_row"),
        base_span=None if span is None else _span(span),
        run=_text(run, "run"),
        rank=_small(rank, "rank"),
        world_size=_small(world_size, "world_size"),
        local_rank=_small(local_rank, "local_rank"),
        host=_text(host, "host"),
        pid=_count(pid, "pid"),
        attempt=_small(attempt, "attempt"),
        parent=parent,
        library=_text(library, "library"),
        config=_config(config),
    )


def _small(value: object, name: str) -> int:
    number = _count(value, name)
    if number >= 1 << 24:
        _refuse("bad field", f"{name} is below 2**24, found {number}")
    return number


def _read_schema(header: _Header, body: list[object]) -> Schema:
    _length(body, 2, "schema")
    schema, names = body
    number = _schema_id(schema)
    if type(names) is not list or not 0 < len(names) <= MAX_METRICS:
        _refuse("bad field", f"a schema has 1 to {MAX_METRICS} names")
    checked = tuple(_text(name, "metric") for name in names)
    if len(set(checked)) != len(checked):
        _refuse("bad field", "a schema names each metric once")
    stream, _, wall, mono = header
    return Schema(stream, wall, mono, number, checked)


def _schema_id(value: object) -> int:
    number = _count(value, "schema")
    if number >= MAX_SCHEMAS:
        _refuse("bad field", f"schema ids are below {MAX_SCHEMAS}")
    return number


def _read_heartbeat(header: _Header, body: list[object]) -> Heartbeat:
    _length(body, len(Heartbeat._fields) - 3, "heartbeat")
    stream, _, wall, mono = header
    sent, held, spilled, dropped, refused, last_step, phase, phase_s = body
    return Heartbeat(
        stream,
        wall,
        mono,
        _count(sent, "sent"),
        _count(held, "held"),
        _count(spilled, "spilled"),
        _totals(dropped, "dropped"),
        _totals(refused, "refused"),
        None if last_step is None else _step(last_step, "last_step"),
        None if phase is None else _text(phase, "phase"),
        _time(phase_s, "phase_s"),
    )


def _read_bye(header: _Header, body: list[object]) -> Bye:
    _length(body, 1, "bye")
    stream, next_seq, wall, mono = header
    return Bye(stream, wall, mono, next_seq, _text(body[0], "how"))


_READERS: dict[int, Callable[[_Header, list[object]], Frame]] = {
    int(Kind.HELLO): _read_hello,
    int(Kind.SCHEMA): _read_schema,
    int(Kind.SAMPLES): _read_samples,
    int(Kind.GAP): _read_gap,
    int(Kind.HEARTBEAT): _read_heartbeat,
    int(Kind.BYE): _read_bye,
    int(Kind.ITEM): _read_item,
}
