"""MessagePack under limits: plain values to bytes and back.

Law: the only file that knows msgpack. Whatever the bytes are, reading them takes about two
milliseconds and two megabytes beyond their own size at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgpack

from streamviz.errors import DecodeError
from streamviz.wire.frames import PROTOCOL_VERSION, Kind

__all__ = [
    "FRAME_LENGTH",
    "MAX_BATCHES",
    "MAX_CONFIG_ENTRIES",
    "MAX_FRAME_BYTES",
    "is_map",
    "pack",
    "unpack",
    "unpack_map",
]

FRAME_LENGTH = 7
"""Elements of a frame."""
MAX_FRAME_BYTES = 1 << 20
MAX_BATCHES = 4096
"""Batches in a frame."""
MAX_CONFIG_ENTRIES = 16_384
"""Values in a configuration, lists and maps themselves included."""

_LIMITS = {
    "raw": False,
    "strict_map_key": True,
    "max_str_len": 65536,
    "max_bin_len": MAX_FRAME_BYTES,
    "max_array_len": MAX_CONFIG_ENTRIES,
    "max_map_len": 4096,
    "max_ext_len": 0,
}
_PART_LIMITS = {**_LIMITS, "max_array_len": 4, "max_map_len": 0}
"""For what a long list holds: a batch has four elements, a name none."""
_MAX_ELEMENTS = 24_576
"""Elements of all arrays and maps of a frame: the most batches have 20,480, and what a publisher
lets into its configuration is less. A byte may become an object of 64, so a frame of nothing but
elements is given up before it is built."""
_COUNTED_BYTES, _LARGE_BYTES = 1 << 14, 1 << 17
"""Smaller frames cannot hold enough elements to be worth counting; in those that are large only
the batches or names of their body may be many."""
_LARGE_BODY, _ITEM_BODY = 2, 6
_ITEM_LIMITS = {**_LIMITS, "max_array_len": 0, "max_map_len": 0}
"""Of an item nothing but its body, which is not unpacked here, is longer than a name."""

_Container = TypeVar("_Container", list[object], dict[str, object])


def pack(value: object) -> bytes:
    """Return the bytes of a plain value."""
    data: bytes = msgpack.packb(value)
    return data


def is_map(data: bytes) -> bool:
    """Say whether some bytes begin as those of a map do; the rest of them is not looked at."""
    return bool(data) and (0x80 <= data[0] <= 0x8F or data[0] in (0xDE, 0xDF))


def unpack(data: bytes) -> object:
    """Return the plain value that some bytes are.

    Raises:
        DecodeError: They are none, or one over the limits.
    """
    size = len(data)
    if size > MAX_FRAME_BYTES:
        raise DecodeError("too large", f"{size} bytes, the limit is {MAX_FRAME_BYTES}")
    try:
        if size < _COUNTED_BYTES:
            return msgpack.unpackb(data, **_LIMITS)
        if size < _LARGE_BYTES:
            count = _counter()
            return msgpack.unpackb(data, list_hook=count, object_hook=count, **_LIMITS)
        return _unpack_large(data)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.OutOfData) as error:
        # What msgpack raises for damaged, trailing, over-long or too deeply nested input.
        raise DecodeError("not msgpack", str(error)[:80]) from None


def unpack_map(data: bytes) -> object:
    """Return the plain value that some bytes are; one that is large only if it is a flat map.

    A large map may hold numbers, text and binary: a picture, say, or an array. Whatever nests is
    small, or binary itself.

    Raises:
        DecodeError: They are none, or one over the limits.
    """
    if len(data) < _LARGE_BYTES or len(data) > MAX_FRAME_BYTES:
        return unpack(data)
    try:
        return msgpack.unpackb(data, **{**_LIMITS, "max_array_len": 0, "max_map_len": 64})
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.OutOfData) as error:
        raise DecodeError("not msgpack", str(error)[:80]) from None


def _counter() -> Callable[[_Container], _Container]:
    """Return what msgpack is to call with each array and map; too many raise a ValueError."""
    left = _MAX_ELEMENTS

    def count(container: _Container) -> _Container:
        nonlocal left
        left -= len(container) or 1
        if left < 0:
            raise ValueError(f"more than {_MAX_ELEMENTS} elements")
        return container

    return count


def _unpack_large(data: bytes) -> list[object]:
    """Unpack a frame whose body is a number and one long list of what is short itself.

    Counting alone comes too late for arrays that are nested and filled from the front: all of
    them are open until the last byte.

    Raises:
        ValueError: It is no such frame; also OutOfData, if it is cut.
    """
    unpacker = msgpack.Unpacker(
        max_buffer_size=MAX_FRAME_BYTES, list_hook=_counter(), **_PART_LIMITS
    )
    unpacker.feed(data)
    if unpacker.read_array_header() != FRAME_LENGTH:
        raise ValueError(f"a large frame has {FRAME_LENGTH} elements")
    header = [unpacker.unpack() for _ in range(FRAME_LENGTH - 1)]
    if header[0] != PROTOCOL_VERSION:
        return header  # whatever its body is: the version is what is refused
    length = unpacker.read_array_header()
    if header[1] == Kind.ITEM:
        return [*header, _item_body(data, unpacker.tell(), length)]
    if length != _LARGE_BODY:
        raise ValueError(f"a frame of its kind has at most {_LARGE_BYTES} bytes")
    first, length = unpacker.unpack(), unpacker.read_array_header()
    # One too many is enough to be refused for it.
    entries = [unpacker.unpack() for _ in range(min(length, MAX_BATCHES + 1))]
    if length <= MAX_BATCHES and unpacker.tell() != len(data):
        raise ValueError("bytes after the end")
    return [*header, [first, entries]]


def _item_body(data: bytes, at: int, length: int) -> list[object]:
    """Unpack the elements of an item's body, which lie at the end of a frame.

    Raises:
        ValueError: They are not six, or not plain; also OutOfData, if they are cut.
    """
    if length != _ITEM_BODY:
        raise ValueError(f"an item has {_ITEM_BODY} elements")
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_FRAME_BYTES, **_ITEM_LIMITS)
    unpacker.feed(data[at:])
    body = [unpacker.unpack() for _ in range(_ITEM_BODY)]
    if at + unpacker.tell() != len(data):
        raise ValueError("bytes after the end")
    return body
