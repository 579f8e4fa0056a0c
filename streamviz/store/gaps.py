"""Where rows are known to be missing, and how many.

Law: merging gaps changes neither the number of rows they stand for nor the range they cover.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["GAPS_PER_WORKER", "MIXED", "Gap", "Gaps"]

GAPS_PER_WORKER = 256
MIXED = "several"
"""Reason of a gap that was merged from gaps of different reasons."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that were sent, or meant to be, and will never come."""

    first_step: int
    last_step: int
    first_time: float
    """Wall time, seconds since the epoch."""
    last_time: float
    rows: int
    reason: str


class Gaps:
    """The gaps of one worker, ordered by first step.

    Owner: the store, under its lock. Holds: at most :data:`GAPS_PER_WORKER`.
    """

    def __init__(self) -> None:
        self._gaps: list[Gap] = []

    def __len__(self) -> int:
        return len(self._gaps)

    def __iter__(self) -> Iterator[Gap]:
        return iter(self._gaps)

    def add(self, gap: Gap, limit: int = GAPS_PER_WORKER) -> None:
        """Add a gap; past ``limit`` the two neighbours that are closest become one."""
        self._gaps.append(gap)
        self._gaps.sort(key=lambda held: (held.first_step, held.last_step))
        while len(self._gaps) > limit:
            left = min(range(len(self._gaps) - 1), key=self._distance)
            self._gaps[left : left + 2] = [_merge(*self._gaps[left : left + 2])]

    def _distance(self, left: int) -> int:
        return self._gaps[left + 1].first_step - self._gaps[left].last_step


def _merge(left: Gap, right: Gap) -> Gap:
    return Gap(
        first_step=min(left.first_step, right.first_step),
        last_step=max(left.last_step, right.last_step),
        first_time=min(left.first_time, right.first_time),
        last_time=max(left.last_time, right.last_time),
        rows=left.rows + right.rows,
        reason=left.reason if left.reason == right.reason else MIXED,
    )
