"""The Media tab in Chromium: every kind drawn, stepped, followed live; nothing in it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from asideserver import page_of, serving_aside
from bokeh.embed import json_item
from bokeh.models import CustomJS, CustomJSTickFormatter, HoverTool
from bokeh.plotting import figure
from payloads_sent import document, hold, pixels, put
from viewing import Viewer

from streamviz.clock import wall_time
from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import RunInfo, WorkerInfo
from streamviz.store import Store
from streamviz.wire.bodies import pack_body

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]

WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
HIT = "window.__hit = 1"
CARDS = "streamviz.boards().media.cards"


def run_of(ranks: int) -> RunInfo:
    """Return a run whose ranks are heard of just now."""
    now = wall_time()
    workers = tuple(
        WorkerInfo(
            run="r",
            rank=rank,
            attempt=0,
            index=rank,
            world_size=ranks,
            local_rank=rank,
            host="h",
            pid=1,
            state=WorkerState.LIVE,
            started=now - 60,
            last_time=now,
        )
        for rank in range(ranks)
    )
    return RunInfo(run="r", started=now - 60, workers=workers)


def bokeh_body(plot: Any) -> bytes:
    """Return the body of a Bokeh figure."""
    return document(library="bokeh", figure=json.loads(json.dumps(json_item(plot))))


def plotly_body(plot: go.Figure) -> bytes:
    """Return the body of a Plotly figure."""
    return document(library="plotly", figure=json.loads(plot.to_json()))


def line(step: int) -> Any:
    """Return a Bokeh figure of three points."""
    plot = figure(title="bokeh", tooltips=[("x", "@x")])
    plot.line([1, 2, 3], [step, 2, 3])
    return plot


def of_all_kinds(step: int) -> dict[str, dict[str, bytes]]:
    """Return a payload of every kind, by kind and name."""
    curve = np.linspace(0, 1, 9).tolist()
    boxes = np.array([[1, 1, 4, 4]], "<f8").tobytes()
    labels = json.dumps(["<b>cat</b>"]).encode()
    return {
        "image": {
            "a/picture": pixels(step, caption=f"at {step}", boxes=boxes, box_labels=labels),
        },
        "text": {
            "a/words": document(text=f"# step {step}\n\n[a](https://e.org)", markdown=True),
            "a/raw": document(text="<i>no</i>", markdown=False),
        },
        "table": {
            "a/table": document(
                columns=["word", "value"], rows=[["b", 2.5], ["a", 10], ["c", float("nan")]]
            )
        },
        "chart": {"b/chart": document(chart="bar", x=["u", "v"], series=[{"y": [step, 1]}])},
        "figure": {
            "b/bokeh": bokeh_body(line(step)),
            "b/plotly": plotly_body(go.Figure(go.Scatter(x=[1, 2], y=[step, 3]))),
        },
        "pr_curve": {
            "c/pr": document(thresholds=curve, precision=curve, recall=curve[::-1], tp=curve)
        },
        "hparams": {"hparams": document(hparams={"lr": 0.1}, metrics={"acc": 0.9})},
        "tensor": {
            "c/tensor": document(
                dtype="float32", shape=[2, 2], values=[1, 2, 3, 4], truncated=False
            )
        },
        "layout": {
            "custom_scalars": document(
                charts=[{"category": "mine", "title": "both", "metrics": ["loss", "val"]}]
            )
        },
    }


def card(viewer: Viewer, name: str) -> dict[str, Any]:
    """Return what stands on a card."""
    cards: list[dict[str, Any]] = viewer.page.evaluate(f"() => {CARDS}")
    return next(one for one in cards if one["name"] == name)


def nothing_ran(viewer: Viewer) -> None:
    """No script of somebody else's ran, or was even tried."""
    assert viewer.page.evaluate("() => window.__hit") is None
    assert viewer.page.evaluate("() => window.__violations") == []


def leave(viewer: Viewer) -> None:
    """See that the page has nothing to complain of before its server goes."""
    assert [words for words in viewer.complaints if "WebGL" not in words] == []
    viewer.excused = True


def test_every_kind_is_drawn_stepped_and_followed(look: Look) -> None:
    """All kinds on cards of fixed size; the slider, the ranks, full size, and what is new."""
    store = Store(64 << 20)
    workers = hold(store, "r", 2)

    def send(step: int) -> None:
        for kind, bodies in of_all_kinds(step).items():
            put(store, workers[0], kind, bodies, step)
        put(store, workers[1], "image", {"a/picture": pixels(90 + step)}, step)

    send(0)
    send(5)
    with serving_aside(store=store) as server:
        server.dashboard.roster.replace(run_of(2))
        viewer = look("about:blank", viewport={"width": 1440, "height": 2400})
        page = viewer.page
        page.add_init_script(WATCH)
        page.goto(f"{page_of(server)}&tab=media&run=r")
        viewer.wait(f"{CARDS}.length === 10")
        heights = "() => [...document.querySelectorAll('.media-card')].map(c => c.clientHeight)"
        before = page.evaluate(heights)
        viewer.wait(f"{CARDS}.every(({{cells}}) => cells.length && cells.every(c => c.shown))")
        assert page.evaluate(heights) == before
        assert [one["words"] for one in card(viewer, "b/plotly")["cells"]] == [""]

        # What is on them.
        assert page.inner_text('[aria-label="a/words"] h1') == "step 5"
        assert page.get_attribute('[aria-label="a/words"] a', "target") == "_blank"
        assert page.inner_text('[aria-label="a/raw"] pre') == "<i>no</i>"
        assert page.inner_text(".media-box") == "<b>cat</b>"
        assert page.inner_text('[aria-label="a/picture"] .media-caption') == "at 5"
        assert page.locator("img.pixels").count() == 1
        assert page.locator('[aria-label="b/plotly"] .trace').count() == 1
        assert page.inner_text('[aria-label="hparams"] tbody').split() == ["0", "0.1", "0.9"]
        cells = page.locator('[aria-label="c/tensor"] td').all_text_contents()
        assert cells == ["0", "1", "2", "1", "3", "4"]

        # A table by its columns: numbers as numbers, what is none at the end.
        words = page.locator('[aria-label="a/table"] td:first-child')
        page.click('[aria-label="a/table"] th:nth-child(2) button')
        assert words.all_text_contents() == ["b", "a", "c"]
        page.click('[aria-label="a/table"] th:nth-child(2) button')
        assert words.all_text_contents() == ["a", "b", "c"]

        # The arrows move one slider; linked, all.
        page.focus('[aria-label="step of a/picture"]')
        page.keyboard.press("ArrowLeft")
        viewer.wait(f"{CARDS}.find(c => c.name === 'a/picture').cells[0].shown")
        assert page.inner_text('[aria-label="a/picture"] .media-caption') == "at 0"
        assert [card(viewer, name)["step"] for name in ("a/picture", "b/chart")] == [0, 5]
        page.check('input[role="switch"]:near(:text("link sliders"))')
        page.focus('[aria-label="step of b/chart"]')
        page.keyboard.press("ArrowLeft")
        assert {one["step"] for one in page.evaluate(f"() => {CARDS}")} == {0}
        page.click("text=all newest")
        viewer.wait(f"{CARDS}.every(({{step, following}}) => step === 5 && following)")

        # What comes is followed; a card that was put elsewhere stays there.
        page.uncheck('input[role="switch"]:near(:text("link sliders"))')
        page.focus('[aria-label="step of a/words"]')
        page.keyboard.press("ArrowLeft")
        send(9)
        viewer.wait(f"{CARDS}.filter(({{step}}) => step === 9).length === 9")
        assert card(viewer, "a/words")["step"] == 0
        viewer.wait(f"{CARDS}.every(({{cells}}) => cells.every(c => c.shown))")
        assert page.evaluate(heights) == before

        # Full size, stepped and closed from the keyboard.
        page.click('[aria-label="a/picture"] .media-fit')
        viewer.wait("document.querySelector('dialog.media-full img')?.complete")
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("dialog.media-full .media-at") == "step 5"
        page.keyboard.press("Escape")
        viewer.wait("!streamviz.boards().media.full")

        # Ranks side by side, one kind, one name.
        page.select_option('#pane-media select[aria-label="ranks"]', "0-1")
        viewer.wait(f"{CARDS}.find(c => c.name === 'a/picture').cells.length === 2")
        page.click('.chip[data-kind="image"]')
        viewer.wait(f"{CARDS}.length === 1")
        page.click('.chip[data-kind="image"]')
        page.fill("#filter", "plotly|raw")
        viewer.wait(f"{CARDS}.length === 2")
        page.keyboard.press("Escape")

        # The layout is a section among the charts.
        page.evaluate("() => document.activeElement.blur()")
        page.keyboard.press("1")
        page.locator(".group-name", has_text="mine").wait_for()
        assert page.locator('.card-title:text-is("both")').count() == 1
        nothing_ran(viewer)
        leave(viewer)


def hostile() -> dict[str, dict[str, bytes]]:
    """Return payloads that would like to run something."""
    tag = f"<script>{HIT}</script><img src=x onerror='{HIT}'><svg onload='{HIT}'>"
    scripted = line(1)
    scripted.xaxis.formatter = CustomJSTickFormatter(code=HIT)
    called = line(2)
    called.title.text = f"$$\\href{{javascript:{HIT}}}{{x}}$$ {tag}"
    called.x_range.js_on_change("start", CustomJS(code=HIT))
    called.add_tools(HoverTool(tooltips=[("x", f"{tag} @x{{safe}}")], mode="vline"))
    link = f'<a href="javascript:{HIT}">click</a>{tag}'
    plot = go.Figure(
        go.Scatter(x=[1, 2], y=[1, 2], text=[link] * 2, mode="markers+text", hovertemplate=link),
        {
            "title": {"text": link},
            "annotations": [{"text": link, "x": 1, "y": 1}],
            "xaxis": {"title": {"text": link}},
            "images": [{"source": "https://e.org/x.png"}],
        },
    )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>{HIT}</script>'
    svg += f'<image href="https://e.org/x.png" onerror="{HIT}"/><rect width="9" height="9"/></svg>'
    return {
        "text": {"words": document(text=f"{tag}\n\n[x](javascript:{HIT})", markdown=True)},
        "image": {
            "svg": pack_body({"media": "image/svg+xml", "data": svg.encode(), "caption": tag})
        },
        "table": {"table": document(columns=[tag], rows=[[tag], [{"a": tag}]])},
        "chart": {
            "chart": document(chart="bar", title=tag, x=[tag], series=[{"y": [1], "name": tag}])
        },
        "figure": {
            "scripted": bokeh_body(scripted),
            "called": bokeh_body(called),
            "plotly": plotly_body(plot),
            "map": plotly_body(go.Figure(go.Choropleth(locations=["FRA"], z=[1]))),
        },
        "hparams": {"hparams": document(hparams={tag: tag}, metrics={tag: 1})},
        "tensor": {tag: document(dtype=tag, shape=[tag], values=[tag])},
        "pr_curve": {"pr": document(precision=[tag], recall=tag)},
        "sound": {"other": pack_body({"data": tag})},
        "layout": {"custom_scalars": document(charts=[{"category": tag, "metrics": [tag]}, None])},
    }


def test_nothing_that_was_sent_runs(look: Look) -> None:
    """Scripts, handlers, links and formulas in any payload: text, left out, or refused in words."""
    store = Store(64 << 20)
    [worker] = hold(store, "r")
    for kind, bodies in hostile().items():
        put(store, worker, kind, bodies, 1)
    with serving_aside(store=store) as server:
        server.dashboard.roster.replace(run_of(1))
        viewer = look("about:blank", viewport={"width": 1440, "height": 2600})
        viewer.excused = True  # what is refused is an answer that Chromium tells of
        page = viewer.page
        page.add_init_script(WATCH)
        page.goto(f"{page_of(server)}&tab=media&run=r")
        viewer.wait(f"{CARDS}.length === 12")
        viewer.wait(f"{CARDS}.every(c => c.cells[0]?.shown || c.cells[0]?.words.length > 9)")
        assert "CustomJSTickFormatter" in card(viewer, "scripted")["cells"][0]["words"]
        assert "choropleth" in card(viewer, "map")["cells"][0]["words"]
        assert card(viewer, "called")["cells"][0]["shown"]
        assert "callbacks" in page.inner_text('[aria-label="called"] .media-caption')
        assert card(viewer, "plotly")["cells"][0]["shown"]
        for name in ("plotly", "called", "chart"):
            box = page.locator(f'[aria-label="{name}"] .media-figure').bounding_box()
            assert box is not None
            for share in (0.3, 0.5, 0.6):
                page.mouse.move(box["x"] + share * box["width"], box["y"] + share * box["height"])
        elements = page.locator(
            "main script, main [onerror], main [onload], main a[href^=javascript], main math, "
            "main img:not(.media-image img)"
        )
        assert elements.count() == 0
        links = page.evaluate(
            "() => [...document.querySelectorAll('svg a')].map(a => a.href.baseVal ?? a.href)"
        )
        assert not [found for found in links if "javascript" in found]
        nothing_ran(viewer)


def test_of_thousands_of_names_few_have_a_card(look: Look) -> None:
    """Cards are made for the first, contents fetched near the screen; without any, words."""
    store = Store(64 << 20)
    [worker] = hold(store, "r")
    with serving_aside(store=store) as server:
        server.dashboard.roster.replace(run_of(1))
        viewer = look(f"{page_of(server)}&tab=media&run=r")
        viewer.page.get_by_text("no images, texts or tables yet").wait_for()
        body = pixels(3)
        put(store, worker, "image", {f"{i % 9}/{i}": body for i in range(3_000)}, 1)
        viewer.wait(f"{CARDS}.length === 384")
        assert viewer.page.get_by_text("no images, texts or tables yet").is_hidden()
        viewer.wait(f"{CARDS}.some(c => c.cells[0]?.shown)")
        assert viewer.page.evaluate(f"() => {CARDS}.filter(c => c.near).length") < 30
        viewer.page.evaluate("() => scrollTo(0, document.body.scrollHeight)")
        viewer.wait(f"{CARDS}.filter(c => c.cells.length).every(c => c.near)")
        leave(viewer)
