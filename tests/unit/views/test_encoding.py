"""Bytes of the data plane."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from streamviz.views.encoding import chunk_bytes, frame_bytes, read_frame


def test_a_frame_has_the_documented_bytes() -> None:
    """Header, chunk header, padded meta and values lie where the page reads them."""
    chunk = chunk_bytes(7, {"n": 2}, [np.array([1.5, np.nan])])
    frame = frame_bytes(9, 1e9, [chunk])
    assert frame[:16] == struct.pack("<BBHId", 0x53, 1, 1, 9, 1e9)
    assert frame[16:32] == struct.pack("<IIII", 7, 8, 16, 0)
    assert frame[32:40] == b'{"n":2} '
    assert frame[40:] == struct.pack("<dd", 1.5, float("nan"))


@pytest.mark.parametrize("name", ["", "a", "ab", "loss/é", "x" * 13])
def test_every_value_lies_on_a_multiple_of_eight(name: str) -> None:
    """So that the page reads the numbers in place, whatever the length of the meta."""
    columns = [np.arange(3.0), np.full(3, np.inf)]
    chunk = chunk_bytes(1, {"name": name}, columns)
    frame = frame_bytes(1, 0.0, [chunk, chunk])
    assert len(chunk) % 8 == 0
    number, now, chunks = read_frame(frame)
    assert (number, now, len(chunks)) == (1, 0.0, 2)
    for key, meta, values in chunks:
        assert (key, meta) == (1, {"name": name})
        np.testing.assert_array_equal(values, np.concatenate(columns))


def test_a_strided_array_is_written_by_value() -> None:
    """A slice of a larger table goes out as the numbers that it shows."""
    table = np.arange(12.0).reshape(3, 4)
    _, _, [(_, _, values)] = read_frame(frame_bytes(1, 0.0, [chunk_bytes(1, {}, list(table.T))]))
    np.testing.assert_array_equal(values, table.T.ravel())


@pytest.mark.parametrize(
    "data", [b"", b"\x00" * 16, struct.pack("<BBHId", 0x53, 1, 0, 1, 0) + b"x"]
)
def test_other_bytes_are_no_frame(data: bytes) -> None:
    """They are refused, not misread."""
    with pytest.raises(ValueError, match=r"frame|chunk"):
        read_frame(data)
