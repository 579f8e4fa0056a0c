"""A batch's bytes as columns, if they are what a sender may send.

Law: nothing is copied, and what is given out fits the store: whole rows, steps and times in range.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from streamviz.store.grid import FloatArray, IntArray
from streamviz.wire.frames import MAX_STEP, MAX_TIME_S, Batch, Item, Samples

__all__ = ["Columns", "columns_of", "count_nonfinite", "steps_of"]

_INT64, _UINT64, _FLOAT64 = np.dtype("<i8"), np.dtype("<u8"), np.dtype("<f8")
_ONE_STEP, _ONE_TIME = struct.Struct("<Q"), struct.Struct("<d")
# The reductions themselves: half the price of the functions around them, on a few values.
_highest, _all = np.maximum.reduce, np.logical_and.reduce


class Columns(NamedTuple):
    """Rows by column."""

    steps: IntArray
    """``int64[S]``."""
    times: FloatArray
    """``float64[S]``, seconds since the epoch."""
    values: FloatArray
    """``float64[S, K]``."""
    last_step: int
    """The highest."""


def columns_of(batch: Batch, width: int) -> Columns | None:
    """Return a batch's columns, ``None`` if they hold what no sender may send.

    Args:
        batch: The batch.
        width: K of its schema.
    """
    steps = np.frombuffer(batch.steps, _INT64)
    times = np.frombuffer(batch.times, _FLOAT64)
    values = np.frombuffer(batch.values, _FLOAT64)
    rows = steps.size
    # A negative step is beyond every limit when its bits are read as unsigned, and a time that
    # is no number is below none. Most frames of a slow training have one row, for which an
    # array operation is the dearest way to look.
    if rows == 1:
        (last,), (farthest,) = _ONE_STEP.unpack(batch.steps), _ONE_TIME.unpack(batch.times)
        farthest = abs(farthest)
    else:
        last = int(_highest(np.frombuffer(batch.steps, _UINT64)))
        farthest = _highest(np.abs(times))
    if rows * width != values.size or last > MAX_STEP or not farthest <= MAX_TIME_S:
        return None
    return Columns(steps, times, values.reshape(rows, width), last)


def count_nonfinite(values: FloatArray) -> int:
    """Return how many values are NaN or infinite."""
    finite = np.isfinite(values)
    return 0 if _all(finite, axis=None) else values.size - int(np.count_nonzero(finite))


def steps_of(frame: Samples | Item) -> tuple[int, int]:
    """Return the first step of a frame and its highest."""
    if isinstance(frame, Item):
        return frame.step, frame.step
    steps = [np.frombuffer(batch.steps, _UINT64) for batch in frame.batches]
    return int(steps[0][0]), max(int(_highest(some)) for some in steps)
