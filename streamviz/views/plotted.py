"""Pages of charts alone: as one file that needs nothing else, and the parts that a server serves.

Law: a page asks nobody but its own server for anything, and as a file nobody at all.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.resources import files
from typing import Any

from bokeh.embed import json_item
from bokeh.resources import Resources
from bokeh.server.views.static_handler import StaticHandler

from streamviz.views.charts import figure_of
from streamviz.views.charts.colours import token_rules
from streamviz.views.page import Library, Static

__all__ = ["POLICY", "ChartPage", "ChartPageLibrary", "html_of", "state_of"]

_STATIC = files("streamviz.views").joinpath("static")
_SCRIPTS = ("plotted.js", "chart-look.js")
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)
"""Of a page in a file: what it holds may run and be shown, and nothing can be fetched."""


@dataclass(frozen=True)
class ChartPage:
    """Charts that stand on one page.

    Attributes:
        title: Above them, and in the window's title.
        documents: A chart document each, as :func:`streamviz.views.charts.figure_of` takes it.
        columns: How many stand beside one another where there is room.
        note: A sentence below the title.
    """

    title: str
    documents: Sequence[Mapping[str, Any]]
    columns: int = 1
    note: str = ""


def state_of(page: ChartPage, version: int = 0, *, live: bool = False) -> dict[str, Any]:
    """Return a page's charts as its script takes them, as JSON without NaN.

    Args:
        page: What stands on it.
        version: Larger with each state of a page that changes.
        live: Whether there may be another state.

    Raises:
        BadChart: A document describes no chart.
    """
    return {
        "title": page.title,
        "note": page.note,
        "columns": page.columns,
        "version": version,
        "live": live,
        "items": [json_item(figure_of(document)) for document in page.documents],
    }


def html_of(page: ChartPage) -> str:
    """Return a page as one HTML file, with BokehJS in it.

    Raises:
        BadChart: A document describes no chart.
    """
    held = json.dumps(state_of(page), allow_nan=False).replace("<", "\\u003c")
    bokeh = Resources(mode="inline", components=["bokeh"]).js_raw[0]
    main, look = (_read(name) for name in _SCRIPTS)
    module = f"data:text/javascript;base64,{base64.b64encode(look.encode()).decode()}"
    main = main.replace("./chart-look.js", module)
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        f"<style>{token_rules()}{_read('plotted.css')}</style>"
    )
    foot = (
        f"<script>{bokeh}</script>\n"
        f'<script type="application/json" id="charts">{held}</script>\n'
        f'<script type="module">{main}</script>'
    )
    return _filled(page.title, head, foot)


class ChartPageLibrary(Library):
    """The page that is served, and the scripts and styles that it loads."""

    @cached_property
    def page(self) -> Static:
        """The page; which charts stand on it, it asks for."""
        resources = Resources(
            mode="server",
            root_url=f"{self._prefix}/",
            components=["bokeh"],
            path_versioner=StaticHandler.append_version,
        )
        assets = f"{self._prefix}/assets"
        head = f'<link rel="stylesheet" href="{escape(assets)}/plotted.css">'
        foot = (
            f'<script src="{escape(resources.js_files[0])}"></script>\n'
            f'<script type="module" src="{escape(assets)}/plotted.js"></script>'
        )
        return Static.of(_filled("streamviz plot", head, foot).encode(), "page.html")

    @cached_property
    def assets(self) -> dict[str, Static]:
        """The scripts, and one style sheet with the tokens in it."""
        sheet = token_rules() + _read("plotted.css")
        held = {name: _read(name) for name in _SCRIPTS} | {"plotted.css": sheet}
        return {name: Static.of(text.encode(), name) for name, text in held.items()}


def _read(name: str) -> str:
    return _STATIC.joinpath(name).read_text(encoding="utf-8")


def _filled(title: str, head: str, foot: str) -> str:
    # Each part once, so that what looks like a placeholder in one of them is left alone.
    before, _, rest = _read("plotted.html").partition("{{head}}")
    between, _, rest = rest.partition("{{title}}")
    body, _, after = rest.partition("{{foot}}")
    return "".join((before, head, between, escape(title), body, foot, after))
