"""Login tokens of the page: make one, compare one.

Law: a token is compared in constant time and never logged.
"""

from __future__ import annotations

import hmac
import secrets

from streamviz.errors import ConfigError

__all__ = ["MIN_LENGTH", "check_token", "make_token", "same_token"]

MIN_LENGTH = 16
"""Shortest token a person may choose, characters."""

_ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def make_token() -> str:
    """Return a new token: 256 random bits in letters that an address and a cookie carry as is."""
    return secrets.token_urlsafe(32)


def check_token(token: str) -> str:
    """Return a token that a person chose, if it can be used.

    Raises:
        ConfigError: It is too short, or has characters that an address would have to escape.
    """
    if len(token) < MIN_LENGTH or not _ALLOWED.issuperset(token):
        # The token itself stays out of the message: messages are logged.
        expected = f"at least {MIN_LENGTH} of the characters A-Z a-z 0-9 - . _ ~"
        raise ConfigError("--token", f"{len(token)} characters", expected)
    return token


def same_token(offered: str | None, expected: str) -> bool:
    """Say whether the offered token is the expected one, in a time that tells nothing of it."""
    # Bytes, since compare_digest refuses text beyond ASCII, and anything may be offered.
    return hmac.compare_digest((offered or "").encode("utf-8", "replace"), expected.encode())
