"""Acknowledgements: which are due, and the window and pace that they carry.

Law: nothing is acknowledged that could be lost if everything stopped now; a fleet's frames cost the
server no more than so many a second, whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from streamviz.ingest.stream import Stream
from streamviz.wire.frames import Ack

__all__ = ["ACK_EVERY_S", "Acknowledger"]

WINDOW_BYTES = 1 << 20
"""What one stream may have under way; all streams together share :data:`WINDOWS_BYTES`."""
WINDOWS_BYTES = 256 << 20
LEAST_WINDOW_BYTES = 16 << 10

FRAMES_PER_S = 2_500
"""Frames the fleet is asked to stay below: about a tenth of a core of receiving. A thousand ranks
then send two and a half times a second each, never at the same moment."""
WATCHED_FLUSH_MS, UNWATCHED_FLUSH_MS, MOST_FLUSH_MS = 30, 100, 1000
"""The shortest pace asked for while somebody looks at the page, while nobody does, and the longest
of all. Each turn of a sender costs its training a little, so nobody pays for an unseen picture."""

ACK_EVERY_S = 0.1


class Acknowledger:
    """Owner: the collector.

    Attributes:
        due: Streams that are to hear how far they are, by name.
        half_window: Bytes of one stream that make it hear early.
        is_short: Whether windows are at their least, for want of memory.
    """

    def __init__(
        self, *, epoch: int, streams: Callable[[], int], is_watched: Callable[[], bool]
    ) -> None:
        """Start with nothing due.

        Args:
            epoch: Random number of this server start.
            streams: Says how many streams there are.
            is_watched: Says whether anybody looks at the page.
        """
        self.due: dict[bytes, Stream] = {}
        self.half_window = WINDOW_BYTES // 2
        self.is_short = False
        self._epoch = epoch
        self._streams = streams
        self._is_watched = is_watched
        self._at_once: list[tuple[bytes, Ack]] = []
        self._acked_at = 0.0

    def answer(self, peer: bytes, next_seq: int) -> None:
        """Acknowledge something with the next turn, whenever the last was."""
        self._at_once.append((peer, self.ack(next_seq)))

    def take(self, now: float, *, gathers: bool) -> list[tuple[bytes, Ack]]:
        """Return the acknowledgements that are due, with the connections they go to.

        Args:
            now: Monotonic time, seconds.
            gathers: Whether they are to be gathered for a while; what waited for a commit has
                been, so it waits for half as long, and only after others have just gone.
        """
        acks, self._at_once = self._at_once, []
        half_window = self.half_window = self._window() // 2
        pause_s = ACK_EVERY_S if gathers else ACK_EVERY_S / 2
        if (gathers or self.due) and now - self._acked_at >= pause_s:
            self._acked_at = now
            due, self.due = self.due, {}
        else:
            due = {
                name: stream
                for name, stream in self.due.items()
                if stream.unacknowledged_bytes > half_window
            }
            for name in due:
                del self.due[name]
        for stream in due.values():
            logged = stream.logged
            stream.unacknowledged_bytes = 0 if logged is None else logged.waiting_bytes
            acks.append((stream.peer, self.ack(stream.committed)))
        return acks

    def take_all(self) -> list[tuple[bytes, Ack]]:
        """Return all that are due, whenever the last were."""
        now, self._acked_at = self._acked_at, -math.inf
        return self.take(now, gathers=True)

    def ack(self, next_seq: int) -> Ack:
        """Return an acknowledgement of all before a frame."""
        flush_ms = 1000 * self._streams() // FRAMES_PER_S
        least = WATCHED_FLUSH_MS if self._is_watched() else UNWATCHED_FLUSH_MS
        return Ack(
            epoch=self._epoch,
            next_seq=next_seq,
            window=self._window(),
            flush_ms=min(max(flush_ms, least), MOST_FLUSH_MS),
        )

    def _window(self) -> int:
        if self.is_short:
            return LEAST_WINDOW_BYTES
        share = WINDOWS_BYTES // max(self._streams(), 1)
        return min(max(share, LEAST_WINDOW_BYTES), WINDOW_BYTES)
