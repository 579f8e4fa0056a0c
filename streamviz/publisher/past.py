"""Rows that were recorded before, and one worker's of them in the order of their times.

Law: the rows of a lane are never reordered, and their bits never touched; a reader holds one piece
of each lane at a time, however long the recording is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamviz.wire.frames import MAX_TIME_S, Span

__all__ = ["Kept", "Lane", "Missing", "PastRun", "PastWorker", "Piece", "Reader", "Rows"]

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one set of names, in order of arrival."""

    names: tuple[str, ...]
    """K metric names."""
    steps: IntArray
    """``int64[S]``, S at least 1."""
    times: FloatArray
    """``float64[S]``: wall time, seconds since the epoch."""
    values: FloatArray
    """``float64[S, K]``."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A gap: rows that were lost when the recording was made."""

    span: Span
    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """An item: a mark, an alert or the like."""

    kind: str
    name: str
    step: int
    time: float
    """Wall time, seconds since the epoch."""
    body: bytes


Piece: TypeAlias = Rows | Missing | Kept

Lane: TypeAlias = Callable[[], Iterator[Piece]]
"""Begins to read, from the start, what of a worker is in one known order."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PastWorker:
    """One attempt of one rank, and where its rows are read."""

    rank: int
    attempt: int
    world_size: int
    local_rank: int
    host: str
    pid: int
    library: str
    ended: str | None
    """How it said goodbye, ``None`` if it did not."""
    last_time: float
    """Wall time of its last row, seconds since the epoch."""
    rows: int | None
    """Its rows and items, those in gaps included; ``None`` if nobody has counted them."""
    lanes: Sequence[Lane]
    facts: Mapping[str, object] = field(default_factory=dict)
    """What its hello said besides hyperparameters: its place in the layout, and what is the
    run's."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PastRun:
    """A run, or a part of one, to be sent again."""

    run: str
    config: Mapping[str, object]
    workers: Sequence[PastWorker]

    @property
    def rows(self) -> int | None:
        """Rows of all workers, ``None`` if some are not counted."""
        counts = [worker.rows for worker in self.workers]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def of_ranks(self, wanted: Callable[[int], bool]) -> PastRun:
        """Return the part of it that some ranks sent."""
        return replace(self, workers=[one for one in self.workers if wanted(one.rank)])

    def between(self, start: int, stop: int) -> PastRun:
        """Return the part of it from step ``start`` to step ``stop``, both included."""

        def part(lane: Lane) -> Lane:
            return lambda: (
                kept for piece in lane() if (kept := _between(piece, start, stop)) is not None
            )

        return replace(
            self,
            workers=[
                replace(worker, rows=None, lanes=[part(lane) for lane in worker.lanes])
                for worker in self.workers
            ],
        )


def _between(piece: Piece, start: int, stop: int) -> Piece | None:
    if isinstance(piece, Missing):
        outside = piece.span.last_step < start or piece.span.first_step > stop
        return None if outside else piece
    if isinstance(piece, Kept):
        return piece if start <= piece.step <= stop else None
    inside = (piece.steps >= start) & (piece.steps <= stop)
    if inside.all():
        return piece
    if not inside.any():
        return None
    return Rows(piece.names, piece.steps[inside], piece.times[inside], piece.values[inside])


class Reader:
    """One worker's rows, out of all its lanes, in the order of their times.

    Where times run backwards within a lane, as after a change of the clock, its rows are due at
    the latest time before them.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        """Read the first piece of each lane.

        Args:
            lanes: Where the rows are.
        """
        self._heads = [_Head(lane()) for lane in lanes]
        self._drop_read()

    def _drop_read(self) -> None:
        self._heads = [head for head in self._heads if head.due < math.inf]
        self.due = min((head.due for head in self._heads), default=math.inf)
        """Recorded time at which the next row is due, seconds; infinite after the last."""

    def take(self, until: float, size: int) -> list[Piece]:
        """Take what is due next.

        Args:
            until: Recorded time up to which rows are due.
            size: Bytes of columns that the lane which is due first may give; the others give
                their rows of the same times.
        """
        first = min(self._heads, key=lambda head: head.due, default=None)
        if first is None:
            return []
        until = min(until, first.due_after(size))
        taken = [head.take(until) for head in self._heads if head.due <= until]
        self._drop_read()
        return taken


class _Head:
    """Where reading a lane has come to.

    Attributes:
        due: When its next row is due, infinite after the last.
    """

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._latest = -math.inf
        self._next()

    def _next(self) -> None:
        self._at = 0
        piece = next(self._pieces, None)
        if piece is None:
            self.due = math.inf
            return
        self._piece = piece
        times = _times_of(piece)
        # The greatest so far; a time that is no number is passed over, and one past all calendars
        # is not waited for.
        self._dues = np.minimum(np.fmax(np.fmax.accumulate(times), self._latest), MAX_TIME_S)
        self._latest = float(self._dues[-1])
        self.due = float(self._dues[0])

    def due_after(self, size: int) -> float:
        """Return when the last of the rows is due that ``size`` bytes hold, of those read."""
        width = 16 + 8 * len(self._piece.names) if isinstance(self._piece, Rows) else 16
        rows = max(size // width, 1)
        return float(self._dues[min(self._at + rows, self._dues.size) - 1])

    def take(self, until: float) -> Piece:
        """Take the rows of the current piece that are due; there is at least one."""
        piece, start = self._piece, self._at
        stop = int(np.searchsorted(self._dues, until, "right"))
        self._at = stop
        if isinstance(piece, Rows) and (start > 0 or stop < self._dues.size):
            part = slice(start, stop)
            piece = Rows(piece.names, piece.steps[part], piece.times[part], piece.values[part])
        if stop < self._dues.size:
            self.due = float(self._dues[stop])
        else:
            self._next()
        return piece


def _times_of(piece: Piece) -> FloatArray:
    if isinstance(piece, Rows):
        return piece.times
    return np.array([piece.span.first_time if isinstance(piece, Missing) else piece.time])
