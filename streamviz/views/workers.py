"""The liveness board: how every rank of a run is, in columns, twice a second at most.

Law: each text is made once, however many pages are told, and only while one of them asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamviz.clock import monotonic_time, wall_time
from streamviz.ingest.liveness import WorkerState
from streamviz.views.messages import text_of

if TYPE_CHECKING:
    from streamviz.ingest.roster import Roster, RunInfo, WorkerInfo

__all__ = ["BOARD_EVERY_S", "MAX_BOARD_RANKS", "Boards", "Seat", "moving_columns", "who_columns"]

BOARD_EVERY_S = 0.5
"""Shortest time between two texts of a run."""

MAX_BOARD_RANKS = 4_096
"""Ranks on a board: 17 bytes each, twice a second. Of more the ones in trouble come first."""

STATES = tuple(state.value for state in WorkerState)

_WORST_FIRST = (
    WorkerState.FAILED,
    WorkerState.GONE,
    WorkerState.STALE,
    WorkerState.JOINING,
    WorkerState.LIVE,
    WorkerState.DONE,
)


@dataclass(slots=True, eq=False)
class Seat:
    """What one page has been told of the board it asked for."""

    run: str | None = None
    """``None``: it shows no board."""
    who: int = 0
    told: int = 0

    def take(self, run: str | None) -> None:
        """Show the board of a run from now on, from the start."""
        self.run, self.who, self.told = run, 0, 0


@dataclass(slots=True, eq=False)
class _Board:
    """The texts of one run's board."""

    info: RunInfo | None = None
    key: object = None
    """Differs whenever ``who`` does."""
    who: str = ""
    who_number: int = 0
    moving: str = ""
    number: int = 0
    made_at: float = field(default=float("-inf"))


class Boards:
    """The boards that somebody looks at. Owner: the hub, on its loop."""

    def __init__(self, roster: Roster) -> None:
        """Start with none.

        Args:
            roster: Who publishes.
        """
        self._roster = roster
        self._boards: dict[str, _Board] = {}
        self._number = 0

    def keep(self, seats: Sequence[Seat]) -> None:
        """Forget the boards that nobody looks at."""
        wanted = {seat.run for seat in seats}
        for run in [run for run in self._boards if run not in wanted]:
            del self._boards[run]

    def news(self, seat: Seat) -> Iterator[str]:
        """Yield what a page has not been told of its board, and note that it has."""
        if seat.run is None:
            return
        board = self._of(seat.run)
        if board is None:
            return
        if seat.who != board.who_number:
            seat.who = board.who_number
            yield board.who
        if seat.told != board.number:
            seat.told = board.number
            yield board.moving

    def _of(self, run: str) -> _Board | None:
        board = self._boards.get(run)
        now = monotonic_time()
        if board is not None and now - board.made_at < BOARD_EVERY_S:
            return board
        info = self._roster.run(run)
        if info is None:
            return None
        if board is None:
            board = self._boards[run] = _Board()
        workers = _shown(info)
        key = tuple((one.rank, one.attempt, one.host, one.local_rank) for one in workers)
        expected = info.ranks_expected
        if (key, expected) != board.key:
            board.key = (key, expected)
            board.who_number = self._next()
            board.who = text_of(
                "ranks",
                run=run,
                who=board.who_number,
                expected=expected,
                ranks=len(info.current),
                **who_columns(workers),
            )
        board.number, board.made_at = self._next(), now
        board.moving = text_of(
            "workers", run=run, who=board.who_number, **moving_columns(workers, wall_time())
        )
        return board

    def _next(self) -> int:
        self._number += 1
        return self._number


def _shown(info: RunInfo) -> Sequence[WorkerInfo]:
    """Return the latest attempt of every rank by rank; of too many the worst."""
    current = info.current
    if len(current) <= MAX_BOARD_RANKS:
        return current
    order = {state: i for i, state in enumerate(_WORST_FIRST)}

    def worse(worker: WorkerInfo) -> tuple[int, int]:
        return order[worker.state], -1 if worker.last_step is None else worker.last_step

    return sorted(sorted(current, key=worse)[:MAX_BOARD_RANKS], key=lambda worker: worker.rank)


def who_columns(workers: Sequence[WorkerInfo]) -> dict[str, object]:
    """Return what of some workers does not change while they live.

    Returns:
        Columns of one entry a worker: ``rank``, ``attempt``, ``local`` (its place on its node) and
        ``host``, an index into ``hosts``.
    """
    hosts: dict[str, int] = {}
    host = [hosts.setdefault(worker.host, len(hosts)) for worker in workers]
    return {
        "rank": [worker.rank for worker in workers],
        "attempt": [worker.attempt for worker in workers],
        "local": [worker.local_rank for worker in workers],
        "host": host,
        "hosts": list(hosts),
    }


def moving_columns(workers: Sequence[WorkerInfo], now: float) -> dict[str, object]:
    """Return how some workers are.

    Args:
        workers: In the order of :func:`who_columns`.
        now: Server wall time, seconds since the epoch.

    Returns:
        ``front``, the highest step of all, and columns of one entry a worker: ``state``, an index
        into ``states``; ``behind``, steps behind the front, ``None`` before its first; ``phase``,
        an index into ``phases``, -1 for none; ``phase_s`` and ``age``, the time since its last
        word, in seconds; ``dropped``, rows.
    """
    number = {state: i for i, state in enumerate(WorkerState)}
    front = max((one.last_step for one in workers if one.last_step is not None), default=None)
    phases: dict[str, int] = {}
    phase = [
        -1 if worker.phase is None else phases.setdefault(worker.phase, len(phases))
        for worker in workers
    ]
    return {
        "front": front,
        "states": STATES,
        "phases": list(phases),
        "state": [number[worker.state] for worker in workers],
        "behind": [
            None if front is None or worker.last_step is None else front - worker.last_step
            for worker in workers
        ],
        "phase": phase,
        "phase_s": [_seconds(worker.phase_s) for worker in workers],
        "age": [_seconds(now - worker.last_time) for worker in workers],
        "dropped": [sum(worker.dropped.values()) for worker in workers],
    }


def _seconds(seconds: float) -> float | int:
    """Return seconds in as many digits as are read: tenths up to ten."""
    seconds = max(0.0, seconds)
    return round(seconds, 1) if seconds < 10 else round(seconds)
