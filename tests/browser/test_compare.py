"""Several runs, groups and metrics in one chart, in a real Chromium: one server, one page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator
from serving import ServerProcess
from viewing import Viewer

import streamviz

pytestmark = pytest.mark.browser

STEPS, RANKS = 40, 4
RUNS = {"base-lr1": 0.1, "base-lr3": 0.3, "wide-lr1": 0.1}
MAIN = "base-lr1"
BLOWS_UP = "(a|a|aa)+$"


class Desk:
    """The page that all tests of this file share."""

    def __init__(self, server: ServerProcess, viewer: Viewer) -> None:
        self.server = server
        self.viewer = viewer
        self.page = viewer.page

    def show(self, query: str = "", until: str | None = None, run: str = MAIN) -> None:
        """Open the page anew with some choices in its address."""
        address, _, _ = self.server.page.partition("?")
        self.page.goto(f"{address}?run={quote(run)}&{query}")
        self.viewer.wait(
            "globalThis.streamviz && "
            + (until or f"panel('train/loss')?.layers[0]?.x.length === {STEPS}")
        )

    def layers(self, metric: str = "train/loss") -> list[dict[str, Any]]:
        """Return the layers of a chart."""
        panel = self.viewer.panel(metric)
        assert panel is not None
        found: list[dict[str, Any]] = panel["layers"]
        return found

    def row(self, run: str) -> Locator:
        """Return a run's row in the side panel."""
        name = self.page.locator(f'.run-name[title="show {run}"]')
        return self.page.locator(".run-row").filter(has=name)

    def card(self, metric: str = "train/loss") -> Locator:
        """Return the card of a metric."""
        return self.page.locator(".card").filter(has=self.page.locator(f'h3[title="{metric}"]'))

    def own(self, *series: str) -> str:
        """Return the choice of one chart made on the page."""
        return f"own={quote(json.dumps({'charts': [{'n': 1, 's': series, 'title': 'mine'}]}))}"


OWN = "streamviz.panels().find(({title}) => title === 'mine')"


@pytest.fixture(scope="module")
def desk(chromium: Browser) -> Iterator[Desk]:
    """Three runs of four ranks on two axes; the page must not complain of anything."""
    server = ServerProcess()
    publishers = []
    for number, (run, rate) in enumerate(RUNS.items()):
        ranks = [
            streamviz.Publisher(
                server.ingest,
                run=run,
                rank=rank,
                world_size=RANKS,
                config={"lr": rate},
                mesh={"dp": rank // 2},
            )
            for rank in range(RANKS)
        ]
        publishers += ranks
        for step in range(STEPS):
            for rank, publisher in enumerate(ranks):
                loss = 100.0 * number + rank + 1 / (1 + step)
                values = {"train/loss": loss, "val/loss": loss * 2, "a" * 48 + "!": 1.0}
                if run == "wide-lr1":
                    values["only/wide"] = 1.0
                publisher.send(values, step=step)
    assert all(publisher.flush(20) for publisher in publishers)
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    viewer = Viewer(context.new_page())
    viewer.page.on("pageerror", lambda error: viewer.complaints.append(str(error)))
    viewer.page.goto(server.page)
    yield Desk(server, viewer)
    context.close()
    for publisher in publishers:
        publisher.close()
    server.stop()
    assert viewer.complaints == []


def test_runs_are_compared_filtered_and_shown_alone(desk: Desk) -> None:
    """All that match, one only, none; the address has it, and a reload brings it back."""
    desk.show()
    wait = desk.viewer.wait
    desk.page.locator("#runs-filter").fill("lr1$")
    wait("document.querySelectorAll('.run-row').length === 2")
    desk.page.locator("#runs-panel [data-act=all]").click()
    loaded = f"layers.every(({{x}}) => x.length === {STEPS})"
    wait(f"panel('train/loss').layers.length === 2 && panel('train/loss').{loaded}")
    layers = desk.layers()
    assert [layer["run"] for layer in layers] == [MAIN, "wide-lr1"]
    expected = 200 + np.median(range(RANKS)) + 1 / (1 + np.arange(STEPS))
    np.testing.assert_allclose(layers[1]["y"], expected)
    assert layers[0]["colour"] != layers[1]["colour"]
    assert "runs=wide-lr1" in desk.page.url
    desk.page.reload()
    wait("globalThis.streamviz && panel('train/loss')?.layers.length === 2")
    desk.page.locator("#runs-panel [data-act=none]").click()
    wait("panel('train/loss').layers.length === 1 && !location.search.includes('runs=')")
    desk.row("base-lr3").hover()
    desk.row("base-lr3").locator(".run-solo").click()
    wait("panel('train/loss')?.layers[0]?.run === 'base-lr3'")
    assert len(desk.layers()) == 1


def test_runs_keep_their_places_when_they_are_chosen(desk: Desk) -> None:
    """What is clicked stays under the pointer: the newest run is first, chosen or not."""
    desk.show()
    names = desk.page.locator(".run-name")
    desk.page.locator("#runs-filter").fill("")
    desk.viewer.wait("document.querySelectorAll('.run-row').length === 3")
    places = names.all_inner_texts()
    for run in reversed(places):
        desk.row(run).hover()
        desk.row(run).locator(".run-solo").click()
        desk.viewer.wait("panel('train/loss')?.layers[0]?.run === argument", run)
        assert names.all_inner_texts() == places
    desk.page.locator("#runs-panel [data-act=all]").click()
    desk.viewer.wait("panel('train/loss')?.layers.length === 3")
    assert names.all_inner_texts() == places


def test_colours_are_stable_and_can_be_changed(desk: Desk) -> None:
    """A run keeps its colour beside others, and the one chosen for it after a reload."""
    desk.show("runs=base-lr3", "panel('train/loss')?.layers.length === 2")
    before = [layer["colour"] for layer in desk.layers()]
    desk.show("runs=base-lr3,wide-lr1", "panel('train/loss')?.layers.length === 3")
    assert [layer["colour"] for layer in desk.layers()][:2] == before
    # A chart that one of them alone has is that run's, by its colour and by its name.
    desk.viewer.wait("panel('only/wide')?.layers[0]?.x.length > 0")
    assert desk.layers("only/wide")[0]["colour"] == desk.layers()[2]["colour"]
    assert "of wide-lr1" in desk.card("only/wide").inner_text()
    picker = desk.row("base-lr3").locator("input[type=color]")
    picker.evaluate(
        "input => { input.value = '#123456'; input.dispatchEvent(new Event('change')); }"
    )
    desk.viewer.wait("panel('train/loss').layers[1].colour === '#123456'")
    desk.page.reload()
    desk.viewer.wait("globalThis.streamviz && panel('train/loss')?.layers[1]?.colour === '#123456'")


def test_lines_are_grouped(desk: Desk) -> None:
    """By mesh axis, each the median of its ranks; by node; by a key of the config, over runs."""
    desk.show("group=mesh:dp", "panel('train/loss')?.layers[1]?.x.length > 0")
    assert [(one["label"], one["ranks"]) for one in desk.layers()] == [
        ("dp 0", "0-1"),
        ("dp 1", "2-3"),
    ]
    assert [one["y"][0] for one in desk.layers()] == [1.5, 3.5]
    desk.page.locator("#group").select_option("node")
    desk.viewer.wait("panel('train/loss').layers.length === 1")
    assert desk.layers()[0]["ranks"] == "0-3"
    desk.show(
        "runs=base-lr3,wide-lr1&group=config:lr",
        "panel('train/loss')?.layers.length === 3 && "
        "panel('train/loss').layers[2].label.includes('0.1')",
    )
    first, second, third = (one["colour"] for one in desk.layers())
    assert first == third != second


def test_the_readout_says_what_each_line_has(desk: Desk) -> None:
    """In a chart of several lines each has its row, the one nearest to the pointer first."""
    desk.show("runs=base-lr3,wide-lr1", "panel('train/loss')?.layers[2]?.x.length > 0")
    desk.viewer.wait("panel('train/loss').yRange.end > 200")
    box = desk.card().locator(".over").bounding_box()
    assert box is not None
    tip = desk.page.locator(".tip:visible")
    for share, first in ((0.1, "wide-lr1"), (0.85, "base-lr1")):
        desk.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * share)
        tip.locator(".tip-row").first.filter(has_text=first).wait_for()
        assert tip.locator(".tip-row").count() == 3
    assert "1.5" in tip.locator(".tip-row").first.inner_text()


def test_several_metrics_and_expressions_share_a_chart(desk: Desk) -> None:
    """Aligned by step; what does not parse says where, and nothing else breaks."""
    desk.show(
        desk.own("train/loss", "val/loss", "=ratio(val/loss, train/loss)"),
        f"{OWN}?.layers.length === 3 && {OWN}.layers.every(({{x}}) => x.length === {STEPS})",
    )
    chart = next(one for one in desk.page.evaluate("streamviz.panels()") if one["title"] == "mine")
    np.testing.assert_allclose(chart["layers"][2]["y"], 2)
    # The three metrics of the runs, and the one made here.
    assert desk.page.inner_text("#notice-count") == "4 charts"
    desk.page.locator("#chart-controls summary").click()
    desk.page.locator("#chart-new").click()
    dialog = desk.page.locator("#chart-dialog")
    dialog.locator("[name=series]").fill("= train/loss +* 2")
    problem = dialog.locator(".problem")
    problem.wait_for()
    assert "at character" in problem.inner_text()
    dialog.locator("[name=series]").fill("= train/loss * 2")
    assert problem.is_hidden()
    dialog.locator("[name=title]").fill("doubled")
    dialog.locator("[data-act=save]").click()
    desk.viewer.wait(
        "streamviz.panels().find(({title}) => title === 'doubled')"
        f"?.layers[0]?.y.length === {STEPS}"
    )
    desk.page.reload()
    desk.viewer.wait(
        "globalThis.streamviz && streamviz.panels().some(({title}) => title === 'doubled')"
    )
    # An address that somebody wrote by hand.
    desk.show(desk.own("=train/loss +"), "true")
    desk.page.get_by_text("at character").first.wait_for()
    desk.viewer.wait(f"panel('train/loss')?.layers[0]?.x.length === {STEPS}")


def test_charts_are_pinned_and_sized(desk: Desk) -> None:
    """`p` brings the chart under the pointer to the top; sizes are the page's; both are kept."""
    desk.show()
    desk.card("val/loss").hover()
    desk.page.keyboard.press("p")
    desk.viewer.wait("location.search.includes('pins=val/loss')")
    first = desk.page.locator("#board .card h3").first
    assert first.get_attribute("title") == "val/loss"
    before = desk.card().bounding_box()
    desk.page.locator("#chart-controls summary").click()
    desk.page.locator("#chart-controls .segments span", has_text="L").click()
    desk.viewer.wait("location.search.includes('size=l')")
    after = desk.card().bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] > before["height"]
    desk.page.reload()
    desk.viewer.wait("globalThis.streamviz && panel('val/loss')?.painted > 0")
    assert desk.page.locator("#board .card h3").first.get_attribute("title") == "val/loss"


def test_a_pattern_that_never_ends_does_not_stop_the_page(desk: Desk) -> None:
    """A regular expression filters; one that blows up is matched as text, and it is said so."""
    desk.show()
    field = desk.page.locator("#filter")
    field.fill("^val/.*s$")
    desk.viewer.wait(
        "document.querySelectorAll('.card:not([hidden]) h3[title=\"train/loss\"]').length === 0"
        " || document.querySelector('.card h3[title=\"train/loss\"]').offsetParent === null"
    )
    assert desk.card("val/loss").is_visible()
    field.fill(BLOWS_UP)
    desk.page.get_by_text("matched as text").first.wait_for()
    field.fill("")
    desk.card().wait_for()


def test_what_is_not_there_is_explained(desk: Desk) -> None:
    """An unknown run on show, one to compare with, and a metric of a chart."""
    desk.show("", "true", run="nobody")
    desk.page.get_by_text("no run named “nobody” here").wait_for()
    desk.show("runs=nobody")
    desk.page.locator(".run-note", has_text="no run here is called “nobody”").wait_for()
    desk.show(desk.own("no/such"), "true")
    card = desk.page.locator(".card").filter(has_text="mine")
    card.get_by_text("no metric named “no/such” here yet").wait_for()
