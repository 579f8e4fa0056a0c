"""The attempts before the current one, while they are still being delivered.

Law: each keeps its own thread, connection and buffer until it is through, and what it counted
afterwards too; there is a limit to how many there are.
"""

from __future__ import annotations

import math

from streamviz.clock import monotonic_time
from streamviz.publisher.stream import Stream, Totals

__all__ = ["MOST_FORMER", "Former"]

MOST_FORMER = 8
"""Earlier attempts under way at a time: each has a thread, a socket and a buffer of its own."""


class Former:
    """Streams that were told to end, from the oldest to the newest."""

    def __init__(self) -> None:
        self._streams: list[Stream] = []
        self._past = Totals(0, 0, {}, {})

    @property
    def is_full(self) -> str:
        """Why there may be no more of them; nothing if there may."""
        if len(self._streams) < MOST_FORMER:
            return ""
        return f"{MOST_FORMER} earlier attempts are still being delivered"

    @property
    def is_safe(self) -> bool:
        """Whether all of them are acknowledged, or in files where that is meant."""
        return all(stream.is_safe for stream in self._streams)

    def add(self, stream: Stream) -> None:
        """Let a stream end as soon as all of it is delivered."""
        self._streams.append(stream)
        stream.close(math.inf, "new attempt")

    def let_go(self, current: Stream) -> None:
        """Forget those that are through, but for what they counted.

        Args:
            current: Gets the rows that another thread put into one of them too late.
        """
        for stream in [stream for stream in self._streams if stream.has_ended]:
            current.outbox.rows.extend(stream.outbox.rows)
            stream.outbox.rows.clear()
            self._past = self._past.plus(stream.totals())
            self._streams.remove(stream)

    def totals(self) -> Totals:
        """Return what all of them counted."""
        total = self._past
        for stream in list(self._streams):
            total = total.plus(stream.totals())
        return total

    def close(self, deadline: float) -> None:
        """Ask all of them to end by a monotonic time."""
        for stream in self._streams:
            stream.close(deadline, "new attempt")

    def wait(self, deadline: float) -> None:
        """Wait for their end until a monotonic time."""
        for stream in list(self._streams):
            stream.wait(deadline - monotonic_time())
