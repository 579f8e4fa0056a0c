"""Where one rank stands: what the sentences and rules about ranks are made from.

Law: a value; whoever makes it has read the clocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamviz.ingest.liveness import WorkerState

__all__ = ["ENDED", "SILENT", "Standing"]

SILENT = frozenset({WorkerState.STALE, WorkerState.GONE})
"""Not heard of, and not known to have ended."""
ENDED = frozenset({WorkerState.DONE, WorkerState.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The latest attempt of one rank, at a moment."""

    rank: int
    host: str
    state: WorkerState
    step: int | None
    """The last it made, ``None`` before its first."""
    still_s: float
    """Seconds since that step moved, as far as it was watched."""
    phase: str | None
    phase_s: float
    """Seconds that it has been in that phase, up to this moment."""
    age_s: float
    """Seconds since it was heard of."""
    watched: bool = True
    """Whether it was heard of alive while somebody watched; not so of what an earlier server
    process recorded."""
