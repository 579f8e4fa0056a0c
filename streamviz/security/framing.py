"""Which other pages may show ours within them.

Law: an allow-list of origins, each written as a browser's own header has it.
"""

from __future__ import annotations

import re

from streamviz.errors import ConfigError

__all__ = ["LOCAL_ORIGINS", "check_origin"]

LOCAL_ORIGINS = ("http://localhost:*", "http://127.0.0.1:*")
"""Whatever this host shows on loopback: notebooks, above all."""

_ORIGIN = re.compile(
    r"https?://(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?:[0-9]{1,5}|\*))?"
)
_MOST_LETTERS = 300


def check_origin(text: str) -> str:
    """Return an origin in lower case, as ``http://localhost:8888``; ``:*`` is any port.

    Raises:
        ConfigError: It is none.
    """
    plain = text.rstrip("/")
    if len(plain) > _MOST_LETTERS or not _ORIGIN.fullmatch(plain):
        expected = "an origin such as http://localhost:8888, without a path"
        raise ConfigError("--allow-frame", text[:80], expected)
    return plain.lower()
