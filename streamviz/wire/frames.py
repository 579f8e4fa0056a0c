"""The kinds of frame, as plain immutable values.

A frame is one ZeroMQ message. ``docs/protocol.md`` describes the bytes; this file says what they
mean. Times are seconds since the epoch by the sender's clock, steps are ``0 .. MAX_STEP``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

__all__ = [
    "MAX_STEP",
    "MAX_TIME_S",
    "PROTOCOL_VERSION",
    "STREAM_ID_BYTES",
    "Ack",
    "Batch",
    "Bye",
    "Frame",
    "Gap",
    "Heartbeat",
    "Hello",
    "Item",
    "Kind",
    "Samples",
    "Schema",
    "Span",
]

PROTOCOL_VERSION = 1

STREAM_ID_BYTES = 16
"""Random bytes that name one publishing process from its start to its end."""

MAX_STEP = 2**53
"""Largest step: the last integer that a float64 axis shows exactly."""


MAX_TIME_S = 2**40
"""Largest time, seconds: far past every calendar, and small enough to add up."""


class Kind(enum.IntEnum):
    """The second element of every frame."""

    HELLO = 1
    SCHEMA = 2
    SAMPLES = 3
    GAP = 4
    HEARTBEAT = 5
    BYE = 6
    ACK = 7
    ITEM = 8


class Span(NamedTuple):
    """Where on the axes some rows lie; what a gap is drawn over."""

    first_step: int
    last_step: int
    first_time: float
    last_time: float

    def union(self, other: Span) -> Span:
        """Return the smallest span that covers both."""
        return Span(
            min(self.first_step, other.first_step),
            max(self.last_step, other.last_step),
            min(self.first_time, other.first_time),
            max(self.last_time, other.last_time),
        )


class Hello(NamedTuple):
    """Who this stream is, sent first on every connection and to every new server."""

    stream: bytes
    wall: float
    mono: float
    base_seq: int
    """The oldest frame still held; the ones before it were acknowledged by somebody."""
    base_row: int
    """How many rows the frames before ``base_seq`` stood for."""
    base_span: Span | None
    """Where those rows lie."""
    run: str
    rank: int
    world_size: int
    local_rank: int
    host: str
    pid: int
    attempt: int
    parent: bytes | None
    """The stream of the process that this one was forked from."""
    library: str
    """Version of the sending library."""
    config: Mapping[str, object]


class Schema(NamedTuple):
    """The metric names that a schema id stands for on this connection."""

    stream: bytes
    wall: float
    mono: float
    schema: int
    names: tuple[str, ...]


class Batch(NamedTuple):
    """Rows of one schema, by column."""

    schema: int
    steps: bytes
    """``int64[S]``, little-endian."""
    times: bytes
    """``float64[S]``, little-endian."""
    values: bytes
    """``float64[S, K]``, little-endian, row by row."""


class Samples(NamedTuple):
    """Rows, numbered: frame ``seq`` of the stream, its first row being row ``row``."""

    stream: bytes
    seq: int
    wall: float
    mono: float
    row: int
    batches: tuple[Batch, ...]
    rows: int
    """Rows of all batches; not on the wire, where the columns' lengths say it."""


class Item(NamedTuple):
    """One thing that is no row of numbers: a mark, an alert, whatever a kind may come to name.

    It is numbered as a row is, so it is stored once, or stands in a gap, or is still held.
    """

    stream: bytes
    seq: int
    wall: float
    mono: float
    row: int
    """Its number among the rows and items of the stream."""
    kind: str
    """What it is: ``mark``, ``alert``, or what a later sender may name."""
    name: str
    """Which of its kind: items of one kind and name follow each other."""
    step: int
    time: float
    """Wall time at which it was sent, seconds since the epoch."""
    body: bytes
    """A MessagePack map, at most ``MAX_ITEM_BYTES``; read by :mod:`streamviz.wire.bodies`."""


class Gap(NamedTuple):
    """Frames ``seq .. last_seq`` will never come; they stood for rows ``row .. end_row - 1``."""

    stream: bytes
    seq: int
    wall: float
    mono: float
    last_seq: int
    row: int
    end_row: int
    span: Span
    reason: str


class Heartbeat(NamedTuple):
    """The publisher's own totals, once a second, so that the server can do the sum."""

    stream: bytes
    wall: float
    mono: float
    sent: int
    """Rows handed over by the training loop."""
    held: int
    """Rows not yet acknowledged."""
    spilled: int
    """Rows kept on the sender's disk."""
    dropped: Mapping[str, int]
    """Rows dropped, by reason."""
    refused: Mapping[str, int]
    """Values that could not be used, by reason."""
    last_step: int | None
    phase: str | None
    phase_s: float


class Bye(NamedTuple):
    """The last frame of a stream that ended by itself."""

    stream: bytes
    wall: float
    mono: float
    next_seq: int
    """The number of frames the stream had in all."""
    how: str
    """``"ok"``, or the name of the exception that ended the process."""


class Ack(NamedTuple):
    """The only thing that travels back: what is committed, and how fast to go on."""

    epoch: int
    """Random number of one server start."""
    next_seq: int
    """The next frame wanted; all before it are committed."""
    window: int
    """Bytes that may be under way unacknowledged."""
    flush_ms: int
    """How long to gather rows before a frame is sent, milliseconds."""


Frame = Hello | Schema | Samples | Item | Gap | Heartbeat | Bye
