"""Distributions over steps and layers, in a real Chromium, fed over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from serving import ServerProcess
from viewing import Viewer

import streamviz

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """One server for all runs of this file."""
    running = ServerProcess()
    yield running
    running.stop()


BAD = 'gradients/<img src=x onerror="document.title=1">'
NAMES = ["gradients/layer2.weight", "gradients/layer10.weight", "parameters/layer2.weight", BAD]


def histogram(centre: float, size: int) -> dict[str, Any]:
    """Return the body of a histogram of so many values."""
    values = np.random.default_rng(0).normal(centre, 1, size)
    counts, edges = np.histogram(values, bins=32)
    return {
        "edges": edges.astype("<f8").tobytes(),
        "counts": counts.astype("<f8").tobytes(),
        "min": float(values.min()),
        "max": float(values.max()),
        "count": size,
    }


def send(publishers: list[streamviz.Publisher], steps: range) -> None:
    """Send these steps of all ranks."""
    for step in steps:
        for rank, publisher in enumerate(publishers):
            for name in NAMES:
                publisher._item("histogram", name, step, histogram(rank, 100))
            publisher.send(
                {
                    "watch/grad_norm/layer2.weight": 1.0 + step,
                    "watch/grad_norm/layer10.weight": float("nan") if step == 20 else 0.01,
                    "watch/act_zero/layer2": 0.5,
                },
                step=step,
            )


def shown(viewer: Viewer) -> dict[str, Any]:
    """Return what stands in the tab."""
    found: dict[str, Any] = viewer.page.evaluate("() => streamviz.boards().distributions")
    return found


def test_distributions_are_live_true_and_read_at_the_pointer(
    server: ServerProcess, look: Look
) -> None:
    """Each name a card, in natural order; ranks merged or one; a new step comes without a jump."""
    publishers = [
        streamviz.Publisher(server.ingest, run="dist", rank=rank, world_size=2) for rank in (0, 1)
    ]
    try:
        viewer = look(f"{server.page}&run=dist&tab=distributions")
        page = viewer.page
        send(publishers, range(0, 30, 10))
        viewer.wait("streamviz.boards().distributions.names.length === 4")
        viewer.wait("streamviz.boards().distributions.cards.length >= 3")
        viewer.wait(
            "streamviz.boards().distributions.cards.every("
            "({steps, ranks}) => steps.join() === '0,10,20' && ranks.join() === '0,1')"
        )
        found = shown(viewer)
        assert found["groups"] == ["gradients", "parameters"]
        assert found["names"] == [BAD, *NAMES[:3]]
        for card in found["cards"]:
            assert [sum(row) for row in card["counts"]] == pytest.approx([200] * 3, rel=1e-4)

        card = page.locator(".dist-card").nth(1)
        assert card.locator(".card-title").inner_text() == "layer2.weight"
        box = card.locator("canvas").bounding_box()
        before = page.locator(".dist-card").last.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 60, box["y"] + box["height"] / 2)
        tip = page.locator(".tip:visible")
        tip.get_by_text("step 0").wait_for()
        assert "count" in tip.inner_text()
        page.mouse.move(5, 5)
        send(publishers, range(30, 40, 10))
        viewer.wait(
            "streamviz.boards().distributions.cards.every(({steps}) => steps.at(-1) === 30)"
        )
        assert page.locator(".dist-card").last.bounding_box() == before

        page.locator("#pane-distributions").get_by_label("ranks", exact=True).select_option("1")
        viewer.wait(
            "streamviz.boards().distributions.cards.every(({ranks}) => ranks.join() === '1')"
        )
        for picture in ("ridgeline", "percentiles"):
            page.get_by_text(picture, exact=True).click()
            page.mouse.move(box["x"] + 80, box["y"] + box["height"] * 0.7)
            tip.get_by_text("step").first.wait_for()
        assert "median" in tip.inner_text()

        page.locator("#dist-filter").fill("layer10|parameters")
        viewer.wait("streamviz.boards().distributions.names.length === 2")
        assert page.title() != "1"
    finally:
        for publisher in publishers:
            publisher.close()


def test_a_map_of_all_layers_leads_to_the_line(server: ServerProcess, look: Look) -> None:
    """Layer by step, NaN marked, in natural order; a click opens the metric's chart."""
    publishers = [streamviz.Publisher(server.ingest, run="layers", rank=0, world_size=1)]
    try:
        send(publishers, range(0, 30, 10))
        viewer = look(f"{server.page}&run=layers&tab=distributions")
        page = viewer.page
        viewer.wait("streamviz.boards().distributions.layers.steps.length === 3")
        layers = shown(viewer)["layers"]
        assert layers["layers"] == ["layer2.weight", "layer10.weight"]
        assert layers["values"] == [[1, 11, 21], [0.01, 0.01, "NaN"]]
        box = page.locator(".layer-sheet").bounding_box()
        assert box is not None
        x = box["x"] + min(240, round(box["width"] * 0.34)) + 4
        page.mouse.move(x, box["y"] + 12)
        tip = page.locator(".tip:visible")
        tip.get_by_text("layer2.weight").wait_for()
        assert "1" in tip.inner_text()
        page.get_by_label("measure").select_option("act_zero")
        viewer.wait("streamviz.boards().distributions.layers.layers.join() === 'layer2'")
        page.mouse.click(x, box["y"] + 12)
        viewer.wait("streamviz.state().tab === 'charts' && panel('watch/act_zero/layer2')")
    finally:
        for publisher in publishers:
            publisher.close()


def test_nothing_yet_says_what_to_add(server: ServerProcess, look: Look) -> None:
    """Without a histogram the tab has the lines that send some; at a phone's width too."""
    with streamviz.Publisher(server.ingest, run="none", rank=0, world_size=1) as publisher:
        publisher.send({"loss": 1.0}, step=0)
        assert publisher.flush(10)
        viewer = look(
            f"{server.page}&run=none&tab=distributions", viewport={"width": 390, "height": 844}
        )
        viewer.page.get_by_text("publisher.watch(model").wait_for()
        assert viewer.page.evaluate("document.documentElement.scrollWidth") <= 390
        viewer.page.get_by_role("button", name="copy").wait_for()
