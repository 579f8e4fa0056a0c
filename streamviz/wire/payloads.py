"""The kinds of payloads: items that carry pictures, texts, distributions, charts and structure.

Law: weight lies in binary, structure in one JSON document; a kind that is not known here is kept
and told like any other, under the limits of :data:`OTHER`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from streamviz.errors import DecodeError
from streamviz.wire.bodies import ALERT, MARK
from streamviz.wire.packing import MAX_FRAME_BYTES

__all__ = [
    "CHART",
    "FIGURE",
    "GRAPH",
    "HISTOGRAM",
    "HPARAMS",
    "IMAGE",
    "KINDS",
    "LAYOUT",
    "OTHER",
    "PROFILE",
    "PR_CURVE",
    "TABLE",
    "TENSOR",
    "TEXT",
    "Limit",
    "document_body",
    "is_payload",
    "limit_of",
    "read_document",
    "sayable",
]

CHART, FIGURE, GRAPH, HISTOGRAM, HPARAMS = "chart", "figure", "graph", "histogram", "hparams"
IMAGE, LAYOUT, PROFILE, PR_CURVE = "image", "layout", "profile", "pr_curve"
TABLE, TENSOR, TEXT = "table", "tensor", "text"

_MOST_BYTES = MAX_FRAME_BYTES - 1024
_DOCUMENT = "json"
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Limit:
    """What one kind may take.

    Attributes:
        body: Bytes of one body; a larger one is refused by the publisher, and counted.
        kept: Items of one name and rank that memory holds, the newest.
        share: Share of the bytes for a run's items that all of the kind may take.
    """

    body: int
    kept: int
    share: float


OTHER = Limit(_MOST_BYTES, 16, 0.125)
KINDS: dict[str, Limit] = {
    MARK: Limit(1 << 16, 256, 0.125),
    ALERT: Limit(1 << 16, 256, 0.125),
    HISTOGRAM: Limit(1 << 14, 256, 0.25),
    IMAGE: Limit(_MOST_BYTES, 16, 0.25),
    FIGURE: Limit(_MOST_BYTES, 16, 0.125),
    CHART: Limit(_MOST_BYTES, 16, 0.125),
    TEXT: Limit(1 << 17, 32, 0.0625),
    TABLE: Limit(1 << 19, 16, 0.125),
    GRAPH: Limit(_MOST_BYTES, 4, 0.125),
    PROFILE: Limit(1 << 19, 8, 0.0625),
    HPARAMS: Limit(1 << 17, 4, 0.0625),
    PR_CURVE: Limit(1 << 17, 64, 0.0625),
    LAYOUT: Limit(1 << 17, 1, 0.0625),
    TENSOR: Limit(1 << 17, 16, 0.0625),
}
"""The kinds that the page draws, each with its limits."""


def limit_of(kind: str) -> Limit:
    """Return what a kind may take."""
    return KINDS.get(kind, OTHER)


def is_payload(kind: str) -> bool:
    """Say whether a kind is more than a word on a chart."""
    return kind not in (MARK, ALERT)


def document_body(document: Mapping[str, object]) -> dict[str, object]:
    """Return the body of an item that is one JSON document.

    Raises:
        TypeError, ValueError, RecursionError: It is no JSON.
    """
    text = json.dumps(dict(document), ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate has no UTF-8; a reader is better off without it.
    return {_DOCUMENT: text.encode("utf-8", "replace")}


def read_document(body: Mapping[str, object]) -> dict[str, object]:
    """Return the document that a body is.

    Raises:
        DecodeError: It is none.
    """
    data = body.get(_DOCUMENT)
    if not isinstance(data, bytes):
        raise DecodeError("bad field", f"a body of its kind has its document under {_DOCUMENT!r}")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DecodeError("bad field", f"its document is no JSON: {error}"[:120]) from None
    if not isinstance(document, dict):
        raise DecodeError("bad field", "its document is no JSON object")
    return document


def sayable(value: object, depth: int = _MAX_DEPTH) -> object:
    """Return a document as strict JSON can say it: numbers that are not finite as text.

    What nests deeper than ``depth`` is said as a sentence.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, (list, dict)) and not depth:
        return "nested too deep to be shown"
    if isinstance(value, list):
        return [sayable(entry, depth - 1) for entry in value]
    if isinstance(value, dict):
        return {str(sayable(key)): sayable(entry, depth - 1) for key, entry in value.items()}
    return value
