"""Who may hold how many bytes, and who gives way when they are spent.

Full resolution gives way first, of what nobody has watched for longest; the overviews follow; after
that nothing new is admitted.

Law: ``held`` never exceeds ``allowed`` when a public method of the store returns, and what was
evicted is counted.
"""

from __future__ import annotations

from typing import Protocol

from streamviz.counters import Counters
from streamviz.errors import ConfigError

__all__ = ["BUDGET_MIN", "Budget", "Holder"]

BUDGET_MIN = 1 << 20
"""Bytes; a few runs of a few series fit."""
WATCH_GRACE_S = 30.0
"""Two tables watched within this time of one another count as watched alike, so that two open
panels do not take rows from each other in turns."""


class Holder(Protocol):
    """A table, as the budget sees it."""

    watched: float
    """Monotonic time of the last read, seconds; ``-inf`` before the first."""

    @property
    def ring_bytes(self) -> int:
        """Bytes of rows in full resolution."""

    def shrink_ring(self) -> int:
        """Give back about half of the ring; return the bytes, 0 when it is at its smallest."""

    def shrink_overview(self) -> int:
        """Give back half of the overview; return the bytes, 0 when it is at its smallest."""


class Budget:
    """Bytes granted and bytes left.

    Owner: the store, under its lock.
    """

    def __init__(self, allowed: int, counters: Counters | None = None) -> None:
        if allowed < BUDGET_MIN:
            raise ConfigError(
                "budget_bytes", allowed, f"at least {BUDGET_MIN}, the smallest usable memory budget"
            )
        self.allowed = allowed
        self.held = 0
        self.evicted_rows = 0
        self.holders: list[Holder] = []
        self._counters = counters

    def take(self, amount: int) -> bool:
        """Grant ``amount`` bytes if they are free."""
        if self.held + amount > self.allowed:
            return False
        self.held += amount
        return True

    def give(self, amount: int) -> None:
        """Take bytes back."""
        self.held -= amount

    def evicted(self, rows: int) -> None:
        """Count rows that made room for newer ones."""
        self.evicted_rows += rows
        if self._counters is not None:
            self._counters.add("rows_evicted_total", rows)

    def take_for_ring(self, amount: int, holder: Holder) -> bool:
        """Grant bytes for newer rows of ``holder``, at the cost of rings with a lesser claim.

        A lesser claim has what was watched clearly longer ago, or alike but holds over twice as
        much: so rings in need settle within a factor of two instead of evicting each other.
        """
        if self.take(amount):
            return True
        size = holder.ring_bytes
        for other in self._by_claim():
            while other is not holder and (
                other.watched < holder.watched - WATCH_GRACE_S
                or (other.watched <= holder.watched + WATCH_GRACE_S and other.ring_bytes > 2 * size)
            ):
                if not other.shrink_ring():
                    break
                if self.take(amount):
                    return True
        return False

    def take_for_overview(self, amount: int) -> bool:
        """Grant bytes for an overview, at the cost of any ring."""
        return self.take(amount) or self._reclaim_rings(amount)

    def relieve(self) -> None:
        """Let every ring give back about half, and what that was be granted to nobody again."""
        before = self.held
        for holder in self.holders:
            holder.shrink_ring()
        self.allowed = max(self.allowed - (before - self.held), self.held, BUDGET_MIN)

    def take_for_admission(self, amount: int) -> bool:
        """Grant bytes for a new table or worker, at the cost of any ring, then any overview."""
        if self.take_for_overview(amount):
            return True
        for other in sorted(self.holders, key=lambda table: table.watched):
            while other.shrink_overview():
                if self.take(amount):
                    return True
        return False

    def _by_claim(self) -> list[Holder]:
        """Return the holders, first the one that should give way first."""
        return sorted(
            self.holders, key=lambda table: (table.watched // WATCH_GRACE_S, -table.ring_bytes)
        )

    def _reclaim_rings(self, amount: int) -> bool:
        for other in self._by_claim():
            while other.shrink_ring():
                if self.take(amount):
                    return True
        return False
