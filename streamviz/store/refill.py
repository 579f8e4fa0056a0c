"""Bring back what a table held before a restart.

Law: what only the overview is to have comes first; then the newest rows, in order.
"""

from __future__ import annotations

import threading

from streamviz.store.grid import FloatArray, IntArray
from streamviz.store.pyramid import Past
from streamviz.store.table import Table

__all__ = ["Refill"]


class Refill:
    """Fills one table that is empty, under the store's lock."""

    def __init__(self, table: Table, lock: threading.RLock) -> None:
        """Get it from :meth:`streamviz.store.store.Store.refill`."""
        self._table = table
        self._lock = lock

    def absorb(self, worker: int, past: Past) -> None:
        """Add rows that only the overview is to have.

        Args:
            worker: The worker's index.
            past: What the rows were reduced to.
        """
        with self._lock:
            self._table.absorb(worker, past)

    def absorb_rows(
        self, worker: int, steps: IntArray, times: FloatArray, values: FloatArray
    ) -> None:
        """Add rows, as sent, that only the overview is to have.

        Args:
            worker: The worker's index.
            steps: ``int64[S]``, at least one, as for ``Store.append``; so are the others.
            times: ``float64[S]``, seconds since the epoch.
            values: ``float64[S, K]``.
        """
        with self._lock:
            self._table.absorb_rows(worker, steps, times, values)

    def miss(self, worker: int, last_step: int) -> None:
        """Note that rows of a worker up to a step are not held."""
        with self._lock:
            self._table.miss(worker, last_step)

    def append(
        self, workers: IntArray, steps: IntArray, times: FloatArray, values: FloatArray
    ) -> None:
        """Add rows of several workers, in this order.

        Args:
            workers: ``int64[S]``, the worker's index of each row.
            steps: ``int64[S]``, as for ``Store.append``; so are the others.
            times: ``float64[S]``, seconds since the epoch.
            values: ``float64[S, K]``.
        """
        with self._lock:
            self._table.append_many(workers, steps, times, values)
