"""One metric over steps as a figure: a line for each of a few ranks, a band over many.

Law: the least and the greatest value of every bucket of steps are in the figure, and so are the
places of values that are no finite number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from bokeh.models import BoxZoomTool, DataRange1d, Line, LinearScale, Range1d, Scatter, VArea, VSpan
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from numpy.typing import NDArray

from streamviz.insight.bands import band
from streamviz.journal.entries import WorkerRow
from streamviz.journal.history import History
from streamviz.store.grid import Grid
from streamviz.store.series import QueryResult, Series
from streamviz.views.charts.canvas import add_hover, add_legend, canvas, look, source_of
from streamviz.views.charts.chart import Chart
from streamviz.views.charts.colours import SERIES

__all__ = ["LINES", "Curves", "curves_of", "percentile_figure"]

LINES = 8
"""Ranks that have a line each; of more there is a band."""
OLD_ATTEMPTS = 3
"""Attempts before the last that are drawn, the newest."""
HEIGHT = 240
"""Of a figure without its legend, pixels."""
_EDGE = "edge"

_Array = NDArray[np.float64]
_Entry: TypeAlias = tuple[str, "list[GlyphRenderer[Any]]"]


@dataclass(frozen=True, slots=True)
class Curves:
    """A metric's figure, and what was done to its rows.

    Attributes:
        figure: To be embedded.
        rows: Values behind it.
        bucket: Steps that one point stands for; 1: as sent.
        left_off: Attempts that are not drawn.
        steps: First and last step that anybody has.
    """

    figure: figure
    rows: int
    bucket: int
    left_off: int
    steps: tuple[int, int]

    def show(self, low: int, high: int) -> None:
        """Let the figure begin and end at these steps."""
        # In no more room than the range has, a single step is in the middle.
        pad = 0 if high > low else 1
        self.figure.x_range.update(start=low - pad, end=high + pad)


@dataclass(slots=True)
class _Told:
    """What the figure has come to."""

    ranks: Mapping[int, int]
    several: bool
    entries: list[_Entry] = field(default_factory=list)
    bad: list[_Array] = field(default_factory=list)
    rows: int = 0
    bucket: int = 1
    steps: list[int] = field(default_factory=list)


def curves_of(
    history: History,
    run: str,
    metric: str,
    workers: Mapping[int, WorkerRow],
    *,
    points: int,
    marks: Sequence[int] = (),
) -> Curves | None:
    """Draw a metric.

    Args:
        history: Where the run is.
        run: Its name.
        metric: The metric's name; it does not stand in the figure.
        workers: Whose rows, by the worker's index.
        points: Buckets of steps of a line at most.
        marks: Steps at which somebody set a mark.

    Returns:
        ``None`` where nobody has a row.
    """
    by_attempt: dict[int, list[int]] = {}
    for index, worker in workers.items():
        by_attempt.setdefault(worker.attempt, []).append(index)
    attempts = sorted(by_attempt, reverse=True)
    plot = _empty((0, 1))
    _add_marks(plot, marks)
    ranks = {index: worker.rank for index, worker in workers.items()}
    told = _Told(ranks, several=len(set(ranks.values())) > LINES)
    drawn = 0
    for attempt in attempts:
        if drawn > OLD_ATTEMPTS:
            break
        found = _read(history, run, metric, by_attempt[attempt], points, several=told.several)
        if found is not None:
            # The newest that has the metric at all is what counts; the others stand behind it.
            suffix = f", attempt {attempt}" if len(attempts) > 1 else ""
            _add(plot, found, suffix, told, is_last=not drawn)
            drawn += 1
    if not drawn:
        return None
    _add_bad(plot, told.bad)
    if not told.several and len(told.entries) > 1:
        add_legend(plot, told.entries)
    left = max(len(attempts) - OLD_ATTEMPTS - 1, 0)
    return Curves(plot, told.rows, told.bucket, left, (min(told.steps), max(told.steps)))


def _read(
    history: History, run: str, metric: str, workers: Sequence[int], points: int, *, several: bool
) -> Grid | QueryResult | None:
    """Return an attempt's rows, ``None`` where there are none."""
    if several:
        grid = history.grid(run, metric, workers=workers, points=points)
        return grid if grid is not None and grid.bucket.size else None
    result = history.query(run, metric, workers=workers, points=points)
    return result if result is not None and result.series else None


def _add(
    plot: figure, found: Grid | QueryResult, suffix: str, told: _Told, *, is_last: bool
) -> None:
    """Draw an attempt."""
    if isinstance(found, Grid):
        steps = found.bucket << found.shift
        told.entries += _add_band(plot, found, suffix, told.ranks, is_last=is_last)
        told.bad.append(steps[found.bad.any(axis=1)].astype(np.float64))
        told.rows += int(found.count.sum() + found.bad.sum())
        told.bucket = max(told.bucket, 1 << found.shift)
        told.steps += [int(steps[0]), int(steps[-1]) + (1 << found.shift) - 1]
        return
    for series in found.series:
        told.entries.append(_add_line(plot, series, suffix, is_last=is_last))
        told.bad.append(series.step[series.bad > 0].astype(np.float64))
        told.rows += int(series.count.sum() + series.bad.sum())
        width = found.resolution if isinstance(found.resolution, int) else 1
        told.steps += [int(series.step[0]), int(series.step[-1]) + width - 1]
    if isinstance(found.resolution, int):
        told.bucket = max(told.bucket, found.resolution)


def _empty(steps: tuple[int, int]) -> figure:
    """Return a figure without lines; its title stands outside of it."""
    # In no more room than the range has, a single step is in the middle.
    low, high = steps if steps[1] > steps[0] else (steps[0] - 1, steps[0] + 1)
    plot = canvas(
        Chart(kind="line", title="", x_label="", y_label=""),
        x_range=Range1d(start=low, end=high, name="x"),
    )
    plot.height = HEIGHT
    plot.title = None
    plot.toolbar_location = "right"
    plot.toolbar.active_drag = next(
        tool for tool in plot.toolbar.tools if isinstance(tool, BoxZoomTool)
    )
    if isinstance(plot.y_range, DataRange1d):
        # What is zoomed into fills the height.
        plot.update(window_axis="x")
    plot.extra_y_ranges = {_EDGE: Range1d(start=0, end=1)}
    plot.extra_y_scales = {_EDGE: LinearScale()}
    return plot


def _add_marks(plot: figure, marks: Sequence[int]) -> None:
    if marks:
        span = look(VSpan(x="x", line_dash="dashed", line_width=1), line_color="line-strong")
        plot.add_glyph(source_of("marks", x=[float(step) for step in marks]), span)


def _add_line(plot: figure, series: Series, suffix: str, *, is_last: bool) -> _Entry:
    """Draw a rank's line; a bucket of several values is the stroke from least to greatest."""
    name = f"rank {series.rank}{suffix}"
    steps, values = _stroke(series)
    token = SERIES[series.rank % len(SERIES)]
    source = source_of(name, x=steps, y=values)
    alpha = 1.0 if is_last else 0.35
    glyph = Line(x="x", y="y", line_width=1.5, line_join="bevel", line_alpha=alpha)
    drawn: GlyphRenderer[Any] = plot.add_glyph(source, look(glyph, line_color=token))
    drawn.name = name
    add_hover(plot, [drawn], [("rank", "$name"), ("step", "@x{0,0}"), ("value", "@y{0.[000000]}")])
    renderers = [drawn]
    if np.isfinite(values).sum() <= 1:
        dot = look(Scatter(x="x", y="y", size=6, line_color=None), fill_color=token)
        renderers.append(plot.add_glyph(source, dot))
    return name, renderers


def _stroke(series: Series) -> tuple[_Array, _Array]:
    """Return a line through the least and the greatest value of every bucket."""
    step = series.step.astype(np.float64)
    wide = (series.count > 1) & (series.min < series.max)
    if not wide.any():
        return step, np.where(series.count > 0, series.value, np.nan)
    # Which of the two comes first is not known: as the line goes, so it crosses the bucket.
    rises = np.concatenate([[True], np.diff(series.value) >= 0])
    first = np.where(wide, np.where(rises, series.min, series.max), series.value)
    second = np.where(wide, np.where(rises, series.max, series.min), np.nan)
    steps = np.column_stack([step, step]).ravel()
    values = np.column_stack([first, second]).ravel()
    kept = np.column_stack([np.ones(len(step), bool), wide]).ravel()
    return steps[kept], values[kept]


def _add_band(
    plot: figure, grid: Grid, suffix: str, ranks_of: Mapping[int, int], *, is_last: bool
) -> list[_Entry]:
    """Draw what all ranks together did; of earlier attempts the median alone."""
    found = band(grid.mean, grid.vmin, grid.vmax)
    # Who had the greatest and the least is what a band does not show.
    ranks = np.array([ranks_of.get(index, -1) for index in grid.workers], np.float64)
    columns = {
        "x": (grid.bucket << grid.shift).astype(np.float64),
        "hi_rank": ranks[np.argmax(np.nan_to_num(grid.vmax, nan=-np.inf), axis=1)],
        "lo_rank": ranks[np.argmin(np.nan_to_num(grid.vmin, nan=np.inf), axis=1)],
        "lo": found.lo,
        "p10": found.p10,
        "median": found.mid,
        "p90": found.p90,
        "hi": found.hi,
        "ranks": (grid.count > 0).sum(axis=1).astype(np.float64),
    }
    token = SERIES[0]
    source = source_of(f"band{suffix}", **columns)
    entries: list[_Entry] = []
    if is_last:
        for low, high, alpha, words in (
            ("lo", "hi", 0.16, "least to greatest"),
            ("p10", "p90", 0.26, "p10 to p90"),
        ):
            area = VArea(x="x", y1=low, y2=high, fill_alpha=alpha)
            entries.append((words, [plot.add_glyph(source, look(area, fill_color=token))]))
        for edge in ("lo", "hi"):
            # One rank's spike is thinner than any area.
            line = Line(x="x", y=edge, line_width=0.75, line_join="bevel", line_alpha=0.5)
            plot.add_glyph(source, look(line, line_color=token))
    alpha = 1.0 if is_last else 0.35
    line = Line(x="x", y="median", line_width=1.75, line_join="bevel", line_alpha=alpha)
    drawn: GlyphRenderer[Any] = plot.add_glyph(source, look(line, line_color=token))
    entries.append((f"median of ranks{suffix}", [drawn]))
    number = "{0.[000000]}"
    told = [
        ("greatest", f"@hi{number}, rank @hi_rank"),
        *((words, f"@{words}{number}") for words in ("p90", "median", "p10")),
        ("least", f"@lo{number}, rank @lo_rank"),
    ]
    add_hover(plot, [drawn], [("step", "@x{0,0}"), *told, ("ranks", "@ranks")], mode="vline")
    return entries


def percentile_figure(steps: Sequence[int], values: Sequence[Sequence[float | None]]) -> figure:
    """Draw a distribution over steps: bands between percentiles, and the median.

    Args:
        steps: S steps, ascending.
        values: For each of them, as many percentiles, the median in the middle.
    """
    found = np.array(values, np.float64).T
    plot = _empty((steps[0], steps[-1]))
    columns = {f"p{i}": line for i, line in enumerate(found)}
    source = source_of("percentiles", x=np.array(steps, np.float64), **columns)
    middle = len(found) // 2
    for i in range(middle):
        area = VArea(x="x", y1=f"p{i}", y2=f"p{len(found) - 1 - i}", fill_alpha=0.16)
        plot.add_glyph(source, look(area, fill_color=SERIES[0]))
    line = Line(x="x", y=f"p{middle}", line_width=1.75, line_join="bevel")
    drawn: GlyphRenderer[Any] = plot.add_glyph(source, look(line, line_color=SERIES[0]))
    number = "{0.[000000]}"
    names = (("greatest", len(found) - 1), ("median", middle), ("least", 0))
    told = [(words, f"@p{i}{number}") for words, i in names]
    add_hover(plot, [drawn], [("step", "@x{0,0}"), *told], mode="vline")
    return plot


def _add_bad(plot: figure, bad: Sequence[_Array]) -> None:
    """Draw a triangle on the lower edge where a value was NaN or infinite."""
    steps = np.unique(np.concatenate(bad)) if bad else np.zeros(0)
    if not steps.size:
        return
    glyph = Scatter(x="x", y="edge", marker="triangle", size=9, line_color=None)
    source = source_of("bad", x=steps, edge=np.zeros(steps.size))
    drawn = plot.add_glyph(source, look(glyph, fill_color="red"))
    drawn.y_range_name = _EDGE
    drawn.level = "overlay"
    add_hover(plot, [drawn], [("NaN or infinite at step", "@x{0,0}")])
