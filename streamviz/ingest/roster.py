"""Who publishes: every worker of every run, as frozen snapshots that other threads may read.

Law: the collector writes here, everybody else reads; a snapshot never changes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from streamviz.ingest.liveness import WorkerState, run_state

__all__ = ["Roster", "RunInfo", "WorkerInfo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """One publishing process of a run, as last heard of."""

    run: str
    rank: int
    attempt: int
    index: int
    """The worker's index in the store, unique within the run."""
    world_size: int
    local_rank: int
    host: str
    pid: int
    state: WorkerState
    started: float
    """Wall time of its hello, seconds since the epoch, the server's clock."""
    last_time: float
    """Wall time at which its last frame of any kind arrived, the server's clock."""
    last_step: int | None = None
    phase: str | None = None
    """The phase it was in at its last heartbeat."""
    phase_s: float = 0.0
    """How long it had been in it, seconds."""
    sent: int = 0
    """Rows its training loop has handed over, by its own count; of all its processes."""
    held: int = 0
    """Rows it holds that are not acknowledged, the spilled ones included."""
    spilled: int = 0
    """Rows among those that are on its own disk."""
    stored: int = 0
    """Rows of it that were written to the store."""
    missing: int = 0
    """Rows of it that gaps stand for."""
    repeated: int = 0
    """Frames of it that came again after they were stored, and were left out."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Values it could not use, by reason."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows it had to drop, by reason."""
    ended: str | None = None
    """How it said it ended, ``None`` while it has not."""
    mesh: Mapping[str, int] = field(default_factory=dict)
    """Its coordinate on each axis of the parallel layout, as far as it says."""


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """One training job.

    What follows from its workers is worked out once, when it is first asked for: of a fleet of
    thousands that costs milliseconds, and a page's report asks for most of it several times.
    """

    run: str
    started: float
    workers: tuple[WorkerInfo, ...]
    """Sorted by rank, then attempt."""
    config: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    """What its ranks say of the training besides numbers: ``replicated``, ``total_steps``,
    ``samples_per_step``, ``tokens_per_step``, ``flops_per_step``, ``peak_flops``."""

    @cached_property
    def current(self) -> tuple[WorkerInfo, ...]:
        """The latest attempt of every rank, by rank."""
        latest: dict[int, WorkerInfo] = {}
        for worker in self.workers:
            held = latest.get(worker.rank)
            if held is None or worker.attempt >= held.attempt:
                latest[worker.rank] = worker
        return tuple(latest[rank] for rank in sorted(latest))

    @cached_property
    def attempts(self) -> int:
        """How many attempts were seen."""
        return len({worker.attempt for worker in self.workers})

    @cached_property
    def ranks_expected(self) -> int:
        """The largest world size that the newest attempt's workers named, at least those seen."""
        current = self.current
        return max([len(current), *(worker.world_size for worker in current)])

    @cached_property
    def ranks_live(self) -> int:
        """How many ranks are live now."""
        return sum(worker.state is WorkerState.LIVE for worker in self.current)

    @cached_property
    def state(self) -> WorkerState:
        """One word for the whole run."""
        return run_state([worker.state for worker in self.current])

    @cached_property
    def last_time(self) -> float:
        """Wall time of the last frame from any worker."""
        return max((worker.last_time for worker in self.workers), default=self.started)


class Roster:
    """All runs, newest last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, RunInfo] = {}

    def replace(self, run: RunInfo) -> None:
        """Put a run's new snapshot in place of its former one."""
        with self._lock:
            self._runs[run.run] = run

    def run(self, name: str) -> RunInfo | None:
        """Return a run's snapshot, ``None`` if there is no such run."""
        with self._lock:
            return self._runs.get(name)

    def runs(self) -> list[RunInfo]:
        """Return all runs, in order of their start."""
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: (run.started, run.run))
