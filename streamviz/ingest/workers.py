"""Which attempt of which rank a stream speaks for, and who of them is alive.

Law: one process and its forked children draw one line; whoever else claims the rank goes on with
it only when they have fallen silent, or their connection is gone, and its steps lie after theirs.
"""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from streamviz.counters import Counters
from streamviz.ingest.liveness import GONE_AFTER_S, STALE_AFTER_S, WorkerEvent, WorkerState
from streamviz.ingest.roster import Roster, RunInfo, WorkerInfo
from streamviz.ingest.stream import ENDED_WELL, NEW_ATTEMPT, Stream, Worker, worker_of
from streamviz.journal.entries import Head
from streamviz.store.store import Store
from streamviz.wire.frames import Hello
from streamviz.wire.reserved import RESERVED, merge_facts, read_facts

__all__ = ["News", "Workers", "family_of"]

MAX_CONFIG_KEYS = 1024
"""Keys of a run's configuration, over all ranks and attempts."""
MAX_TAKEN = 20_000
"""Processes whose successors' first steps are remembered, as many as there may be streams."""
MOST_TICK_S = 1.0
"""What one turn of the clock may add to anybody's silence: four times the usual."""

_Family = tuple[str, int, bytes]


def family_of(hello: Hello) -> _Family:
    """Return what a process and its forked children have in common, and no other has."""
    return hello.run, hello.rank, hello.parent or hello.stream


@dataclass(frozen=True, slots=True)
class News:
    """What a hello changed of its run; ``None`` where nothing."""

    config: dict[str, object] | None = None
    facts: dict[str, object] | None = None


@dataclass(slots=True)
class _Job:
    """What is known of a run besides its workers; replaced, never changed in place."""

    started: float
    config: dict[str, object] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class _Shown:
    """The newest snapshots of a run's workers."""

    infos: dict[int, WorkerInfo] = field(default_factory=dict)
    """By the worker's index."""
    order: list[tuple[int, int, int]] = field(default_factory=list)
    """Rank, attempt and index of each, sorted."""

    def take(self, worker: Worker) -> None:
        """Take a worker as it is now."""
        if worker.index not in self.infos:
            bisect.insort(self.order, (worker.rank, worker.attempt, worker.index))
        self.infos[worker.index] = worker.info()

    def in_order(self) -> tuple[WorkerInfo, ...]:
        """Return the snapshots by rank, then attempt."""
        return tuple([self.infos[index] for _, _, index in self.order])


class Workers:
    """Every worker of every run. Owner: the collector."""

    def __init__(
        self,
        store: Store,
        roster: Roster,
        counters: Counters,
        is_reached: Callable[[Worker], bool] = lambda _: True,
    ) -> None:
        """Start with nobody known.

        Args:
            store: Where workers are opened.
            roster: Where snapshots go.
            counters: Where ranks that are there twice, and facts that cannot be, are counted.
            is_reached: Says whether a worker's process has its connection still.
        """
        self._is_reached = is_reached
        self._store = store
        self._roster = roster
        self._counters = counters
        self._attempts: dict[tuple[str, int], list[Worker]] = {}
        self._families: dict[_Family, Worker] = {}
        self._taken: dict[_Family, int] = {}
        """Of processes with whose worker another went on, the first step of that other."""
        self._by_index: dict[tuple[str, int], Worker] = {}
        self._runs: dict[str, _Job] = {}
        # By run, the indices of those whose snapshots are out of date: of a fleet of thousands a
        # few have news at a time, and a snapshot costs as much as a frame.
        self._moved: defaultdict[str, set[int]] = defaultdict(set)
        self._advanced: defaultdict[str, set[int]] = defaultdict(set)
        self._shown: defaultdict[str, _Shown] = defaultdict(_Shown)
        self._listened = 0.0
        self._ticked_at: float | None = None
        self.changed: list[Worker] = []
        """Workers that were opened, taken over or ended, until they are taken out: for the
        journal."""
        self.placed: list[Worker] = []
        """Workers whose place in the layout is new or another; likewise."""

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
        if earlier[-1].ended == NEW_ATTEMPT:
            return self._open(hello, earlier[-1].attempt + 1, now)
        return None

    def decide(self, stream: Stream, first_step: int, last_step: int, now: float) -> Worker:
        """Tell by its steps whether a stream goes on where the last one ended.

        What is left over of a stream, and comes when another has gone on with its worker, stays
        with that worker as far as it lies before where that other began.

        Args:
            stream: The stream.
            first_step: First step of what came.
            last_step: Highest step of it.
            now: Wall time, seconds since the epoch.

        Raises:
            StoreFull: It is another attempt, and would be one too many.
        """
        worker, taken = stream.worker, self._taken.get(family_of(stream.hello))
        stream.is_tail = worker is not None and taken is not None and last_step < taken
        if stream.is_tail and worker is not None:
            return worker
        worker = stream.worker = self._decide(stream.hello, first_step, now)
        self.place(worker, stream.mesh)
        return worker

    def _decide(self, hello: Hello, first_step: int, now: float) -> Worker:
        known = self._families.get(family_of(hello))
        if known is not None:
            return known
        last = self._attempts[hello.run, hello.rank][-1]
        goes_on = last.last_step is None or first_step > last.last_step
        if last.state in (WorkerState.LIVE, WorkerState.JOINING) and (
            not goes_on or self._is_reached(last)
        ):
            self._counters.add("duplicate_ranks_total")
            goes_on = False
        if goes_on:
            # Should the process whose line this was come back, it opens an attempt of its own.
            self._families.pop(family_of(last.hello), None)
            self._taken[family_of(last.hello)] = first_step
            if len(self._taken) > MAX_TAKEN:
                del self._taken[next(iter(self._taken))]
            last.hello, last.ended, last.state = hello, None, WorkerState.LIVE
            self._families[family_of(hello)] = last
            self._moved[last.run].add(last.index)
            self.changed.append(last)
            return last
        return self._open(hello, last.attempt + 1, now)

    def _open(self, hello: Hello, attempt: int, now: float) -> Worker:
        index = self._store.open_worker(hello.run, hello.rank, attempt)
        worker = Worker(hello.run, hello.rank, attempt, index, hello, started=now, last_time=now)
        worker.heard = self._listened
        self.changed.append(worker)
        self._attempts.setdefault((hello.run, hello.rank), []).append(worker)
        self._by_index[hello.run, index] = worker
        self._families[family_of(hello)] = worker
        self._runs.setdefault(hello.run, _Job(now))
        self._moved[hello.run].add(index)
        return worker

    def note_config(self, stream: Stream, hello: Hello) -> News:
        """Add a rank's configuration and facts to its run's; return what is another now.

        Args:
            stream: Gets the rank's place in the layout, and so does its worker if there is one.
            hello: What it said.
        """
        facts = read_facts(hello.config.get(RESERVED))
        for what in facts.refused:
            self._counters.add("facts_refused_total", reason=what)
        stream.mesh = facts.mesh
        if stream.worker is not None:
            self.place(stream.worker, facts.mesh)
        job = self._runs[hello.run]
        own = {key: value for key, value in hello.config.items() if key != RESERVED}
        merged, known = {**job.config, **own}, merge_facts(job.facts, facts.run)
        news = News(
            merged if merged != job.config and len(merged) <= MAX_CONFIG_KEYS else None,
            known if known != job.facts else None,
        )
        if news.config is not None:
            job.config = news.config
        if news.facts is not None:
            job.facts = news.facts
        if news != News():
            self._moved.setdefault(hello.run, set())  # nobody in it moved, but the run did
        return news

    def place(self, worker: Worker, mesh: Mapping[str, int]) -> None:
        """Note where a worker stands in the parallel layout, if it says so."""
        if mesh and mesh != worker.mesh:
            worker.mesh = mesh
            self._moved[worker.run].add(worker.index)
            self.placed.append(worker)

    def at(self, run: str, index: int) -> Worker | None:
        """Return the worker with an index of the store."""
        return self._by_index.get((run, index))

    def restore(self, head: Head, stored: Mapping[int, int], now: float) -> None:
        """Take over the workers of a run that was called back from the disk.

        Args:
            head: What its file says.
            stored: Rows of each worker index there.
            now: Wall time, seconds since the epoch.
        """
        run = head.run
        self._runs[run] = _Job(head.started, dict(head.config or {}), dict(head.facts))
        missing: defaultdict[int, int] = defaultdict(int)
        for index, gap in head.gaps:
            missing[index] += gap.rows
        for row in sorted(head.workers.values(), key=lambda row: row.index):
            worker = worker_of(run, row, head.meshes.get(row.index, {}))
            worker.heard = self._listened
            if worker.ended is None and now - worker.last_time > GONE_AFTER_S:
                worker.state = WorkerState.GONE
            worker.tally.stored = stored.get(row.index, 0)
            worker.tally.missing = missing[row.index]
            self._attempts.setdefault((run, row.rank), []).append(worker)
            self._by_index[run, row.index] = worker
            self._families[family_of(worker.hello)] = worker
        for stream in head.streams.values():
            spoken = None if stream.worker is None else self.at(run, stream.worker)
            if spoken is not None:
                spoken.tally.sent += max(stream.sent, stream.next_row)
        self._moved[run].update(head.workers)

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
            worker.heard = self._listened
            self._advanced[worker.run].add(worker.index)
            return
        worker.heard = self._listened
        news = self._moved if worker.meet(event, now) else self._advanced
        news[worker.run].add(worker.index)

    def advanced(self, worker: Worker) -> None:
        """Note that a worker's next snapshot differs; it is made with the next tick."""
        self._advanced[worker.run].add(worker.index)

    def end(self, worker: Worker, how: str, now: float) -> None:
        """Let a worker say goodbye.

        Args:
            worker: Who.
            how: What it said.
            now: Wall time, seconds since the epoch.
        """
        worker.ended = how
        self.changed.append(worker)
        self.meet(worker, WorkerEvent.BYE_OK if how in ENDED_WELL else WorkerEvent.BYE_ERROR, now)

    def silence_of(self, worker: Worker) -> float:
        """Return for how many seconds a worker could have been heard and was not."""
        return self._listened - worker.heard

    def tick(self, mono: float) -> None:
        """Find out who has fallen silent, and let the next :meth:`publish` tell all progress.

        Only time in which frames could be heard counts as silence: after a pause of this process,
        or of its machine, everybody has their seconds anew.

        Args:
            mono: Monotonic time, seconds.
        """
        if self._ticked_at is not None:
            self._listened += min(mono - self._ticked_at, MOST_TICK_S)
        self._ticked_at = mono
        for worker in itertools.chain.from_iterable(self._attempts.values()):
            silent_s = self.silence_of(worker)
            if silent_s > STALE_AFTER_S:
                lost = silent_s > GONE_AFTER_S
                if worker.meet(WorkerEvent.LOST if lost else WorkerEvent.SILENT, worker.last_time):
                    self._moved[worker.run].add(worker.index)
        for run, indices in self._advanced.items():
            self._moved[run] |= indices
        self._advanced.clear()

    def publish(self) -> None:
        """Give the roster a snapshot of each run in which a worker appeared or changed state."""
        if not self._moved:
            return
        for run, indices in self._moved.items():
            shown = self._shown[run]
            for index in indices:
                shown.take(self._by_index[run, index])
            job, infos = self._runs[run], shown.in_order()
            info = RunInfo(
                run=run, started=job.started, workers=infos, config=job.config, facts=job.facts
            )
            self._roster.replace(info)
        self._moved.clear()

    def keep_families_of(self, streams: Iterable[Stream]) -> None:
        """Forget who belongs to whom but for these streams."""
        self._families = {
            family_of(stream.hello): stream.worker
            for stream in streams
            if stream.speaks_for is not None and stream.worker is not None
        }
