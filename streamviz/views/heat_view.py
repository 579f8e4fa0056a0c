"""One distinct heatmap while somebody watches it: rank by step, of any metric.

Law: as with every view, it is reduced once per change and encoded once per version that some
viewer still has; an update holds the columns that changed, and no others, and of these the cells
that changed alone where that is less: a fleet is heard in turns, and fills up the same few columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from streamviz.clock import monotonic_time
from streamviz.errors import UnknownSeries
from streamviz.views.encoding import bytes_chunk
from streamviz.views.heat import ABSENT, Codes
from streamviz.views.heat_rows import Cells, HeatRows
from streamviz.views.models import Choice, choose
from streamviz.views.pace import TIME_PER_STEP
from streamviz.views.versions import Versions

if TYPE_CHECKING:
    from streamviz.store import Cursor, Store
    from streamviz.views.ranks import RankSet

__all__ = ["HEAT_EVERY_S", "MAX_HEAT_POINTS", "MAX_HEAT_ROWS", "HeatKey", "HeatView"]

MAX_HEAT_ROWS = 1_024
"""Rows of a heatmap: more ranks are folded into these."""

MAX_HEAT_POINTS = 1_024
"""Columns of a heatmap: longer runs have coarser buckets."""

HEAT_EVERY_S = 0.1
"""Shortest time between two readings: nobody sees a column appear faster than that."""

SCALE_EVERY_S = 1.0
"""How often the ends of the colours are looked at."""

HEAVY_CELLS = 16_384
"""Buckets times ranks, all of which a new start reads, in some 5 ms."""

PACE_NAMES = 512
"""Metrics among which the one is sought by whose rows the time of a step is told."""


@dataclass(frozen=True, slots=True)
class HeatKey:
    """What makes two requests the same heatmap."""

    run: str
    metric: str
    """:data:`TIME_PER_STEP` for the seconds per step, unless the run has a metric of that name."""
    ranks: RankSet | None
    """``None``: every rank."""
    start: int | None
    stop: int | None
    points: int
    rows: int
    cells: Cells
    relative: bool
    """Whether a cell shows how far it is from the median of its step's ranks."""


class HeatView:
    """What :class:`~streamviz.views.view.LiveView` is for charts, for a heatmap.

    Attributes:
        number: The key that chunks carry.
        key: What it shows.
        newest: Wall time of the newest sample of its ranks, seconds; ``None`` without one.
        refreshed_at: Monotonic time of the last refresh, seconds.
        reading: Whether another thread is refreshing it; till it is done nobody else touches it.
        choice: Who stands behind it.
    """

    def __init__(self, number: int, key: HeatKey) -> None:
        self.number = number
        self.key = key
        self.newest: float | None = None
        self.refreshed_at = -inf
        self.reading = False
        self.choice = Choice((), ())
        self._versions = Versions()
        self._rows = HeatRows(key.rows, key.cells, relative=key.relative)
        self._source: str | None = None
        """The metric whose rows are read."""
        self._cursor: Cursor | None = None
        self._written = -1
        self._structure = -1
        self._rescaled_at = -inf
        self._complete = True
        self._before: tuple[int, Codes] = (0, self._rows.codes(0))
        """The version before the last refresh, and its cells."""
        self._encoded: dict[tuple[int, bool], bytes] = {}
        """Of the current version, by the first column and whether only what changed is in it."""

    @property
    def version(self) -> int:
        """Grows with every change; 0 while nothing was read."""
        return self._versions.current

    @property
    def heavy(self) -> bool:
        """Whether a refresh may take long enough to be noticed by those who wait."""
        return len(self.choice.workers) * self.key.points > HEAVY_CELLS

    def stale(self, store: Store) -> bool:
        """Say, cheaply, whether the store has something that :meth:`refresh` would take in."""
        if monotonic_time() - self.refreshed_at < HEAT_EVERY_S:
            return False
        try:
            if store.structure(self.key.run) != self._structure:
                return True
            if self._source is None:
                return False
            return store.written(self.key.run, self._source) != self._written or (
                self._cursor is None and bool(self.choice.current)
            )
        except UnknownSeries:
            return False

    def follow_workers(self, store: Store, now: float) -> None:  # noqa: ARG002 - as LiveView has it
        """Choose the workers, and the metric that is read, again if there are new ones.

        Args:
            store: Where they are.
            now: Monotonic time, seconds.

        Raises:
            UnknownSeries: There is no such run yet.
        """
        structure = store.structure(self.key.run)
        if structure == self._structure:
            return
        self._structure = structure
        choice = choose(store.workers(self.key.run), self.key.ranks)
        source = self._find_source(store)
        if choice != self.choice or source != self._source:
            is_pace = source != self.key.metric
            key = self.key
            self._rows = HeatRows(key.rows, key.cells, relative=key.relative, is_pace=is_pace)
            self.choice, self._source, self._cursor, self._written = choice, source, None, -1

    def _find_source(self, store: Store) -> str | None:
        """Return the metric to read: for the time of a step the one that comes most often."""
        metric = self.key.metric
        names = store.metrics(self.key.run)
        if metric in names or metric != TIME_PER_STEP:
            return metric
        # Those of the machine come by the clock, not by the step.
        steps = [name for name in names if not name.startswith("system/")][:PACE_NAMES]
        written = {name: store.written(self.key.run, name) for name in steps}
        best = max(written, key=written.__getitem__, default=None)
        held = None if self._source is None else written.get(self._source)
        if held is not None and best is not None and written[best] <= 2 * held:
            return self._source
        return best

    def refresh(self, store: Store, now: float) -> bool:
        """Take in what the store has since the last call.

        Args:
            store: Where the samples are.
            now: Monotonic time, seconds.

        Returns:
            Whether there is a new version.
        """
        self.refreshed_at = now
        self._before = self.version, self._rows.codes(0)
        try:
            self.follow_workers(store, now)
            if self._source is None or not self.choice.current:
                return False
            # Read before the rows: what is appended in between is then seen twice, never missed.
            written = store.written(self.key.run, self._source)
            if self._cursor is not None and written == self._written:
                return False
            changed = self._read(store, self._source)
            if now - self._rescaled_at >= SCALE_EVERY_S:
                self._rescaled_at = now
                changed = self._rescale(store, self._source) or changed
        except UnknownSeries:
            # Asked for before its first sample came, or before the run did: it is empty till then.
            return False
        self._written = written
        return changed

    def _read(self, store: Store, source: str) -> bool:
        key = self.key
        changes = store.changes(
            key.run,
            source,
            self._cursor,
            workers=self.choice.workers,
            start=key.start,
            stop=key.stop,
            points=key.points,
        )
        self._cursor = changes.cursor
        self.newest = changes.newest
        grid = changes.grid
        self._complete = grid.complete
        if changes.reset:
            self._rows.replace(grid, self.choice)
            self._advance(None)
            return True
        if not len(grid.bucket):
            return False
        first = self._rows.splice(grid)
        if first is None:
            self._cursor = None
            return self._read(store, source)
        self._advance(first)
        return True

    def _rescale(self, store: Store, source: str) -> bool:
        moved = self._rows.rescale()
        if moved is None:
            self._cursor = None
            return self._read(store, source)
        if moved:
            self._advance(len(self._rows))
        return moved

    # -- versions ------------------------------------------------------------------------------

    def _advance(self, first_column: int | None) -> None:
        self._versions.advance(first_column)
        self._encoded.clear()

    def chunk(self, since: int) -> bytes:
        """Return the bytes that bring a viewer from a version to the current one.

        Args:
            since: The version the viewer has; 0 for none.
        """
        first = self._versions.since(since)
        place = (-1 if first is None else first, since == self._before[0])
        held = self._encoded.get(place)
        if held is None:
            before = self._before[1] if place[1] else None
            held = self._encoded[place] = self._encode(first, before)
        return held

    def _encode(self, first: int | None, before: Codes | None) -> bytes:
        """Return a chunk.

        Args:
            first: The first column that the viewer lacks; ``None`` for all of them.
            before: The cells that it has; ``None`` if they are not known any more.
        """
        rows, start = self._rows, first or 0
        scale = rows.scale
        meta: dict[str, object] = {
            "kind": "heat",
            "v": self.version,
            "op": "reset" if first is None else "tail",
            "from": start,
            "n": len(rows) - start,
            "rows": len(rows.rows),
            "newest": self.newest,
            "base": rows.gauge.base,
            "exponent": rows.gauge.exponent,
            "scale": [scale.lo, scale.mid, scale.hi],
        }
        if self.key.cells == "mean":
            # Of means alone nobody could say what a part of some steps takes of all of them.
            meta["counts"] = rows.counts(start)
        if first is None:
            meta |= {
                "shift": rows.shift,
                "fold": rows.fold,
                "ranks": [[row.first, row.last] for row in rows.rows],
                "complete": self._complete,
                "source": self._source,
            }
        steps = rows.steps(start).astype("<f8", copy=False)
        codes = rows.codes(start)
        cells = codes.astype("<u2", copy=False).tobytes()
        if first is not None and before is not None:
            fewer = _changed(codes, before[start:])
            if len(fewer) < len(cells):
                meta["changed"] = True
                cells = fewer
        return bytes_chunk(self.number, meta, steps.tobytes() + cells)


def _changed(codes: Codes, before: Codes) -> bytes:
    """Return which cells are others than before, a bit each from the lowest, and then those.

    Args:
        codes: Shape (columns, rows).
        before: Fewer columns or as many, of as many rows; the columns that it lacks are absent.
    """
    held = np.full_like(codes, ABSENT)
    held[: len(before)] = before[: len(codes)]
    others = codes != held
    bits = np.packbits(others, bitorder="little")
    bits = np.pad(bits, (0, len(bits) % 2))  # cells lie on a multiple of two
    cells: bytes = codes[others].astype("<u2", copy=False).tobytes()
    return bits.tobytes() + cells
