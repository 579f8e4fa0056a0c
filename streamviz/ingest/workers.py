"""Which attempt of which rank a stream speaks for, and who of them is alive.

Law: one process and its forked children draw one line; whoever else claims the rank goes on with
it only when they have fallen silent and its steps lie after theirs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from streamviz.counters import Counters
from streamviz.ingest.liveness import GONE_AFTER_S, STALE_AFTER_S, WorkerEvent, WorkerState
from streamviz.ingest.roster import Roster, RunInfo
from streamviz.ingest.stream import Stream, Worker
from streamviz.store.store import Store
from streamviz.wire.frames import Hello

__all__ = ["Workers", "family_of"]

MAX_CONFIG_KEYS = 1024
"""Keys of a run's configuration, over all ranks and attempts."""

_Family = tuple[str, int, bytes]


def family_of(hello: Hello) -> _Family:
    """Return what a process and its forked children have in common, and no other has."""
    return hello.run, hello.rank, hello.parent or hello.stream


class Workers:
    """Every worker of every run. Owner: the collector."""

    def __init__(self, store: Store, roster: Roster, counters: Counters) -> None:
        """Start with nobody known.

        Args:
            store: Where workers are opened.
            roster: Where snapshots go.
            counters: Where ranks that are there twice are counted.
        """
        self._store = store
        self._roster = roster
        self._counters = counters
        self._attempts: dict[tuple[str, int], list[Worker]] = {}
        self._families: dict[_Family, Worker] = {}
        self._runs: dict[str, tuple[float, dict[str, object]]] = {}
        self._moved: set[str] = set()
        self._advanced: set[str] = set()

    def find(self, hello: Hello, now: float) -> Worker | None:
        """Return the worker a new stream speaks for, ``None`` if its first step must tell.

        Raises:
            StoreFull: It would be one too many.
        """
        worker = self._families.get(family_of(hello))
        if worker is not None:
            if hello.parent is None:
                worker.hello = hello
            return worker
        earlier = self._attempts.get((hello.run, hello.rank), [])
        if not earlier or hello.attempt > earlier[-1].attempt:
            return self._open(hello, hello.attempt, now)
        return None

    def decide(self, stream: Stream, first_step: int, now: float) -> Worker:
        """Tell by its first step whether a stream goes on where the last one ended.

        Raises:
            StoreFull: It is another attempt, and would be one too many.
        """
        hello = stream.hello
        stream.worker = self._families.get(family_of(hello))
        if stream.worker is not None:
            return stream.worker
        last = self._attempts[hello.run, hello.rank][-1]
        goes_on = last.last_step is None or first_step > last.last_step
        if last.state in (WorkerState.LIVE, WorkerState.JOINING):
            self._counters.add("duplicate_ranks_total")
            goes_on = False
        if goes_on:
            # Should the process whose line this was come back, it opens an attempt of its own.
            self._families.pop(family_of(last.hello), None)
            last.hello, last.ended, last.state = hello, None, WorkerState.LIVE
            self._families[family_of(hello)] = stream.worker = last
            self._moved.add(last.run)
        else:
            stream.worker = self._open(hello, last.attempt + 1, now)
        return stream.worker

    def _open(self, hello: Hello, attempt: int, now: float) -> Worker:
        index = self._store.open_worker(hello.run, hello.rank, attempt)
        worker = Worker(hello.run, hello.rank, attempt, index, hello, started=now, last_time=now)
        self._attempts.setdefault((hello.run, hello.rank), []).append(worker)
        self._families[family_of(hello)] = worker
        self._runs.setdefault(hello.run, (now, {}))
        self._moved.add(hello.run)
        return worker

    def note_config(self, hello: Hello) -> None:
        """Add a rank's configuration to its run's."""
        started, config = self._runs[hello.run]
        merged = {**config, **hello.config}
        if merged != config and len(merged) <= MAX_CONFIG_KEYS:
            self._runs[hello.run] = (started, merged)
            self._moved.add(hello.run)

    def meet(self, worker: Worker, event: WorkerEvent, now: float) -> None:
        """Let something happen to a worker.

        Args:
            worker: To whom.
            event: What.
            now: Wall time, seconds since the epoch.
        """
        if event is WorkerEvent.SAMPLES and worker.state is WorkerState.LIVE:
            # What happens thousands of times a second changes no state.
            worker.last_time = now
            self._advanced.add(worker.run)
            return
        runs = self._moved if worker.meet(event, now) else self._advanced
        runs.add(worker.run)

    def advanced(self, run: str) -> None:
        """Note that a run's next snapshot differs; it is made with the next tick."""
        self._advanced.add(run)

    def tick(self, now: float) -> None:
        """Find out who has fallen silent, and let the next :meth:`publish` tell all progress.

        Args:
            now: Wall time, seconds since the epoch.
        """
        for worker in itertools.chain.from_iterable(self._attempts.values()):
            silent_s = now - worker.last_time
            if silent_s > STALE_AFTER_S:
                lost = silent_s > GONE_AFTER_S
                if worker.meet(WorkerEvent.LOST if lost else WorkerEvent.SILENT, now):
                    self._moved.add(worker.run)
        self._moved |= self._advanced
        self._advanced.clear()

    def publish(self) -> None:
        """Give the roster a snapshot of each run in which a worker appeared or changed state."""
        if not self._moved:
            return
        by_run: dict[str, list[Worker]] = {run: [] for run in self._moved}
        self._moved.clear()
        for (run, _), workers in self._attempts.items():
            if run in by_run:
                by_run[run].extend(workers)
        for run, workers in by_run.items():
            started, config = self._runs[run]
            workers.sort(key=lambda worker: (worker.rank, worker.attempt))
            infos = tuple(worker.info() for worker in workers)
            self._roster.replace(RunInfo(run=run, started=started, workers=infos, config=config))

    def keep_families_of(self, streams: Iterable[Stream]) -> None:
        """Forget who belongs to whom but for these streams."""
        self._families = {
            family_of(stream.hello): stream.worker
            for stream in streams
            if stream.speaks_for is not None and stream.worker is not None
        }
