"""The model as a tree, its times and what its modules do now, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from serving import ServerProcess
from viewing import Viewer

import streamviz
from streamviz.wire.payloads import document_body

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """One server for all runs of this file."""
    running = ServerProcess()
    yield running
    running.stop()


BAD = '<img src=x onerror="document.title=1">'


def module(path: str, kind: str, parent: int, own: int = 0, **more: Any) -> dict[str, Any]:
    """Return a module as a graph has it."""
    return {
        "path": path,
        "type": kind,
        "parent": parent,
        "parameters": own,
        "total": own,
        "trainable": own,
        "bytes": 4 * own,
        "input": "8x4",
        "output": "8x2",
        "seconds": None,
        "extra": "",
        **more,
    }


def graph() -> list[dict[str, Any]]:
    """Return a small model, one of whose names is hostile."""
    return [
        module("", "Net", -1, total=1110, trainable=1110, bytes=4440, seconds=0.01),
        module("stem", "Linear", 0, 10, seconds=0.001),
        module("body", "Sequential", 0, total=1000, seconds=0.008),
        module("body.0", "Linear", 2, 600, seconds=0.006),
        module("body.1", BAD, 2, 400, extra=BAD),
        module("head", "Linear", 0, 100),
    ]


def shown(viewer: Viewer) -> dict[str, Any]:
    """Return what stands in the tab."""
    found: dict[str, Any] = viewer.page.evaluate("() => streamviz.boards().model")
    return found


def test_the_tree_is_walked_searched_and_alive(server: ServerProcess, look: Look) -> None:
    """Totals, keys, depth, search, live values of each module, boxes, and which rank's model."""
    publishers = [
        streamviz.Publisher(server.ingest, run="model", rank=rank, world_size=2) for rank in (0, 1)
    ]
    try:
        for publisher in publishers:
            publisher._item("graph", "model", 0, document_body({"modules": graph()}))
            publisher.send(
                {
                    "watch/grad_norm/body.0.weight": 3.0,
                    "watch/grad_norm/body.0.bias": 0.5,
                    "watch/grad_norm/head.weight": 0.25,
                    "watch/act_zero/body.1": 0.75,
                    "phase/forward": 0.1,
                },
                step=0,
            )
        viewer = look(f"{server.page}&run=model&tab=model")
        page = viewer.page
        viewer.wait("streamviz.boards().model.rows.length === 6")
        viewer.wait("streamviz.boards().model.live.grad_norm?.['body.0']?.value === 3")
        found = shown(viewer)
        assert found["totals"].replace("\u202f", "").startswith("Net: 1110 parameters · all")
        live = found["live"]
        assert live["grad_norm"]["body"] == {"value": 3, "from": "body.0.weight"}
        assert live["grad_norm"]["head"]["value"] == 0.25
        assert live["grad_norm"]["stem"] is None
        assert live["act_zero"][""]["value"] == 0.75
        row = page.locator(".modules-row", has_text="body").first
        assert "75 %" in row.inner_text()

        tree = page.get_by_role("treegrid")
        tree.focus()
        page.keyboard.press("End")
        viewer.wait("streamviz.boards().model.at === 'head'")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")
        viewer.wait("streamviz.boards().model.at === 'body'")
        page.keyboard.press("ArrowLeft")
        viewer.wait("streamviz.boards().model.rows.join() === ',stem,body,head'")
        assert page.locator("[aria-expanded=false]", has_text="body").count() == 1
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        viewer.wait("streamviz.boards().model.at === 'body.0'")
        page.get_by_role("button", name="open 1 deep").click()
        viewer.wait("streamviz.boards().model.rows.length === 4")
        page.locator("#model-filter").fill("BODY.1")
        viewer.wait("streamviz.boards().model.rows.join() === ',body,body.1'")
        page.locator("#model-filter").fill("")

        page.get_by_text("boxes", exact=True).click()
        page.get_by_role("button", name="body, Sequential").click()
        page.locator(".structure text", has_text="<img").first.wait_for()
        bars = page.locator(".bars-row").all_inner_texts()
        assert [bar.split("\n")[0] for bar in bars] == ["body.0", "body", "(the model)", "stem"]
        page.get_by_label("model", exact=True).last.select_option("1 model")
        page.get_by_role("button", name="time per step by phase").click()
        viewer.wait("streamviz.state().tab === 'system'")
        assert page.title() != "1"
    finally:
        for publisher in publishers:
            publisher.close()


def test_a_large_and_a_hostile_model_stay_bounded(server: ServerProcess, look: Look) -> None:
    """Thousands of modules make a few elements; what is no list of modules does no harm."""
    large = [module("", "Big", -1, total=8000)]
    for block in range(200):
        at = len(large)
        large.append(module(f"blocks.{block}", "Block", 0))
        large += [module(f"blocks.{block}.{i}", "Linear", at, 2) for i in range(19)]
    hostile: list[Any] = [
        module(BAD, BAD, 0, 1),
        {"path": 7, "type": None, "parent": 99, "parameters": "many", "seconds": "NaN"},
        None,
        "text",
        module("a", "A", 4, total=float("inf")),
        module("b", "B", -5, own=-3, seconds=-1),
    ]
    with streamviz.Publisher(server.ingest, run="big", rank=0, world_size=1) as publisher:
        publisher._item("graph", "large", 0, document_body({"modules": large}))
        publisher._item("graph", "odd", 0, document_body({"modules": hostile}))
        publisher._item("graph", "wrong", 0, {"no": "document"})
        publisher.send({"loss": 1.0}, step=0)
        assert publisher.flush(10)
        viewer = look(f"{server.page}&run=big&tab=model", viewport={"width": 390, "height": 844})
        page = viewer.page
        viewer.wait("streamviz.boards().model.modules === 4001")
        page.get_by_role("button", name="open everything").click()
        viewer.wait("streamviz.boards().model.rows.length === 4001")
        assert page.locator(".modules-row").count() < 100
        page.get_by_role("treegrid").focus()
        page.keyboard.press("End")
        viewer.wait("streamviz.boards().model.at === 'blocks.199.18'")
        page.locator(".modules-row:visible[aria-selected=true]").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_text("boxes", exact=True).click()
        page.get_by_text("more boxes than can be told apart").wait_for()
        page.get_by_label("model", exact=True).last.select_option("0 odd")
        viewer.wait("streamviz.boards().model.modules === 6")
        viewer.excused = True  # the answer about the third is 422, which Chromium complains of
        page.get_by_label("model", exact=True).last.select_option("0 wrong")
        page.get_by_text("cannot be read").first.wait_for()
        assert page.title() != "1"


def test_profiles_are_bars_and_a_sortable_table(server: ServerProcess, look: Look) -> None:
    """Operators by their own time; a click sorts; of several profiles one is chosen."""
    with streamviz.Publisher(server.ingest, run="times", rank=0, world_size=1) as publisher:
        publisher.send({"loss": 1.0}, step=0)
        assert publisher.flush(10)
        viewer = look(f"{server.page}&run=times&tab=model")
        page = viewer.page
        page.get_by_text("publisher.graph(model, example_input)").wait_for()
        rows: list[list[Any]] = [[BAD, 10.0, 50.0], ["aten::mm", 40.0, 45.0], ["odd", None, {}]]
        columns = ["operator", "self CPU µs", "CPU µs"]
        for step in (5, 9):
            document = {"title": "step", "columns": columns, "rows": rows[: 2 + (step > 5)]}
            publisher._item("profile", "torch", step, document_body(document))
        viewer.wait("streamviz.boards().model.profile.rows === 3")
        bars = page.locator(".bars-row").all_inner_texts()
        assert [bar.split("\n")[0] for bar in bars] == ["aten::mm", BAD]
        assert "40 µs" in bars[0]
        page.get_by_role("button", name="CPU µs").last.click()
        viewer.wait("streamviz.boards().model.profile.sort.column === 2")
        assert shown(viewer)["profile"]["sort"] == {"column": 2, "down": True}
        page.get_by_label("profile").select_option(index=1)
        viewer.wait("streamviz.boards().model.profile.rows === 2")
        assert page.title() != "1"
