"""The JSON API: runs, queries, the server's own state; and the same for Prometheus.

Law: what is asked for wrongly is answered with what was found and what is allowed; NaN and
infinities are strings, so that every JSON reader can read the rest.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from streamviz import __version__
from streamviz.clock import wall_time
from streamviz.errors import ConfigError, JournalError, UnknownSeries
from streamviz.store import QueryResult
from streamviz.views.access import Door, Guarded, Refusal
from streamviz.views.depth import is_coarse_result
from streamviz.views.metrics import registry, server_status
from streamviz.views.ranks import parse_ranks
from streamviz.views.summaries import run_for_api, run_on_disk

if TYPE_CHECKING:
    from streamviz.journal.history import History
    from streamviz.store import Series, Store
    from streamviz.views.depth import Past
    from streamviz.views.parts import Dashboard

__all__ = [
    "Asked",
    "HealthHandler",
    "MetricsHandler",
    "MissingHandler",
    "QueryHandler",
    "RunsHandler",
    "StatusHandler",
    "query_body",
    "read_series",
]

MAX_POINTS = 100_000
POINTS = 1_000
MAX_ANSWER = 2_000_000
"""Most points of all series of one answer together."""

_MAX_STEP = 2**53
_BARE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)

_T = TypeVar("_T")


class ApiHandler(Guarded):
    """A handler that answers from the parts of a dashboard."""

    dashboard: Dashboard

    def initialize(self, *, door: Door, dashboard: Dashboard) -> None:  # type: ignore[override]
        """Take the rules and the parts."""
        super().initialize(door=door)
        self.dashboard = dashboard


class HealthHandler(ApiHandler):
    """``/healthz``: the server answers; for probes, without a login."""

    free = True

    def get(self) -> None:
        """Answer."""
        self.write_json({"status": "ok", "version": __version__})

    head = get


class RunsHandler(ApiHandler):
    """``/api/v1/runs``: every run, who works for it and what it measures.

    Those that are on the disk alone come last; with ``run=`` only one that is in memory.
    """

    for_one_run = True

    async def get(self) -> None:
        """Answer, newest run first."""
        now = wall_time()
        only = self.get_query_argument("run", "")
        if only:
            # Asked again and again by who follows one run: of a thousand ranks it is long enough.
            one = self.dashboard.roster.run(only) if self.may_read(only) else None
            found = [] if one is None else [one]
            self.write_json(
                [run_for_api(run, _metrics(self.dashboard.store, only), now) for run in found]
            )
            return
        known = self.dashboard.roster.runs()
        told = [
            run_for_api(run, _metrics(self.dashboard.store, run.run), now)
            for run in reversed(known)
            if self.may_read(run.run)
        ]
        history = self.dashboard.history
        if history is not None:

            def past() -> list[dict[str, object]]:
                return _runs_on_disk(history, {run.run for run in known}, self.may_read, now)

            async with self.dashboard.turns:
                told += await asyncio.get_running_loop().run_in_executor(None, past)
        self.write_json(told)

    head = get


class StatusHandler(ApiHandler):
    """``/api/v1/status``: counters and bounds."""

    def get(self) -> None:
        """Answer."""
        self.write_json(server_status(self.dashboard, wall_time()))

    head = get


class MetricsHandler(ApiHandler):
    """``/metrics``: counters and bounds, as Prometheus reads them."""

    def get(self) -> None:
        """Answer."""
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.write(generate_latest(registry(self.dashboard)))

    head = get


class MissingHandler(Guarded):
    """Every path that is nothing."""

    def get(self) -> None:
        """Say so."""
        raise Refusal(404, f"nothing is at {self.request.path[:200]!r}")

    head = get


class QueryHandler(ApiHandler):
    """``/api/v1/query``: the samples of one metric."""

    for_one_run = True
    parameters: tuple[str, ...] = ("run", "metric", "rank", "attempt", "start", "stop", "points")

    async def get(self) -> None:
        """Answer with one series per worker.

        Raises:
            Refusal: 400 for a parameter that cannot be used, 404 for an unknown run or metric.
        """
        self._refuse_unknown()
        run, metric = self._name("run"), self._name("metric")
        if not self.may_read(run):
            raise Refusal(404, f"{UnknownSeries(run)}; GET /api/v1/runs lists what there is")
        ranks = self._parsed("rank", lambda text: parse_ranks(text, setting="rank"))
        attempt = self._integer("attempt", 0, 2**31 - 1)
        start = self._integer("start", 0, _MAX_STEP)
        stop = self._integer("stop", 0, _MAX_STEP)
        points = self._integer("points", 1, MAX_POINTS)
        if start is not None and stop is not None and stop < start:
            raise Refusal(400, f"stop: found {stop}, expected a step not before start, {start}")

        def chosen(rank: int, number: int) -> bool:
            return (ranks is None or rank in ranks) and (attempt is None or number == attempt)

        def answer() -> bytes:
            asked = Asked(run, metric, start, stop, points or POINTS)
            return query_body(read_series(self.dashboard, asked, chosen))

        async with self.dashboard.turns:
            try:
                # Away from the loop, whose viewers would wait for a million numbers to be written.
                body = await asyncio.get_running_loop().run_in_executor(None, answer)
            except UnknownSeries as error:
                raise Refusal(404, f"{error}; GET /api/v1/runs lists what there is") from None
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(body)

    head = get

    def _refuse_unknown(self) -> None:
        for name in self.request.query_arguments:
            if name not in self.parameters:
                raise Refusal(
                    400, f"{name[:80]!r} is no parameter, expected {', '.join(self.parameters)}"
                )

    def _text(self, name: str) -> str | None:
        text = self.get_query_argument(name, "")
        return text or None

    def _name(self, name: str) -> str:
        text = self._text(name)
        if text is None:
            raise Refusal(400, f"{name}: missing; GET /api/v1/runs lists what there is")
        return text

    def _parsed(self, name: str, parse: Callable[[str], _T]) -> _T | None:
        text = self._text(name)
        if text is None:
            return None
        try:
            return parse(text)
        except ConfigError as error:
            raise Refusal(400, str(error)) from None

    def _integer(self, name: str, low: int, high: int) -> int | None:
        def parse(text: str) -> int:
            # Digits alone: int() also takes signs, spaces, underscores and other scripts' digits.
            digits = text.isascii() and text.isdigit() and len(text) <= 20
            if not digits or not low <= int(text) <= high:
                raise ConfigError(name, text[:80], f"a whole number from {low} to {high}")
            return int(text)

        return self._parsed(name, parse)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query that can be answered."""

    run: str
    metric: str
    start: int | None
    stop: int | None
    points: int


def read_series(
    dashboard: Dashboard, asked: Asked, chosen: Callable[[int, int], bool]
) -> QueryResult:
    """Answer from memory, or from the disk where memory has nothing or no longer all of it.

    Args:
        dashboard: The parts.
        asked: What.
        chosen: Whether a rank and attempt is wanted.

    Raises:
        UnknownSeries: Neither knows the run or metric.
    """
    store, past = dashboard.store, dashboard.history
    held: QueryResult | None = None
    workers: list[int] | None = None
    try:
        workers = [index for index, *who in store.workers(asked.run) if chosen(*who)]
        held = _read(store, asked, workers)
    except UnknownSeries:
        if past is None:
            raise
    if held is not None and not is_coarse_result(held, asked.points):
        return held
    try:
        found = None if past is None else _read(past, asked, workers)
    except JournalError as error:
        if held is None:
            raise Refusal(503, f"the disk did not give it: {error}") from None
        found = None
    if found is None and held is None:
        raise UnknownSeries(asked.run, asked.metric)
    if held is not None and (found is None or _width(found) >= _width(held)):
        return held
    assert found is not None  # noqa: S101 - one of them is there
    series = [one for one in found.series if chosen(one.rank, one.attempt)]
    return QueryResult(resolution=found.resolution, series=series)


def _read(source: Store | Past, asked: Asked, workers: list[int] | None) -> QueryResult | None:
    return source.query(
        asked.run,
        asked.metric,
        workers=workers,
        start=asked.start,
        stop=asked.stop,
        points=asked.points,
    )


def _width(result: QueryResult) -> int:
    """Return how many steps a point stands for, 0 for rows as sent."""
    return 0 if isinstance(result.resolution, str) else result.resolution


def _metrics(store: Store, run: str) -> list[str]:
    try:
        return store.metrics(run)
    except UnknownSeries:
        # The run has said hello and sent nothing yet.
        return []


def _runs_on_disk(
    history: History, known: Container[str], may_read: Callable[[str], bool], now: float
) -> list[dict[str, object]]:
    """Return the entries of runs that the disk has and memory does not, newest first."""
    told = []
    for summary in history.runs():
        if summary.run in known or not may_read(summary.run):
            continue
        try:
            head = history.head(summary.run)
        except JournalError:
            # What cannot be read was said when the server started.
            continue
        if head is not None:
            told.append(run_on_disk(head, summary.last_time, now))
    return told


# -- numbers -----------------------------------------------------------------------------------


def query_body(result: QueryResult) -> bytes:
    """Return the JSON of a query's result.

    Raises:
        Refusal: 400, when it holds more than :data:`MAX_ANSWER` points.
    """
    total = sum(len(series.step) for series in result.series)
    if total > MAX_ANSWER:
        raise Refusal(
            400,
            f"points: the answer has {total} points in {len(result.series)} series, at most "
            f"{MAX_ANSWER} are allowed; ask for fewer points, ranks or steps",
        )
    series = ",".join(map(_series_text, result.series))
    return f'{{"series":[{series}],"resolution":{_BARE.encode(result.resolution)}}}'.encode()


def _series_text(series: Series) -> str:
    fields = {
        "rank": str(series.rank),
        "attempt": str(series.attempt),
        "step": _numbers(series.step),
        "time": _numbers(series.time),
        "value": _numbers(series.value),
        "min": _numbers(series.min),
        "max": _numbers(series.max),
        "count": _numbers(series.count),
        "bad": _numbers(series.bad),
    }
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


def _numbers(array: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> str:
    values: Sequence[object] = array.tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        values = [_number(value) for value in array.tolist()]
    return _BARE.encode(values)


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
