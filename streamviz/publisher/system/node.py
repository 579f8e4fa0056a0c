"""The node and the process, as psutil reads them.

Law: rates are of the time since the reading before; the first reading has none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamviz.clock import monotonic_time

__all__ = ["NodeReader", "ProcessReader"]

_GIB = 2.0**30
_MB = 1e6


class ProcessReader:
    """``process_cpu`` in % of one core and ``process_rss`` in GiB, of the training process."""

    def __init__(self) -> None:
        import psutil

        self._process: Any = psutil.Process()
        self._process.cpu_percent(None)  # the first call only begins to measure

    def __call__(self) -> dict[str, float]:
        """Read once."""
        return {
            "process_cpu": self._process.cpu_percent(None),
            "process_rss": self._process.memory_info().rss / _GIB,
        }


class NodeReader:
    """The whole node: CPU and memory in use, the disk of the working directory, its traffic.

    ``cpu``, ``ram_used`` and ``disk`` are %, ``ram`` is GiB, ``disk_read``, ``disk_write``,
    ``net_sent`` and ``net_received`` are MB/s, without the loopback.
    """

    def __init__(self, where: str | os.PathLike[str] | None = None) -> None:
        import psutil

        self._psutil: Any = psutil
        self._where = os.fspath(where or Path.cwd())
        self._before: tuple[float, dict[str, float]] | None = None
        psutil.cpu_percent(None)

    def __call__(self) -> dict[str, float]:
        """Read once."""
        memory = self._psutil.virtual_memory()
        values = {
            "cpu": self._psutil.cpu_percent(None),
            "ram": (memory.total - memory.available) / _GIB,
            "ram_used": memory.percent,
            "disk": self._psutil.disk_usage(self._where).percent,
        }
        now, counts = monotonic_time(), self._counts()
        before, self._before = self._before, (now, counts)
        return values if before is None else {**values, **rates(before, (now, counts))}

    def _counts(self) -> dict[str, float]:
        """Return bytes since the node began, by name; a container may hide some."""
        found: dict[str, float] = {}
        disk = self._psutil.disk_io_counters()
        if disk is not None:
            found["disk_read"], found["disk_write"] = disk.read_bytes, disk.write_bytes
        cards = self._psutil.net_io_counters(pernic=True) or {}
        outside = [card for name, card in cards.items() if not name.startswith("lo")]
        if outside:
            found["net_sent"] = sum(card.bytes_sent for card in outside)
            found["net_received"] = sum(card.bytes_recv for card in outside)
        return found


def rates(
    before: tuple[float, Mapping[str, float]], after: tuple[float, Mapping[str, float]]
) -> dict[str, float]:
    """Return MB a second of what grew between two readings, each a time in seconds and bytes.

    A count that went back, as of a card that was taken out, has no rate.
    """
    (then, low), (now, high) = before, after
    if now <= then:
        return {}
    return {
        name: (high[name] - low[name]) / (now - then) / _MB
        for name in high
        if name in low and high[name] >= low[name]
    }
