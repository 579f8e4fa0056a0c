"""What a legal run, metric or phase name is.

Law: a name is text. It may look like HTML, TeX or a path; whoever shows it or stores it
treats it as text, so only what breaks text itself is refused here.
"""

from __future__ import annotations

import unicodedata

__all__ = ["MAX_NAME_BYTES", "OVERFLOW", "name_fault"]

MAX_NAME_BYTES = 256
"""Longest name, in UTF-8 bytes: what fits a label and a file system's entry."""

OVERFLOW = "__overflow__"
"""The one series that takes the values of metrics past the cap."""

# Bidirectional overrides and isolates make a label read differently from its bytes.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def name_fault(name: object) -> str | None:
    """Say what is wrong with a name, ``None`` if it is legal.

    A legal name is a non-empty ``str`` of at most :data:`MAX_NAME_BYTES` bytes of UTF-8, in
    normal form C, without control, surrogate or bidirectional formatting characters.
    """
    if not isinstance(name, str):
        return f"a name is text, found {type(name).__name__}"
    if name.isascii():
        # Nearly every name; printable ASCII needs no further look.
        if 0 < len(name) <= MAX_NAME_BYTES and name.isprintable():
            return None
        size = len(name)
    else:
        size = len(name.encode("utf-8", "surrogatepass"))
    if not name:
        return "a name is not empty"
    if size > MAX_NAME_BYTES:
        return f"a name has at most {MAX_NAME_BYTES} bytes, found {size}"
    for character in name:
        if character in _BIDI or unicodedata.category(character) in ("Cc", "Cs"):
            return f"a name has no control characters, found U+{ord(character):04X}"
    if not unicodedata.is_normalized("NFC", name):
        return "a name is in Unicode normal form C"
    return None
