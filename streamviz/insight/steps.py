"""Bring the rows of many ranks together by step, as they come in.

Law: a step is handed on once, when every rank that is expected has sent it or the others have
waited long enough; what waits is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from streamviz.insight.batch import Batch, FloatArray, IntArray

__all__ = ["PATIENCE", "Steps", "WholeStep"]

PATIENCE = 4
"""Turns of the watch that a step waits for ranks that are late: two seconds."""
PENDING_BYTES = 8 << 20
"""What may wait of one table: of 1,024 ranks with eight metrics, a hundred steps."""
_NEVER = -(1 << 62)


@dataclass(frozen=True, slots=True, eq=False)
class WholeStep:
    """One step of a table, by rank: N ranks that sent it, k columns."""

    step: int
    rank: IntArray
    """``int64[N]``, ascending, distinct."""
    worker: IntArray
    time: float
    """The latest rank's wall time, seconds since the epoch."""
    values: FloatArray
    """``float64[N, k]``; of a rank that sent the step several times, the last."""
    repeated: bool
    """Whether some rank sent it several times."""
    full: bool
    """Whether all ranks that were expected are there."""


class Steps:
    """Rows of one table that wait for the rest of their step. Owner: the watch of a run.

    Args:
        columns: Which columns of the table are looked at.
    """

    def __init__(self, columns: IntArray) -> None:
        self.columns = columns
        self._worker = np.empty(0, np.int64)
        self._rank = np.empty(0, np.int64)
        self._step = np.empty(0, np.int64)
        self._time = np.empty(0)
        self._turn = np.empty(0, np.int64)
        self._values = np.empty((0, columns.size))
        self._most = max(1024, PENDING_BYTES // (8 * (columns.size + 5)))
        self.given_up = 0
        """Rows that were left out, as too many came at once."""

    def add(self, batch: Batch | None, expected: int, turn: int, most: int) -> list[WholeStep]:
        """Take in rows, and return the steps that are complete or have waited enough.

        Args:
            batch: Rows of the table; those of earlier attempts are left out. ``None``: none came.
            expected: Ranks that send to the table.
            turn: Number of this turn, growing.
            most: Most steps to return: the newest; the others are given up.
        """
        if batch is not None:
            self._take(batch, turn)
        if self._step.size == 0:
            return []
        steps, at, counts = np.unique(self._step, return_inverse=True, return_counts=True)
        first = np.full(steps.size, turn, np.int64)
        np.minimum.at(first, at, self._turn)
        ready = (counts >= expected) | (turn - first >= PATIENCE)
        if self._step.size > self._most:
            # The oldest steps go on as they are until the rest fits.
            over = np.cumsum(counts) <= self._step.size - self._most // 2
            ready |= over
        if not ready.any():
            return []
        leaving = ready[at]
        taken = np.flatnonzero(leaving)
        order = taken[np.lexsort((self._rank[taken], self._step[taken]))]
        done = self._split(order, expected, most)
        self._keep(~leaving)
        return done

    def _take(self, batch: Batch, turn: int) -> None:
        rows = np.flatnonzero(batch.current)
        if rows.size > self._most:
            self.given_up += int(rows.size - self._most)
            rows = rows[-self._most :]
        self._worker = np.concatenate((self._worker, batch.worker[rows]))
        self._rank = np.concatenate((self._rank, batch.rank[rows]))
        self._step = np.concatenate((self._step, batch.step[rows]))
        self._time = np.concatenate((self._time, batch.time[rows]))
        self._turn = np.concatenate((self._turn, np.full(rows.size, turn, np.int64)))
        values = batch.values[rows[:, None], self.columns[None, :]]
        self._values = np.concatenate((self._values, values))

    def _split(self, order: IntArray, expected: int, most: int) -> list[WholeStep]:
        """Return the steps that rows make up, the rows sorted by step and rank."""
        step, rank = self._step[order], self._rank[order]
        edges = np.flatnonzero(np.diff(step, prepend=_NEVER))
        edges = np.append(edges, order.size)
        if edges.size - 1 > most:
            self.given_up += int(edges[-most - 1])
            edges = edges[-most - 1 :]
        done = []
        for begin, end in pairwise(edges.tolist()):
            rows = order[begin:end]
            # lexsort keeps the order of arrival: of equal ranks the last is the newest.
            last = np.append(rank[begin + 1 : end] != rank[begin : end - 1], True)
            rows_of = rows[last]
            done.append(
                WholeStep(
                    step=int(step[begin]),
                    rank=rank[begin:end][last],
                    worker=self._worker[rows_of],
                    time=float(self._time[rows_of].max()),
                    values=self._values[rows_of],
                    repeated=bool(rows_of.size < rows.size),
                    full=bool(rows_of.size >= expected),
                )
            )
        return done

    def _keep(self, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        self._worker, self._rank = self._worker[rows], self._rank[rows]
        self._step, self._time = self._step[rows], self._time[rows]
        self._turn, self._values = self._turn[rows], self._values[rows]
