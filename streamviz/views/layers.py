"""``/api/v1/layers`` and ``/newest``: what ``watch`` measures of each layer, in one answer.

Law: an answer is bounded in layers, steps and ranks, and says what it left off.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from streamviz.errors import UnknownSeries
from streamviz.insight.layers import Samples, fold, newest
from streamviz.views.access import Refusal
from streamviz.views.api import Asked, QueryHandler, read_series
from streamviz.views.ranks import RankSet, parse_ranks

if TYPE_CHECKING:
    from streamviz.views.parts import Dashboard

__all__ = ["MOST_LAYERS", "MOST_RANKS", "LayersHandler", "NewestHandler", "layers_of"]

MOST_LAYERS = 1024
"""Layers of one answer, the first by name."""
MOST_COLUMNS = 256
COLUMNS = 128
MOST_RANKS = 32
"""Ranks that are read, spread over all of them: most measures are the same on every rank."""
MOST_NEWEST = 4096
"""Metrics of which the newest values are told."""
_NEWEST_POINTS = 256
"""A metric's newest value is that of a bucket of so much of the run, or a row."""
_MEASURES = 8
_MEASURE = re.compile(r"[\w.\- ]{1,64}")

_T = TypeVar("_T")


class _WatchHandler(QueryHandler):
    """Answers about the ``watch/…`` metrics of one run, beside the event loop."""

    async def _answered(self, make: Callable[[str, RankSet | None], _T]) -> _T:
        self._refuse_unknown()
        run = self._name("run")
        if not self.may_read(run):
            raise Refusal(404, f"{UnknownSeries(run)}; GET /api/v1/runs lists what there is")
        ranks = self._parsed("rank", lambda text: parse_ranks(text, setting="rank"))
        async with self.dashboard.turns:
            try:
                return await asyncio.get_running_loop().run_in_executor(None, make, run, ranks)
            except UnknownSeries as error:
                raise Refusal(404, f"{error}; GET /api/v1/runs lists what there is") from None

    def _measures(self) -> list[str]:
        text = self._name("measure")
        measures = text.split(",")
        if len(measures) > _MEASURES or not all(map(_MEASURE.fullmatch, measures)):
            raise Refusal(
                400, f"measure: found {text[:80]!r}, expected a name such as grad_norm, or a few"
            )
        return measures


class LayersHandler(_WatchHandler):
    """``/api/v1/layers``: one measure, layer by step."""

    parameters = ("run", "measure", "rank", "points")

    async def get(self) -> None:
        """Answer."""
        measures = self._measures()
        if len(measures) > 1:
            raise Refusal(400, f"measure: found {len(measures)} of them, expected one")
        points = self._integer("points", 1, MOST_COLUMNS) or COLUMNS

        def made(run: str, ranks: RankSet | None) -> dict[str, object]:
            names = layers_of(self.dashboard, run, measures[0])
            read = _Reader(self.dashboard, run, ranks)
            told = list(names.items())[:MOST_LAYERS]
            samples = [read.samples(metric, points) for _, metric in told]
            grid = fold(samples, points, read.width)
            return {
                "measure": measures[0],
                "layers": [layer for layer, _ in told],
                "steps": grid.steps.tolist(),
                "width": grid.width,
                "values": [
                    [_cell(*cell) for cell in zip(row, there, strict=True)]
                    for row, there in zip(grid.values.tolist(), grid.there.tolist(), strict=True)
                ],
                "ranks": read.ranks,
                "of_ranks": read.of_ranks,
                "left_off": len(names) - len(told),
            }

        self.write_json(await self._answered(made))

    head = get


class NewestHandler(_WatchHandler):
    """``/api/v1/newest``: the newest value of some measures of every layer."""

    parameters = ("run", "measure", "rank")

    async def get(self) -> None:
        """Answer."""
        measures = self._measures()

        def made(run: str, ranks: RankSet | None) -> dict[str, object]:
            read = _Reader(self.dashboard, run, ranks)
            values: dict[str, dict[str, object]] = {}
            step, left, room = None, 0, MOST_NEWEST
            for measure in measures:
                names = layers_of(self.dashboard, run, measure)
                told = dict(list(names.items())[:room])
                room -= len(told)
                left += len(names) - len(told)
                of = values.setdefault(measure, {})
                for layer, metric in told.items():
                    found = newest(read.samples(metric, _NEWEST_POINTS))
                    if found is not None:
                        step = found[0] if step is None else max(step, found[0])
                        of[layer] = _cell(found[1], there=True)
            return {
                "step": step,
                "values": values,
                "ranks": read.ranks,
                "of_ranks": read.of_ranks,
                "left_off": left,
            }

        self.write_json(await self._answered(made))

    head = get


def layers_of(dashboard: Dashboard, run: str, measure: str) -> dict[str, str]:
    """Return the layers that have a measure, each with its metric, by name.

    Raises:
        UnknownSeries: There is no such run.
    """
    start = f"watch/{measure}/"
    return {
        name[len(start) :]: name for name in dashboard.store.metrics(run) if name.startswith(start)
    }


class _Reader:
    """Reads metrics of the same few ranks."""

    def __init__(self, dashboard: Dashboard, run: str, ranks: RankSet | None) -> None:
        self._dashboard = dashboard
        self._run = run
        known = {rank for _, rank, _ in dashboard.store.workers(run)}
        wanted = sorted(rank for rank in known if ranks is None or rank in ranks)
        self.of_ranks = len(wanted)
        """How many there are to choose from."""
        every = max(1, -(-len(wanted) // MOST_RANKS))
        self.ranks = wanted[::every]
        self.width = 1
        """Steps that what was read stands for at most."""
        self._chosen = frozenset(self.ranks)

    def samples(self, metric: str, points: int) -> list[Samples]:
        """Return what the ranks sent, each attempt up to where the next one begins."""

        def chosen(rank: int, attempt: int) -> bool:  # noqa: ARG001 - as the query has it
            return rank in self._chosen

        asked = Asked(self._run, metric, None, None, points)
        result = read_series(self._dashboard, asked, chosen)
        if not isinstance(result.resolution, str):
            self.width = max(self.width, result.resolution)
        of_rank: dict[int, Samples] = {}
        # Sorted by rank, then attempt.
        for one in result.series:
            if not one.step.size:
                continue
            before, now = of_rank.get(one.rank), Samples(one.step, one.value, one.bad)
            of_rank[one.rank] = now if before is None else _joined(before, now)
        return list(of_rank.values())


def _joined(before: Samples, after: Samples) -> Samples:
    kept = int(np.searchsorted(before.step, after.step[0]))
    return Samples(
        np.concatenate([before.step[:kept], after.step]),
        np.concatenate([before.value[:kept], after.value]),
        np.concatenate([before.bad[:kept], after.bad]),
    )


def _cell(value: float, there: bool) -> float | str | None:  # noqa: FBT001 - a pair of a grid
    if not there:
        return None
    return "NaN" if not math.isfinite(value) else float(f"{value:.6g}")
