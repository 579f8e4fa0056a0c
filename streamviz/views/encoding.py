"""Bytes of the data plane: chunks of one view each, frames of many chunks.

Layout, little-endian: a frame is ``<B 0x53, B version, H chunks, I frame number, d server time>``
followed by its chunks; a chunk is ``<I view key, I bytes of meta, I bytes of payload, I 0>``, the
meta as JSON padded with spaces to a multiple of 8, then float64 values.

Law: every float64 lies on a multiple of 8, so that a browser reads it in place.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["MAGIC", "VERSION", "Floats", "bytes_chunk", "chunk_bytes", "frame_bytes", "read_frame"]

Floats = npt.NDArray[np.float64]

MAGIC = 0x53
VERSION = 1
_FRAME = struct.Struct("<BBHId")
_CHUNK = struct.Struct("<IIII")
_LITTLE = np.dtype("<f8")


def chunk_bytes(key: int, meta: Mapping[str, object], columns: Sequence[Floats]) -> bytes:
    """Encode one chunk.

    Args:
        key: The view's key, below 2**32.
        meta: What the reader needs to place the columns; plain JSON, without NaN.
        columns: Arrays of shape (n,), all of one length.
    """
    payload = b"".join(column.astype(_LITTLE, copy=False).tobytes() for column in columns)
    return bytes_chunk(key, meta, payload)


def bytes_chunk(key: int, meta: Mapping[str, object], payload: bytes) -> bytes:
    """Encode one chunk whose payload is not of float64 only.

    Args:
        key: The view's key, below 2**32.
        meta: What the reader needs to take the payload apart; plain JSON, without NaN.
        payload: Any bytes; zeros are added up to a multiple of 8.
    """
    text = json.dumps(meta, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    payload += bytes(-len(payload) % 8)
    return b"".join((_CHUNK.pack(key, len(text), len(payload), 0), text, payload))


def frame_bytes(number: int, now: float, chunks: Sequence[bytes]) -> bytes:
    """Join chunks into the frame of one viewer.

    Args:
        number: The viewer's frame number, which its acknowledgement names.
        now: Server wall time, seconds since the epoch.
        chunks: At most 65,535 of :func:`chunk_bytes`.
    """
    return b"".join((_FRAME.pack(MAGIC, VERSION, len(chunks), number, now), *chunks))


def read_frame(data: bytes) -> tuple[int, float, list[tuple[int, dict[str, object], Floats]]]:
    """Take a frame apart: number, server time, and (key, meta, values) of each chunk.

    Raises:
        ValueError: The bytes are not a frame.
    """
    if len(data) < _FRAME.size:
        raise ValueError(f"a frame has at least {_FRAME.size} bytes, found {len(data)}")
    magic, version, count, number, now = _FRAME.unpack_from(data)
    if (magic, version) != (MAGIC, VERSION):
        raise ValueError(f"not a frame of version {VERSION}: starts with {magic:#x}, {version}")
    chunks: list[tuple[int, dict[str, object], Floats]] = []
    at = _FRAME.size
    for _ in range(count):
        key, meta_length, payload_length, _ = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        meta = json.loads(data[at : at + meta_length])
        at += meta_length
        chunks.append((key, meta, np.frombuffer(data, _LITTLE, payload_length // 8, at)))
        at += payload_length
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes follow the last chunk")
    return number, now, chunks
