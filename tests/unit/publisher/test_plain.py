"""A user's configuration as data that can travel."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade_frames import hello_frame, stream_id
from hypothesis import given, settings
from hypothesis import strategies as st

from streamviz.publisher.plain import MAX_CONFIG_TEXT, plain
from streamviz.wire.codec import MAX_FRAME_BYTES, decode, encode
from streamviz.wire.frames import Hello


class Silent:
    """An object whose text cannot be had."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, 0.1),
        (None, None),
        (True, True),
        (7, 7),
        (2**63, str(2**63)),
        ("text", "text"),
        ("\ud800", "?"),
        ("x" * 1000, "x" * 512),
        ((1, 2), [1, 2]),
        ({3}, [3]),
        (OrderedDict(a=1), {"a": 1}),
        ({1: {2: "b"}}, {"1": {"2": "b"}}),
        (Path("/data"), f"{Path('/data')!r}"),
        (math.nan, math.nan),
        (Silent(), "<Silent>"),
        (np.float32(0.5), "np.float32(0.5)"),
        (b"bytes", "b'bytes'"),
    ],
    ids=lambda value: ascii(value)[:16] if not isinstance(value, Silent) else "silent",
)
def test_a_value_travels_as_what_it_is(value: object, expected: object) -> None:
    """Numbers, text, lists and maps stay what they are; the rest is shown as its text."""
    taken, left_out = plain({"key": value})

    assert repr(taken) == repr({"key": expected})
    assert left_out == ""


def test_keys_are_text() -> None:
    """Keys of any kind become text that can be encoded."""
    config: dict[Any, object] = {1: "a", "\ud800": "b", Silent(): "c", ("x", 1): {Silent(): 1}}

    taken, _ = plain(config)

    assert taken == {"1": "a", "?": "b", "<Silent>": "c", "('x', 1)": {"<Silent>": 1}}


def test_what_does_not_fit_is_named() -> None:
    """Past the room the rest is left out, and said so by name."""
    config = {"big": ["x" * 500] * 80, "small": 1, "also big": ["y" * 500] * 80}

    taken, left_out = plain(config)

    assert taken == {"small": 1}
    assert left_out == "big, also big"


def test_the_number_of_keys_is_bounded() -> None:
    """So is the number of keys, and of names told."""
    taken, left_out = plain({f"k{i}": i for i in range(600)})

    assert len(taken) == 512
    assert left_out.split(", ") == [f"k{i}" for i in range(512, 522)]


def test_nesting_is_bounded() -> None:
    """A list that holds itself is cut at its depth."""
    endless: list[object] = []
    endless.append(endless)

    taken, _ = plain({"endless": endless})

    assert decode(encode(hello_frame(stream_id(1), config=taken)))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.integers() | st.text() | st.none(), inner)
        | st.tuples(inner, inner)
    ),
    max_leaves=40,
)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text() | st.integers(), values, max_size=20))
def test_any_configuration_can_be_sent(config: dict[Any, object]) -> None:
    """Whatever was told, what is taken of it fits a hello that its receiver accepts."""
    taken, _ = plain(config)
    data = encode(hello_frame(stream_id(1), config=taken))
    again = decode(data)

    assert len(data) < MAX_FRAME_BYTES
    assert isinstance(again, Hello)
    assert repr(again.config) == repr(taken)


@pytest.mark.parametrize("entry", [0, "", "\U0001f525" * 500, [], [[[[[0]]]]], {"": 0}, 0.1])
def test_the_largest_configuration_can_be_sent(entry: object) -> None:
    """Filled to the brim with any one thing, a configuration is within the wire's limits."""
    config = {f"{i}": [entry] * 512 for i in range(40)}
    taken, _ = plain(config)

    decode(encode(hello_frame(stream_id(1), config=taken)))
    assert len(repr(taken)) < 2 * MAX_CONFIG_TEXT
