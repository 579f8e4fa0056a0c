"""What became of the rows of a run, and who sends them twice: sums over its workers.

Law: pure functions of snapshots; *sent = stored + missing + held + lost*, always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from streamviz.ingest.liveness import WorkerState

if TYPE_CHECKING:
    from streamviz.ingest.roster import RunInfo, WorkerInfo

__all__ = ["MAX_TOLD", "OVERLAP_S", "delivery", "dropped_by_reason", "duplicates", "workers_total"]

OVERLAP_S = 3.0
"""A process that is heard from so long after another began for the same rank runs beside it. One
that was killed and started again is not: the last word of the old one comes a beat after the start
of the new one at most."""

MAX_TOLD = 8
"""Most ranks whose processes are told one by one."""

_ACTIVE = frozenset({WorkerState.JOINING, WorkerState.LIVE})
_MAY_HOLD = _ACTIVE | {WorkerState.STALE}


def dropped_by_reason(runs: Iterable[RunInfo]) -> dict[str, int]:
    """Return how many rows the publishers of some runs had to drop, by their own count."""
    total: Counter[str] = Counter()
    for run in runs:
        for worker in run.workers:
            if worker.dropped:  # most never drop any, and an update costs a microsecond
                total.update(worker.dropped)
    return dict(total)


def workers_total(workers: Iterable[WorkerInfo]) -> dict[str, int]:
    """Return what became of the rows of some workers.

    Returns:
        ``sent`` = ``stored`` + ``missing`` (in gaps) + ``held`` (by publishers) + ``lost``; further
        ``spilled``, which are among the held, and ``repeated``, frames that came again. ``lost``
        are rows that nobody speaks for: their process ended without a word, or its rank is gone,
        and they are on no disk.
    """
    sent = stored = missing = held = spilled = repeated = 0
    for worker in workers:
        settled = worker.stored + worker.missing
        # Rows may have come since the publisher last counted.
        open_rows = max(0, worker.sent - settled)
        sent += settled + open_rows
        stored += worker.stored
        missing += worker.missing
        repeated += worker.repeated
        if open_rows:
            # What lies on a disk outlives its process, and comes when it is brought.
            kept = min(open_rows, worker.held if worker.state in _MAY_HOLD else worker.spilled)
            held += kept
            spilled += min(kept, worker.spilled)
    return {
        "sent": sent,
        "stored": stored,
        "missing": missing,
        "held": held,
        "lost": sent - stored - missing - held,
        "spilled": spilled,
        "repeated": repeated,
    }


def delivery(run: RunInfo) -> dict[str, object]:
    """Return what became of a run's rows, with what was dropped by reason."""
    return {**workers_total(run.workers), "dropped": dropped_by_reason([run])}


def duplicates(run: RunInfo) -> list[dict[str, object]]:
    """Return the ranks that several live processes claim, with the processes of the first few."""
    active = [worker for worker in run.workers if worker.state in _ACTIVE]
    found: list[dict[str, object]] = []
    if len({worker.rank for worker in active}) == len(active):
        return found  # nearly always, and soon known
    by_rank: dict[int, list[WorkerInfo]] = {}
    for worker in active:
        by_rank.setdefault(worker.rank, []).append(worker)
    for rank, workers in by_rank.items():
        newest = max(worker.started for worker in workers)
        beside = [
            worker
            for worker in workers
            if worker.started == newest or worker.last_time >= newest + OVERLAP_S
        ]
        if len(beside) < 2:
            continue
        told = beside if len(found) < MAX_TOLD else []
        processes = [
            {"attempt": worker.attempt, "host": worker.host, "pid": worker.pid} for worker in told
        ]
        found.append({"rank": rank, "processes": processes})
    return found
