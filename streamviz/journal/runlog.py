"""What a run has to say to its file since the last commit, gathered on the ingest thread.

Law: what one frame adds goes into one commit: its rows, its gaps and the marks of its stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamviz.journal.entries import Commit, Head, ItemRow, StreamRow, WorkerRow
from streamviz.journal.records import HEADER
from streamviz.store.gaps import Gap
from streamviz.wire.delivery import Incoming

__all__ = ["Bundle", "LoggedStream", "Room", "RunLog"]

_ENTRY_BYTES = 256
"""What anything but rows is reckoned at while it waits."""


@dataclass(slots=True)
class Room:
    """Bytes that wait for the disk, over all runs. Owner: the ingest thread."""

    allowed: int
    taken: int = 0
    """In the logs and under way."""
    unsealed: int = 0
    """In the logs."""


@dataclass(slots=True, eq=False)
class LoggedStream:
    """A stream that the run's file knows, or will with the next commit."""

    stream: bytes
    index: int
    """Number within the run, in order of opening."""
    incoming: Incoming
    """How far it has been taken in; shared with the collector."""
    worker: int | None = None
    sent: int = 0
    """Rows it has sent in all, by its last heartbeat."""
    committed: int = 0
    """``next_seq`` on the disk."""
    logged_bytes: int = 0
    """Bytes of rows since the last bundle."""
    sealed_bytes: int = 0
    """Bytes of rows that are under way to the disk."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes of rows that are not on the disk."""
        return self.logged_bytes + self.sealed_bytes

    def seal(self) -> int:
        """Let its rows be under way; return their bytes."""
        size, self.logged_bytes = self.logged_bytes, 0
        self.sealed_bytes += size
        return size

    def row(self) -> StreamRow:
        """Return it as the file wants it."""
        return StreamRow(
            index=self.index,
            stream=self.stream,
            worker=self.worker,
            next_seq=self.incoming.next_seq,
            next_row=self.incoming.next_row,
            sent=self.sent,
        )


@dataclass(slots=True, eq=False)
class Bundle:
    """What one commit will hold, on its way to the writer."""

    log: RunLog
    parts: list[bytes]
    """Journal records, to be joined."""
    commit: Commit
    """Everything else."""
    streams: list[StreamRow]
    """Every stream that the commit moves, as it is then."""
    moved: list[tuple[LoggedStream, int, int]]
    """The same with their ``next_seq``, to be acknowledged, and the bytes of their rows."""
    size: int


@dataclass(slots=True)
class _News:
    """What a log gathers but rows; replaced whole when it is sealed."""

    tables: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    workers: dict[int, WorkerRow] = field(default_factory=dict)
    streams: dict[LoggedStream, None] = field(default_factory=dict)
    gaps: list[tuple[int, Gap]] = field(default_factory=list)
    config: Mapping[str, object] | None = None
    items: list[ItemRow] = field(default_factory=list)
    facts: Mapping[str, object] | None = None
    meshes: dict[int, Mapping[str, int]] = field(default_factory=dict)


class RunLog:
    """One run's way to the disk.

    Owner: the ingest thread; what it seals belongs to the writer. Holds: what :class:`Room` lets
    the collector add.
    """

    def __init__(
        self, run: str, started: float, room: Room, wake: dict[RunLog, None], head: Head | None
    ) -> None:
        """Begin a log.

        Args:
            run: Run name.
            started: Wall time of the run's start, seconds since the epoch.
            room: Where waiting bytes are reckoned.
            wake: Where the log puts itself when it has something to say.
            head: What the run's file says, ``None`` for a new run.
        """
        self.run = run
        self.started = started
        self.in_flight = False
        """Whether a bundle of this log is with the writer."""
        self.is_new = head is None
        """Whether the file has to be made; set back by the first commit."""
        self._room = room
        self._wake = wake
        self._tables: dict[tuple[str, ...], int] = {}
        self._streams: dict[bytes, LoggedStream] = {}
        self._counts: dict[tuple[int, int], int] = {}
        self._item_counts: dict[int, int] = {}
        self._parts: list[bytes] = []
        self._moved: dict[LoggedStream, None] = {}
        self._news = _News()
        self._bytes = 0
        if head is not None:
            self._tables = {names: number for number, names in head.tables.items()}
            for row in head.streams.values():
                self._streams[row.stream] = self._recalled(row)
        self._next_table = 1 + max(self._tables.values(), default=-1)
        self._next_stream = 1 + max((one.index for one in self._streams.values()), default=-1)

    @staticmethod
    def _recalled(row: StreamRow) -> LoggedStream:
        incoming = Incoming()
        incoming.next_seq, incoming.next_row = row.next_seq, row.next_row
        return LoggedStream(
            row.stream, row.index, incoming, row.worker, sent=row.sent, committed=row.next_seq
        )

    def recall_rows(self, counts: Mapping[tuple[int, int], int]) -> None:
        """Go on numbering rows where the file ends.

        Args:
            counts: Rows on the disk per (table, worker), the journal's included.
        """
        self._counts.update(counts)

    def recall_items(self, counts: Mapping[int, int]) -> None:
        """Go on numbering each worker's items where the file ends."""
        self._item_counts.update(counts)

    # -- what there is to say --------------------------------------------------------------

    def find(self, stream: bytes) -> LoggedStream | None:
        """Return a stream that the file knows."""
        return self._streams.get(stream)

    def open_stream(self, stream: bytes, incoming: Incoming) -> LoggedStream:
        """Give a stream a number; its marks are written once it has moved."""
        logged = LoggedStream(stream, self._next_stream, incoming)
        self._next_stream += 1
        self._streams[stream] = logged
        return logged

    @property
    def streams(self) -> int:
        """How many streams the file knows."""
        return len(self._streams)

    def table(self, names: tuple[str, ...]) -> int:
        """Return a table's number, the same one each time."""
        number = self._tables.get(names)
        if number is None:
            number = self._tables[names] = self._next_table
            self._next_table += 1
            self._news.tables.append((number, names))
            self._add(_ENTRY_BYTES + sum(map(len, names)))
        return number

    def knows_table(self, names: tuple[str, ...]) -> bool:
        """Tell whether a table has a number."""
        return names in self._tables

    def rows(
        self,
        logged: LoggedStream,
        table: int,
        worker: int,
        steps: bytes,
        times: bytes,
        values: bytes,
    ) -> None:
        """Add rows of a frame that was just taken in.

        Args:
            logged: Whose rows; its marks are those after the frame.
            table: From :meth:`table`.
            worker: The worker's index in the store.
            steps: ``int64[S]``, little-endian; so are the others, as they came.
            times: ``float64[S]``, seconds since the epoch.
            values: ``float64[S, K]``, row by row.
        """
        count = len(steps) >> 3
        key = (table, worker)
        first = self._counts.get(key, 0)
        self._counts[key] = first + count
        marks = logged.incoming
        header = HEADER.pack(
            logged.index, worker, table, count, first, marks.next_seq, marks.next_row
        )
        self._parts += (header, steps, times, values)
        self._moved[logged] = None
        size = len(header) + 2 * len(steps) + len(values)
        logged.logged_bytes += size
        self._add(size)

    def mark(self, logged: LoggedStream) -> None:
        """Note that a stream moved by something else than rows, or speaks for another worker."""
        self._moved[logged] = None
        self._news.streams[logged] = None
        self._add(_ENTRY_BYTES)

    def gap(self, worker: int, gap: Gap) -> None:
        """Add a gap; the mark of the stream that told of it follows."""
        self._news.gaps.append((worker, gap))
        self._add(_ENTRY_BYTES)

    def item(
        self,
        logged: LoggedStream,
        worker: int,
        about: tuple[str, str, int, float],
        body: bytes,
    ) -> None:
        """Add an item that was just taken in.

        Args:
            logged: Whose; its marks are those after the frame.
            worker: The worker's index in the store.
            about: Its kind, name, step and time.
            body: What it carries.
        """
        ordinal = self._item_counts.get(worker, 0)
        self._item_counts[worker] = ordinal + 1
        self._news.items.append(ItemRow(worker, ordinal, *about, body))
        self._moved[logged] = None
        self._news.streams[logged] = None
        size = _ENTRY_BYTES + len(body)
        logged.logged_bytes += size
        self._add(size)

    def worker(self, row: WorkerRow) -> None:
        """Add a worker that is new, or has changed."""
        self._news.workers[row.index] = row
        self._add(_ENTRY_BYTES)

    def config(self, config: Mapping[str, object]) -> None:
        """Note the run's whole configuration."""
        self._news.config = config
        self._add(_ENTRY_BYTES)

    def facts(self, facts: Mapping[str, object]) -> None:
        """Note the run's whole facts."""
        self._news.facts = facts
        self._add(_ENTRY_BYTES)

    def mesh(self, worker: int, mesh: Mapping[str, int]) -> None:
        """Note a worker's coordinates, which are new or have changed."""
        self._news.meshes[worker] = mesh
        self._add(_ENTRY_BYTES)

    def _add(self, size: int) -> None:
        if not self._bytes:
            self._wake[self] = None
        self._bytes += size
        room = self._room
        room.taken += size
        room.unsealed += size

    # -- on its way ------------------------------------------------------------------------

    def seal(self) -> Bundle:
        """Take everything out, as one commit; the log is empty afterwards."""
        news, self._news = self._news, _News()
        parts, self._parts = self._parts, []
        moved, self._moved = self._moved, {}
        size, self._bytes = self._bytes, 0
        self._room.unsealed -= size
        self.in_flight = True
        return Bundle(
            log=self,
            parts=parts,
            commit=Commit(
                tables=news.tables,
                workers=list(news.workers.values()),
                streams=[logged.row() for logged in news.streams],
                gaps=news.gaps,
                config=news.config,
                items=news.items,
                facts=news.facts,
                meshes=news.meshes,
            ),
            streams=[logged.row() for logged in moved],
            moved=[(logged, logged.incoming.next_seq, logged.seal()) for logged in moved],
            size=size,
        )

    def committed(self, bundle: Bundle) -> None:
        """Take note that a bundle is on the disk."""
        self.in_flight = False
        self.is_new = False
        self._room.taken -= bundle.size
        for logged, next_seq, size in bundle.moved:
            logged.committed = max(logged.committed, next_seq)
            logged.sealed_bytes -= size
