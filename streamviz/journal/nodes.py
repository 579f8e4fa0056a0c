"""What a run's file holds of the past: leaves of rows, and blocks that stand for sixteen below.

The rows of a worker in a table are numbered in order of arrival and cut into *windows* of 1,024. A
*leaf* (level 0) holds rows of one window: all of them once the window is past, before that several
leaves hold a segment each. A *block* of level k stands for the rows of ``16**k`` windows, reduced
to at most 1,024 buckets of the step grid.

Law: what a node holds is what was put into it, or reading it raises ``BadRow``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from sqlite3 import Connection
from typing import TypeVar

import numpy as np

from streamviz.journal import values
from streamviz.journal.schema import INSERT, BadRow, checksum, insert, part_checksum
from streamviz.store.grid import FloatArray, IntArray, Sums, finish

__all__ = [
    "BUCKETS",
    "FAN",
    "WINDOW",
    "Block",
    "Leaf",
    "Node",
    "add_block",
    "add_leaf",
    "all_leaf_values",
    "block_axis",
    "block_sums",
    "delete",
    "find",
    "leaf_axis",
    "leaf_values",
    "part_bytes",
    "span",
]

WINDOW = 1024
"""Rows of a full leaf: smaller ones compress worse and cost a lookup each, larger ones make a
reader of a few rows decode many."""
FAN = 16
"""Nodes below a block: an overview of 10**8 rows is five levels."""
BUCKETS = 1024
"""Most buckets of a block."""
ROUGH_ROWS = 128
"""Smaller segments are encoded roughly: a thousand ranks leave many, and all of them are joined."""
PARTS = 8192
"""Ids of parts for each node: the axis, then a metric each, of which the wire allows 4,096."""
_Array = TypeVar("_Array", IntArray, FloatArray)
_LENGTH = struct.Struct("<I")
_FLOAT32_MIN = float(np.finfo(np.float32).tiny)
_SELECT = (
    "SELECT * FROM chunk WHERE metric_set = ? AND worker = ? AND level = ? AND first >= ?"
    " AND first < ? ORDER BY first"
)


@dataclass(frozen=True, slots=True)
class Node:
    """A row of ``chunk``: where a leaf or a block lies, and what range of steps it holds."""

    id: int
    table: int
    worker: int
    level: int
    first: int
    """Ordinal of the first row of the leaf, or of the block's first window."""
    stop: int
    """Ordinal after the last that it stands for; where rows are lost it holds fewer."""
    rows: int
    low: int
    """Lowest step; ``high`` is the highest."""
    high: int
    shift: int
    """A bucket is ``1 << shift`` steps wide; 0 in a leaf."""
    size: int
    """Rows of a leaf, buckets of a block."""


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """Rows of one window."""

    steps: IntArray
    """``int64[S]``."""
    times: FloatArray
    """``float64[S]``."""
    values: Sequence[FloatArray]
    """``float64[S]`` of each metric."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What some windows add up to."""

    shift: int
    bucket: IntArray
    """``int64[B]``, ascending."""
    rows: IntArray
    """``int64[B]``."""
    time: FloatArray
    """``float64[B]``, mean of the rows' times."""
    metrics: Iterable[Sums]
    """Sums ``[B, 1]`` of each metric, one at a time: a table may have thousands."""


def span(level: int) -> int:
    """Return how many ordinals a node of a level stands for."""
    return int(WINDOW * FAN**level)


def find(
    connection: Connection, table: int, worker: int, level: int, begin: int, end: int
) -> list[Node]:
    """Return the nodes of a level that begin at ordinals from ``begin`` up to before ``end``.

    Raises:
        BadRow: A node's row does not fit its checksum.
    """
    found = []
    for row in connection.execute(_SELECT, (table, worker, level, begin, end)):
        if checksum("chunk", row[:-1]) != row[-1]:
            raise BadRow(f"row {row[0]} of table chunk does not fit its checksum")
        found.append(Node(*row[:-1]))
    return found


def add_leaf(
    connection: Connection, number: int, key: tuple[int, int], ends: tuple[int, int], leaf: Leaf
) -> Node:
    """Write a leaf.

    Args:
        connection: Inside a transaction.
        number: That no node had before.
        key: Table and worker.
        ends: Ordinal of the first row, and the one after the last.
        leaf: Its rows.
    """
    (table, worker), (first, stop) = key, ends
    steps = leaf.steps
    node = Node(
        *(number, table, worker, 0, first, stop, steps.size),
        *(int(steps.min()), int(steps.max()), 0, steps.size),
    )
    axis = _join(values.encode_axis(steps), values.encode_axis(leaf.times.view(np.int64)))
    lines = values.encode_all(leaf.values, roughly=steps.size < ROUGH_ROWS)
    _write(connection, node, axis, lines)
    return node


def add_block(connection: Connection, node: Node, block: Block) -> None:
    """Write a block; ``node`` says where it belongs."""
    axis = _join(
        values.encode_axis(block.bucket),
        values.encode_axis(block.rows),
        values.encode_axis(block.time.view(np.int64)),
    )
    _write(connection, node, axis, map(_join_sums, block.metrics))


def delete(connection: Connection, nodes: Sequence[Node]) -> None:
    """Delete nodes and their parts."""
    connection.executemany(
        "DELETE FROM part WHERE id >= ? AND id < ?",
        [(node.id * PARTS, (node.id + 1) * PARTS) for node in nodes],
    )
    connection.executemany("DELETE FROM chunk WHERE id = ?", [(node.id,) for node in nodes])


def leaf_axis(connection: Connection, node: Node) -> tuple[IntArray, FloatArray]:
    """Return a leaf's steps and times.

    Raises:
        BadRow: They cannot be read; so with the functions below.
    """
    steps, times = _read(connection, node, 0, 2)
    return (
        _checked(values.decode_axis, steps, node.size),
        _checked(values.decode_axis, times, node.size).view(np.float64),
    )


def leaf_values(connection: Connection, node: Node, metric: int) -> FloatArray:
    """Return the values of one metric of a leaf."""
    (data,) = _read(connection, node, 1 + metric, 1)
    return _checked(values.decode, data, node.size)


def all_leaf_values(connection: Connection, node: Node, width: int) -> list[FloatArray]:
    """Return the values of all metrics of a leaf."""
    first = node.id * PARTS + 1
    found = connection.execute(
        "SELECT id, data, crc FROM part WHERE id >= ? AND id < ?", (first, first + width)
    ).fetchall()
    if len(found) < width:
        raise BadRow(f"of {width} rows of table part from {first} on {len(found)} are there")
    try:
        return values.decode_all([_sound(*part) for part in found], node.size)
    except ValueError as error:
        raise BadRow(str(error)) from None


def block_axis(connection: Connection, node: Node) -> tuple[IntArray, IntArray, FloatArray]:
    """Return a block's buckets, their rows, and the mean times of those."""
    bucket, rows, times = _read(connection, node, 0, 3)
    return (
        _checked(values.decode_axis, bucket, node.size),
        _checked(values.decode_axis, rows, node.size),
        _checked(values.decode_axis, times, node.size).view(np.float64),
    )


def block_sums(
    connection: Connection, node: Node, metric: int, rows: IntArray, time: FloatArray
) -> Sums:
    """Return what a block adds one metric up to, ``[B, 1]``; rows and times are of its axis."""
    low, high, mean, bad = _read(connection, node, 1 + metric, 4)
    bads = _checked(values.decode_axis, bad, node.size)
    count = rows - bads
    with np.errstate(over="ignore"):
        vsum = _checked(values.decode, mean, node.size) * count
        time_sum = time * rows
    return Sums(
        vmin=_checked(values.decode, low, node.size).reshape(-1, 1),
        vmax=_checked(values.decode, high, node.size).reshape(-1, 1),
        vsum=vsum.reshape(-1, 1),
        count=count.reshape(-1, 1),
        bad=bads.reshape(-1, 1),
        rows=rows.reshape(-1, 1),
        time_sum=time_sum.reshape(-1, 1),
    )


def part_bytes(connection: Connection, node: Node) -> int:
    """Return the bytes of a node's parts."""
    (found,) = connection.execute(
        "SELECT sum(length(data)) FROM part WHERE id >= ? AND id < ?",
        (node.id * PARTS, (node.id + 1) * PARTS),
    ).fetchone()
    return int(found or 0)


def _join_sums(sums: Sums) -> bytes:
    mean = finish(
        sums, shift=0, bucket=np.arange(sums.count.shape[0]), workers=(0,), complete=True
    ).mean.ravel()
    mean = np.where(sums.count.ravel() == 0, 0.0, mean)
    with np.errstate(over="ignore"):
        single = mean.astype(np.float32).astype(np.float64)
    rounds = np.isfinite(single) & ((np.abs(mean) >= _FLOAT32_MIN) | (mean == 0))
    return _join(
        values.encode(sums.vmin.ravel()),
        values.encode(sums.vmax.ravel()),
        values.encode(np.where(rounds, single, mean)),
        values.encode_axis(sums.bad.ravel()),
    )


def _write(connection: Connection, node: Node, axis: bytes, lines: Iterable[bytes]) -> None:
    insert(connection, "chunk", [astuple(node)])
    base = node.id * PARTS
    parts = enumerate([axis, *lines], base)
    connection.executemany(
        INSERT["part"], [(number, data, part_checksum(number, data)) for number, data in parts]
    )


def _join(*pieces: bytes) -> bytes:
    """Return pieces in one, each after its length."""
    return b"".join(_LENGTH.pack(len(piece)) + piece for piece in pieces)


def _read(connection: Connection, node: Node, part: int, pieces: int) -> list[bytes]:
    number = node.id * PARTS + part
    row = connection.execute("SELECT data, crc FROM part WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise BadRow(f"row {number} of table part is missing")
    data = _sound(number, *row)
    if pieces == 1:
        return [data]
    found, at = [], 0
    for _ in range(pieces):
        if at + _LENGTH.size > len(data):
            raise BadRow(f"row {number} of table part is cut")
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        found.append(data[at : at + size])
        at += size
    return found


def _sound(number: int, data: bytes, crc: int) -> bytes:
    if part_checksum(number, data) != crc:
        raise BadRow(f"row {number} of table part does not fit its checksum")
    return data


def _checked(decode: Callable[[bytes, int], _Array], data: bytes, size: int) -> _Array:
    """Return a decoded column; one that cannot be decoded is a bad row."""
    try:
        return decode(data, size)
    except ValueError as error:
        raise BadRow(str(error)) from None
