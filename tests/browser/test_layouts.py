"""Layout files on the page: the server's, a loaded one, and the page's own saved as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from serving import ServerProcess
from viewing import Viewer

import streamviz
from streamviz.views.layouts import parse_layout

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]

LAYOUT = """\
rest: false
sections:
  - title: learning
    columns: 2
    charts:
      - title: both losses
        metrics: [train/loss, val/loss]
        y_label: nats
        scale: log
      - expressions: ["ratio(val/loss, train/loss)"]
"""
HOSTILE = "a \"quoted\": [name], #1 'of' <b>\\ &x *y\u2028"


@pytest.fixture(scope="module")
def laid_out(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server with a layout, and a run that has more metrics than stand in it."""
    assert chromium.is_connected()
    path = tmp_path_factory.mktemp("layout") / "layout.yaml"
    path.write_text(LAYOUT)
    server = ServerProcess("--layout", str(path))
    with streamviz.Publisher(server.ingest, run="laid-out", rank=0) as publisher:
        for step in range(30):
            loss = 1 / (1 + step)
            publisher.send(
                {"train/loss": loss, "val/loss": 2 * loss, "lr": 0.1, HOSTILE: 1.0}, step=step
            )
        assert publisher.flush(10)
    yield server
    server.stop()


TITLES = "streamviz.panels().map(({title}) => title)"
SHOWN = "globalThis.streamviz && streamviz.panels().length"


def test_the_servers_layout_says_what_stands_on_the_page(
    laid_out: ServerProcess, look: Look
) -> None:
    """Its sections, titles, labels and scales, and nothing else; switched off, all metrics."""
    viewer = look(laid_out.page)
    page = viewer.page
    viewer.wait(f"{SHOWN} === 2 && streamviz.panels()[0].layers.length === 2")
    viewer.wait("streamviz.panels()[0].scale === 'log' && streamviz.panels()[1].layers[0].y.length")
    both, ratio = page.evaluate("streamviz.panels()")
    assert both["title"] == "both losses"
    assert [layer["label"] for layer in both["layers"]] == ["train/loss", "val/loss"]
    assert ratio["layers"][0]["y"] == pytest.approx([2.0] * 30)
    assert page.get_by_role("heading", name="learning").count() == 1
    left, right = (page.locator(".card").nth(i).bounding_box() for i in (0, 1))
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    page.locator("#chart-controls summary").click()
    page.locator("#layout-switch").click()
    viewer.wait(f"{SHOWN} === 4 && location.search.includes('layout=off')")
    page.reload()
    viewer.wait(f"{SHOWN} === 4")


def test_a_layout_can_be_saved_and_loaded(
    laid_out: ServerProcess, look: Look, tmp_path: Path
) -> None:
    """What is saved says what stands there, hostile names too; a bad one changes nothing."""
    viewer = look(f"{laid_out.page}&layout=off")
    page = viewer.page
    viewer.wait(f"{SHOWN} === 4 && panel('lr')?.painted > 0")
    page.locator(".card", has_text="quoted").hover()
    page.keyboard.press("p")
    viewer.wait("location.search.includes('pins=')")
    page.locator("#chart-controls summary").click()
    page.locator("#chart-new").click()
    dialog = page.locator("#chart-dialog")
    dialog.locator("[name=series]").fill("train/loss\n= val/loss * 3")
    dialog.locator("[name=title]").fill('mine: "x"')
    dialog.locator("[name=yLabel]").fill("nats")
    dialog.locator("[data-act=save]").click()
    viewer.wait(f"{TITLES}.includes('mine: \"x\"')")
    with page.expect_download() as caught:
        page.locator("#layout-save").click()
    path = tmp_path / "saved.yaml"
    caught.value.save_as(path)
    sections = parse_layout(path.read_text())["sections"]
    assert isinstance(sections, list)
    charts = [one for section in sections for one in section["charts"]]
    assert [HOSTILE] in [one.get("metrics") for one in charts]
    mine = next(one for one in charts if one["title"] == 'mine: "x"')
    assert mine["metrics"] == ["train/loss"]
    assert mine["expressions"] == ["val/loss * 3"]
    assert mine["y_label"] == "nats"

    other = look(f"{laid_out.page}&layout=off")
    other.excused = True  # Chromium says that a layout was refused, as it was
    other.wait(f"{SHOWN} === 4")
    other.page.locator("#chart-controls summary").click()
    bad = tmp_path / "bad.yaml"
    bad.write_text("sections:\n  - chart: [lr]\n")
    other.page.locator("#layout-file").set_input_files(bad)
    said = other.page.locator("#layout-problem", has_text="did you mean 'charts'?")
    said.wait_for()
    assert "line 2" in said.inner_text()
    other.page.locator("#layout-file").set_input_files(path)
    other.wait(f"{TITLES}.includes('mine: \"x\"')")
    assert other.page.locator("#layout-problem").is_hidden()
