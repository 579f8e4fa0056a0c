"""Which step of the training it is, between two calls of ``send``.

Law: right after a ``send`` it is the step after that one; until the next it goes on as fast as the
steps sent have gone on with the optimizer's so far.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Pace"]


class Pace:
    """Tells the step being made from the last one sent and the steps of an optimizer.

    Args:
        last_sent: Returns the last step sent, -1 before any.
    """

    def __init__(self, last_sent: Callable[[], int]) -> None:
        self._last_sent = last_sent
        self._sent = last_sent()
        self._count = 0
        """Steps of the optimizer when that was first seen."""
        self._rate = 1.0
        """Steps that are sent for one of the optimizer."""

    def step(self, count: int) -> int:
        """Return the step being made, when the optimizer has made ``count``."""
        sent = self._last_sent()
        if sent != self._sent:
            if sent > self._sent and count > self._count:
                rate = (sent - self._sent) / (count - self._count)
                # A training that is resumed begins far from 0.
                self._rate = rate if self._sent >= 0 else min(rate, 1.0)
            self._sent, self._count = sent, count
        return sent + 1 + int(self._rate * max(count - self._count, 0))
