"""Journal records to columns: the rows of each worker in each table, as a checkpoint wants them.

Most records of a slow training hold one row, so they are gathered many at a time: a walk in Python
finds where they lie, and all of one size are one array.

Law: per (table, worker) the rows come out once, in the order of their ordinals.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamviz.journal.entries import TableRows
from streamviz.journal.records import HEADER
from streamviz.store.grid import FloatArray, IntArray

__all__ = ["Mark", "gather", "last_marks"]

_TABLE_ROWS = struct.Struct("<8xII")
_HEADER = [
    ("stream", "<u4"),
    ("worker", "<u4"),
    ("table", "<u4"),
    ("rows", "<u4"),
    ("first", "<u8"),
    ("next_seq", "<u8"),
    ("next_row", "<u8"),
]
_Records = NDArray[Any]
"""``[n]`` of records of one table with equally many rows."""


class Mark(NamedTuple):
    """How far a stream's records bring it."""

    worker: int
    next_seq: int
    next_row: int


class _Piece(NamedTuple):
    ordinals: IntArray
    """``int64[S]``, of each row within (table, worker)."""
    steps: IntArray
    times: FloatArray
    values: FloatArray


def gather(blobs: Sequence[bytes], widths: Mapping[int, int]) -> list[TableRows]:
    """Return the rows of some records, by table, then worker.

    Args:
        blobs: Records, one after the other, in order of arrival.
        widths: K of each table.

    Raises:
        ValueError: A record is cut, or of a table that there is not.
    """
    pieces: dict[tuple[int, int], list[_Piece]] = {}
    for records in _alike(blobs, widths):
        _split(records, pieces)
    return [_join(table, worker, pieces[table, worker]) for table, worker in sorted(pieces)]


def last_marks(blobs: Sequence[bytes], widths: Mapping[int, int]) -> dict[int, Mark]:
    """Return per stream number how far its records bring it.

    Raises:
        ValueError: As :func:`gather`.
    """
    marks: dict[int, Mark] = {}
    for records in _alike(blobs, widths):
        names = ("stream", "worker", "next_seq", "next_row")
        columns = [records[name].tolist() for name in names]
        for stream, worker, next_seq, next_row in zip(*columns, strict=True):
            held = marks.get(stream)
            if held is None or next_seq >= held.next_seq:
                marks[stream] = Mark(worker, next_seq, next_row)
    return marks


def _alike(blobs: Sequence[bytes], widths: Mapping[int, int]) -> Iterator[_Records]:
    """Yield the records of each table and number of rows, in order of arrival."""
    blob = blobs[0] if len(blobs) == 1 else b"".join(blobs)
    row_bytes = {table: 8 * (2 + width) for table, width in widths.items()}
    read, header_size = _TABLE_ROWS.unpack_from, HEADER.size
    found: dict[tuple[int, int], list[int]] = {}
    at, end = 0, len(blob)
    try:
        while at < end:
            kind = read(blob, at)
            try:
                found[kind].append(at)
            except KeyError:
                found[kind] = [at]
            at += header_size + kind[1] * row_bytes[kind[0]]
    except (struct.error, KeyError) as error:
        raise ValueError(f"a journal record cannot be read at byte {at} of {end}") from error
    if at != end:
        raise ValueError(f"a journal record is cut: it ends at {at} of {end} bytes")
    for (table, rows), offsets in found.items():
        width = widths[table]
        layout = np.dtype(
            [
                *_HEADER,
                ("steps", "<i8", (rows,)),
                ("times", "<f8", (rows,)),
                ("values", "<f8", (rows, width)),
            ]
        )
        size = layout.itemsize
        if len(found) > 1:
            blob_of = b"".join([blob[begin : begin + size] for begin in offsets])
        else:
            blob_of = blob
        yield np.frombuffer(blob_of, layout)


def _split(records: _Records, pieces: dict[tuple[int, int], list[_Piece]]) -> None:
    """Add the rows of records of one table to those of their workers."""
    table, worker = int(records["table"][0]), records["worker"]
    if worker[0] == worker[-1] and bool((worker == worker[0]).all()):
        order, starts = None, np.zeros(1, np.intp)
    else:
        order = np.argsort(worker, kind="stable")
        worker = worker[order]
        starts = np.flatnonzero(np.concatenate(([True], worker[1:] != worker[:-1])))
    rows = records["steps"].shape[1]
    columns = {}
    for name in ("first", "steps", "times", "values"):
        column = np.ascontiguousarray(records[name])
        columns[name] = column if order is None else column[order]
    ordinals = columns["first"].astype(np.int64)[:, None] + np.arange(rows)
    for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), worker.size], strict=True):
        span = slice(begin, end)
        values = columns["values"][span]
        pieces.setdefault((table, int(worker[begin])), []).append(
            _Piece(
                ordinals[span].reshape(-1),
                columns["steps"][span].reshape(-1),
                columns["times"][span].reshape(-1),
                values.reshape(-1, values.shape[2]),
            )
        )


def _join(table: int, worker: int, pieces: list[_Piece]) -> TableRows:
    ordinals, steps, times, values = pieces[0]
    if len(pieces) > 1:
        ordinals = np.concatenate([piece.ordinals for piece in pieces])
        order = np.argsort(ordinals, kind="stable")
        ordinals = ordinals[order]
        steps = np.concatenate([piece.steps for piece in pieces])[order]
        times = np.concatenate([piece.times for piece in pieces])[order]
        values = np.concatenate([piece.values for piece in pieces])[order]
    return TableRows(
        table=table,
        worker=worker,
        first=int(ordinals[0]),
        steps=steps,
        times=times,
        values=values,
    )
