"""Where the time of a step goes: ``with publisher.phase("data"): ...``.

Law: entering and leaving cost two clock readings; nothing is sent until the next ``send``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from streamviz.clock import monotonic_time

__all__ = ["Phases"]


class Phases:
    """Seconds spent in each phase since they were last taken, and the phase under way.

    A phase inside a phase counts for both.

    Attributes:
        totals: Seconds by phase; empty while there is nothing to send.
    """

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self._under_way: list[tuple[str, float]] = []

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure what happens inside."""
        entered = (name, monotonic_time())
        self._under_way.append(entered)
        try:
            yield
        finally:
            seconds = monotonic_time() - entered[1]
            if entered in self._under_way:
                self._under_way.remove(entered)
            self.totals[name] = self.totals.get(name, 0.0) + seconds

    def take(self) -> dict[str, float | object]:
        """Return the seconds as metrics ``phase/<name>`` and start again from nothing."""
        totals, self.totals = self.totals, {}
        return {f"phase/{name}": seconds for name, seconds in totals.items()}

    def current(self, now: float) -> tuple[str | None, float]:
        """Return the innermost phase under way and for how many seconds it has been."""
        try:
            name, since = self._under_way[-1]
        except IndexError:
            return None, 0.0
        return name, max(now - since, 0.0)
