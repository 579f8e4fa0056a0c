"""What the store holds of one run, and the sums over all of them.

Law: a name that some table had no room for is never told as complete.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamviz.store.budget import Budget
from streamviz.store.gaps import Gaps
from streamviz.store.items import NO_ITEMS, Items
from streamviz.store.query import Metric
from streamviz.store.table import Table

__all__ = ["Run", "Usage", "usage_of"]

CUT_NAMES_KEPT = 10_000
"""As many as a run may have metrics."""
OVERFLOW_NAMES_KEPT = 20
"""Names told per run, so that a user recognises what overflowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the store holds and what it may hold."""

    bytes_held: int
    bytes_allowed: int
    runs: int
    workers: int
    metrics: int
    """Metric names, summed over the runs."""
    series: int
    """Pairs of worker and metric."""
    tables: int
    ring_rows: int
    """Rows held in full resolution."""
    evicted_rows: int
    """Rows that are left only in the overview."""
    overflowed_values: int
    overflow_names: dict[str, tuple[str, ...]]
    """Per run that overflowed, up to 20 of the names that were cut."""


@dataclass(slots=True)
class Run:
    """One run. Owner: the store, under its lock."""

    workers: list[tuple[int, int]] = field(default_factory=list)
    """Rank and attempt of each worker index."""
    worker_of: dict[tuple[int, int], int] = field(default_factory=dict)
    tables: dict[tuple[str, ...], Table] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    names: list[str] | None = None
    """Metric names in natural order; ``None`` when they have to be sorted anew."""
    structure: int = 0
    gaps: dict[int, Gaps] = field(default_factory=dict)
    gaps_version: int = 0
    items: Items = NO_ITEMS
    """``None`` before the first."""
    overflow_names: dict[str, None] = field(default_factory=dict)
    cut_names: set[str] = field(default_factory=set)
    """Names that some table had no room for; once there are too many, any may be one."""

    def cut(self, names: tuple[str, ...]) -> None:
        """Note names whose values are not stored in some table."""
        for name in names:
            if name in self.metrics:
                self.metrics[name].is_partial = True
        if len(self.cut_names) <= CUT_NAMES_KEPT:
            self.cut_names.update(names[: CUT_NAMES_KEPT + 1])
        for name in names:
            if len(self.overflow_names) >= OVERFLOW_NAMES_KEPT:
                return
            self.overflow_names[name] = None

    def sorted_names(self) -> list[str]:
        """Return the metric names in natural order: ``layer2`` before ``layer10``."""
        if self.names is None:
            self.names = sorted(self.metrics, key=_natural)
        return self.names

    def is_cut(self, name: str) -> bool:
        """Tell whether some table may have had no room for a name."""
        return name in self.cut_names or len(self.cut_names) > CUT_NAMES_KEPT


def usage_of(runs: Mapping[str, Run], budget: Budget, overflowed: int) -> Usage:
    """Return what some runs hold.

    Args:
        runs: By name.
        budget: What they hold it within.
        overflowed: Values that no series had room for.
    """
    tables = [table for held in runs.values() for table in held.tables.values()]
    return Usage(
        bytes_held=budget.held,
        bytes_allowed=budget.allowed,
        runs=len(runs),
        workers=sum(len(held.workers) for held in runs.values()),
        metrics=sum(len(held.metrics) for held in runs.values()),
        series=sum(table.width * len(table.workers) for table in tables),
        tables=len(tables),
        ring_rows=sum(table.ring.head - table.ring.tail for table in tables),
        evicted_rows=budget.evicted_rows,
        overflowed_values=overflowed,
        overflow_names={
            name: tuple(held.overflow_names) for name, held in runs.items() if held.overflow_names
        },
    )


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts digits by their number: text and digits take turns."""
    key = []
    for i, piece in enumerate(re.split(r"([0-9]+)", name)):
        digits = piece.lstrip("0")
        key.append((len(digits), digits) if i % 2 else (0, piece))
    return [*key, (0, name)]
