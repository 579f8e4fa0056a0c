"""``docs/coming-from.md`` names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "coming-from.md").read_text()


def test_every_test_that_is_named_exists() -> None:
    """Who reads that something holds can run what holds it."""
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", PAGE)

    assert len(named) > 50
    for file, name in named:
        path = TESTS / file
        assert path.is_file(), file
        assert not name or f"def {name}(" in path.read_text(), f"{file}::{name}"
