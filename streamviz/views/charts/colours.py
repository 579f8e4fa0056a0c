"""The colours of charts by token, light and dark, as the page's style sheet has them.

Law: the style sheet is the one place where a colour is written.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

__all__ = ["SERIES", "palettes", "token_rules"]

SERIES = tuple(f"run-{i}" for i in range(8))
"""Tokens of the colours that series take in turn: a set that colour-blind people tell apart."""

_DECLARED = re.compile(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6});")


@cache
def palettes() -> dict[str, dict[str, str]]:
    """Return the colours by token, ``#rrggbb``, of the ``"light"`` and the ``"dark"`` theme."""
    sheet = _sheet()
    return {
        theme: dict(_DECLARED.findall(_block(sheet, f':root[data-theme="{theme}"]')))
        for theme in ("light", "dark")
    }


def _sheet() -> str:
    return files("streamviz.views").joinpath("static").joinpath("page.css").read_text("utf-8")


def _block(sheet: str, selector: str) -> str:
    """Return what stands between the braces of a rule's first occurrence."""
    _, _, rest = sheet.partition(f"{selector} {{")
    return rest.partition("}")[0]


def token_rules() -> str:
    """Return the style sheet's rules on tokens, for a page that has charts alone."""
    sheet = _sheet()
    return sheet.partition("/* ------")[0]
