"""Markdown as HTML that a page may show: rendered, then cut down to tags without any script.

Law: whatever the text is, the HTML has no script, no handler, no style, no frame, and no address
but ``http``, ``https`` and ``mailto``.
"""

from __future__ import annotations

from functools import cache

import nh3
from markdown_it import MarkdownIt

__all__ = ["html_of"]

_TAGS = {
    *("a", "blockquote", "br", "code", "dd", "del", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5"),
    *("h6", "hr", "li", "ol", "p", "pre", "s", "strong", "sub", "sup", "table", "tbody", "td"),
    *("th", "thead", "tr", "ul"),
}
"""No images: one would be fetched from elsewhere, and tell who looks."""


@cache
def _renderer() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def html_of(text: str) -> str:
    """Return the HTML of a text in Markdown."""
    return nh3.clean(
        _renderer().render(text),
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
