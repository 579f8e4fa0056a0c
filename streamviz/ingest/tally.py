"""What became of a worker's rows: as many as were sent are stored, in gaps or still held.

Law: the totals are sums over all processes and forked children that spoke for the worker, each of
which reports only its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamviz.wire.frames import Heartbeat

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """Totals of one worker. Owner: the collector."""

    sent: int = 0
    """Rows handed over by the training loop, by the publishers' own count."""
    held: int = 0
    """Rows that publishers hold unacknowledged, the spilled ones included."""
    spilled: int = 0
    """Rows among those that are on publishers' disks."""
    stored: int = 0
    missing: int = 0
    """Rows that gaps stand for."""
    repeated: int = 0
    """Frames that came again after they were stored."""

    def hear(self, before: Heartbeat | None, beat: Heartbeat) -> None:
        """Take in what a stream says of itself.

        Args:
            before: What it said the last time, ``None`` the first time.
            beat: What it says now.
        """
        self.sent += beat.sent - (before.sent if before else 0)
        self.held += beat.held - (before.held if before else 0)
        self.spilled += beat.spilled - (before.spilled if before else 0)

    def let_go(self, last: Heartbeat) -> Heartbeat:
        """Take in that a stream is over: what it held has become a gap.

        Returns:
            What the stream is known to hold from now on.
        """
        self.held -= last.held
        self.spilled -= last.spilled
        return last._replace(held=0, spilled=0)
