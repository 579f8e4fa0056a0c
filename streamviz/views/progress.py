"""How fast a run makes steps, and how long it still has.

Law: a number is given only while the run moves and enough was seen of it; otherwise nothing is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Progress", "Speed"]

WINDOW_S = 30.0
"""Steps of this long are what the speed is of: it follows a change and does not flicker."""
LEAST_NOTES = 4
"""Movements seen before a speed is said; slow steps are kept until there are as many."""
LEAST_S = 2.0
"""Shortest time over which a speed is taken, seconds."""
STILL_S = 5.0
"""A run that has not moved for this long, and for four of its usual movements, has no speed."""
_STILL_MOVES = 4.0
_MOST_NOTES = 256


@dataclass(frozen=True, slots=True)
class Speed:
    """What is known of a run's progress; ``None`` for what is not.

    Attributes:
        steps_per_s: Steps a second.
        total_steps: Steps that it is to make.
        eta_s: Seconds that the rest will take at this speed.
        throughput: Tokens, or else samples, a second, of all ranks.
        throughput_unit: ``tokens/s`` or ``samples/s``.
        mfu: Model FLOPs utilisation: the share of the devices' peak that the steps use, as in
            Chowdhery et al., PaLM (2022), appendix B.
    """

    steps_per_s: float | None = None
    total_steps: int | None = None
    eta_s: float | None = None
    throughput: float | None = None
    throughput_unit: str | None = None
    mfu: float | None = None

    def told(self) -> dict[str, object]:
        """Return the fields of the status that say so."""
        return {name: getattr(self, name) for name in self.__slots__}


class Progress:
    """When a run moved on, and to which step."""

    def __init__(self) -> None:
        self._notes: deque[tuple[float, float]] = deque(maxlen=_MOST_NOTES)

    def note(self, now: float, step: float | None) -> None:
        """Take in where the run stands.

        Args:
            now: Monotonic time, seconds.
            step: The last step of the rank in the middle; ``None`` before any.
        """
        notes = self._notes
        if step is None or (notes and notes[-1][1] == step):
            return
        if notes and step < notes[-1][1]:
            notes.clear()  # it went back to a checkpoint: what was is no measure
        notes.append((now, step))
        while len(notes) > LEAST_NOTES and now - notes[0][0] > WINDOW_S:
            notes.popleft()

    def steps_per_s(self, now: float) -> float | None:
        """Return the speed, steps a second; ``None`` while it stands still or is too young."""
        notes = self._notes
        if len(notes) < LEAST_NOTES:
            return None
        (first, low), (last, high) = notes[0], notes[-1]
        span = last - first
        if span < LEAST_S or now - last > max(STILL_S, _STILL_MOVES * span / (len(notes) - 1)):
            return None
        return (high - low) / span

    def speed(self, now: float, facts: Mapping[str, object], ranks: int) -> Speed:
        """Return what is known.

        Args:
            now: Monotonic time, seconds.
            facts: The run's, as :class:`~streamviz.ingest.roster.RunInfo` has them.
            ranks: Ranks of the job.
        """
        pace = self.steps_per_s(now)
        total = facts.get("total_steps")
        total = total if isinstance(total, int) else None
        if pace is None:
            return Speed(total_steps=total)
        eta = None
        if total is not None:
            # Steps are counted from zero: after step 9 ten were made.
            eta = max(0.0, total - 1 - self._notes[-1][1]) / pace
        flops, peak = _number(facts, "flops_per_step"), _number(facts, "peak_flops")
        mfu = None if flops is None or peak is None else flops * pace / (peak * max(1, ranks))
        for unit in ("tokens", "samples"):
            amount = _number(facts, f"{unit}_per_step")
            if amount is not None:
                return Speed(pace, total, eta, amount * pace, f"{unit}/s", mfu)
        return Speed(pace, total, eta, mfu=mfu)


def _number(facts: Mapping[str, object], name: str) -> float | None:
    value = facts.get(name)
    return float(value) if isinstance(value, (int, float)) else None
