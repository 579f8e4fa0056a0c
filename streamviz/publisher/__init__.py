"""The training side: takes values, never waits, sees them delivered."""

from __future__ import annotations

from streamviz.publisher.publisher import Publisher, Totals

__all__ = ["Publisher", "Totals"]
