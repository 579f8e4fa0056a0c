"""Payloads as ranks send them, put into a store without a publisher."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from streamviz.store import Store
from streamviz.wire.bodies import pack_body
from streamviz.wire.payloads import document_body

__all__ = ["document", "hold", "pixels", "put"]


def document(**fields: object) -> bytes:
    """Return the body of a kind that is one JSON document."""
    return pack_body(document_body(fields))


def pixels(
    shade: int,
    width: int = 8,
    height: int = 6,
    announced: tuple[int, int] | None = None,
    **more: object,
) -> bytes:
    """Return the body of an RGB image of one colour, but for a white first pixel.

    Args:
        shade: Of red, green and blue, 0 to 255.
        width: In pixels.
        height: In pixels.
        announced: Width and height that the body says, where they are others.
        more: Further fields of the body.
    """
    array = np.full((height, width, 3), shade, np.uint8)
    array[0, 0] = 255
    packed = zlib.compress(array.tobytes())
    said = announced or (width, height)
    body = {"width": said[0], "height": said[1], "channels": 3, "pixels": packed}
    return pack_body({**body, **more})


def hold(store: Store, run: str, ranks: int = 1) -> list[int]:
    """Open ranks with a row each; return their workers' indices."""
    workers = [store.open_worker(run, rank, 0) for rank in range(ranks)]
    table = store.open_table(run, ("loss", "val"))
    for worker in workers:
        steps = np.arange(3, dtype=np.int64)
        store.append(table, worker, steps, 1e9 + steps.astype(np.float64), np.ones((3, 2)))
    return workers


def put(
    store: Store, worker: int, kind: str, bodies: Mapping[str, bytes], step: int, run: str = "r"
) -> None:
    """Add a step of each name."""
    for name, body in bodies.items():
        store.add_item(run, worker, kind, name, step, 1.7e9 + step, body)
