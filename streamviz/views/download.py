"""``/api/v1/csv``: one metric at full resolution, as text that is written while it is read.

Law: the memory taken does not grow with the answer, and a slow reader holds up nobody but himself;
what is left in coarser form only is written as such, never as if it were rows.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tornado.iostream import StreamClosedError

from streamviz.errors import UnknownSeries
from streamviz.views.access import Refusal
from streamviz.views.api import Asked, QueryHandler, read_series
from streamviz.views.ranks import parse_ranks

if TYPE_CHECKING:
    from streamviz.store import Series
    from streamviz.views.parts import Dashboard
    from streamviz.views.ranks import RankSet

log = logging.getLogger(__name__)

__all__ = ["MAX_DOWNLOADS", "PORTION", "Busy", "CsvHandler"]

PORTION = 20_000
"""Rows that are read and written at a time: 2 MB of text, in some 50 ms away from the loop."""

MAX_DOWNLOADS = 4
"""Downloads at a time; each holds a portion, and its reader's speed decides for how long."""

_HEAD = b"rank,attempt,step,time,value,steps,count,bad,min,max\n"
_ENDS = 8
"""Points by which the first and the last step of a series are found."""
_LAST_STEP = 2**53
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(slots=True)
class Busy:
    """How many downloads of a server are under way."""

    count: int = 0


class CsvHandler(QueryHandler):
    """``/api/v1/csv?run=&metric=&ranks=``: a download."""

    for_one_run = True
    parameters = ("run", "metric", "ranks")
    busy: Busy

    def initialize(self, *, busy: Busy, **parts: object) -> None:  # type: ignore[override]
        """Take the parts, and what all downloads share."""
        super().initialize(**parts)  # type: ignore[arg-type]
        self.busy = busy

    async def get(self) -> None:
        """Write the rows, worker by worker, by step.

        Raises:
            Refusal: 400 for a parameter that cannot be used, 404 for an unknown run or metric, 503
                while too many are under way.
        """
        self._refuse_unknown()
        run, metric = self._name("run"), self._name("metric")
        if not self.may_read(run):
            raise Refusal(404, f"{UnknownSeries(run)}; GET /api/v1/runs lists what there is")
        ranks = self._parsed("ranks", lambda text: parse_ranks(text, setting="ranks"))
        if self.busy.count >= MAX_DOWNLOADS:
            self.door.count("downloads")
            raise Refusal(
                503, f"{MAX_DOWNLOADS} downloads are under way, the most at a time; try again later"
            )
        self.busy.count += 1
        try:
            await self._write(_portions(self.dashboard, run, metric, ranks), run, metric)
        except UnknownSeries as error:
            raise Refusal(404, f"{error}; GET /api/v1/runs lists what there is") from None
        except StreamClosedError:
            # The reader has gone; there is nobody to tell.
            return
        finally:
            self.busy.count -= 1

    async def head(self) -> None:
        """Refuse: how long the answer is shows when it is written."""
        raise Refusal(405, "HEAD: not for a download, expected GET")

    async def _write(self, portions: Iterator[bytes], run: str, metric: str) -> None:
        loop = asyncio.get_running_loop()
        name = _UNSAFE.sub("_", f"{run}-{metric}")[:120].strip("._") or "metric"
        begun = False
        while True:
            try:
                # Queries take their turns between two portions.
                async with self.dashboard.turns:
                    portion = await loop.run_in_executor(None, next, portions, None)
            except Exception:  # whatever it is: half an answer must not look like a whole one
                if not begun:
                    raise
                log.exception("a download of %r broke off: %r", metric, run)
                self._break_off()
                return
            if portion is None:
                return
            if not begun:
                # Not before the first one, which may find that there is no such metric.
                self.set_header("Content-Type", "text/csv; charset=utf-8")
                self.set_header("Content-Disposition", f'attachment; filename="{name}.csv"')
                begun = True
            self.write(portion)
            await self.flush()

    def _break_off(self) -> None:
        """Close the connection, by which a browser sees that something is missing."""
        self.detach().close()


def _portions(
    dashboard: Dashboard, run: str, metric: str, ranks: RankSet | None
) -> Iterator[bytes]:
    """Yield the text, portion by portion.

    Raises:
        UnknownSeries: Neither memory nor the disk knows the run or metric.
    """
    ends = read_series(
        dashboard,
        Asked(run, metric, None, None, _ENDS),
        lambda rank, _: ranks is None or rank in ranks,
    )
    whole = [(one.rank, one.attempt, int(one.step[0])) for one in ends.series if one.step.size]
    yield _HEAD
    for rank, attempt, first in whole:
        for series, steps in _pieces(dashboard, run, metric, rank, attempt, first):
            yield _text(series, steps)


def _pieces(
    dashboard: Dashboard, run: str, metric: str, rank: int, attempt: int, first: int
) -> Iterator[tuple[Series, int]]:
    """Yield a worker's rows in portions, and how many steps stand behind each row of them."""
    start, width = first, PORTION
    while start <= _LAST_STEP:
        stop = min(start + width - 1, _LAST_STEP)
        found = read_series(
            dashboard,
            Asked(run, metric, start, stop, PORTION),
            lambda its_rank, its_attempt: (its_rank, its_attempt) == (rank, attempt),
        )
        series = found.series[0] if found.series else None
        steps = 1 if isinstance(found.resolution, str) else found.resolution
        rows = 0 if series is None else int(series.count.sum() + series.bad.sum())
        if steps > 1 and rows > PORTION and width > 1:
            # There are more rows than a portion takes: perhaps they are kept one by one.
            width = max(1, width // 4)
            continue
        if series is not None:
            yield series, steps
            if steps > 1:
                # The last bucket reaches beyond the range, and is told as a whole.
                stop = max(stop, int(series.step[-1]) + steps - 1)
        if stop >= _LAST_STEP:
            return
        if rows == 0:
            # Nothing in this range: is there anything behind it?
            width = min(4 * width, _LAST_STEP)
            after = read_series(
                dashboard,
                Asked(run, metric, stop + 1, None, _ENDS),
                lambda its_rank, its_attempt: (its_rank, its_attempt) == (rank, attempt),
            )
            behind = [one for one in after.series if one.step.size]
            if not behind:
                return
            start = max(stop + 1, int(behind[0].step[0]))
            continue
        start = stop + 1
        if rows < PORTION // 2:
            width = min(4 * width, _LAST_STEP)


def _text(series: Series, steps: int) -> bytes:
    """Return a line for each row.

    Args:
        series: Of one worker.
        steps: How many steps a row stands for; above 1 finer ones are not kept any more.
    """
    who = f"{series.rank},{series.attempt}"
    lines = [
        f"{who},{step},{time!r},{_number(value)},{steps},{count},{bad},"
        f"{_number(least)},{_number(most)}\n"
        for step, time, value, count, bad, least, most in zip(
            series.step.tolist(),
            series.time.tolist(),
            series.value.tolist(),
            series.count.tolist(),
            series.bad.tolist(),
            series.min.tolist(),
            series.max.tolist(),
            strict=True,
        )
    ]
    return "".join(lines).encode()


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
