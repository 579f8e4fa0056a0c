"""What one distinct view shows: which workers stand behind it, and what their rows come to.

Law: pure functions and frozen values; no Bokeh, no tornado, no clock, no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from streamviz.insight.bands import band, spread

if TYPE_CHECKING:
    from streamviz.store import Gap, Grid
    from streamviz.views.encoding import Floats
    from streamviz.views.ranks import RankSet

__all__ = [
    "COLUMNS",
    "MAX_GAPS",
    "MAX_LINES",
    "MAX_OLD",
    "MAX_OLD_RANKS",
    "MAX_OLD_WORKERS",
    "MODES",
    "Choice",
    "Line",
    "Mode",
    "Source",
    "ViewKey",
    "choose",
    "evenly",
    "merge_gaps",
    "reduce_old",
    "reduce_ranks",
]

Mode = Literal["band", "std", "lines"]
"""``band``: median and quantiles over the ranks; ``std``: mean and standard deviation, in the same
columns; ``lines``: each rank on its own."""
MODES: tuple[Mode, ...] = ("band", "std", "lines")

COLUMNS = ("x", "t", "lo", "p10", "mid", "p90", "hi", "bad")
"""What every view has one value of per bucket."""

MAX_LINES = 64
"""Most ranks that are drawn as lines of their own."""

MAX_OLD = 4
"""Earlier attempts that are drawn apart; all before them are one line, which says so."""

MAX_OLD_RANKS, MAX_OLD_WORKERS = 64, 256
"""Most workers of one earlier attempt that are read, and of all of them: what is faint need not
cost as much as what is live. Ranks are left out evenly, and the line's name says of how many."""

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
    """What is drawn by name: one worker, or the ranks of an earlier attempt folded into one."""

    sources: tuple[Source, ...]
    """Newest attempt first; where several have a bucket, the newest attempt's ranks count."""
    kind: Literal["outlier", "rank", "old"]
    label: str

    @classmethod
    def of(cls, source: Source, kind: Literal["outlier", "rank"]) -> Line:
        """Name one rank's latest attempt."""
        return cls((source,), kind, f"r{source.rank}")

    def as_json(self) -> dict[str, object]:
        """Return the entry of a chunk's ``lines``."""
        alone = self.sources[0].rank if len(self.sources) == 1 else None
        return {
            "rank": alone,
            "attempt": self.sources[0].attempt,
            "label": self.label,
            "kind": self.kind,
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """The workers behind a view."""

    current: tuple[Source, ...]
    """The latest attempt of every chosen rank, by rank: what the band is made of."""
    old: tuple[Line, ...]
    """Earlier attempts, newest first."""
    workers: tuple[int, ...] = ()
    """The store's indices of all of them."""


def choose(
    workers: Iterable[tuple[int, int, int]], ranks: RankSet | None, mode: Mode = "band"
) -> Choice:
    """Choose the workers of a view.

    Args:
        workers: Index, rank and attempt of each worker of the run.
        ranks: The ranks asked for; ``None`` for all.
        mode: Whether ranks are drawn one by one: then their earlier attempts are too, while they
            are few.
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
    current = tuple(latest[rank] for rank in sorted(latest))
    earlier.sort(key=lambda source: (-source.attempt, source.rank))
    one_by_one = mode == "lines" and len(earlier) <= MAX_OLD
    old = tuple(_old_lines(earlier, alone=len(current) == 1, one_by_one=one_by_one))
    indices = [source.worker for source in current]
    indices += [source.worker for line in old for source in line.sources]
    return Choice(current, old, tuple(indices))


def _old_lines(earlier: Sequence[Source], *, alone: bool, one_by_one: bool) -> Iterator[Line]:
    """Yield the lines of earlier attempts, newest first.

    Args:
        earlier: By attempt, newest first, then by rank.
        alone: Whether all are of one rank, which need not be named then.
        one_by_one: Whether each rank is a line of its own.
    """

    def named(source: Source) -> Line:
        attempt = f"attempt {source.attempt}"
        return Line((source,), "old", attempt if alone else f"r{source.rank} {attempt}")

    if one_by_one:
        yield from map(named, earlier)
        return
    attempts = [(number, list(of)) for number, of in groupby(earlier, lambda one: one.attempt)]
    attempts = attempts[:MAX_OLD_WORKERS]
    if not attempts:
        return
    most = max(1, min(MAX_OLD_RANKS, MAX_OLD_WORKERS // len(attempts)))
    for number, sources in attempts[:MAX_OLD]:
        some = [sources[i] for i in evenly(len(sources), most)]
        if len(sources) == 1:
            yield named(sources[0])
        else:
            of = "" if len(some) == len(sources) else f", {len(some)} of {len(sources)} ranks"
            yield Line(tuple(some), "old", f"attempt {number}{of}")
    rest = attempts[MAX_OLD:]
    if rest:
        first, last = rest[-1][0], rest[0][0]
        label = f"attempt {first}" if first == last else f"attempts {first} to {last}"
        every = [sources[i] for _, sources in rest for i in evenly(len(sources), most)]
        yield Line(tuple(every), "old", label)


def evenly(count: int, most: int) -> list[int]:
    """Return at most ``most`` indices below ``count``, spread evenly, both ends among them."""
    if count <= most:
        return list(range(count))
    if most == 1:
        return [0]
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def reduce_ranks(grid: Grid, columns: npt.NDArray[np.intp], mode: Mode = "band") -> Floats:
    """Fold the ranks of a grid into the columns of a view.

    Args:
        grid: B buckets of N workers, as the store hands them out.
        columns: Which of the N make the band; not empty.
        mode: In ``std`` the mean stands for the median, and one standard deviation to either side
            of it for the quantiles.

    Returns:
        Shape (8, B), in the order of :data:`COLUMNS`; NaN where no rank has a finite value.
    """
    # Every rank is the usual choice, and then nothing need be copied.
    of = slice(None) if len(columns) == grid.mean.shape[1] else columns
    out = np.empty((len(COLUMNS), len(grid.bucket)))
    out[0] = grid.bucket << grid.shift
    out[1] = _mean_time(grid.time[:, of])
    fold = spread if mode == "std" else band
    made = fold(grid.mean[:, of], grid.vmin[:, of], grid.vmax[:, of])
    out[2:7] = made.lo, made.p10, made.mid, made.p90, made.hi
    out[7] = grid.bad[:, of].sum(axis=1)
    return out


def reduce_old(grid: Grid, columns: Sequence[npt.NDArray[np.intp]]) -> Floats:
    """Fold earlier attempts into one line.

    Args:
        grid: B buckets of N workers.
        columns: Which of the N are of each attempt, newest attempt first.

    Returns:
        Shape (2, B): the median over the ranks of the newest attempt that has the bucket, and their
        mean time; NaN where none has.
    """
    value, time = np.full((2, len(grid.bucket)), np.nan)
    for of in columns:
        absent = np.isnan(time)
        if not absent.any():
            break
        means = grid.mean[absent][:, of]
        value[absent] = means[:, 0] if len(of) == 1 else band(means, means, means).mid
        time[absent] = _mean_time(grid.time[absent][:, of])
    return np.stack((value, time))


def _mean_time(time: Floats) -> Floats:
    """Return the mean over the ranks that are there, NaN where none is."""
    there = ~np.isnan(time)
    # A bucket without any of these ranks has no time: NaN is the answer, not a cause to warn.
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(there, time, 0.0).sum(axis=1) / there.sum(axis=1)
    return mean


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
