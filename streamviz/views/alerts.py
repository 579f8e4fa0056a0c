"""The alerts of a run, as the API says them.

Law: what the page is told is what is said here.
"""

from __future__ import annotations

from streamviz.errors import UnknownSeries
from streamviz.views.access import Refusal
from streamviz.views.api import ApiHandler

__all__ = ["AlertsHandler"]


class AlertsHandler(ApiHandler):
    """``/api/v1/alerts``: what the watch found about one run."""

    for_one_run = True

    def get(self) -> None:
        """Answer.

        Raises:
            Refusal: 400 for a parameter that cannot be used, 404 for an unknown run.
        """
        for name in self.request.query_arguments:
            if name != "run":
                raise Refusal(400, f"{name[:80]!r} is no parameter, expected run")
        run = self.get_query_argument("run", "")
        if not run:
            raise Refusal(400, "run: missing; GET /api/v1/runs lists what there is")
        if not self.may_read(run) or self.dashboard.roster.run(run) is None:
            raise Refusal(404, f"{UnknownSeries(run)}; GET /api/v1/runs lists what there is")
        told = self.dashboard.hub.told(run)
        self.write_json({"run": run, "situation": told.situation, "alerts": told.rows()})

    head = get
