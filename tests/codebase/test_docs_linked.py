"""The pages in ``docs``: what they point at is there, and each can be found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
FRONT = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
PAGES = [*FRONT, *DOCS]

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_TARGETS = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_MOST_BYTES = 150_000


def targets(page: Path) -> list[tuple[Path, str]]:
    """Return the files and anchors within them that a page points at, not those elsewhere."""
    text = _FENCED.sub("", page.read_text())
    found = []
    for link, source in _TARGETS.findall(text):
        path, _, anchor = (link or source).partition("#")
        if "://" not in path and not path.startswith("mailto:"):
            found.append(((page.parent / path).resolve() if path else page, anchor))
    return found


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_points_at_is_there(page: Path) -> None:
    """Files, pictures and headings."""
    for file, anchor in targets(page):
        assert file.exists(), f"{page.name} points at {file}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page.name} points at {file.name}#{anchor}"


def test_every_page_is_found_from_the_front() -> None:
    """By following links from the README."""
    found: set[Path] = set()
    left = [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page not in found:
            found.add(page)
            left += [file for file, _ in targets(page) if file.suffix == ".md" and file.exists()]
    assert [page.name for page in DOCS if page not in found] == []


def test_pictures_are_small() -> None:
    """Each is part of every clone."""
    for picture in sorted((ROOT / "docs" / "images").iterdir()):
        assert picture.stat().st_size <= _MOST_BYTES, picture.name
