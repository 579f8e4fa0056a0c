"""Scripted faults as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.demo.faults import KINDS, MAX_TEXT, Fault, parse_fault
from streamviz.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("stall:rank=417@step=200", Fault(kind="stall", step=200, ranks=(417, 417))),
        (
            "stall:rank=3,phase=backward,seconds=2.5@step=0",
            Fault(kind="stall", step=0, ranks=(3, 3), phase="backward", seconds=2.5),
        ),
        (
            "nan:rank=3,metric=train/loss@step=50",
            Fault(kind="nan", step=50, ranks=(3, 3), metric="train/loss"),
        ),
        (
            "straggler:rank=8-15,phase=data,seconds=0.2@step=20",
            Fault(kind="straggler", step=20, ranks=(8, 15), phase="data", seconds=0.2),
        ),
        ("dead:rank=9@step=100", Fault(kind="dead", step=100, ranks=(9, 9))),
        (
            "desync:rank=2,metric=param/norm@step=60",
            Fault(kind="desync", step=60, ranks=(2, 2), metric="param/norm"),
        ),
        (
            "spike:metric=grad/norm,factor=50@step=7",
            Fault(kind="spike", step=7, metric="grad/norm", factor=50.0, steps=1.0),
        ),
    ],
)
def test_a_fault_is_read(text: str, fault: Fault) -> None:
    """Each kind with its values, and what it stands at unless told."""
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "character", "expected"),
    [
        ("hang:rank=1@step=2", 1, "stall"),
        ("stall rank=1@step=2", 6, "':'"),
        ("stall:node=1@step=2", 7, "rank"),
        ("stall:rank=x@step=2", 12, "a whole number"),
        ("stall:rank=5-3@step=2", 14, "from 5 on"),
        ("stall:rank=1,rank=2@step=2", 14, "once"),
        ("stall:rank=1", 13, "'@'"),
        ("stall:rank=1@step=2 ", 20, "the end"),
        ("stall:phase=data@step=2", 17, "',rank='"),
        ("stall:rank=1,phase=lunch@step=2", 20, "optimizer"),
        ("stall:rank=1,seconds=0@step=2", 22, "above 0"),
        ("nan:rank=1,metric=\x07@step=2", 19, "a metric's name"),
        ("spike:metric=x,steps=0@step=2", 22, "at least 1"),
        ("stall:rank=1@step=99999999999999999", 19, "a whole number"),
        ("", 1, "stall"),
    ],
)
def test_an_error_says_where(text: str, character: int, expected: str) -> None:
    """What is wrong is told with its place, counted from 1, and what belongs there."""
    with pytest.raises(ConfigError) as error:
        parse_fault(text)

    if expected == "a whole number" and len(text) > 30:
        assert "at character" in str(error.value)
    else:
        assert f"at character {character}" in str(error.value)
        assert expected in str(error.value)


@given(st.text(max_size=40) | st.from_regex(rf"({'|'.join(KINDS)}):[a-z=,0-9@.-]*", fullmatch=True))
def test_any_text_is_a_fault_or_an_error(text: str) -> None:
    """Nothing else comes of it, whatever it is."""
    try:
        fault = parse_fault(text)
    except ConfigError:
        return
    assert fault.kind in KINDS
    assert fault.steps == math.inf or fault.steps >= 1


def test_a_long_text_is_not_read() -> None:
    """Past the limit the length is told, not the text."""
    with pytest.raises(ConfigError, match=f"at most {MAX_TEXT}"):
        parse_fault("stall:rank=1@step=" + "1" * MAX_TEXT)
