"""What is said of runs and of the server, as plain JSON values.

Law: pure functions of snapshots; the time is handed in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from streamviz.ingest.liveness import WorkerState
from streamviz.views.delivery import delivery, duplicates

if TYPE_CHECKING:
    from streamviz.ingest.roster import RunInfo
    from streamviz.journal.entries import Head
    from streamviz.journal.state import JournalState

__all__ = [
    "MAX_CONFIG_TOLD",
    "attempt_of",
    "journal_row",
    "newest_active",
    "plain_config",
    "run_detail",
    "run_for_api",
    "run_on_disk",
    "run_row",
]

MAX_CONFIG_TOLD = 64
"""Entries of a run's configuration that a page is told, to group runs by."""
_LONGEST_VALUE = 80

_ACTIVE = frozenset({WorkerState.JOINING, WorkerState.LIVE, WorkerState.STALE})


def newest_active(runs: Sequence[RunInfo]) -> RunInfo | None:
    """Return the newest run that is going on, else the newest, ``None`` without any.

    Args:
        runs: In order of their start.
    """
    active = [run for run in runs if run.state in _ACTIVE]
    newest = active or runs
    return newest[-1] if newest else None


def attempt_of(run: RunInfo) -> int:
    """Return the number of a run's newest attempt."""
    return max((worker.attempt for worker in run.workers), default=0)


def journal_row(state: JournalState, now: float) -> dict[str, object]:
    """Return how recording goes, for the page and the API.

    Args:
        state: The recorder's snapshot.
        now: Server wall time, seconds since the epoch.
    """
    return {
        "kind": state.kind,
        "since_s": None if state.since is None else max(0.0, now - state.since),
        "detail": state.detail,
        "bytes_used": state.bytes_used,
        "bytes_allowed": state.bytes_allowed,
        "path": state.path,
    }


def run_row(run: RunInfo) -> dict[str, object]:
    """Return a run's entry in the page's list of runs."""
    return {
        "run": run.run,
        "state": run.state.value,
        "ranks_live": run.ranks_live,
        "ranks_expected": run.ranks_expected,
        "attempts": run.attempts,
        "attempt": attempt_of(run),
        "started": run.started,
        "last_time": run.last_time,
    }


def plain_config(config: Mapping[str, object]) -> dict[str, object]:
    """Return what of a run's configuration runs may be grouped by: plain values of short text."""
    told: dict[str, object] = {}
    for key, value in config.items():
        if len(told) == MAX_CONFIG_TOLD:
            break
        if isinstance(value, float) and not math.isfinite(value):
            continue
        if isinstance(value, (bool, int, float, str)) and len(str(value)) <= _LONGEST_VALUE:
            told[key] = value
    return told


def run_detail(run: RunInfo, metrics: Sequence[str]) -> dict[str, object]:
    """Return a run's structure and who works for it."""
    return {
        "run": run.run,
        "metrics": list(metrics),
        "workers": [
            {
                "rank": worker.rank,
                "attempt": worker.attempt,
                "host": worker.host,
                "state": worker.state.value,
                "mesh": dict(worker.mesh),
            }
            for worker in run.workers
        ],
        "facts": dict(run.facts),
        "config": plain_config(run.config),
        "duplicates": duplicates(run),
        "started": run.started,
    }


def run_for_api(run: RunInfo, metrics: Sequence[str], now: float) -> dict[str, object]:
    """Return a run's entry in ``/api/v1/runs``.

    Args:
        run: Its snapshot.
        metrics: Its metrics' names.
        now: Server wall time, seconds since the epoch.
    """
    return {
        "run": run.run,
        "state": run.state.value,
        "started": run.started,
        "attempts": run.attempts,
        "workers": [
            {
                "rank": worker.rank,
                "world_size": worker.world_size,
                "host": worker.host,
                "pid": worker.pid,
                "attempt": worker.attempt,
                "state": worker.state.value,
                "last_step": worker.last_step,
                "age_s": max(0.0, now - worker.last_time),
                "mesh": dict(worker.mesh),
            }
            for worker in run.workers
        ],
        "facts": dict(run.facts),
        "duplicates": duplicates(run),
        "delivery": delivery(run),
        "metrics": list(metrics),
    }


def run_on_disk(head: Head, last_time: float, now: float) -> dict[str, object]:
    """Return the entry in ``/api/v1/runs`` of a run that only the disk has.

    Args:
        head: All of it but its rows.
        last_time: Wall time of its newest row, seconds since the epoch.
        now: Server wall time, seconds since the epoch.
    """
    workers = sorted(head.workers.values(), key=lambda worker: (worker.rank, worker.attempt))
    return {
        "run": head.run,
        "state": "recorded",
        "started": head.started,
        "attempts": len({worker.attempt for worker in workers}),
        "workers": [
            {
                "rank": worker.rank,
                "world_size": worker.world_size,
                "host": worker.host,
                "pid": worker.pid,
                "attempt": worker.attempt,
                "state": "recorded",
                "last_step": worker.last_step,
                "age_s": max(0.0, now - min(worker.last_time, last_time)),
                "mesh": dict(head.meshes.get(worker.index, {})),
            }
            for worker in workers
        ],
        "facts": dict(head.facts),
        "duplicates": [],
        "delivery": None,
        "metrics": sorted({name for names in head.tables.values() for name in names}),
    }
