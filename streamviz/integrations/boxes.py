"""Boxes on an image, as wandb describes them, as corners in pixels and a text each.

Law: what is not understood is left out; a box never costs its image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["corners_and_labels"]


def corners_and_labels(
    groups: Mapping[str, Any], width: float, height: float
) -> tuple[list[list[float]], list[str]]:
    """Return n by 4 corners, x0, y0, x1, y1 in pixels, and n texts.

    Args:
        groups: Names of groups to ``{"box_data": [{"position": …, "class_id": …}], "class_labels":
            {…}}``. A position has ``minX``, ``maxX``, ``minY``, ``maxY``, or ``middle``, ``width``,
            ``height``; in shares of the image unless its box says ``"domain": "pixel"``.
        width: The image's, in pixels.
        height: Likewise.
    """
    corners, labels = [], []
    for group in groups.values():
        names = group.get("class_labels") or {}
        for box in group.get("box_data") or ():
            place = list(_corners(box.get("position") or {}))
            if len(place) != 4:
                continue
            if box.get("domain") != "pixel":
                sides = (width, height, width, height)
                place = [share * side for share, side in zip(place, sides, strict=True)]
            corners.append(place)
            labels.append(_label(box, names))
    return corners, labels


def _corners(position: Mapping[str, Any]) -> Iterator[float]:
    if "middle" in position:
        x, y = position["middle"]
        half_x, half_y = position["width"] / 2, position["height"] / 2
        yield from (x - half_x, y - half_y, x + half_x, y + half_y)
    elif "minX" in position:
        yield from (float(position[side]) for side in ("minX", "minY", "maxX", "maxY"))


def _label(box: Mapping[str, Any], names: Mapping[Any, str]) -> str:
    if box.get("box_caption"):
        return str(box["box_caption"])
    kind = box.get("class_id")
    said = str(names.get(kind, "" if kind is None else kind))
    scores = [f"{value:.3g}" for value in (box.get("scores") or {}).values()]
    return " ".join([said, *scores]).strip()
