"""Rows into columns: gathers what the outbox gave, by schema, until a frame is made of it.

Law: no queue, socket or clock of its own; rows and items in, batches and schemas out, no item
before a row that was sent before it.
"""

from __future__ import annotations

import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from streamviz.publisher.notes import Note
from streamviz.publisher.outbox import Row
from streamviz.publisher.values import DeviceValue, Unusable, capture, shown
from streamviz.wire.codec import MAX_BATCHES
from streamviz.wire.frames import Batch, Item, Samples, Span
from streamviz.wire.names import name_fault

__all__ = ["FRAME_BYTES", "MAX_ROW_SCHEMAS", "Framer", "ItemLoad", "Load", "is_ready"]

FRAME_BYTES = 64 * 1024
"""Column bytes after which a frame is closed: several fit any window the server names."""

MAX_ROW_SCHEMAS = 1024
"""Sets of names that get a schema each; past it every metric is a schema of its own."""

_BIG_ENDIAN = sys.byteorder == "big"


def is_ready(row: Row) -> bool:
    """Say whether all device values of a row have arrived."""
    pending = row[3]
    return type(pending) is not list or all(value.is_ready() for value in pending)


@dataclass(slots=True)
class _Columns:
    """A schema and the rows gathered for it."""

    schema: int
    names: tuple[str, ...]
    legal: tuple[str, ...] | None
    """The names of a call that were legal, ``None`` if all were."""
    steps: array[int] = field(default_factory=lambda: array("q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))


@dataclass(frozen=True, slots=True)
class Load:
    """What one samples frame is to carry."""

    batches: tuple[Batch, ...]
    rows: int
    span: Span

    def frame(self, stream: bytes, seq: int, row: int, wall: float, mono: float) -> Samples:
        """Return the frame, numbered."""
        return Samples(stream, seq, wall, mono, row, self.batches, self.rows)


@dataclass(frozen=True, slots=True)
class ItemLoad:
    """What an item frame is to carry."""

    step: int
    time: float
    note: Note

    rows = 1

    @property
    def span(self) -> Span:
        """Where it lies."""
        return Span(self.step, self.step, self.time, self.time)

    def frame(self, stream: bytes, seq: int, row: int, wall: float, mono: float) -> Item:
        """Return the frame, numbered."""
        note = self.note
        about = (note.kind, note.name, self.step, self.time, note.body)
        return Item(stream, seq, wall, mono, row, *about)


class Framer:
    """Gathers rows by the set of names they carry.

    Owner: the sender thread.

    Attributes:
        schemas: Every schema so far, by id.
        stepless: Items, with their times, that wait for a row to tell them their step.
    """

    def __init__(self, refuse: Callable[[str, str, int], None]) -> None:
        """Make an empty one.

        Args:
            refuse: Called with a reason, a metric's name and a number of values for what cannot
                be used.
        """
        self.schemas: list[tuple[str, ...]] = []
        self._refuse = refuse
        self._by_names: dict[tuple[str, ...], _Columns | None] = {}
        self._split: dict[str, _Columns | None] = {}
        self._dirty: dict[int, _Columns] = {}
        self._bytes = 0
        self._full: list[Load | ItemLoad] = []
        self.stepless: list[tuple[float, Note]] = []

    def gather(self, rows: deque[Row], count: int) -> Row | None:
        """Gather up to ``count`` rows from the left of a queue.

        Returns:
            The first row whose device values are not there yet, taken out of the queue; rows after
            it wait behind it. ``None`` if there is no such row.
        """
        last_names: tuple[str, ...] | None = None
        columns: _Columns | None = None
        stepless = self.stepless
        for _ in range(count):
            try:
                row = rows.popleft()
            except IndexError:  # the training thread dropped what was too much
                return None
            step, time, metrics, pending = row
            if pending is not None:
                if type(pending) is Note:
                    self._add_note(step, time, pending)
                    continue
                if not is_ready(row):
                    return row
            if stepless:
                self.settle(step)
            # A loop sends the same names over and over, and comparing is cheaper than looking up.
            names = tuple(metrics)
            if names != last_names:
                last_names, columns = names, self._by_names.get(names)
            if columns is None:
                self.add(step, time, metrics)
                last_names = None
            else:
                self._append(columns, step, time, metrics)
        return None

    def settle(self, step: int) -> None:
        """Let the items that wait for a step have this one."""
        waiting = self.stepless[:]
        self.stepless.clear()
        for time, note in waiting:
            self._add_note(step, time, note)

    def _add_note(self, step: int, time: float, note: Note) -> None:
        if step < 0:
            self.stepless.append((time, note))
            return
        note.release()
        self._full.extend(self._close())
        self._full.append(ItemLoad(step, time, note))

    def add(self, step: int, time: float, metrics: dict[str, float | DeviceValue]) -> int:
        """Gather one row.

        Returns:
            The rows it became: 1, or 0 if none of its values could be used, or more when it had
            to be split by metric.
        """
        names = tuple(metrics)
        try:
            columns = self._by_names[names]
        except KeyError:
            if len(self._by_names) >= MAX_ROW_SCHEMAS:
                return self._add_split(step, time, metrics)
            columns = self._by_names[names] = self._open(names)
        if columns is None:
            self._refuse("bad name", shown(names[0]) if names else "", len(names))
            return 0
        return self._append(columns, step, time, metrics)

    def _append(
        self, columns: _Columns, step: int, time: float, metrics: dict[str, float | DeviceValue]
    ) -> int:
        if columns.legal is not None:
            self._refuse("bad name", "", len(metrics) - len(columns.legal))
            metrics = {name: metrics[name] for name in columns.legal}
        before = len(columns.values)
        try:
            columns.values.extend(metrics.values())  # type: ignore[arg-type] # has __float__
        except Exception:  # noqa: BLE001
            # An int past float64, among values that took the hot path; or a device that failed.
            del columns.values[before:]
            return self._add_usable(step, time, metrics)
        columns.steps.append(step)
        columns.times.append(time)
        self._dirty[columns.schema] = columns
        self._bytes += 16 + 8 * len(metrics)
        if self._bytes >= FRAME_BYTES:
            self._full.extend(self._close())
        return 1

    def _add_usable(self, step: int, time: float, metrics: dict[str, float | DeviceValue]) -> int:
        usable: dict[str, float | DeviceValue] = {}
        for name, value in metrics.items():
            try:
                usable[name] = capture(value)
            except Unusable as reason:
                self._refuse(str(reason), name, 1)
        return self.add(step, time, usable) if usable else 0

    def _add_split(self, step: int, time: float, metrics: dict[str, float | DeviceValue]) -> int:
        rows = 0
        for name, value in metrics.items():
            if name not in self._split and len(self._split) < MAX_BATCHES:
                self._split[name] = self._open((name,))
            columns = self._split.get(name)
            if columns is None:
                self._refuse("bad name or too many names", shown(name), 1)
            else:
                rows += self._append(columns, step, time, {name: value})
        return rows

    def _open(self, names: tuple[str, ...]) -> _Columns | None:
        legal = tuple(name for name in names if name_fault(name) is None)
        if not legal:
            return None
        self.schemas.append(legal)
        return _Columns(len(self.schemas) - 1, legal, None if len(legal) == len(names) else legal)

    def take(self) -> list[Load | ItemLoad]:
        """Return what was gathered, as loads of about :data:`FRAME_BYTES`, and forget it."""
        loads, self._full = self._full, []
        if self._dirty:
            loads.extend(self._close())
        return loads

    def _close(self) -> Iterator[Load]:
        batches: list[Batch] = []
        spans: list[Span] = []
        rows = size = 0
        for columns in self._dirty.values():
            width = 16 + 8 * len(columns.names)
            step = max(FRAME_BYTES // width, 1)
            for start in range(0, len(columns.steps), step):
                part = columns.steps[start : start + step]
                batches.append(_batch(columns, start, start + step))
                times = columns.times
                last = min(start + step, len(times)) - 1
                spans.append(Span(min(part), max(part), times[start], times[last]))
                rows += len(part)
                size += width * len(part)
                if size >= FRAME_BYTES or len(batches) >= MAX_BATCHES // 4:
                    yield _load(batches, rows, spans)
                    batches, spans, rows, size = [], [], 0, 0
            columns.steps, columns.times, columns.values = array("q"), array("d"), array("d")
        if batches:
            yield _load(batches, rows, spans)
        self._dirty.clear()
        self._bytes = 0


def _load(batches: list[Batch], rows: int, spans: list[Span]) -> Load:
    span = spans[0]
    for other in spans[1:]:
        span = span.union(other)
    return Load(tuple(batches), rows, span)


def _batch(columns: _Columns, start: int, stop: int) -> Batch:
    width = len(columns.names)
    parts = (
        columns.steps[start:stop],
        columns.times[start:stop],
        columns.values[start * width : stop * width],
    )
    if _BIG_ENDIAN:
        for part in parts:
            part.byteswap()
    return Batch(columns.schema, *(part.tobytes() for part in parts))
