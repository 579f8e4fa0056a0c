"""How the ranks of a run get on: since when each stands still, how long a step takes.

Law: time is handed in; silence of the server itself is no standstill.
"""

from __future__ import annotations

from collections import deque
from statistics import median

from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import RunInfo
from streamviz.insight.standing import ENDED, Standing

__all__ = ["Progress"]

_STEP_TIMES = 64
"""Advances remembered, to say how long a step usually takes."""
_LONGEST_TURN_S = 5.0
"""What one turn may add to anybody's standstill: more, and the server was away itself."""
_ALIVE = frozenset({WorkerState.LIVE, WorkerState.JOINING})


class Progress:
    """Owner: the watch of a run."""

    def __init__(self) -> None:
        self.step_s = 0.0
        """What a step usually takes, seconds; 0 before that is known."""
        self._clock = 0.0
        """Seconds watched, pauses of this process aside."""
        self._turned: float | None = None
        self._moved: dict[int, tuple[int | None, float]] = {}
        """By worker: its last step, and when it was made, on the clock above."""
        self._seen_alive: set[int] = set()
        self._top: tuple[int, float] | None = None
        self._times: deque[float] = deque(maxlen=_STEP_TIMES)
        self._attempt = -1

    @property
    def is_alive(self) -> bool:
        """Whether some rank was seen alive."""
        return bool(self._seen_alive)

    def look(self, info: RunInfo, mono: float) -> bool:
        """Take in how a run is; say whether some rank is not simply going on.

        Args:
            info: Its snapshot.
            mono: Monotonic time, seconds.
        """
        if self._turned is not None:
            self._clock += min(mono - self._turned, _LONGEST_TURN_S)
        self._turned = mono
        clock = self._clock
        trouble = False
        oldest = clock
        for worker in info.current:
            held = self._moved.get(worker.index)
            if held is None or held[0] != worker.last_step:
                self._moved[worker.index] = (worker.last_step, clock)
            elif held[1] < oldest and worker.state not in ENDED:
                oldest = held[1]
            if worker.state in _ALIVE:
                self._seen_alive.add(worker.index)
            else:
                trouble = trouble or worker.state is not WorkerState.DONE
        self._note_steps(info, clock)
        return trouble or clock - oldest > 1.0

    def _note_steps(self, info: RunInfo, clock: float) -> None:
        attempt = max((worker.attempt for worker in info.current), default=0)
        if attempt != self._attempt:
            self._attempt, self._top = attempt, None
        steps = [worker.last_step for worker in info.current if worker.last_step is not None]
        top = max(steps, default=None)
        if top is None or (self._top is not None and top <= self._top[0]):
            return
        if self._top is not None:
            self._times.append((clock - self._top[1]) / (top - self._top[0]))
            self.step_s = median(self._times)
        self._top = (top, clock)

    def standings(self, info: RunInfo, now: float) -> list[Standing]:
        """Return where the latest attempt of every rank stands, by rank.

        Args:
            info: The run's snapshot, as last looked at.
            now: Wall time, seconds since the epoch.
        """
        found = []
        for worker in info.current:
            heard = max(0.0, now - worker.last_time)
            found.append(
                Standing(
                    rank=worker.rank,
                    host=worker.host,
                    state=worker.state,
                    step=worker.last_step,
                    still_s=self._clock - self._moved[worker.index][1],
                    phase=worker.phase,
                    # The heartbeat told it; it has gone on since.
                    phase_s=worker.phase_s + heard,
                    age_s=heard,
                    watched=worker.index in self._seen_alive,
                )
            )
        return found
