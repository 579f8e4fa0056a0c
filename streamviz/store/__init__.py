"""Everything the server remembers, within one memory budget.

Law: nothing here knows a socket, a plot or the disk.
"""

from __future__ import annotations

from streamviz.store.changes import Changes, Cursor
from streamviz.store.gaps import Gap
from streamviz.store.grid import Grid
from streamviz.store.items import Item
from streamviz.store.series import QueryResult, Series
from streamviz.store.store import Store, Usage
from streamviz.store.table import Table

__all__ = [
    "Changes",
    "Cursor",
    "Gap",
    "Grid",
    "Item",
    "QueryResult",
    "Series",
    "Store",
    "Table",
    "Usage",
]
