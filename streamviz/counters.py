"""Streamviz's own health counters, by the field's names.

Law: counters only grow; what can go down is read from the part that owns it.
"""

from __future__ import annotations

import threading
from collections import defaultdict

__all__ = ["HELP", "Counters"]

HELP = {
    "frames_received_total": "Frames read from the ingest socket.",
    "bytes_received_total": "Bytes of those frames.",
    "samples_received_total": "Values committed to the store.",
    "rows_received_total": "Rows (one send each) committed to the store.",
    "items_received_total": "Items (marks, alerts and the like) committed to the store.",
    "items_evicted_total": "Items that made room in memory for newer ones.",
    "items_shed_total": "Items deleted from the disk to stay within its bounds.",
    "facts_refused_total": "Facts that publishers say of themselves and that cannot be, by reason.",
    "nonfinite_total": "NaN and infinite values among the committed ones.",
    "frames_bad_total": "Frames refused, by reason.",
    "frames_duplicate_total": "Frames that had been committed before.",
    "frames_ahead_total": "Frames that came before their predecessor and wait for its resend.",
    "frames_put_off_total": "Frames left to be sent again because the journal had no room.",
    "journal_commits_total": "Transactions brought to the disk.",
    "journal_bytes_total": "Bytes of rows journaled.",
    "journal_errors_total": "Times the disk did not take what was written, by reason.",
    "journal_shed_bytes_total": "Bytes deleted from the disk to stay within --disk.",
    "gaps_total": "Gap records drawn, by reason.",
    "gap_rows_total": "Rows that those gaps stand for, by reason.",
    "acks_sent_total": "Acknowledgements written.",
    "connections_refused_total": "Connections to the ingest port that came to nothing, by reason.",
    "streams_opened_total": "Streams that said hello.",
    "streams_refused_total": "Streams refused, by reason.",
    "duplicate_ranks_total": "Streams that claimed a run and rank which another live stream has.",
    "rows_evicted_total": "Rows of full resolution that made room for newer ones.",
    "series_overflowed_total": "Values that went to the overflow series.",
    "alerts_total": "Alerts that opened, by rule.",
    "alerts_dropped_total": "Alerts that a run had no room for.",
    "alerts_unsaved_total": "Times the disk did not take a run's alerts.",
    "alert_messages_total": "Messages about alerts, by what became of them.",
    "watch_rows_left_out_total": "Rows that came too fast for the rules of alerts to look at.",
    "watch_faults_total": "Turns of the watch that failed for a run.",
    "viewer_frames_sent_total": "Binary frames written to viewers.",
    "viewer_frames_skipped_total": "Ticks that a slow viewer skipped.",
}
"""Every counter's name and what it counts."""


class Counters:
    """Named totals, some split by a ``reason``; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, dict[str, int]] = {name: defaultdict(int) for name in HELP}

    def add(self, name: str, amount: int = 1, *, reason: str = "") -> None:
        """Add ``amount`` to a counter.

        Raises:
            KeyError: The name is not in :data:`HELP`.
        """
        with self._lock:
            self._totals[name][reason] += amount

    def total(self, name: str) -> int:
        """Return a counter's sum over its reasons."""
        with self._lock:
            return sum(self._totals[name].values())

    def read(self) -> dict[str, dict[str, int]]:
        """Return all totals as ``{name: {reason: total}}``; the reason is ``""`` where none is."""
        with self._lock:
            return {name: dict(by_reason) for name, by_reason in self._totals.items()}
