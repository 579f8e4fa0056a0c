"""Frames that were damaged on their way.

Law: the same ones in the same order, each time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from handmade_frames import batch, hello_frame, stream_id

from streamviz.wire.codec import encode
from streamviz.wire.frames import Bye, Gap, Heartbeat, Samples, Schema, Span

__all__ = ["frames_of_each_kind", "mutants"]


def frames_of_each_kind() -> list[bytes]:
    """Return one frame of each kind, all of one stream that has said hello."""
    stream, span = stream_id(1), Span(1, 9, 1.0, 2.0)
    return [
        encode(hello_frame(stream, run="victim", config={"lr": 0.1, "of": [1, {"a": None}]})),
        encode(Schema(stream, 1.0, 1.0, 0, ("m", "train/loss"))),
        encode(Samples(stream, 0, 1.0, 1.0, 0, (batch([1, 2], [[1.0, 2.0]] * 2),), 2)),
        encode(Gap(stream, 0, 1.0, 1.0, 3, 0, 9, span, "buffer full")),
        encode(Heartbeat(stream, 1.0, 1.0, 9, 2, 0, {"x": 1}, {"y": 2}, 4, "data", 0.5)),
        encode(Bye(stream, 1.0, 1.0, 9, "ok")),
    ]


def mutants(count: int) -> Iterator[bytes]:
    """Yield damaged frames: some bytes are replaced, now and then the end is cut off."""
    chance = np.random.default_rng(15)
    block = 10_000
    kinds = frames_of_each_kind()
    for number in range(count // block):
        frame = kinds[number % len(kinds)]
        rows = np.tile(np.frombuffer(frame, np.uint8), (block, 1))
        for _ in range(1 + number % 4):
            at = chance.integers(0, rows.shape[1], block)
            rows[np.arange(block), at] = chance.integers(0, 256, block)
        ends = chance.integers(1, 2 * rows.shape[1], block)
        for row, end in zip(rows, ends.tolist(), strict=True):
            yield row.tobytes()[:end]
