"""What items carry and what a hello says besides numbers: as sent, or refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.errors import DecodeError
from streamviz.wire.bodies import json_body, pack_body, read_body
from streamviz.wire.codec import MAX_ITEM_BYTES, decode, encode
from streamviz.wire.frames import Item
from streamviz.wire.reserved import MAX_REPLICATED, Facts, merge_facts, read_facts

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


def item(body: bytes) -> bytes:
    """Return the bytes of an item with a body."""
    return encode(Item(bytes(16), 0, 0.0, 0.0, 0, "mark", "here", 0, 0.0, body))


@given(body=st.dictionaries(st.text(), plain, max_size=4))
def test_a_body_comes_back_and_is_json(body: dict[str, object]) -> None:
    """Whatever plain data a body is, it is read as it was and can be told as JSON."""
    data = pack_body(body)

    assert repr(read_body(data)) == repr(body)
    assert set(json.loads(json.dumps(json_body(data), allow_nan=False))) == set(body)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_body_or_none(data: bytes) -> None:
    """Bytes that are none are told as null, and nothing else is raised."""
    found = json_body(data)

    assert found is None or isinstance(found, dict)


def test_what_json_has_no_word_for_is_said_in_others() -> None:
    """Binary, what is not finite and what is nested too deep become text."""
    deep: list[object] = []
    for _ in range(40):
        deep = [deep]
    told = json_body(pack_body({"data": b"\0\1", "nan": float("nan"), "deep": deep}))

    assert told is not None
    assert told["data"] == {"base64": "AAE="}
    assert told["nan"] == "NaN"
    assert "nested too deep" in json.dumps(told["deep"])


def test_the_largest_item_comes_through_and_a_larger_is_refused() -> None:
    """The limit of a body is what a frame has room for."""
    room = MAX_ITEM_BYTES - len(pack_body({"data": bytes(70_000)})) + 70_000
    data = item(pack_body({"data": bytes(room)}))
    frame = decode(data)

    assert isinstance(frame, Item)
    assert len(frame.body) == MAX_ITEM_BYTES
    with pytest.raises(DecodeError, match="at most"):
        decode(item(pack_body({"data": bytes(room + 1)})))


@pytest.mark.parametrize("body", [b"", b"\xc0", b"\x90", b"\xa1a", bytes(200_000)], ids=len)
def test_what_does_not_begin_as_a_map_is_refused(body: bytes) -> None:
    """A body is a map."""
    with pytest.raises(DecodeError, match="map"):
        decode(item(body))


def test_facts_are_read_as_they_were_said() -> None:
    """What can be used is taken, what is the rank's apart from what is the run's."""
    run = {"replicated": ["loss_scale"], "total_steps": 10, "peak_flops": 9.9e14}

    assert read_facts({**run, "mesh": {"dp": 3, "pp": 0}}) == Facts({"dp": 3, "pp": 0}, run, ())
    assert read_facts(None) == Facts()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mesh", {"dp": -1}),
        ("mesh", {"dp": True}),
        ("mesh", {"x" * 33: 0}),
        ("mesh", {f"axis{i}": 0 for i in range(9)}),
        ("mesh", ["dp"]),
        ("replicated", "loss"),
        ("replicated", ["a\n"]),
        ("replicated", [f"m{i}" for i in range(65)]),
        ("total_steps", 0),
        ("total_steps", 2.0),
        ("tokens_per_step", float("nan")),
        ("peak_flops", float("inf")),
        ("flops_per_step", -1),
        ("samples_per_step", True),
        ("another", 1),
    ],
)
def test_facts_that_cannot_be_are_left_out_by_name(name: str, value: object) -> None:
    """One bad fact takes none of the others with it."""
    found = read_facts({name: value, "tokens_per_step" if name != "tokens_per_step" else "x": 5.0})

    assert found.refused[0] == (name if name != "another" else "unknown")
    assert name not in found.run
    assert not found.mesh


@given(
    first=st.lists(st.text("abc", min_size=1), max_size=40),
    second=st.lists(st.text("abc", min_size=1), max_size=40),
)
def test_names_of_several_ranks_add_up(first: list[str], second: list[str]) -> None:
    """The run has the names that any rank said, each once, at most so many."""
    merged = merge_facts({"replicated": first, "total_steps": 1}, {"replicated": second})

    names = merged.get("replicated", [])
    assert isinstance(names, list)
    assert set(names) <= {*first, *second}
    assert len(names) == min(len({*first, *second}), MAX_REPLICATED)
    assert merged["total_steps"] == 1
