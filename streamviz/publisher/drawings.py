"""Figures of other libraries, told apart by where their classes come from.

Law: none of these libraries is imported here: whoever has a figure has imported its library.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Mapping
from typing import Any

from streamviz.publisher.values import Unusable
from streamviz.wire.payloads import document_body

__all__ = ["close_figure", "drawn", "png_of"]

_LIBRARIES = ("matplotlib", "plotly", "bokeh")
_LEAST_DPI = 20.0


def drawn(figure: Any, most: int) -> tuple[bytes | None, dict[str, object]]:
    """Return a matplotlib figure as a PNG file, or the body of any other.

    Raises:
        Unusable: It is no figure of a library that is known, or too large.
    """
    figure = _figure_in(figure)
    library = _library(figure)
    if library == "matplotlib":
        return png_of(figure, most), {}
    if library == "plotly":
        text = figure.to_json() if hasattr(figure, "to_json") else None
        if not isinstance(text, str):
            raise Unusable("an object of plotly that is no figure", f"{type(figure).__name__}")
        body: dict[str, object] = {
            "json": f'{{"library":"plotly","figure":{text}}}'.encode("utf-8", "replace")
        }
    elif library == "bokeh":
        item = importlib.import_module(f"{library}.embed").json_item(figure)
        body = document_body({"library": "bokeh", "figure": item})
    elif isinstance(figure, Mapping) and "data" in figure:
        body = document_body({"library": "plotly", "figure": dict(figure)})
    else:
        raise Unusable(
            "a figure of no library that is known",
            f"found {type(figure).__module__}.{type(figure).__name__}"[:120]
            + "; figures of matplotlib, plotly and bokeh are",
        )
    size = len(body["json"])  # type: ignore[arg-type]
    if size > most - 64:
        raise Unusable(
            f"a figure of {library or 'plotly'} that is too large",
            f"{size} bytes, at most {most - 64}: draw fewer points",
        )
    return None, body


def _library(figure: object) -> str | None:
    for one in type(figure).__mro__:
        root = one.__module__.partition(".")[0]
        if root in _LIBRARIES:
            return root
    return None


def _figure_in(figure: Any) -> Any:
    """Return the figure of what is drawn on one, such as matplotlib's axes or seaborn's grids."""
    if not hasattr(figure, "savefig") or _library(figure) is None:
        inner = getattr(figure, "figure", None)
        if hasattr(inner, "savefig") and _library(inner) == "matplotlib":
            return inner
    return figure


def png_of(figure: Any, most: int) -> bytes:
    """Return a matplotlib figure as a PNG file, coarser where it would be too large.

    Raises:
        Unusable: It is none, or does not fit.
    """
    if not hasattr(figure, "savefig"):
        raise Unusable("an object of matplotlib that is no figure", f"{type(figure).__name__}")
    dpi = float(figure.dpi)
    while True:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=dpi)
        data = file.getvalue()
        if len(data) <= most - 512:
            return data
        dpi *= max(min(((most - 512) / len(data)) ** 0.5 * 0.9, 0.8), 0.1)
        if dpi < _LEAST_DPI:
            raise Unusable(
                "a figure of matplotlib that is too large",
                f"{len(data)} bytes, at most {most - 512}: make it smaller",
            )


def close_figure(figure: object) -> None:
    """Let matplotlib forget a figure that is held by its pyplot."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and _library(figure) == "matplotlib":
        pyplot.close(figure)
