"""Bodies of payloads as the page draws them: bounded, in words where they cannot be read."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payloads_sent import document, pixels

from streamviz.errors import BadPayload
from streamviz.store import Item
from streamviz.views.markdown import html_of
from streamviz.views.payload_bodies import media_of, told_body
from streamviz.wire.bodies import pack_body
from streamviz.wire.kinds import KINDS


def item(kind: str, body: bytes) -> Item:
    """Return an item with a body."""
    return Item(
        worker=0, rank=0, attempt=0, kind=kind, name="n", step=0, time=0.0, body=body, number=7
    )


def test_raw_pixels_become_a_png() -> None:
    """What was sent as an array is an image that every browser shows."""
    media, data = media_of(item("image", pixels(10)))
    assert media == "image/png"
    assert data.startswith(b"\x89PNG")
    told: Any = told_body("image", pixels(10, caption="c" * 9000))
    assert (told["width"], told["height"]) == (8, 6)
    assert len(told["caption"]) == 2000


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"media": "text/html", "data": b"<script>"},
        {"width": 1 << 20, "height": 1 << 20, "channels": 3, "pixels": b""},
        {"width": 2, "height": 2, "channels": 2, "pixels": b""},
        {"width": 2, "height": 2, "channels": 3, "pixels": b"no zlib"},
        {"width": -1, "height": 2, "channels": 3, "pixels": b""},
    ],
)
def test_what_is_no_image_is_said(body: dict[str, object]) -> None:
    """Each refusal has a sentence."""
    with pytest.raises(BadPayload):
        media_of(item("image", pack_body(body)))


def test_pixels_that_swell_are_not_unpacked() -> None:
    """No more is unpacked than the size that was announced."""
    with pytest.raises(BadPayload, match="48 bytes that has 49 or more"):
        media_of(item("image", pixels(0, 400, 400, announced=(4, 4))))


def test_a_chart_is_told_as_a_figure() -> None:
    """The document becomes what Bokeh embeds; one that is none is refused in words."""
    told: Any = told_body("chart", document(chart="line", series=[{"name": "a", "y": [1, 2]}]))
    assert told["item"]["doc"]["roots"][0]["name"] == "Figure"
    with pytest.raises(BadPayload):
        told_body("chart", document(chart="line", series="none"))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
fields = st.sampled_from(
    ["text", "markdown", "chart", "series", "columns", "rows", "library", "figure", "z", "x", "y"]
)


@given(kind=st.sampled_from(sorted(KINDS)), found=st.dictionaries(fields, values, max_size=6))
def test_any_document_is_told_or_refused(kind: str, found: dict[str, object]) -> None:
    """Whatever a document holds, there is strict JSON or a sentence."""
    try:
        told = told_body(kind, document(**found))
    except BadPayload:
        return
    json.dumps(told, allow_nan=False)


@given(kind=st.sampled_from(sorted(KINDS)), data=st.binary(max_size=200))
def test_any_bytes_are_told_or_refused(kind: str, data: bytes) -> None:
    """Whatever the bytes are, nothing else comes out."""
    try:
        told_body(kind, data)
        media_of(item(kind, data))
    except BadPayload:
        pass


class _Tags(HTMLParser):
    """Collects what a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag."""
        self.found.append((tag, dict(attrs)))


hostile = st.lists(
    st.sampled_from(
        [
            *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>"),
            *("[a](javascript:alert(1))", "[a](JaVaScRiPt:alert(1))", "[a](data:text/html,x)"),
            *("![a](https://e.org/x.png)", "<a href='javascript:alert(1)'>", "[x]: javascript:a\n"),
            *(
                "<style>*{display:none}</style>",
                "<iframe src=//e.org>",
                "<!--",
                "-->",
                "`",
                "```\n",
            ),
            *("| a | b |\n|---|---|\n", "<math><mtext></form><form>", "[a](https://e.org 'x\"y')"),
            *("&#106;avascript:alert(1)", "<b", "\n\n", "> ", "# ", "* ", "\\", "\0", "<noscript>"),
        ]
    )
    | st.text(max_size=12),
    max_size=12,
).map("".join)


@given(text=hostile)
def test_markdown_is_never_more_than_text(text: str) -> None:
    """No script, handler, style, frame or image comes out, and links lead to the web alone."""
    parser = _Tags()
    parser.feed(html_of(text))
    for tag, attributes in parser.found:
        assert tag not in ("script", "style", "iframe", "img", "svg", "math", "form", "object")
        assert set(attributes) <= {"href", "title", "start", "rel"}
        link = attributes.get("href")
        assert link is None or re.match(r"(https?|mailto):", link) or ":" not in link
