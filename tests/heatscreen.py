"""A page's copy of one heatmap, added up from the chunks that it is sent."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamviz.views.encoding import Floats, frame_bytes, read_frame
from streamviz.views.heat import ABSENT, Codes

__all__ = ["HeatScreen"]


class HeatScreen:
    """What the page does with a chunk.

    Attributes:
        version: The one it has; 0 for none.
        codes: Its cells, shape (columns, rows).
        steps: The first step of each column.
        meta: What the last chunk said.
    """

    def __init__(self) -> None:
        self.version = 0
        self.codes: Codes = np.empty((0, 0), np.uint16)
        self.steps: Floats = np.empty(0)
        self.meta: dict[str, Any] = {}

    def take(self, chunk: bytes) -> None:
        """Take in a chunk."""
        [(_, meta, values)] = read_frame(frame_bytes(1, 0.0, [chunk]))[2]
        start, n, rows = (int(str(meta[name])) for name in ("from", "n", "rows"))
        cells = values.tobytes()[8 * n :]
        codes = np.full((start + n, rows), ABSENT, np.uint16)
        if meta["op"] == "tail" and len(self.codes):
            kept = self.codes[: start + n]
            codes[: len(kept)] = kept
        if meta.get("changed"):
            packed = np.frombuffer(cells, np.uint8, 2 * -(-n * rows // 16))
            others = np.unpackbits(packed, count=n * rows, bitorder="little").astype(np.bool_)
            fresh = np.frombuffer(cells, np.uint16, int(others.sum()), len(packed))
            codes[start:][others.reshape(n, rows)] = fresh
        else:
            codes[start:] = np.frombuffer(cells, np.uint16, n * rows).reshape(n, rows)
        self.codes = codes
        self.steps = np.concatenate((self.steps[:start], values[:n]))
        self.version, self.meta = int(str(meta["v"])), dict(meta)
