"""What an item carries: plain values to the bytes of its body and back.

Law: whatever the bytes are, reading them gives a map of plain values or a
:class:`~streamviz.errors.DecodeError`, within the limits of :mod:`streamviz.wire.packing`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping

from streamviz.errors import DecodeError
from streamviz.wire.kinds import ALERT, MARK
from streamviz.wire.packing import pack, unpack_map

__all__ = ["ALERT", "LEVELS", "MARK", "json_body", "pack_body", "read_body"]

LEVELS = ("info", "warning", "error")
"""How urgent an alert is."""

_MAX_DEPTH = 32
"""How deep a body may nest to be told as JSON; a deeper part is told as a sentence."""


def pack_body(body: Mapping[str, object]) -> bytes:
    """Return the bytes of a body.

    Raises:
        TypeError, ValueError, OverflowError: It holds what is not plain data.
    """
    return pack(dict(body))


def read_body(data: bytes) -> dict[str, object]:
    """Return the map that a body is.

    Raises:
        DecodeError: It is none, or one over the limits.
    """
    body = unpack_map(data)
    if type(body) is not dict or not all(type(key) is str for key in body):
        raise DecodeError("bad field", "an item's body is a map with text for keys")
    return body


def json_body(data: bytes) -> dict[str, object] | None:
    """Return a body as JSON can say it, ``None`` if it cannot be read.

    Binary is said as ``{"base64": text}``, a number that is not finite as ``"NaN"``, ``"Infinity"``
    or ``"-Infinity"``.
    """
    try:
        body = read_body(data)
        return {_text(key): _json(value, _MAX_DEPTH) for key, value in body.items()}
    except DecodeError:
        return None


def _json(value: object, depth: int) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, dict)) and not depth:
        return "nested too deep to be shown"
    if isinstance(value, list):
        return [_json(entry, depth - 1) for entry in value]
    if isinstance(value, dict):
        return {_text(str(key)): _json(entry, depth - 1) for key, entry in value.items()}
    return value


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()
