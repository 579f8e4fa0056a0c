"""How recording goes, as a snapshot that any thread may read.

Law: a snapshot never changes; a new state is a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["NOT_RECORDED", "JournalKind", "JournalState"]

JournalKind = Literal["ok", "full", "failing", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalState:
    """What is known of the disk."""

    kind: JournalKind
    """``full``: no space is left; ``failing``: any other error; ``off``: nothing is recorded."""
    since: float | None
    """Wall time since which it is full or failing, seconds since the epoch."""
    detail: str
    """What the disk said, in words."""
    bytes_used: int
    """Bytes that all runs take on disk, as last measured."""
    bytes_allowed: int
    """Bytes they may take before the oldest full resolution goes."""
    path: str
    """The data directory."""


NOT_RECORDED = JournalState(
    kind="off", since=None, detail="", bytes_used=0, bytes_allowed=0, path=""
)
