"""Plotly figures that ranks sent: what of their JSON the page hands to Plotly's own library.

Law: nothing in it makes a browser fetch from elsewhere; what cannot be drawn so is refused.
"""

from __future__ import annotations

from typing import Any

from streamviz.errors import BadPayload

__all__ = ["drawable"]

_MAPS = ("geo", "map", "mapbox")
_MOST_TRACES = 1_000
_WITHOUT_WEBGL = {"scattergl": "scatter", "scatterpolargl": "scatterpolar", "heatmapgl": "heatmap"}
_MOST_DRAWN = 10_000
"""Points up to which a figure is drawn without WebGL: a browser has sixteen of its canvases for a
page, and some browsers have none."""


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
    if sum(_points(trace) for trace in traces) <= _MOST_DRAWN:
        traces = [_without_webgl(trace) for trace in traces]
    layout = figure.get("layout")
    frames = figure.get("frames")
    return {
        "data": traces,
        "layout": _own(layout) if isinstance(layout, dict) else {},
        "frames": [frame for frame in frames if isinstance(frame, dict)]
        if isinstance(frames, list)
        else [],
    }


def _points(trace: dict[str, Any]) -> int:
    """Return about how many points a trace has."""
    most = 0
    for name in ("x", "y", "r", "theta", "z"):
        values = trace.get(name)
        if isinstance(values, list):
            most = max(most, len(values))
        elif isinstance(values, dict):
            dtype = str(values.get("dtype", "f8"))
            size = int(dtype[1:]) if dtype[1:] in ("1", "2", "4", "8") else 1
            most = max(most, len(str(values.get("bdata", ""))) * 3 // 4 // size)
    return most


def _without_webgl(trace: dict[str, Any]) -> dict[str, Any]:
    kind = trace.get("type")
    other = _WITHOUT_WEBGL.get(kind) if isinstance(kind, str) else None
    return trace if other is None else {**trace, "type": other}


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
