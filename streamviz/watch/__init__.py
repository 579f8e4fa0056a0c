"""Watches the runs while they go on: applies the rules, keeps the alerts, tells who wants to know.

Law: it reads what others own and writes nothing but its own list; it never keeps ingest or the page
waiting, and takes at most three hundredths of a core.
"""

from __future__ import annotations

from streamviz.watch.alerts import Alert
from streamviz.watch.watchman import NOTHING, Told, WatchConfig, Watchman

__all__ = ["NOTHING", "Alert", "Told", "WatchConfig", "Watchman"]
