"""What is written to and read from a run's file, as values.

Law: no value here knows a file; each is what one row of the file, or one transaction, means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamviz.store.gaps import Gap
from streamviz.store.grid import FloatArray, IntArray

__all__ = ["Commit", "Head", "ItemRow", "StreamRow", "TableRows", "WorkerRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """One attempt of one rank."""

    index: int
    """Number of the worker within the run: 0, 1, 2… in order of opening."""
    rank: int
    attempt: int
    world_size: int
    local_rank: int
    host: str
    pid: int
    library: str
    started: float
    """Wall time, seconds since the epoch; so is ``last_time``."""
    last_time: float
    last_step: int | None
    ended: str | None
    """How it said goodbye, ``None`` while it has not."""
    stream: bytes
    """The stream of the process, or of the parent, that speaks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """How far a stream has been committed."""

    index: int
    """Number of the stream within the run: 0, 1, 2… in order of opening."""
    stream: bytes
    worker: int | None
    next_seq: int
    next_row: int
    sent: int


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item: a mark, an alert or the like."""

    worker: int
    ordinal: int
    """How many items the worker had before it."""
    kind: str
    name: str
    step: int
    time: float
    """Wall time at its sender, seconds since the epoch."""
    body: bytes
    """A MessagePack map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Everything that one transaction adds to a run."""

    records: bytes = b""
    """Journal records, see :mod:`streamviz.journal.records`; may be empty."""
    tables: Sequence[tuple[int, tuple[str, ...]]] = ()
    """New tables: number, metric names."""
    workers: Sequence[WorkerRow] = ()
    """New or changed."""
    streams: Sequence[StreamRow] = ()
    """New or changed."""
    gaps: Sequence[tuple[int, Gap]] = ()
    """New: worker index, gap."""
    config: Mapping[str, object] | None = None
    """Hyperparameters, if they changed."""
    items: Sequence[ItemRow] = ()
    """New."""
    facts: Mapping[str, object] | None = None
    """What is known of the training besides its numbers, if it changed."""
    meshes: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    """New or changed: per worker index its coordinate on each axis of the parallel layout."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableRows:
    """Rows of one worker in one table, as sent, in order of arrival."""

    table: int
    worker: int
    first: int
    """Ordinal of the first row within (table, worker)."""
    steps: IntArray
    """``int64[S]``."""
    times: FloatArray
    """``float64[S]``, seconds since the epoch."""
    values: FloatArray
    """``float64[S, K]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """All of a run but its rows."""

    run: str
    started: float
    """Wall time, seconds since the epoch."""
    config: Mapping[str, object] | None
    tables: dict[int, tuple[str, ...]]
    """Metric names of each table."""
    workers: dict[int, WorkerRow]
    streams: dict[int, StreamRow]
    gaps: Sequence[tuple[int, Gap]]
    """Worker index and gap, in order of arrival."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What is known of the training besides its numbers."""
    meshes: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    """Per worker index its coordinate on each axis of the parallel layout."""
    losses: Sequence[str] = field(default=())
    """What could not be read when the file was last mended, a sentence each."""
