"""What a rule has found: the value that every rule returns and the list of alerts takes in.

Law: a finding says where (rank, metric, step) and in one sentence what; it knows no clock but the
one it was handed.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding", "Level", "Rule"]


class Level:
    """How urgent something is, by the words of the wire."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Rule:
    """The names of the rules, as alerts, flags and the page spell them."""

    NAN = "nan"
    SPIKE = "spike"
    STALL = "stall"
    REPLICAS = "replicas"
    SILENT = "silent"
    FAILED = "failed"
    STRAGGLER = "straggler"
    THRESHOLD = "threshold"
    PUBLISHER = "publisher"
    """What a rank sent with ``publisher.alert``."""

    ALL = (NAN, SPIKE, STALL, REPLICAS, SILENT, FAILED, STRAGGLER, THRESHOLD, PUBLISHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a rule found."""

    rule: str
    level: str
    text: str
    time: float
    """Wall time, seconds since the epoch."""
    rank: int | None = None
    attempt: int = 0
    host: str = ""
    metric: str | None = None
    step: int | None = None
    count: int = 1
    """How often it was found at once."""
    fold: str = ""
    """What beside rule and metric tells it from other findings: findings that agree in all three
    are one alert."""
    earliest: bool = False
    """Whether the alert keeps the earliest finding's rank and step, though it came later."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two findings one alert."""
        return self.rule, self.metric or "", self.fold

    @property
    def order(self) -> tuple[int, int, float]:
        """Which finding came first in training: by attempt, step, time."""
        return self.attempt, -1 if self.step is None else self.step, self.time
