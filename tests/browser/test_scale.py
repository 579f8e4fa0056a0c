"""A run of as many metrics as a run may have, and of more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from serving import ServerProcess, wait_until
from viewing import Viewer

import streamviz

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]

MOST = 10_000
PAINTED_WITHIN_S = 0.5
"""From the list of metrics to the first chart with its data, on a machine of its own."""

NOTED = """
window.noted = {};
const Own = window.WebSocket;
window.WebSocket = class extends Own {
  constructor(...all) {
    super(...all);
    this.addEventListener("message", ({ data }) => {
      if (typeof data === "string" && data.startsWith('{"op":"run"')) noted.list ??= Date.now();
    });
  }
};
const look = () => {
  const shown = window.streamviz?.panels() ?? [];
  if (shown.some(({ painted, columns }) => painted > 0 && columns?.x.length > 0)) {
    noted.painted = Date.now();
  } else setTimeout(look, 5);
};
look();
"""


@pytest.mark.parametrize("groups", [10, MOST])
def test_ten_thousand_metrics_are_a_page_like_any_other(
    server: ServerProcess, look: Look, groups: int
) -> None:
    """It is painted at once, few of them are made, all are found; what is past them is told."""
    with streamviz.Publisher(server.ingest, run="wide") as publisher:
        for first in range(0, MOST + 200, 100):
            names = [f"g{i % groups}/layer{i}" for i in range(first, first + 100)]
            publisher.send(dict.fromkeys(names, float(first)), step=0)
            if first % 2000 == 0:
                assert publisher.flush(20)
        assert publisher.flush(20)
        viewer = look("about:blank")
        viewer.page.add_init_script(NOTED)
        viewer.page.goto(server.page)
        viewer.page.wait_for_function("() => window.noted?.painted", timeout=20_000)
        noted = viewer.page.evaluate("() => window.noted")
        took = (noted["painted"] - noted["list"]) / 1000

        assert len(viewer.state()["metrics"]) == MOST
        assert viewer.page.locator(".card").count() <= 400
        words = viewer.page.locator("#notice-text")
        wait_until(lambda: "too many metric names" in words.inner_text(), "what is over is told")
        # A machine that tests other things meanwhile takes a while longer.
        assert took < 4 * PAINTED_WITHIN_S

        viewer.page.fill("#filter", "layer9876")
        viewer.wait("panel(argument)?.columns?.x.length === 1", f"g{9876 % groups}/layer9876")
        assert viewer.state()["matching"] == 1
        viewer.page.fill("#filter", "")
        more = viewer.page.locator(".more:visible").first
        cards = viewer.page.locator(".card").count()
        more.click()
        wait_until(lambda: viewer.page.locator(".card").count() > cards, "more are made")
    # Nor does the end of the run, or anything else there is to say, hide what was not kept.
    wait_until(lambda: words.inner_text().startswith("done"), "the run is over")
    assert "too many metric names" in words.inner_text()
