"""Is a worker alive: its states, and the one table that moves it between them.

Law: no clock; whoever asks hands over how long the worker has been silent.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

__all__ = ["GONE_AFTER_S", "STALE_AFTER_S", "WorkerEvent", "WorkerState", "next_state", "run_state"]

STALE_AFTER_S = 5.0
"""Seconds without a frame after which a worker is stale: five missed heartbeats."""

GONE_AFTER_S = 60.0
"""Seconds without a frame after which nobody expects it back."""


class WorkerState(str, enum.Enum):
    """What is known of a worker."""

    JOINING = "joining"
    """Said hello, has sent no sample."""
    LIVE = "live"
    """Heard from within ``STALE_AFTER_S``."""
    STALE = "stale"
    """Silent for longer; may come back."""
    GONE = "gone"
    """Silent for longer than ``GONE_AFTER_S``, without a goodbye."""
    DONE = "done"
    """Said goodbye after a clean end."""
    FAILED = "failed"
    """Said goodbye while an exception ended it."""


class WorkerEvent(str, enum.Enum):
    """What may happen to a worker."""

    SAMPLES = "samples"
    HEARTBEAT = "heartbeat"
    SILENT = "silent"
    """No frame for ``STALE_AFTER_S``."""
    LOST = "lost"
    """No frame for ``GONE_AFTER_S``."""
    BYE_OK = "bye ok"
    BYE_ERROR = "bye error"


_S, _E = WorkerState, WorkerEvent
TRANSITIONS: dict[WorkerState, dict[WorkerEvent, WorkerState]] = {
    _S.JOINING: {
        _E.SAMPLES: _S.LIVE,
        _E.SILENT: _S.STALE,
        _E.LOST: _S.GONE,
        _E.BYE_OK: _S.DONE,
        _E.BYE_ERROR: _S.FAILED,
    },
    _S.LIVE: {
        _E.SILENT: _S.STALE,
        _E.LOST: _S.GONE,
        _E.BYE_OK: _S.DONE,
        _E.BYE_ERROR: _S.FAILED,
    },
    _S.STALE: {
        _E.SAMPLES: _S.LIVE,
        _E.HEARTBEAT: _S.LIVE,
        _E.LOST: _S.GONE,
        _E.BYE_OK: _S.DONE,
        _E.BYE_ERROR: _S.FAILED,
    },
    _S.GONE: {
        _E.SAMPLES: _S.LIVE,
        _E.HEARTBEAT: _S.LIVE,
        _E.BYE_OK: _S.DONE,
        _E.BYE_ERROR: _S.FAILED,
    },
    # A goodbye is final but for samples that were resent after it.
    _S.DONE: {},
    _S.FAILED: {},
}
"""What each event does in each state; an event that is not listed changes nothing."""


def next_state(state: WorkerState, event: WorkerEvent) -> WorkerState:
    """Return the state after an event."""
    return TRANSITIONS[state].get(event, state)


_WORST_FIRST = (_S.FAILED, _S.LIVE, _S.STALE, _S.JOINING, _S.GONE, _S.DONE)


def run_state(workers: Sequence[WorkerState]) -> WorkerState:
    """Return one word for a run: failed if any worker failed, else live while any is live.

    Args:
        workers: The states of the latest attempt of every rank; may be empty.
    """
    for state in _WORST_FIRST:
        if state in workers:
            return state
    return WorkerState.JOINING
