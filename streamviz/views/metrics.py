"""The server's own counters and bounds, as JSON and for Prometheus.

Law: both say the same, read from the parts that own the numbers at the moment of asking.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from streamviz import __version__
from streamviz.counters import HELP
from streamviz.views.delivery import dropped_by_reason, workers_total
from streamviz.views.summaries import journal_row

if TYPE_CHECKING:
    from streamviz.views.parts import Dashboard

__all__ = ["registry", "server_status"]


def _gauges(dashboard: Dashboard) -> dict[str, tuple[str, float]]:
    """Return what can go down, by name: its meaning and its value."""
    usage = dashboard.store.usage()
    runs = dashboard.roster.runs()
    hub = dashboard.hub
    rows = workers_total(worker for run in runs for worker in run.workers)
    disk = dashboard.journal()
    return {
        "bytes_held": ("Bytes that the store holds.", usage.bytes_held),
        "bytes_allowed": ("Bytes that the store may hold.", usage.bytes_allowed),
        "series": ("Series held.", usage.series),
        "tables": ("Tables held.", usage.tables),
        "ring_rows": ("Rows held in full resolution.", usage.ring_rows),
        "runs": ("Runs known.", len(runs)),
        "workers": ("Publishing processes known.", sum(len(run.workers) for run in runs)),
        "ranks_live": ("Ranks that are live now.", sum(run.ranks_live for run in runs)),
        "rows_held_by_publishers": (
            "Rows that publishers hold unacknowledged, by their own count.",
            rows["held"],
        ),
        "rows_spilled_by_publishers": (
            "Rows among those that are on publishers' disks.",
            rows["spilled"],
        ),
        "rows_lost_with_publishers": (
            "Rows sent by processes that are gone and never came; neither stored nor in a gap.",
            rows["lost"],
        ),
        "journal_recording": ("1 while what comes is stored on disk.", disk.kind == "ok"),
        "journal_bytes": ("Bytes that the recorded runs take on disk.", disk.bytes_used),
        "journal_bytes_allowed": ("Bytes that they may take.", disk.bytes_allowed),
        "viewers": ("Pages connected.", hub.viewers),
        "viewers_allowed": ("Pages that may be connected.", hub.max_viewers),
        "views": ("Distinct views watched.", hub.views),
        "views_allowed": ("Distinct views that may be watched.", hub.max_views),
    }


def _refused(dashboard: Dashboard) -> dict[str, int]:
    """Return what was refused at the door and on the live channel, by reason."""
    return {**dashboard.door.refused, **dashboard.hub.refused}


def server_status(dashboard: Dashboard, now: float) -> dict[str, object]:
    """Return the body of ``/api/v1/status``.

    Args:
        dashboard: The parts.
        now: Wall time, seconds since the epoch.
    """
    totals = dashboard.counters.read()

    def total(name: str) -> int:
        return sum(totals[name].values())

    usage = dashboard.store.usage()
    runs = dashboard.roster.runs()
    lags = {run.run: dashboard.hub.lag_s(run.run) for run in runs}
    return {
        "version": __version__,
        "server": dashboard.hub.server,
        "now": now,
        "started": dashboard.started,
        "ingest": dashboard.hub.ingest_endpoint,
        "samples_received": total("samples_received_total"),
        "frames_received": total("frames_received_total"),
        "dropped": dropped_by_reason(runs),
        "gaps": totals["gaps_total"],
        "duplicates": total("frames_duplicate_total"),
        "bad_frames": totals["frames_bad_total"],
        "journal": journal_row(dashboard.journal(), now),
        "rows": workers_total(worker for run in runs for worker in run.workers),
        "bytes_held": usage.bytes_held,
        "bytes_allowed": usage.bytes_allowed,
        "sessions": dashboard.hub.viewers,
        "sessions_allowed": dashboard.hub.max_viewers,
        "lag_ms": {run: None if lag is None else lag * 1e3 for run, lag in lags.items()},
        "refused": _refused(dashboard),
        "counters": totals,
        "gauges": {name: value for name, (_, value) in _gauges(dashboard).items()},
    }


class _Reader(Collector):
    """Reads everything anew at each scrape."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def collect(self) -> Iterator[Metric]:
        """Yield every counter, split by reason where it has any, and every gauge."""
        for name, by_reason in self._dashboard.counters.read().items():
            reasons = set(by_reason) - {""}
            family = CounterMetricFamily(
                f"streamviz_{name}", HELP[name], labels=["reason"] if reasons else []
            )
            if reasons:
                for reason, total in by_reason.items():
                    family.add_metric([reason], total)
            else:
                family.add_metric([], by_reason.get("", 0))
            yield family
        refused = CounterMetricFamily(
            "streamviz_viewer_refused_total",
            "Requests, pages and messages of viewers that were refused, by reason.",
            labels=["reason"],
        )
        for reason, total in _refused(self._dashboard).items():
            refused.add_metric([reason], total)
        yield refused
        for name, (meaning, value) in _gauges(self._dashboard).items():
            yield GaugeMetricFamily(f"streamviz_{name}", meaning, value=value)


def registry(dashboard: Dashboard) -> CollectorRegistry:
    """Return a registry of this dashboard's numbers alone, none of the process or Python."""
    found = CollectorRegistry(auto_describe=False)
    found.register(_Reader(dashboard))
    return found
