"""What a page makes of the frames it is sent; the browser's own reader, in Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamviz.views.encoding import Floats, read_frame

__all__ = ["Screen"]


class Screen:
    """The rows of each view, as its chunks add up to them.

    Attributes:
        rows: Columns and then lines of each view by its key; shape (columns + lines, rows).
        meta: The meta of each view's last chunk, its gaps those that were last told.
        ops: What each chunk was, in order: ``reset`` or ``tail``.
        frame: Number of the last frame.
    """

    def __init__(self) -> None:
        self.rows: dict[int, Floats] = {}
        self.meta: dict[int, dict[str, Any]] = {}
        self.ops: list[str] = []
        self.frame = 0

    def take(self, frame: bytes) -> None:
        """Apply a frame's chunks."""
        number, _, chunks = read_frame(frame)
        assert number == self.frame + 1, "frames are numbered one by one"
        self.frame = number
        for key, found, values in chunks:
            meta: dict[str, Any] = dict(found)
            width = len(meta["columns"]) + len(meta["lines"]) + meta["times"]
            table = values.reshape(width, meta["n"])
            if meta["op"] == "tail":
                held, before = self.rows[key], self.meta[key]
                assert meta["lines"] == before["lines"], "lines change by a reset only"
                assert meta["from"] <= held.shape[1], "a tail leaves no hole"
                assert meta["v"] > before["v"]
                table = np.concatenate((held[:, : meta["from"]], table), axis=1)
                meta = {"gaps": before["gaps"], **meta}
            self.rows[key], self.meta[key] = table, meta
            self.ops.append(meta["op"])

    def column(self, key: int, name: str) -> Floats:
        """Return one column of a view."""
        column: Floats = self.rows[key][self.meta[key]["columns"].index(name)]
        return column
