"""The bodies of payloads, as the page draws them: arrays as lists, pictures as their bytes.

Law: whatever a body holds, reading it gives a bounded answer or a :class:`BadPayload`.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from bokeh.embed import json_item
from PIL import Image

from streamviz.errors import BadPayload, DecodeError
from streamviz.views.charts import figure_of
from streamviz.views.foreign_bokeh import harmless
from streamviz.views.foreign_plotly import drawable
from streamviz.views.markdown import html_of
from streamviz.wire.bodies import json_body, read_body
from streamviz.wire.kinds import CHART, FIGURE, HISTOGRAM, IMAGE, KINDS, TEXT
from streamviz.wire.payloads import read_document, sayable

if TYPE_CHECKING:
    from streamviz.store import Item

__all__ = ["MAX_BINS", "MAX_PIXELS", "histogram_of", "media_of", "told_body"]

MAX_BINS = 512
"""Bins of a histogram."""
MAX_PIXELS = 1 << 24
"""Pixels of an image: what 64 MiB hold, and more than a screen has."""
_MEDIA = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_MAX_BOXES = 1000
_MAX_CAPTION = 2000


def told_body(kind: str, data: bytes) -> object:
    """Return a body as JSON.

    Args:
        kind: Of the item.
        data: Its body.

    Raises:
        BadPayload: It is not what its kind says.
    """
    try:
        body = read_body(data)
        if kind == HISTOGRAM:
            return _histogram(body)
        if kind == IMAGE:
            return _about_image(body)
        if kind not in KINDS:
            return json_body(data)
        document = read_document(body)
        return sayable(_DRAWN.get(kind, _as_it_is)(document))
    except DecodeError as error:
        raise BadPayload(f"this {kind[:40]} cannot be read: {error}") from None


def histogram_of(data: bytes) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Return a histogram's edges ``float64[n + 1]``, counts ``float64[n]`` and what else is known.

    Raises:
        BadPayload: It is none.
    """
    try:
        return _bins(read_body(data))
    except DecodeError as error:
        raise BadPayload(f"this histogram cannot be read: {error}") from None


def media_of(item: Item) -> tuple[str, bytes]:
    """Return the type and the bytes of an image.

    Raises:
        BadPayload: It is none, or one over the limits.
    """
    if item.kind != IMAGE:
        raise BadPayload(f"payload {item.number} is a {item.kind[:40]}, no image")
    try:
        body = read_body(item.body)
    except DecodeError as error:
        raise BadPayload(f"this image cannot be read: {error}") from None
    data = body.get("data")
    if isinstance(data, bytes):
        media = body.get("media")
        if media not in _MEDIA:
            raise BadPayload(f"an image of type {str(media)[:40]!r}, expected {', '.join(_MEDIA)}")
        return str(media), data
    width, height, channels = (_whole(body, name) for name in ("width", "height", "channels"))
    mode = _MODES.get(channels)
    if mode is None or not 0 < width * height <= MAX_PIXELS:
        raise BadPayload(
            f"an image of {width} x {height} x {channels}, at most {MAX_PIXELS} pixels"
        )
    pixels = _inflated(body.get("pixels"), width * height * channels)
    out = io.BytesIO()
    Image.frombytes(mode, (width, height), pixels).save(out, "PNG", compress_level=1)
    return "image/png", out.getvalue()


def _inflated(data: object, size: int) -> bytes:
    """Return unpacked pixels, never more than were announced."""
    if not isinstance(data, bytes):
        raise BadPayload("an image without pixels")
    inflater = zlib.decompressobj()
    try:
        pixels = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise BadPayload(f"an image whose pixels cannot be unpacked: {error}") from None
    if len(pixels) != size:
        raise BadPayload(f"an image of {size} bytes that has {len(pixels)} or more")
    return pixels


def _bins(body: Mapping[str, object]) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    edges, counts = _array(body, "edges"), _array(body, "counts")
    if not 1 <= len(counts) <= MAX_BINS or len(edges) != len(counts) + 1:
        raise BadPayload(
            f"a histogram of {len(edges)} edges and {len(counts)} counts; "
            f"n + 1 and n are expected, n at most {MAX_BINS}"
        )
    in_order = bool(np.isfinite(edges).all() and (edges[1:] > edges[:-1]).all())
    if not (in_order and np.isfinite(counts).all() and (counts >= 0).all()):
        raise BadPayload("a histogram whose edges do not increase, or with counts below zero")
    known: dict[str, float] = {}
    for name in ("min", "max", "total", "squares", "count"):
        value = body.get(name)
        if isinstance(value, (int, float)):
            known[name] = float(value)
    return edges, counts, known


def _histogram(body: Mapping[str, object]) -> object:
    edges, counts, known = _bins(body)
    return sayable({"edges": edges.tolist(), "counts": counts.tolist(), **known})


def _about_image(body: Mapping[str, object]) -> object:
    boxes = body.get("boxes")
    told: dict[str, object] = {name: _whole(body, name) for name in ("width", "height")}
    told["caption"] = str(body.get("caption", ""))[:_MAX_CAPTION]
    told["media"] = str(body.get("media", "image/png"))
    told["boxes"] = _array(body, "boxes").reshape(-1, 4)[:_MAX_BOXES].tolist() if boxes else []
    labels = body.get("box_labels")
    try:
        told["box_labels"] = json.loads(labels) if isinstance(labels, bytes) else []
    except (ValueError, RecursionError):
        told["box_labels"] = []
    return sayable(told)


def _array(body: Mapping[str, object], name: str) -> np.ndarray:
    data = body.get(name)
    if not isinstance(data, bytes) or len(data) % 8 or (name == "boxes" and len(data) % 32):
        raise BadPayload(f"{name} is to be float64 as little-endian binary")
    return np.frombuffer(data, "<f8")


def _whole(body: Mapping[str, object], name: str) -> int:
    value = body.get(name)
    return value if type(value) is int and 0 < value < 1 << 24 else 0


def _as_it_is(document: dict[str, object]) -> dict[str, object]:
    return document


def _text(document: dict[str, object]) -> dict[str, object]:
    text = document.get("text")
    if not isinstance(text, str):
        raise BadPayload("a text without text")
    return {**document, "html": html_of(text) if document.get("markdown", True) else None}


def _figure(document: dict[str, object]) -> dict[str, object]:
    library, figure = document.get("library"), document.get("figure")
    if library == "plotly":
        return {"library": library, "figure": drawable(figure)}
    if library == "bokeh":
        item, left_out = harmless(figure)
        return {"library": library, "item": item, "left_out": left_out}
    raise BadPayload(f"a figure of {str(library)[:40]!r}, expected plotly or bokeh")


def _chart(document: dict[str, object]) -> dict[str, object]:
    # The numbers too: who asks the API wants them, not a drawing.
    return {**document, "item": json_item(figure_of(document))}


_DRAWN: dict[str, Callable[[dict[str, object]], dict[str, object]]] = {
    TEXT: _text,
    FIGURE: _figure,
    CHART: _chart,
}
"""What is made of a document before it is told, by kind."""
