"""Sets of ranks as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.errors import ConfigError
from streamviz.views.ranks import parse_ranks


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("3", "3"),
        ("0,8-15", "0,8-15"),
        (" 4 , 2-3 ", "2-4"),
        ("5,5,5", "5"),
        ("1-4,2-9,20", "1-9,20"),
        ("0-999999999", "0-999999999"),
    ],
)
def test_a_set_is_read_and_written_in_one_spelling(text: str, canonical: str) -> None:
    """Equal sets are the same view, however they were typed."""
    assert str(parse_ranks(text)) == canonical
    assert parse_ranks(text) == parse_ranks(canonical)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected ranks and ranges"),
        ("a", "found 'a'"),
        ("1,,2", "expected ranks and ranges"),
        ("-1", "expected ranks and ranges"),
        ("1.5", "expected ranks and ranges"),
        ("9-3", "first rank is the smaller"),
        ("²", "expected ranks and ranges"),
        ("2147483648", "up to 2147483647"),
        ("1," * 3000, "at most 4096"),
    ],
)
def test_what_is_no_set_is_refused_in_words(text: str, says: str) -> None:
    """The error names the setting, what was found and what is expected."""
    with pytest.raises(ConfigError, match=r"^rank: ") as caught:
        parse_ranks(text, setting="rank")
    assert says in str(caught.value)


@given(st.sets(st.integers(0, 300), min_size=1))
def test_a_set_holds_exactly_the_ranks_that_were_written(ranks: set[int]) -> None:
    """Reading back what was written changes nothing."""
    parsed = parse_ranks(",".join(map(str, ranks)))
    assert {rank for rank in range(310) if rank in parsed} == ranks
    assert parse_ranks(str(parsed)) == parsed
