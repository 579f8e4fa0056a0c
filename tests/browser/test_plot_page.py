"""Charts of one's own in a real Chromium: drawn, dressed, live, and never a way in for a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from plotting import served
from viewing import Viewer

from streamviz.views.charts.chart import KINDS
from streamviz.views.plotted import ChartPage, html_of

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]

EVIL = "<img src=x onerror=window.__hit=1> $$\\href{javascript:window.__hit=1}{x}$$ @y{safe}"

INKED = """() => [...Bokeh.documents].map((doc) => {
  const view = [...Bokeh.index.roots].find(({ model }) => model.document === doc);
  const canvas = view.canvas_view.compose().canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let i = 0; i < data.length; i += 4)
    if (data[i + 3] > 200) colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  return [...colours];
})"""


def documents(name: str) -> list[dict[str, Any]]:
    """Return a chart of each kind, all its names the same."""
    about = {"title": name, "labels": {"x": name, "y": name}}
    series: list[Any] = [{"name": name, "y": [1, 3, 2]}, {"name": name, "y": [2, 1, 4]}]
    points: dict[str, Any] = {**about, "x": [name, f"{name} 2", "c"], "series": series}
    cells = {**about, "x": [name, "b"], "rows": [name, "b"], "z": [[5, 1], [2, 7]]}
    box = {"name": name, "low": 0, "q1": 1, "median": 2, "q3": 3, "high": 4, "outliers": [6]}
    by_kind: dict[str, dict[str, Any]] = {
        **dict.fromkeys(("line", "bar", "scatter"), points),
        "pie": {**points, "series": points["series"][:1]},
        "hist": {**about, "series": [{"name": name, "edges": [0, 1, 2], "counts": [3, 4]}]},
        "box": {**about, "series": [box, box]},
        **dict.fromkeys(("heatmap", "confusion"), cells),
    }
    return [{**by_kind[kind], "chart": kind} for kind in KINDS]


def hover_all(page: Page) -> None:
    """Lead the pointer over each chart, so that its tooltips are made."""
    for card in page.locator(".card").all():
        card.scroll_into_view_if_needed()
        box = card.bounding_box()
        assert box is not None
        for across in (0.2, 0.35, 0.5, 0.7):
            page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * 0.5)


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Open a file of charts; it must neither complain nor ask anybody."""
    pages: list[tuple[Page, list[str]]] = []

    def open_file(charts: ChartPage, **context: Any) -> Page:
        path = tmp_path / f"{len(pages)}.html"
        path.write_text(html_of(charts))
        page = chromium.new_context(**context).new_page()
        heard: list[str] = []
        page.on("console", lambda m: heard.append(m.text) if m.type != "info" else None)
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda r: heard.append(r.url) if r.url[:5] not in ("data:", "file:")
                else None)  # fmt: skip
        pages.append((page, heard))
        page.goto(path.as_uri())
        page.wait_for_function("() => document.documentElement.dataset.shown")
        return page

    yield open_file
    for page, heard in pages:
        page.context.close()
        assert heard == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_kind_is_drawn_in_the_colours_of_the_theme(
    opened: Callable[..., Page], scheme: Any
) -> None:
    """Marks have the theme's colours, and another's after a click; hostile names stay text."""
    page = opened(ChartPage(EVIL, documents(EVIL), 2, EVIL), color_scheme=scheme)
    colour = "getComputedStyle(document.documentElement).getPropertyValue('--run-0').trim()"
    first = int(page.evaluate(colour)[1:], 16)
    page.wait_for_function("() => Bokeh.documents.every((one) => one.is_idle)")

    inked = page.evaluate(INKED)
    assert len(inked) == len(KINDS)
    for kind, colours in zip(KINDS, inked, strict=True):
        assert len(colours) > 3, kind
        if kind in ("line", "bar", "pie"):
            assert first in colours, kind
    hover_all(page)
    page.locator(".bk-Tooltip, .bk-tooltip").first.wait_for(state="attached")
    assert page.evaluate("window.__hit") is None
    assert page.locator("img, mjx-container, a[href]").count() == 0
    assert page.inner_text("h1") == EVIL

    while page.evaluate("document.documentElement.dataset.theme") in ("system", scheme):
        page.click("#theme")
    other = int(page.evaluate(colour)[1:], 16)
    assert other != first
    page.wait_for_function(
        f"colour => ({INKED})()[0].includes(colour)", arg=other
    )  # fmt: skip


def test_on_a_phone_nothing_sticks_out(opened: Callable[..., Page]) -> None:
    """At 390 pixels charts stand below one another, whole, and as wide as the window."""
    page = opened(ChartPage("runs", documents("a name of some length"), 3),
                  viewport={"width": 390, "height": 844})  # fmt: skip

    widths = page.locator(".card").evaluate_all("all => all.map((one) => one.offsetWidth)")
    assert set(widths) == {374}
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(
        "[...Bokeh.index.roots].every((view) => view.el.getBoundingClientRect().right <= 390)"
    )


def test_a_followed_file_is_live_on_the_page(look: Look, tmp_path: Path) -> None:
    """New rows arrive without a reload and without touching what somebody has zoomed into."""
    path = tmp_path / "train.csv"
    path.write_text("epoch,loss\n" + "".join(f"{i},{i % 7}\n" for i in range(30)))
    with served(path, "--follow", folder=tmp_path) as address:
        viewer = look(address)
        page = viewer.page
        page.wait_for_function("() => Bokeh.documents.length === 1")
        source = "Bokeh.documents[0].get_model_by_name('series 0')"
        page.wait_for_function(f"() => {source}.data.x.length === 30")
        page.evaluate("() => void (window.before = Bokeh.documents[0])")
        with path.open("a") as file:
            file.write("30,3\n31,4\n")
        page.wait_for_function(f"() => {source}.data.x.length === 32")
        assert page.evaluate("() => window.before === Bokeh.documents[0]"), "it is the same chart"
        assert "32 rows" in page.inner_text("#note")
        assert page.inner_text("#link") == "following"
        viewer.excused = True
