"""What the collector knows of one stream, and of the worker that it speaks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamviz.ingest.liveness import WorkerEvent, WorkerState, next_state
from streamviz.ingest.roster import WorkerInfo
from streamviz.ingest.tally import Tally
from streamviz.journal.entries import WorkerRow
from streamviz.journal.runlog import LoggedStream, RunLog
from streamviz.store.table import Table
from streamviz.wire.delivery import Incoming
from streamviz.wire.frames import Heartbeat, Hello, Span

__all__ = ["ENDED_WELL", "NEW_ATTEMPT", "Stream", "Worker", "worker_of"]

NEW_ATTEMPT = "new attempt"
"""What a publisher says at the end of a stream that another attempt of it follows."""
ENDED_WELL = ("ok", NEW_ATTEMPT)


@dataclass(slots=True)
class Worker:
    """One attempt of one rank. Owner: the collector."""

    run: str
    rank: int
    attempt: int
    index: int
    hello: Hello
    started: float
    last_time: float
    heard: float = 0.0
    """When its last frame came, on a clock that runs only while there is somebody to hear it,
    seconds."""
    state: WorkerState = WorkerState.JOINING
    last_step: int | None = None
    heartbeat: Heartbeat | None = None
    ended: str | None = None
    tally: Tally = field(default_factory=Tally)
    mesh: Mapping[str, int] = field(default_factory=dict)
    """Its coordinate on each axis of the parallel layout."""

    def meet(self, event: WorkerEvent, now: float) -> bool:
        """Move to the next state; say whether it is another one.

        Args:
            event: What happened.
            now: Wall time, seconds since the epoch.
        """
        before = self.state
        self.state = next_state(before, event)
        if event in (WorkerEvent.SAMPLES, WorkerEvent.HEARTBEAT):
            self.last_time = now
        return self.state is not before

    @property
    def family(self) -> bytes:
        """The stream of the process, or of the one it was forked from, whose line this is."""
        return self.hello.parent or self.hello.stream

    def end(self, now: float) -> Span:
        """Return the place after its last step.

        Args:
            now: Wall time, seconds since the epoch.
        """
        step = self.last_step or 0
        return Span(step, step, now, now)

    def info(self) -> WorkerInfo:
        """Return a snapshot."""
        hello, beat = self.hello, self.heartbeat
        empty: Mapping[str, int] = {}
        return WorkerInfo(
            run=self.run,
            rank=self.rank,
            attempt=self.attempt,
            index=self.index,
            world_size=hello.world_size,
            local_rank=hello.local_rank,
            host=hello.host,
            pid=hello.pid,
            state=self.state,
            started=self.started,
            last_time=self.last_time,
            last_step=self.last_step,
            phase=beat.phase if beat else None,
            phase_s=beat.phase_s if beat else 0.0,
            sent=self.tally.sent,
            held=self.tally.held,
            spilled=self.tally.spilled,
            stored=self.tally.stored,
            missing=self.tally.missing,
            repeated=self.tally.repeated,
            refused=beat.refused if beat else empty,
            dropped=beat.dropped if beat else empty,
            ended=self.ended,
            mesh=self.mesh,
        )


def worker_of(run: str, row: WorkerRow, mesh: Mapping[str, int]) -> Worker:
    """Return a worker as a run's file has it; nobody speaks for it before a frame of it comes."""
    if row.ended is None:
        state = WorkerState.STALE
    else:
        state = WorkerState.DONE if row.ended in ENDED_WELL else WorkerState.FAILED
    hello = Hello(
        stream=row.stream,
        wall=row.started,
        mono=0.0,
        base_seq=0,
        base_row=0,
        base_span=None,
        run=run,
        rank=row.rank,
        world_size=row.world_size,
        local_rank=row.local_rank,
        host=row.host,
        pid=row.pid,
        attempt=row.attempt,
        parent=None,
        library=row.library,
        config={},
    )
    return Worker(
        run,
        row.rank,
        row.attempt,
        row.index,
        hello,
        started=row.started,
        last_time=row.last_time,
        state=state,
        last_step=row.last_step,
        ended=row.ended,
        mesh=mesh,
    )


@dataclass(slots=True)
class Stream:
    """One process start, by its own id. Owner: the collector."""

    peer: bytes
    """Where its acknowledgements go: the socket's name for its connection."""
    hello: Hello
    incoming: Incoming = field(default_factory=Incoming)
    worker: Worker | None = None
    """``None`` until it is known whether this is a new attempt."""
    is_tail: bool = False
    """Another process goes on with its worker, and what comes of this one is from before that."""
    mesh: Mapping[str, int] = field(default_factory=dict)
    """What it said last of its worker's place in the parallel layout."""
    sent: int = 0
    """Rows it has sent in all, by its last heartbeat."""
    beat: Heartbeat | None = None
    """The last heartbeat that its worker's tally has taken in."""
    tables: dict[int, tuple[Table, int | None]] = field(default_factory=dict)
    """Of each schema id announced on this connection the table, and its number in the run's file,
    ``None`` where nothing of it is recorded."""
    unacknowledged_bytes: int = 0
    log: RunLog | None = None
    """Where its rows are recorded."""
    logged: LoggedStream | None = None
    """What the run's file knows of it, or will."""

    @property
    def committed(self) -> int:
        """The first frame that would be lost if everything stopped now."""
        return self.incoming.next_seq if self.logged is None else self.logged.committed

    @property
    def counts_for(self) -> Worker | None:
        """The worker that its totals are part of: also of one that another goes on with."""
        return self.worker if self.is_tail else self.speaks_for

    @property
    def speaks_for(self) -> Worker | None:
        """The worker, ``None`` if it is open which, or if another process has taken it over."""
        worker = self.worker
        if worker is None or worker.family != (self.hello.parent or self.hello.stream):
            return None
        return worker
