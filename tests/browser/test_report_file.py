"""A run in one file, opened without a server in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import EPOCH, RunMaker
from serving import wait_until
from viewing import Viewer

from streamviz.cli import run as run_command
from streamviz.journal.entries import Commit, ItemRow, TableRows
from streamviz.wire.bodies import pack_body
from streamviz.wire.payloads import document_body

pytestmark = pytest.mark.browser

RUN = "<img src=x onerror=window.__hit=1>"
HOSTILE = ("</script><svg onload=window.__hit=1>/loss", "${window.__hit=1}", "$$\\alpha$$")
RANKS, STEPS = 12, 1500


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    """The report of a run whose names and texts are hostile."""
    made = RunMaker(tmp_path, RUN)
    made.file.commit(Commit(tables=[(1, HOSTILE)]))
    steps = np.arange(STEPS)
    for rank in range(RANKS):
        made.worker(rank, rank, rows=STEPS)
        lines = np.stack([np.sin(steps / 50) + rank, steps * 1.0, 0 * steps + 1.0], axis=1)
        lines[700, 0] = 500.0 if rank == 7 else np.nan if rank == 3 else lines[700, 0]
        times = np.array(EPOCH + steps * 0.1, np.float64)
        made.chunk(TableRows(table=1, worker=rank, first=0, steps=steps, times=times, values=lines))
    body: dict[str, Any] = {"text": f"# {RUN}\n![x](https://example.org/x.png)", "markdown": True}
    made.items(
        ItemRow(0, 0, "text", RUN, 1, EPOCH, pack_body(document_body(body))),
        ItemRow(0, 1, "mark", RUN, 400, EPOCH, pack_body({"text": RUN})),
    )
    made.close()
    target = tmp_path / "run.html"
    arguments = ["export", RUN, "--html", str(target), "--data-dir", str(tmp_path)]
    assert run_command(arguments) == 0
    return target


def test_a_report_opens_without_a_server(page_file: Path, look: Callable[..., Viewer]) -> None:
    """Charts are drawn in the system's colours and linked, nothing is fetched, no name runs."""
    viewer = look(page_file.as_uri(), color_scheme="dark")
    page = viewer.page
    # Asked from outside: what Playwright leaves in a page to ask again is text, which no page of
    # ours lets run.
    drawn = (
        "document.querySelectorAll('.chart').length === 3"
        " && document.querySelectorAll('.chart[data-drawn] .bk-Figure').length === 3"
    )
    wait_until(lambda: page.evaluate(drawn), "all three charts are drawn")

    assert page.title() == RUN
    assert page.inner_text("h1") == RUN
    headings = page.locator(".group > summary").all_inner_texts()
    assert any("</script><svg onload=window.__hit=1>" in heading for heading in headings)
    assert page.evaluate("window.__hit") is None
    assert page.locator("img").count() == 0
    # The one spike of the one rank is the top of the axis, and the mark is at its step.
    top, marks = page.evaluate(
        """() => {
          const plots = Bokeh.documents.map((one) => one.roots()[0]);
          const sources = plots.flatMap((plot) => [...plot.references()]).filter((m) => m.data);
          const band = sources.find((m) => m.data.get?.("hi")?.some((v) => v === 500)
            ?? m.data.hi?.some((v) => v === 500));
          const mark = sources.find((m) => m.name === "marks");
          const at = (m, name) => (m.data.get ? m.data.get(name) : m.data[name]);
          const peak = at(band, "hi").indexOf(500);
          return [at(band, "hi_rank")[peak], [...at(mark, "x")]];
        }"""
    )
    assert (top, marks) == (7, [400])
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, dark[4:-1].split(","))) < 200

    # A drag zooms into what it spans, on this chart and on all others.
    place = page.locator(".chart").first.bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + 150, place["y"] + 60)
    page.mouse.down()
    page.mouse.move(place["x"] + 250, place["y"] + 160, steps=4)
    page.mouse.up()
    page.wait_for_selector("#reset:not([disabled])")
    zoomed = page.evaluate("Bokeh.documents.map((one) => one.roots()[0].x_range.end)")
    assert len(set(zoomed)) == 1
    assert zoomed[0] < STEPS - 100
    page.evaluate("Bokeh.documents[0].roots()[0].x_range.setv({ start: 100, end: 200 })")
    ranges = "Bokeh.documents.map((one) => one.roots()[0].x_range).map((r) => [r.start, r.end])"
    assert page.evaluate(ranges) == [[100, 200]] * 3
    page.click("#reset")
    assert page.evaluate(ranges) == [[0, STEPS - 1]] * 3
    page.fill("#filter", "alpha")
    assert page.locator(".card:visible").count() == 1
    assert [url for url in viewer.requests if not url.startswith(("data:", "file:", "blob:"))] == []
