"""Plotly figures that ranks sent: what of their JSON the page hands to Plotly's own library.

Law: nothing in it makes a browser fetch from elsewhere; what cannot be drawn so is refused.
"""

from __future__ import annotations

from typing import Any

from streamviz.errors import BadPayload

__all__ = ["drawable"]

_MAPS = ("geo", "map", "mapbox")
_MOST_TRACES = 1_000


def drawable(figure: object) -> dict[str, Any]:
    """Return ``data``, ``layout`` and ``frames`` of a figure.

    Args:
        figure: What ``plotly``'s ``fig.to_json()`` makes, read from JSON.

    Raises:
        BadPayload: It is none, or draws a map.
    """
    data = figure.get("data") if isinstance(figure, dict) else None
    if not isinstance(figure, dict) or not isinstance(data, list) or len(data) > _MOST_TRACES:
        raise BadPayload(
            f"a Plotly figure without a list of at most {_MOST_TRACES} traces as its data"
        )
    traces = [trace for trace in data if isinstance(trace, dict)]
    for trace in traces:
        kind = str(trace.get("type", "scatter"))[:40]
        if kind.startswith("choropleth") or (kind.endswith(_MAPS) and kind != "heatmap"):
            raise BadPayload(
                f"a Plotly figure with a {kind} in it, whose map would be fetched from another "
                "site: send it as an image"
            )
    layout = figure.get("layout")
    frames = figure.get("frames")
    return {
        "data": traces,
        "layout": _own(layout) if isinstance(layout, dict) else {},
        "frames": [frame for frame in frames if isinstance(frame, dict)]
        if isinstance(frames, list)
        else [],
    }


def _own(layout: dict[str, Any]) -> dict[str, Any]:
    """Return a layout without pictures that it does not bring itself."""
    images = layout.get("images")
    if not isinstance(images, list):
        return {key: value for key, value in layout.items() if key != "images"}
    brought = [
        image
        for image in images
        if isinstance(image, dict) and str(image.get("source", "")).startswith("data:image/")
    ]
    return {**layout, "images": brought}
