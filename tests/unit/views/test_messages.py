"""What a page may say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.views.messages import (
    MAX_MESSAGE,
    Ack,
    BadMessage,
    Close,
    Open,
    Ping,
    Watch,
    parse_message,
    text_of,
)
from streamviz.views.models import ViewKey

VIEW = {
    "op": "view",
    "id": 3,
    "run": "r",
    "metric": "train/loss",
    "mode": "lines",
    "ranks": "8-15,0",
    "start": None,
    "stop": 900,
    "points": 512,
}


def test_every_message_is_read() -> None:
    """Each of the five becomes its value."""
    opened = parse_message(json.dumps(VIEW))
    assert isinstance(opened, Open)
    assert opened.view == 3
    assert isinstance(opened.key, ViewKey)
    assert (opened.key.run, opened.key.metric, opened.key.mode) == ("r", "train/loss", "lines")
    assert str(opened.key.ranks) == "0,8-15"
    assert (opened.key.start, opened.key.stop, opened.key.points) == (None, 900, 512)
    assert parse_message('{"op":"watch","run":null}') == Watch(None)
    assert parse_message('{"op":"watch","run":"r"}') == Watch("r")
    assert parse_message('{"op":"close","id":3}') == Close(3)
    assert parse_message('{"op":"ack","frame":7}') == Ack(7)
    assert parse_message('{"op":"ping","t":1.5}') == Ping(1.5)


def test_a_view_needs_no_more_than_its_metric() -> None:
    """What is left out is what the page shows first: the band of all ranks over all steps."""
    opened = parse_message('{"op":"view","id":1,"run":"r","metric":"m"}')
    assert isinstance(opened, Open)
    key = opened.key
    assert isinstance(key, ViewKey)
    assert (key.mode, key.ranks, key.start, key.stop, key.points) == (
        "band",
        None,
        None,
        None,
        1024,
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"id": -1}, "id: found -1"),
        ({"id": True}, "id: found True"),
        ({"run": None}, "run: found None"),
        ({"run": "x" * 257}, "1 to 256 characters"),
        ({"metric": "\ud800"}, "metric: found"),
        ({"mode": "pie"}, "mode: found 'pie', expected 'band' or 'std' or 'lines'"),
        ({"ranks": "9-1"}, "ranks: found '9-1'"),
        ({"ranks": 3}, "ranks: found 3"),
        ({"start": -4}, "start: found -4"),
        ({"start": 0.5}, "start: found 0.5"),
        ({"start": 901}, "stop: found 900, expected a step not before start, 901"),
        ({"points": 100_000}, "points: found 100000, expected a whole number from 8 to 4096"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(changed: dict[str, object], says: str) -> None:
    """The refusal carries the page's id of the view, so that the page knows which chart it is."""
    with pytest.raises(BadMessage) as caught:
        parse_message(json.dumps({**VIEW, **changed}))
    assert says in str(caught.value)
    assert caught.value.view == (None if "id" in changed else 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00", "binary"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1]", "not JSON"),
        ("[" * 10_000, "not JSON"),
        ('{"op":"eval"}', "unknown"),
        ('{"op":["view"]}', "unknown"),
        ('{"op":"ping","t":NaN}', "field"),
        ('{"op":"ping","t":1' + "0" * 400 + "}", "field"),
        ('{"op":"ping","t":' + "1" * 5000 + "}", "not JSON"),
        ('"' + "x" * MAX_MESSAGE + '"', "too long"),
        ('"' + "é" * (MAX_MESSAGE // 2) + '"', "too long"),
    ],
)
def test_what_is_no_message_is_counted_under_its_reason(data: str | bytes, reason: str) -> None:
    """Whatever comes, one label."""
    with pytest.raises(BadMessage) as caught:
        parse_message(data)
    assert caught.value.reason == reason


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.text()
    | st.fixed_dictionaries(
        {"op": st.sampled_from(["view", "close", "ack", "ping", "watch"])},
        optional={name: values for name in [*VIEW, "frame", "t"] if name != "op"},
    ).map(json.dumps)
)
def test_nothing_but_a_message_or_a_refusal_comes_out(data: str) -> None:
    """No input raises anything else, and every refusal can be written back."""
    try:
        parse_message(data)
    except BadMessage as error:
        text_of("refused", id=error.view, reason=str(error)).encode()
