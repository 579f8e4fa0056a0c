"""The parts behind the page's port, in one hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamviz.clock import wall_time
from streamviz.journal.state import NOT_RECORDED, JournalState

if TYPE_CHECKING:
    from streamviz.counters import Counters
    from streamviz.ingest.roster import Roster
    from streamviz.journal.history import History
    from streamviz.store import Store
    from streamviz.views.access import Door
    from streamviz.views.hub import Hub
    from streamviz.views.layouts import Layout

__all__ = ["MAX_QUERIES", "Dashboard"]

MAX_QUERIES = 2
"""Queries that are answered at the same time."""


@dataclass(kw_only=True)
class Dashboard:
    """Everything that the handlers answer from.

    Attributes:
        store: Where the samples are.
        roster: Who publishes.
        counters: The server's totals.
        hub: Serves the live channel.
        door: Who may come in.
        history: What is on disk, ``None`` when nothing is recorded.
        journal: Says how recording goes; callable from any thread.
        layout: How the page's charts are arranged; ``None``: by the names of metrics.
        started: Wall time of the server's start, seconds since the epoch.
        turns: Lets so many queries be answered at a time; the others wait for their turn.
    """

    store: Store
    roster: Roster
    counters: Counters
    hub: Hub
    door: Door
    history: History | None = None
    journal: Callable[[], JournalState] = lambda: NOT_RECORDED
    layout: Layout | None = None
    started: float = field(default_factory=wall_time)
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_QUERIES))
