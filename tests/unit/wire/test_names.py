"""What a legal name is."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.wire.names import MAX_NAME_BYTES, OVERFLOW, name_fault

_BIDI_CLASSES = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}

LEGAL = [
    "loss",
    "train/loss",
    "a b",
    "<script>alert(1)</script>",
    "$\\mathrm{x}^2$ \\href{javascript:alert(1)}{x}",
    "{{template}} %s {0} ../../etc/passwd",
    "损失/训练",
    "é",
    "zero\u200bwidth\u200djoiner",
    "\U0001f525",
    "x" * MAX_NAME_BYTES,
    OVERFLOW,
]

ILLEGAL = [
    ("", "not empty"),
    ("x" * (MAX_NAME_BYTES + 1), "at most 256 bytes"),
    ("é" * 129, "at most 256 bytes"),
    ("x" * 65_536, "found 65536"),
    ("a\0b", "U\\+0000"),
    ("a\nb", "U\\+000A"),
    ("a\tb", "U\\+0009"),
    ("a\x7fb", "U\\+007F"),
    ("a\x85b", "U\\+0085"),
    ("loss\u202egnp.exe", "U\\+202E"),
    ("\u2066x\u2069", "U\\+2066"),
    ("x\u200f", "U\\+200F"),
    ("\u061cx", "U\\+061C"),
    ("\ud800", "U\\+D800"),
    ("e\u0301", "normal form C"),
    (None, "found NoneType"),
    (7, "found int"),
    (b"loss", "found bytes"),
]


@pytest.mark.parametrize("name", LEGAL, ids=ascii)
def test_text_is_legal_whatever_it_looks_like(name: str) -> None:
    """HTML, TeX, templates and paths are text; so is every script in normal form C."""
    assert name_fault(name) is None


@pytest.mark.parametrize(("name", "words"), ILLEGAL, ids=lambda value: ascii(value)[:20])
def test_what_breaks_text_is_refused(name: object, words: str) -> None:
    """Control, bidi and surrogate characters, other forms and lengths are refused, in words."""
    fault = name_fault(name)

    assert fault is not None
    assert re.search(words, fault)


@given(st.text(max_size=300))
def test_a_legal_name_is_what_the_law_says(name: str) -> None:
    """Any text is legal exactly when the sentence in the docstring holds for it."""
    legal = (
        0 < len(name.encode("utf-8", "surrogatepass")) <= MAX_NAME_BYTES
        and unicodedata.is_normalized("NFC", name)
        and not any(unicodedata.category(c) in ("Cc", "Cs") for c in name)
        and not any(
            unicodedata.bidirectional(c) in _BIDI_CLASSES or c in "\u200e\u200f\u061c" for c in name
        )
    )

    assert (name_fault(name) is None) == legal
