"""The rows of a frame as they lie in the journal, until they are chunked.

A record is a header and three little-endian arrays: steps ``int64[S]``, times ``float64[S]``,
values ``float64[S, K]``. Records follow one another without a separator.

Law: ``iterate`` of any bytes yields whole records only, or raises ``ValueError``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from streamviz.store.grid import FloatArray, IntArray

__all__ = ["HEADER", "Record", "iterate", "pack"]

HEADER = struct.Struct("<IIIIQQQ")
"""Stream, worker, table, rows, first, next_seq, next_row."""


class Record(NamedTuple):
    """Rows of one worker in one table, and how far they bring their stream."""

    stream: int
    """Number of the stream within the run; so of worker and table."""
    worker: int
    table: int
    first: int
    """Ordinal of the first row within (table, worker)."""
    next_seq: int
    next_row: int
    steps: IntArray
    """``int64[S]``, read-only; so are the others."""
    times: FloatArray
    """``float64[S]``."""
    values: FloatArray
    """``float64[S, K]``."""


def pack(record: Record) -> bytes:
    """Return a record's bytes."""
    return b"".join(
        (
            HEADER.pack(
                record.stream,
                record.worker,
                record.table,
                record.steps.size,
                record.first,
                record.next_seq,
                record.next_row,
            ),
            np.ascontiguousarray(record.steps, "<i8").tobytes(),
            np.ascontiguousarray(record.times, "<f8").tobytes(),
            np.ascontiguousarray(record.values, "<f8").tobytes(),
        )
    )


def iterate(blob: bytes, widths: Mapping[int, int]) -> Iterator[Record]:
    """Yield the records of a journal row.

    Args:
        blob: Records, one after the other.
        widths: K, the number of metrics, of each table.

    Raises:
        ValueError: A record is cut, or of a table that there is not.
    """
    at, end = 0, len(blob)
    while at < end:
        if end - at < HEADER.size:
            raise ValueError(f"a record's header is cut: found {end - at} of {HEADER.size} bytes")
        stream, worker, table, rows, first, next_seq, next_row = HEADER.unpack_from(blob, at)
        width = widths.get(table)
        if width is None:
            raise ValueError(f"a record names table {table}, which the file does not have")
        at += HEADER.size
        size = 8 * rows * (2 + width)
        if end - at < size:
            raise ValueError(f"a record's rows are cut: found {end - at} of {size} bytes")
        steps = np.frombuffer(blob, "<i8", rows, at)
        times = np.frombuffer(blob, "<f8", rows, at + 8 * rows)
        values = np.frombuffer(blob, "<f8", rows * width, at + 16 * rows)
        at += size
        yield Record(
            stream,
            worker,
            table,
            first,
            next_seq,
            next_row,
            steps,
            times,
            values.reshape(rows, width),
        )
