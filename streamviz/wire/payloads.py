"""The bodies of payloads: items that carry pictures, texts, distributions, charts and structure.

Law: weight lies in binary, structure in one JSON document.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from streamviz.errors import DecodeError

__all__ = ["document_body", "read_document", "sayable"]

_DOCUMENT = "json"
_MAX_DEPTH = 64


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
