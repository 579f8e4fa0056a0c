"""What one distinct view shows: which workers stand behind it, and what their rows come to.

Law: pure functions and frozen values; no Bokeh, no tornado, no clock, no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from streamviz.insight.bands import band

if TYPE_CHECKING:
    from streamviz.store import Gap, Grid
    from streamviz.views.encoding import Floats
    from streamviz.views.ranks import RankSet

__all__ = [
    "COLUMNS",
    "MAX_GAPS",
    "MAX_LINES",
    "MAX_OLD",
    "MODES",
    "Choice",
    "Line",
    "Mode",
    "Source",
    "ViewKey",
    "choose",
    "evenly",
    "merge_gaps",
    "reduce_ranks",
]

Mode = Literal["band", "lines"]
MODES: tuple[Mode, ...] = ("band", "lines")

COLUMNS = ("x", "t", "lo", "p10", "mid", "p90", "hi", "bad")
"""What every view has one value of per bucket."""

MAX_LINES = 64
"""Most ranks that are drawn as lines of their own."""

MAX_OLD = 8
"""Most lines of earlier attempts."""

MAX_GAPS = 256
"""Most gaps that a view names; beyond it the nearest are drawn as one."""


@dataclass(frozen=True, slots=True)
class ViewKey:
    """What makes two requests the same view, so that their viewers share its bytes."""

    run: str
    metric: str
    mode: Mode
    ranks: RankSet | None
    """``None``: every rank."""
    start: int | None
    stop: int | None
    points: int


@dataclass(frozen=True, slots=True)
class Source:
    """A worker as the store knows it."""

    worker: int
    rank: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Line:
    """A worker that is drawn by name."""

    source: Source
    kind: Literal["outlier", "rank", "old"]

    def as_json(self) -> dict[str, object]:
        """Return the entry of a chunk's ``lines``."""
        rank, attempt = self.source.rank, self.source.attempt
        label = f"r{rank} attempt {attempt}" if self.kind == "old" else f"r{rank}"
        return {"rank": rank, "attempt": attempt, "label": label, "kind": self.kind}


@dataclass(frozen=True, slots=True)
class Choice:
    """The workers behind a view."""

    current: tuple[Source, ...]
    """The latest attempt of every chosen rank, by rank: what the band is made of."""
    old: tuple[Source, ...]
    """Some earlier attempts, newest first."""
    workers: tuple[int, ...] = ()
    """The store's indices of all of them."""


def choose(workers: Iterable[tuple[int, int, int]], ranks: RankSet | None) -> Choice:
    """Choose the workers of a view.

    Args:
        workers: Index, rank and attempt of each worker of the run.
        ranks: The ranks asked for; ``None`` for all.
    """
    latest: dict[int, Source] = {}
    earlier: list[Source] = []
    for source in (Source(*worker) for worker in workers):
        if ranks is not None and source.rank not in ranks:
            continue
        held = latest.get(source.rank)
        if held is None:
            latest[source.rank] = source
        elif source.attempt > held.attempt:
            latest[source.rank] = source
            earlier.append(held)
        else:
            earlier.append(source)
    # Newest attempt first and few of each, so that every attempt is seen before any rank twice.
    by_attempt: dict[int, list[Source]] = {}
    for source in sorted(earlier, key=lambda source: (-source.attempt, source.rank)):
        by_attempt.setdefault(source.attempt, []).append(source)
    old = [
        group[turn] for turn in range(MAX_OLD) for group in by_attempt.values() if turn < len(group)
    ][:MAX_OLD]
    current = [latest[rank] for rank in sorted(latest)]
    indices = tuple(source.worker for source in (*current, *old))
    return Choice(tuple(current), tuple(old), indices)


def evenly(count: int, most: int) -> list[int]:
    """Return at most ``most`` indices below ``count``, spread evenly, both ends among them."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def reduce_ranks(grid: Grid, columns: npt.NDArray[np.intp]) -> Floats:
    """Fold the ranks of a grid into the columns of a view.

    Args:
        grid: B buckets of N workers, as the store hands them out.
        columns: Which of the N make the band; not empty.

    Returns:
        Shape (8, B), in the order of :data:`COLUMNS`; NaN where no rank has a finite value.
    """
    # Every rank is the usual choice, and then nothing need be copied.
    of = slice(None) if len(columns) == grid.mean.shape[1] else columns
    out = np.empty((len(COLUMNS), len(grid.bucket)))
    out[0] = grid.bucket << grid.shift
    time = grid.time[:, of]
    there = ~np.isnan(time)
    # A bucket without any of these ranks has no time: NaN is the answer, not a cause to warn.
    with np.errstate(invalid="ignore"):
        out[1] = np.where(there, time, 0.0).sum(axis=1) / there.sum(axis=1)
    made = band(grid.mean[:, of], grid.vmin[:, of], grid.vmax[:, of])
    out[2:7] = made.lo, made.p10, made.mid, made.p90, made.hi
    out[7] = grid.bad[:, of].sum(axis=1)
    return out


def merge_gaps(
    gaps: Iterable[Gap], start: int | None, stop: int | None, most: int = MAX_GAPS
) -> list[list[int]]:
    """Join the gaps of several workers into what one chart draws; no row is left out of the sum.

    Args:
        gaps: In any order.
        start: First step shown, ``None`` for all.
        stop: Last step shown, ``None`` for all.
        most: Beyond this many the nearest neighbours become one.

    Returns:
        ``[first step, last step, rows]`` of each, by step, none overlapping.
    """
    joined: list[list[int]] = []
    for gap in sorted(gaps, key=lambda gap: gap.first_step):
        if (start is not None and gap.last_step < start) or (
            stop is not None and gap.first_step > stop
        ):
            continue
        if joined and gap.first_step <= joined[-1][1] + 1:
            joined[-1][1] = max(joined[-1][1], gap.last_step)
            joined[-1][2] += gap.rows
        else:
            joined.append([gap.first_step, gap.last_step, gap.rows])
    if len(joined) <= most:
        return joined
    return _join_nearest(joined, most)


def _join_nearest(gaps: Sequence[list[int]], most: int) -> list[list[int]]:
    """Keep the ``most - 1`` widest spaces between gaps and join across the others."""
    spaces = np.array([after[0] - before[1] for before, after in pairwise(gaps)])
    keep = set((np.argsort(spaces, kind="stable")[len(spaces) - (most - 1) :] + 1).tolist())
    joined = [list(gaps[0])]
    for i, gap in enumerate(gaps[1:], start=1):
        if i in keep:
            joined.append(list(gap))
        else:
            joined[-1][1] = gap[1]
            joined[-1][2] += gap[2]
    return joined
