"""One distinct view while somebody watches it: it reads the store, and keeps versions and bytes.

Law: however many watch, a view is reduced once per change and encoded once per version that some
viewer still has.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from streamviz.errors import UnknownSeries
from streamviz.views.depth import DISK_EVERY_S, is_coarse
from streamviz.views.encoding import chunk_bytes
from streamviz.views.models import COLUMNS, Choice, ViewKey, choose, merge_gaps
from streamviz.views.rows import Rows
from streamviz.views.versions import Versions

if TYPE_CHECKING:
    from streamviz.store import Cursor, Grid, Store
    from streamviz.views.depth import Deep

__all__ = ["LiveView"]

OUTLIERS_EVERY_S = 1.0
HEAVY_CELLS = 32_768
"""Buckets times ranks, all of which a new start reads, in some 5 ms."""

WORKERS_EVERY_S = 0.25
"""How often a view follows its run's new workers: each time, it is read from the start."""


class LiveView:
    """The rows of one view and the history of their changes.

    Attributes:
        number: The key that chunks carry.
        key: What it shows.
        newest: Wall time of the newest sample of its ranks, seconds; ``None`` without one.
        refreshed_at: Monotonic time of the last refresh, seconds.
        reading: Whether another thread is refreshing it; till it is done nobody else touches it.
        disk_due: Monotonic time from which on its range should be read from the disk, seconds;
            ``inf`` while what memory holds is as fine as was asked for.
    """

    def __init__(self, number: int, key: ViewKey, *, has_disk: bool = False) -> None:
        self.number = number
        self.key = key
        self.disk_due = inf
        self._may_go_deep = has_disk and (key.start is not None or key.stop is not None)
        self._deep: Deep | None = None
        """What the rows are, if they come from the disk."""
        self._is_coarse = False
        """Whether memory has its range less fine than was asked for."""
        self.newest: float | None = None
        self.refreshed_at = -inf
        self.reading = False
        self._versions = Versions()
        self._rows = Rows(key.mode)
        self._complete = True
        self._cursor: Cursor | None = None
        self._written = -1
        self._structure = -1
        self._choice = Choice((), ())
        self._chosen_at = -inf
        self._judged_at = -inf
        self._gaps: list[list[int]] = []
        self._gaps_seen: tuple[int, Choice] | None = None
        self._gaps_version = 0
        self._encoded: dict[tuple[int, bool], bytes] = {}
        """Of the current version, by its first row and whether gaps are in it."""
        self._chunks: dict[int, bytes] = {}
        """The same, by the version that a viewer has: most have the one before."""

    @property
    def version(self) -> int:
        """Grows with every change; 0 while nothing was read."""
        return self._versions.current

    # -- reading the store ---------------------------------------------------------------------

    @property
    def heavy(self) -> bool:
        """Whether a refresh may take long enough to be noticed by those who wait."""
        return len(self._choice.workers) * self.key.points > HEAVY_CELLS

    def stale(self, store: Store) -> bool:
        """Say, cheaply, whether the store has something that :meth:`refresh` would take in."""
        run, metric = self.key.run, self.key.metric
        try:
            return (
                store.structure(run) != self._structure
                or store.written(run, metric) != self._written
                or (self._cursor is None and bool(self._choice.current))
            )
        except UnknownSeries:
            return False

    def refresh(self, store: Store, now: float) -> bool:
        """Take in what the store has since the last call.

        Args:
            store: Where the samples are.
            now: Monotonic time, seconds; for what is not done on every call.

        Returns:
            Whether there is a new version.
        """
        self.refreshed_at = now
        try:
            self.follow_workers(store, now)
            # Read before the rows: what is appended in between is then seen twice, never missed.
            written = store.written(self.key.run, self.key.metric)
            if not self._choice.current:
                self._written = written
                return False
            if self._cursor is not None and written == self._written:
                return False
            changed = self._read(store, now)
            if self._deep is None and now - self._judged_at >= OUTLIERS_EVERY_S:
                self._judged_at = now
                if self._rows.outliers_moved():
                    # A rank that was folded so far is drawn from its start: read it all again.
                    self._cursor = None
                    changed = self._read(store, now)
        except UnknownSeries:
            # Asked for before its first sample came, or before the run did: it is empty till then.
            return False
        self._written = written
        return changed

    def follow_workers(self, store: Store, now: float) -> None:
        """Choose the workers again if there are new ones.

        Args:
            store: Where they are.
            now: Monotonic time, seconds.

        Raises:
            UnknownSeries: There is no such run yet.
        """
        structure = store.structure(self.key.run)
        due = not self._choice.current or now - self._chosen_at >= WORKERS_EVERY_S
        if structure == self._structure or not due:
            return
        self._structure, self._chosen_at = structure, now
        choice = choose(store.workers(self.key.run), self.key.ranks, self.key.mode)
        if choice != self._choice:
            self._choice, self._cursor = choice, None

    def _read(self, store: Store, now: float) -> bool:
        key = self.key
        changes = store.changes(
            key.run,
            key.metric,
            self._cursor,
            workers=self._choice.workers,
            start=key.start,
            stop=key.stop,
            points=key.points,
        )
        self._cursor = changes.cursor
        grid = changes.grid
        self.newest = changes.newest
        if changes.reset:
            if self._stays_deep(grid, now):
                return False
            self._rows.replace(grid, self._choice)
            self._advance(None)
        elif not len(grid.bucket):
            return False
        elif self._deep is not None:
            self.disk_due = min(self.disk_due, now + DISK_EVERY_S)
            return False
        elif self._rows.fits(grid):
            self._advance(self._rows.splice(grid))
            if self._is_coarse:
                self.disk_due = min(self.disk_due, now + DISK_EVERY_S)
        else:
            # Rows on another grid cannot be spliced; whatever the store meant, all of it is right.
            self._cursor = None
            return self._read(store, now)
        self._complete = grid.complete
        return True

    # -- reading the disk ----------------------------------------------------------------------

    def _stays_deep(self, grid: Grid, now: float) -> bool:
        """Decide whether the disk is wanted; say whether its rows are kept till it has answered."""
        self._is_coarse = self._may_go_deep and is_coarse(grid, self.key.points)
        if not self._is_coarse:
            self._deep, self.disk_due = None, inf
            return False
        kept = self._deep is not None and self._deep.choice == self._choice
        self.disk_due = now + DISK_EVERY_S if kept else now
        if not kept:
            self._deep = None
        return kept

    @property
    def choice(self) -> Choice:
        """Who stands behind it."""
        return self._choice

    def take_deep(self, deep: Deep | None) -> bool:
        """Show what the disk has, if it is finer and still wanted; say whether it is shown."""
        if deep is None or deep.choice != self._choice:
            return False
        if self._deep is None and deep.rows.shift >= self._rows.shift:
            return False
        self._deep, self._rows, self._complete = deep, deep.rows, deep.complete
        self._advance(None)
        return True

    def take_gaps(self, store: Store) -> bool:
        """Take in the gaps of its ranks; say whether there is a new version."""
        try:
            seen = (store.gaps_version(self.key.run), self._choice)
            if seen == self._gaps_seen:
                return False
            gaps = store.gaps(self.key.run)
        except UnknownSeries:
            return False
        self._gaps_seen = seen
        mine = {source.worker for source in self._choice.current}
        merged = merge_gaps(
            (gap for worker, gap in gaps if worker in mine), self.key.start, self.key.stop
        )
        if merged == self._gaps:
            return False
        self._gaps = merged
        self._advance(len(self._rows))
        self._gaps_version = self.version
        return True

    # -- versions ------------------------------------------------------------------------------

    def _advance(self, first_row: int | None) -> None:
        """Open a version whose rows differ from ``first_row`` on; ``None`` for a new start."""
        self._versions.advance(first_row)
        self._encoded.clear()
        self._chunks.clear()

    def chunk(self, since: int) -> bytes:
        """Return the bytes that bring a viewer from a version to the current one.

        Args:
            since: The version the viewer has; 0 for none.
        """
        held = self._chunks.get(since)
        if held is None:
            held = self._chunks[since] = self._chunk(since)
        return held

    def _chunk(self, since: int) -> bytes:
        first = self._versions.since(since)
        tail, start = first is not None, first or 0
        with_gaps = not tail or self._gaps_version > since
        place = (start if tail else -1, with_gaps)
        held = self._encoded.get(place)
        if held is None:
            held = self._encoded[place] = self._encode(start, tail=tail, with_gaps=with_gaps)
        return held

    def _encode(self, start: int, *, tail: bool, with_gaps: bool) -> bytes:
        rows = self._rows
        values = rows.values(start)
        meta: dict[str, object] = {
            "v": self.version,
            "op": "tail" if tail else "reset",
            "from": start,
            "n": len(rows) - start,
            "newest": self.newest,
            "shift": rows.shift,
            "columns": COLUMNS,
            "lines": [line.as_json() for line in rows.lines],
            "times": rows.times,
            "ranks": rows.ranks,
            "attempt": rows.attempt,
            "starts": rows.starts,
            "complete": self._complete,
        }
        if with_gaps:
            meta["gaps"] = self._gaps
        return chunk_bytes(self.number, meta, list(values))
