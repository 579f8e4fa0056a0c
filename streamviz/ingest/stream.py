"""What the collector knows of one stream, and of the worker that it speaks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamviz.ingest.liveness import WorkerEvent, WorkerState, next_state
from streamviz.ingest.roster import WorkerInfo
from streamviz.store.table import Table
from streamviz.wire.delivery import Incoming
from streamviz.wire.frames import Heartbeat, Hello

__all__ = ["Stream", "Worker"]


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
    state: WorkerState = WorkerState.JOINING
    last_step: int | None = None
    heartbeat: Heartbeat | None = None
    ended: str | None = None

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
            sent=beat.sent if beat else 0,
            held=beat.held if beat else 0,
            refused=beat.refused if beat else empty,
            dropped=beat.dropped if beat else empty,
            ended=self.ended,
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
    sent: int = 0
    """Rows it has sent in all, by its last heartbeat."""
    tables: dict[int, Table] = field(default_factory=dict)
    """The table of each schema id announced on this connection."""
    unacknowledged_bytes: int = 0

    @property
    def speaks_for(self) -> Worker | None:
        """The worker, ``None`` if it is open which, or if another process has taken it over."""
        worker = self.worker
        if worker is None or worker.family != (self.hello.parent or self.hello.stream):
            return None
        return worker
