"""The bytes of a spill file: a header, then frames, each with its length and checksum.

Law: it knows neither directories nor locks. ``docs/protocol.md`` describes the same bytes; a file
that was cut anywhere reads as what lies whole before the cut.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Callable

from streamviz.wire.codec import MAX_FRAME_BYTES
from streamviz.wire.frames import Batch, Gap, Item, Samples, Span
from streamviz.wire.parcels import Parcel

__all__ = ["HEADER", "MAGIC", "RECORD_BYTES", "SPILL_VERSION", "parcel_of", "read_record", "record"]

MAGIC = b"streamviz spill"
SPILL_VERSION = 1
HEADER = MAGIC + bytes([SPILL_VERSION])

_RECORD = struct.Struct("<II")
RECORD_BYTES = _RECORD.size
"""What a record takes besides its frame."""


def record(frame: bytes) -> bytes:
    """Return a frame as it lies in a file: its length, its CRC-32, itself."""
    return _RECORD.pack(len(frame), zlib.crc32(frame)) + frame


def read_record(read: Callable[[int], bytes]) -> bytes | None:
    """Return the frame at a file's position, ``None`` if no whole one lies there.

    Args:
        read: Returns as many bytes as it is asked for, or what is left; may raise ``OSError``.
    """
    head = read(RECORD_BYTES)
    if len(head) < RECORD_BYTES:
        return None
    length, crc = _RECORD.unpack(head)
    if not 0 < length <= MAX_FRAME_BYTES:
        return None
    frame = read(length)
    return frame if len(frame) == length and zlib.crc32(frame) == crc else None


def parcel_of(frame: Samples | Item | Gap, data: bytes) -> Parcel:
    """Return a numbered frame as what is held until it is acknowledged.

    Args:
        frame: The frame.
        data: Its bytes.
    """
    if isinstance(frame, Gap):
        rows = frame.row, frame.end_row
        return Parcel(frame.seq, frame.last_seq, *rows, frame.span, None, frame.reason)
    if isinstance(frame, Item):
        place = Span(frame.step, frame.step, frame.time, frame.time)
        return Parcel(frame.seq, frame.seq, frame.row, frame.row + 1, place, data)
    span = _span(frame.batches[0])
    for batch in frame.batches[1:]:
        span = span.union(_span(batch))
    return Parcel(frame.seq, frame.seq, frame.row, frame.row + frame.rows, span, data)


def _span(batch: Batch) -> Span:
    steps, times = array("q", batch.steps), array("d", batch.times)
    if sys.byteorder == "big":
        steps.byteswap()
        times.byteswap()
    return Span(min(steps), max(steps), times[0], times[-1])
