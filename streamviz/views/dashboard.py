"""The table of paths behind the page's port, each with its handler.

Law: every path is in :func:`routes`, behind the one door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamviz.views.alerts import AlertsHandler
from streamviz.views.api import (
    HealthHandler,
    MetricsHandler,
    MissingHandler,
    QueryHandler,
    RunsHandler,
    StatusHandler,
)
from streamviz.views.distributions import DistributionHandler
from streamviz.views.download import Busy, CsvHandler
from streamviz.views.items import ItemsHandler
from streamviz.views.layers import LayersHandler, NewestHandler
from streamviz.views.layout_handler import LayoutHandler
from streamviz.views.live import LiveSocket
from streamviz.views.page import (
    AssetHandler,
    BokehFileHandler,
    Library,
    PageHandler,
    PanelHandler,
)
from streamviz.views.parts import Dashboard
from streamviz.views.payloads import MediaHandler, PayloadHandler, PayloadsHandler
from streamviz.views.vendor import VendorHandler

if TYPE_CHECKING:
    from tornado.web import RequestHandler


__all__ = ["Dashboard", "Route", "routes", "settings"]

Route = tuple[str, type["RequestHandler"], dict[str, Any]]
"""A path as a regular expression without the prefix, its handler, the handler's arguments."""


def routes(dashboard: Dashboard, library: Library | None = None) -> list[Route]:
    """Return every path, for the ``extra_patterns`` of a Bokeh server, which adds the prefix.

    The last one takes whatever is left, so that Bokeh's own index and files stay out of reach.

    Args:
        dashboard: What to answer from.
        library: The page's files; ``None`` for the package's own.
    """
    door = {"door": dashboard.door}
    parts = {**door, "dashboard": dashboard}
    shelf = {**door, "library": library or Library(dashboard.door.prefix)}
    return [
        (r"/?", PageHandler, shelf),
        (r"/assets/(.+)", AssetHandler, shelf),
        (r"/panel\.json", PanelHandler, shelf),
        (r"/static/(.+)", BokehFileHandler, door),
        (r"/vendor/([a-z.]+)", VendorHandler, door),
        (r"/live", LiveSocket, {**door, "hub": dashboard.hub}),
        (r"/healthz", HealthHandler, parts),
        (r"/metrics", MetricsHandler, parts),
        (r"/api/v1/runs", RunsHandler, parts),
        (r"/api/v1/query", QueryHandler, parts),
        (r"/api/v1/alerts", AlertsHandler, parts),
        (r"/api/v1/items", ItemsHandler, parts),
        (r"/api/v1/payloads", PayloadsHandler, parts),
        (r"/api/v1/payload", PayloadHandler, parts),
        (r"/api/v1/media", MediaHandler, parts),
        (r"/api/v1/distribution", DistributionHandler, parts),
        (r"/api/v1/layers", LayersHandler, parts),
        (r"/api/v1/newest", NewestHandler, parts),
        (r"/api/v1/csv", CsvHandler, {**parts, "busy": Busy()}),
        (r"/api/v1/layout", LayoutHandler, {**door, "layout": dashboard.layout}),
        (r"/api/v1/status", StatusHandler, parts),
        (r"/.*", MissingHandler, door),
    ]


def settings(dashboard: Dashboard) -> dict[str, Any]:
    """Return further arguments for the Bokeh server: what lies outside the prefix is closed too."""
    return {
        "use_index": False,
        "ico_path": "none",
        "default_handler_class": MissingHandler,
        "default_handler_args": {"door": dashboard.door},
    }
