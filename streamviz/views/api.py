"""The JSON API: runs, queries, the server's own state; and the same for Prometheus.

Law: what is asked for wrongly is answered with what was found and what is allowed; NaN and
infinities are strings, so that every JSON reader can read the rest.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from streamviz import __version__
from streamviz.clock import wall_time
from streamviz.errors import ConfigError, UnknownSeries
from streamviz.views.access import Door, Guarded, Refusal
from streamviz.views.metrics import registry, server_status
from streamviz.views.ranks import parse_ranks
from streamviz.views.summaries import run_for_api

if TYPE_CHECKING:
    from streamviz.store import QueryResult, Series, Store
    from streamviz.views.parts import Dashboard

__all__ = [
    "HealthHandler",
    "MetricsHandler",
    "MissingHandler",
    "QueryHandler",
    "RunsHandler",
    "StatusHandler",
    "query_body",
]

MAX_POINTS = 100_000
POINTS = 1_000
MAX_ANSWER = 2_000_000
"""Most points of all series of one answer together."""

_MAX_STEP = 2**53
_PARAMETERS = ("run", "metric", "rank", "attempt", "start", "stop", "points")
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
    """``/api/v1/runs``: every run, who works for it and what it measures."""

    def get(self) -> None:
        """Answer, newest run first."""
        now = wall_time()
        self.write_json(
            [
                run_for_api(run, _metrics(self.dashboard.store, run.run), now)
                for run in reversed(self.dashboard.roster.runs())
            ]
        )

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

    async def get(self) -> None:
        """Answer with one series per worker.

        Raises:
            Refusal: 400 for a parameter that cannot be used, 404 for an unknown run or metric.
        """
        self._refuse_unknown()
        run, metric = self._name("run"), self._name("metric")
        ranks = self._parsed("rank", lambda text: parse_ranks(text, setting="rank"))
        attempt = self._integer("attempt", 0, 2**31 - 1)
        start = self._integer("start", 0, _MAX_STEP)
        stop = self._integer("stop", 0, _MAX_STEP)
        points = self._integer("points", 1, MAX_POINTS)
        if start is not None and stop is not None and stop < start:
            raise Refusal(400, f"stop: found {stop}, expected a step not before start, {start}")

        def answer() -> bytes:
            store = self.dashboard.store
            workers = [
                index
                for index, rank, number in store.workers(run)
                if (ranks is None or rank in ranks) and (attempt is None or number == attempt)
            ]
            result = store.query(
                run, metric, workers=workers, start=start, stop=stop, points=points or POINTS
            )
            return query_body(result)

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
            if name not in _PARAMETERS:
                raise Refusal(
                    400, f"{name[:80]!r} is no parameter, expected {', '.join(_PARAMETERS)}"
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


def _metrics(store: Store, run: str) -> list[str]:
    try:
        return store.metrics(run)
    except UnknownSeries:
        # The run has said hello and sent nothing yet.
        return []


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
