"""Login tokens."""

from __future__ import annotations

import pytest

from streamviz.errors import ConfigError
from streamviz.security.tokens import check_token, make_token, same_token


def test_tokens_are_long_and_never_the_same() -> None:
    """A token has 256 random bits and needs no escaping in an address."""
    tokens = {make_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 43 and check_token(token) == token for token in tokens)


@pytest.mark.parametrize(
    "token", ["", "short", "a" * 15, "with space " * 3, "naïve" * 5, "a/" * 20]
)
def test_a_token_that_cannot_be_used_is_refused_without_being_quoted(token: str) -> None:
    """The error says what is allowed and does not show the token."""
    with pytest.raises(ConfigError, match="at least 16 of the characters") as caught:
        check_token(token)
    assert not token or token not in str(caught.value)


def test_only_the_very_token_is_the_same() -> None:
    """Nothing else passes, whatever its characters, nor does the absence of one."""
    token = make_token()
    assert same_token(token, token)
    for other in (None, "", token[:-1], token + "a", token.swapcase(), "é" * 43, "\udc80"):
        assert not same_token(other, token)
