"""The smallest exact bytes of a column: numbers recognised for what they are, then zstd.

A column is a tag byte and one zstd frame. The tag says what the frame's bytes are:

==  ==========================================================================================
0   float64, each XORed with the one before
1   float32 that widen to the values
2   integers, each less the one before, zigzag
3   ``int64`` (steps, bits of times), differences of differences, zigzag
16  + d: integers which over 10**d are the values, each less the one before, zigzag
==  ==========================================================================================

The bytes of the numbers are transposed: all lowest bytes first, all highest last.

Law: ``decode(encode(x))`` is bit for bit ``x``, whatever NaN or zero it holds; a coding is used
only after decoding it gave the values back. No stated size is believed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import zstandard
from numpy.typing import NDArray

from streamviz.store.grid import FloatArray, IntArray

__all__ = ["decode", "decode_all", "decode_axis", "encode", "encode_all", "encode_axis"]

_XOR, _FLOAT32, _INTEGER, _AXIS, _DECIMAL = 0, 1, 2, 3, 16
_DIGITS_MAX = 9
_POWERS = 10.0 ** np.arange(_DIGITS_MAX + 1)
_EXACT_MAX = 2.0**53
"""Integers below it are float64 each."""
_SAMPLE = 32
"""Values looked at before a decimal coding is tried on all of them."""
_LEVEL, _BITS_LEVEL = 3, -1
"""Of zstd. Bits of float64 hardly repeat: more effort finds a hundredth in thrice the time."""
_WINDOW_MAX = 1 << 24
"""Bytes a frame may make the decompressor hold; ours need at most 32 KiB."""

UintArray = NDArray[np.uint64]


class _Zstd(threading.local):
    """A compressor and a decompressor of each thread: neither may be shared."""

    def __init__(self) -> None:
        self.pack = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=False).compress
        self.pack_bits = zstandard.ZstdCompressor(
            level=_BITS_LEVEL, write_content_size=False
        ).compress
        self.unpack = zstandard.ZstdDecompressor(max_window_size=_WINDOW_MAX).decompress


_zstd = _Zstd()


def encode(values: FloatArray) -> bytes:
    """Return the column of ``float64[S]``."""
    values = np.ascontiguousarray(values, np.float64)
    if values.size:
        with np.errstate(all="ignore"):
            for digits in _digits(values):
                scaled = np.rint(values * _POWERS[digits]) if digits else values
                whole = scaled.astype(np.int64)
                if _same(whole / _POWERS[digits], values):
                    tag = _DECIMAL + digits if digits else _INTEGER
                    return _column(tag, _zigzag(np.diff(whole, prepend=0)))
            single = values.astype(np.float32)
            if _same(single.astype(np.float64), values):
                return _column(_FLOAT32, single)
    return _turned(values[None])[0]


def encode_all(lines: Sequence[FloatArray], *, roughly: bool = False) -> list[bytes]:
    """Return the columns of some ``float64[S]`` of one S, in a fraction of the time.

    Args:
        lines: The values of each column.
        roughly: Without looking for what is smaller, for what is soon encoded again with more.
    """
    if not lines or not lines[0].size:
        return [encode(line) for line in lines]
    matrix = np.stack(lines)
    if roughly:
        return _turned(matrix)
    found: dict[int, bytes] = {}
    # A column that may be of decimals or single precision is looked at by itself.
    alone = np.flatnonzero(_may_be_smaller(matrix)).tolist()
    for number in alone:
        found[number] = encode(matrix[number])
    rest = [number for number in range(len(lines)) if number not in found]
    if rest:
        found.update(zip(rest, _turned(matrix[rest]), strict=True))
    return [found[number] for number in range(len(lines))]


def _may_be_smaller(matrix: FloatArray) -> NDArray[np.bool_]:
    """Say of each row of ``float64[K, S]`` whether another coding than XOR may hold it."""
    with np.errstate(all="ignore"):
        sample = matrix[:, :_SAMPLE]
        scaled = sample[:, None, :] * _POWERS[:, None]
        decimal = (np.rint(scaled) / _POWERS[:, None] == sample[:, None, :]).all(axis=2).any(axis=1)
        single = (sample.astype(np.float32) == sample).all(axis=1)
    # NaN equals nothing here, and may well be of single precision.
    return np.asarray(decimal | single | np.isnan(sample).any(axis=1))


def _turned(matrix: FloatArray) -> list[bytes]:
    """Return the rows of ``float64[K, S]`` as columns of XORed bits."""
    bits = np.ascontiguousarray(matrix).view(np.uint64)
    turned = bits.copy()
    turned[:, 1:] ^= bits[:, :-1]
    count, size = turned.shape
    flat = turned.view(np.uint8).reshape(count, size, 8).transpose(0, 2, 1).tobytes()
    tag, pack, step = bytes((_XOR,)), _zstd.pack_bits, 8 * size
    return [tag + pack(flat[step * line : step * (line + 1)]) for line in range(count)]


def decode_all(columns: Sequence[bytes], size: int) -> list[FloatArray]:
    """Return the ``float64[size]`` of each of some columns.

    Raises:
        ValueError: One is not a column of that size.
    """
    turned = [number for number, data in enumerate(columns) if data[:1] == bytes((_XOR,))]
    if not size or len(turned) < 2:
        return [decode(data, size) for data in columns]
    flat = b"".join([_flat(columns[number], 8 * size) for number in turned])
    planes = np.frombuffer(flat, np.uint8).reshape(len(turned), 8, size)
    bits = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(np.uint64)[:, :, 0]
    rows = np.bitwise_xor.accumulate(bits, axis=1).view(np.float64)
    found = dict(zip(turned, rows, strict=True))
    return [
        found[number] if number in found else decode(data, size)
        for number, data in enumerate(columns)
    ]


def decode(data: bytes, size: int) -> FloatArray:
    """Return the ``float64[size]`` of a column.

    Raises:
        ValueError: It is not a column of that size.
    """
    tag = data[0] if data else -1
    if tag == _XOR:
        bits = np.bitwise_xor.accumulate(_bytes(data, size, 8).view(np.uint64))
        return bits.view(np.float64)
    if tag == _FLOAT32:
        return _bytes(data, size, 4).view(np.float32).astype(np.float64)
    if tag == _INTEGER or _DECIMAL < tag <= _DECIMAL + _DIGITS_MAX:
        whole = np.cumsum(_unzigzag(_bytes(data, size, 8).view(np.uint64)))
        if tag == _INTEGER:
            return whole.astype(np.float64)
        return np.asarray(whole / _POWERS[tag - _DECIMAL], np.float64)
    raise ValueError(f"a column of values has tag {tag}, which there is not")


def encode_axis(values: IntArray) -> bytes:
    """Return the column of ``int64[S]``, small where they grow evenly."""
    values = np.ascontiguousarray(values, np.int64)
    return _column(_AXIS, _zigzag(np.diff(values, n=2, prepend=(0, 0))))


def decode_axis(data: bytes, size: int) -> IntArray:
    """Return the ``int64[size]`` of a column.

    Raises:
        ValueError: It is not a column of that size.
    """
    if not data or data[0] != _AXIS:
        raise ValueError(f"a column of steps has tag {data[0] if data else -1}, not {_AXIS}")
    whole: IntArray = np.cumsum(np.cumsum(_unzigzag(_bytes(data, size, 8).view(np.uint64))))
    return whole


def _digits(values: FloatArray) -> list[int]:
    """Return how many decimals the values may have: one guess, or none."""
    sample = values[:_SAMPLE]
    if not np.abs(values).max() < _EXACT_MAX:  # also true of NaN
        return []
    exact = (np.rint(sample * _POWERS[:, None]) / _POWERS[:, None] == sample).all(axis=1)
    found = int(exact.argmax())
    if not exact[found] or not np.abs(values).max() * _POWERS[found] < _EXACT_MAX:
        return []
    return [found]


def _same(found: FloatArray, values: FloatArray) -> bool:
    return bool((found.view(np.int64) == values.view(np.int64)).all())


def _zigzag(values: IntArray) -> UintArray:
    """Fold the sign into the lowest bit, so that small numbers have small bytes."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def _unzigzag(values: UintArray) -> IntArray:
    half: IntArray = (values >> np.uint64(1)).view(np.int64)
    half ^= -(values & np.uint64(1)).view(np.int64)
    return half


def _column(tag: int, numbers: UintArray | NDArray[np.float32]) -> bytes:
    width = numbers.dtype.itemsize
    turned = numbers.view(np.uint8).reshape(-1, width).T.tobytes()
    return bytes((tag,)) + bytes(_zstd.pack(turned))


def _bytes(data: bytes, size: int, width: int) -> NDArray[np.uint8]:
    """Return the bytes of a column's numbers, never more than ``size * width`` of them."""
    if size == 0:
        return np.empty(0, np.uint8)
    turned = np.frombuffer(_flat(data, size * width), np.uint8).reshape(width, size)
    return np.ascontiguousarray(turned.T).reshape(-1)


def _flat(data: bytes, wanted: int) -> bytes:
    """Return what a column's frame holds, which is to be so many bytes."""
    frame = data[1:]
    try:
        stated = zstandard.frame_content_size(frame)
        if stated not in (-1, wanted):
            raise ValueError(f"a column states {stated} bytes, expected {wanted}")
        flat = _zstd.unpack(frame, max_output_size=wanted, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(f"a column of {wanted} bytes cannot be read: {error}") from None
    if len(flat) != wanted:
        raise ValueError(f"a column holds {len(flat)} bytes, expected {wanted}")
    return flat
