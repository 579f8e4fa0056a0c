"""The page in a real Chromium, fed over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from serving import ServerProcess, wait_until
from viewing import Viewer

import streamviz

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]


@contextmanager
def ranks(server: ServerProcess, run: str, count: int) -> Iterator[list[streamviz.Publisher]]:
    """Publishers of all ranks of a run."""
    publishers = [
        streamviz.Publisher(server.ingest, run=run, rank=rank, world_size=count)
        for rank in range(count)
    ]
    try:
        yield publishers
    finally:
        for publisher in publishers:
            publisher.close()


def test_a_line_moves_and_its_values_are_those_sent(server: ServerProcess, look: Look) -> None:
    """New points appear while the page is open, and each value on it is the value sent."""
    values = np.random.default_rng(0).standard_normal(60)
    with ranks(server, "one", 1) as [publisher]:
        publisher.send({"train/loss": values[0]}, step=0)
        viewer = look(server.page)
        viewer.wait("panel('train/loss')?.columns?.x.length === 1")
        painted = viewer.panel("train/loss")["painted"]  # type: ignore[index]
        for step in range(1, 60):
            publisher.send({"train/loss": values[step]}, step=step)

        viewer.wait("panel('train/loss').columns.x.length === 60")
        viewer.wait("panel('train/loss').painted > argument", painted)

    panel = viewer.panel("train/loss")
    assert panel is not None
    assert panel["columns"]["x"] == list(range(60))
    assert panel["columns"]["raw"] == list(values)


def test_the_band_is_numpys(server: ServerProcess, look: Look) -> None:
    """With many ranks the page shows exactly numpy's quantiles over them."""
    values = np.random.default_rng(1).standard_normal((40, 8))
    with ranks(server, "eight", 8) as publishers:
        for step in range(40):
            for rank, publisher in enumerate(publishers):
                publisher.send({"train/loss": values[step, rank]}, step=step)
        assert all(publisher.flush(10) for publisher in publishers)
        viewer = look(server.page)
        viewer.wait("panel('train/loss')?.columns?.x.length === 40")

    columns = viewer.panel("train/loss")["columns"]  # type: ignore[index]
    expected = {
        "lo": values.min(1),
        "p10": np.quantile(values, 0.1, axis=1),
        "raw": np.median(values, axis=1),
        "p90": np.quantile(values, 0.9, axis=1),
        "hi": values.max(1),
    }
    for name, column in expected.items():
        np.testing.assert_allclose(columns[name], column, rtol=1e-12, err_msg=name)


def test_of_a_few_points_none_is_an_outlier(server: ServerProcess, look: Look) -> None:
    """What a run that stands at one step has sent there is seen as a whole."""
    with ranks(server, "still", 1) as [publisher]:
        for value in [50.0, 50.2, 0.0, 49.8, 100.0, 50.0] * 9:
            publisher.send({"system/load": value}, step=7)
        viewer = look(server.page)
        viewer.wait(
            "panel('system/load')?.yRange?.start < 0.1 && panel('system/load').yRange.end > 99"
        )


def test_a_zoom_refines(server: ServerProcess, look: Look) -> None:
    """Dragging over a part of a long run fetches every step of that part."""
    with ranks(server, "long", 1) as [publisher]:
        for step in range(20_000):
            publisher.send({"m": float(step % 97)}, step=step)
            if step % 2_000 == 0:
                assert publisher.flush(10)
        assert publisher.flush(10)
        viewer = look(server.page)
        viewer.wait("panel('m')?.columns?.x.at(-1) >= 19900")
        overview = viewer.panel("m")
        assert overview is not None
        assert overview["shift"] > 0

        box = viewer.page.locator(".over").first.bounding_box()
        assert box is not None
        middle, half = box["x"] + box["width"] / 2, box["height"] / 2
        viewer.page.mouse.move(middle - 8, box["y"] + half)
        viewer.page.mouse.down()
        viewer.page.mouse.move(middle + 8, box["y"] + half, steps=4)
        viewer.page.mouse.up()

        viewer.wait("panel('m').shift === 0 && !panel('m').following")
        panel = viewer.panel("m")
        assert panel is not None
        steps = panel["columns"]["x"]
        start, end = panel["range"]["start"], panel["range"]["end"]
        shown = [step for step in steps if start <= step <= end]
        assert shown == list(range(int(shown[0]), int(shown[-1]) + 1))
        assert len(shown) > 300
        values = dict(zip(steps, panel["columns"]["raw"], strict=True))
        assert [values[step] for step in shown] == [step % 97 for step in shown]

        viewer.page.mouse.dblclick(middle, box["y"] + half)
        viewer.wait("panel('m').following && panel('m').shift > 0")


def test_a_second_viewer_sees_history(server: ServerProcess, look: Look) -> None:
    """Whoever opens the page later has the same picture as who was there from the start."""
    with ranks(server, "both", 2) as publishers:
        early = look(server.page)
        for step in range(100):
            for publisher in publishers:
                publisher.send({"m": float(step)}, step=step)
        early.wait("panel('m')?.columns?.x.length === 100")

        late = look(server.page)

        late.wait("panel('m')?.columns?.x.length === 100")
        assert late.panel("m")["columns"] == early.panel("m")["columns"]  # type: ignore[index]


def test_metrics_ranks_and_runs_appear_by_themselves(server: ServerProcess, look: Look) -> None:
    """An open page shows what begins while it is open."""
    viewer = look(server.page)
    viewer.page.get_by_text("Publisher(").first.wait_for()
    assert server.ingest in viewer.page.inner_text("body")

    with ranks(server, "first", 2) as [one, two]:
        one.send({"a/x": 1.0}, step=0)
        viewer.wait("panel('a/x')?.columns?.x.length === 1")
        one.send({"b/y": 2.0}, step=1)
        viewer.wait("panel('b/y')?.columns?.x.length === 1")
        two.send({"a/x": 3.0}, step=0)
        viewer.wait("panel('a/x')?.ranks === 2")
        with ranks(server, "second", 1) as [other]:
            other.send({"z": 1.0}, step=0)
            viewer.page.wait_for_function(
                "() => [...document.querySelectorAll('option')].some("
                "({textContent}) => textContent.includes('second'))"
            )


def test_nan_is_marked_and_a_gap_is_drawn(look: Look) -> None:
    """A NaN breaks the line with a mark at its step; lost rows are a gap, never just absent."""
    first = ServerProcess()
    publisher = streamviz.Publisher(first.ingest, run="holes")
    for step in range(10):
        publisher.send({"m": 1.0}, step=step)
    assert publisher.flush(10)
    endpoint = first.ingest
    first.kill()
    second = ServerProcess(ingest=endpoint)
    try:
        for step in range(10, 20):
            publisher.send({"m": float("nan") if step == 15 else 1.0}, step=step)
        assert publisher.flush(20)
        viewer = look(second.page)
        viewer.excused = True
        viewer.wait("panel('m')?.columns?.x.length === 10 && panel('m').gaps.length === 1")
        panel = viewer.panel("m")
    finally:
        publisher.close()
        second.stop()

    assert panel is not None
    assert panel["columns"]["bad"] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert np.isnan(panel["columns"]["raw"][5])
    assert panel["gaps"][0][2] == 10


def test_hostile_names_are_text(server: ServerProcess, look: Look) -> None:
    """Names that look like HTML, script or TeX are shown as they are and run nothing."""
    names = [
        "<img src=x onerror=window.hacked=1>",
        "<script>window.hacked=1</script>",
        "$$\\frac{1}{2}$$",
        "a/../../b",
        "{{constructor}}",
    ]
    with ranks(server, names[0], 1) as [publisher]:
        publisher.send(dict.fromkeys(names, 1.0), step=0)
        assert publisher.flush(10)
        viewer = look(server.page)
        for name in names:
            viewer.page.wait_for_function(
                "name => streamviz.state().metrics.includes(name)", arg=name
            )
        viewer.wait("streamviz.panels().every(({columns}) => columns?.x.length === 1)")

        assert viewer.page.evaluate("() => window.hacked") is None
        assert viewer.page.locator("img").count() == 0
        assert viewer.page.locator(".hacked, [onerror]").count() == 0
        assert names[0] in viewer.page.inner_text("header")


def test_a_paused_page_keeps_still_and_catches_up(server: ServerProcess, look: Look) -> None:
    """While paused nothing moves; afterwards nothing is missing."""
    with ranks(server, "pause", 1) as [publisher]:
        publisher.send({"m": 0.0}, step=0)
        viewer = look(server.page)
        viewer.wait("panel('m')?.columns?.x.length === 1")
        viewer.page.keyboard.press(".")
        viewer.wait("streamviz.state().paused")
        for step in range(1, 50):
            publisher.send({"m": float(step)}, step=step)
        assert publisher.flush(10)
        viewer.wait("streamviz.state().status?.step === 49")
        assert len(viewer.panel("m")["columns"]["x"]) == 1  # type: ignore[index]

        viewer.page.keyboard.press(".")

        viewer.wait("panel('m').columns.x.length === 50")


def test_a_page_outlives_its_server(look: Look) -> None:
    """When the server is gone the page says so, and is live again when one is back."""
    first = ServerProcess("--token", "the-same-word-again")
    viewer = look(first.page)
    viewer.wait("streamviz.state().link === 'open'")
    port, ingest = first.port, first.ingest

    viewer.excused = True
    first.kill()

    viewer.page.get_by_text("connection lost").first.wait_for()
    second = ServerProcess("--token", "the-same-word-again", ingest=ingest, port=port)
    try:
        with ranks(second, "after", 1) as [publisher]:
            publisher.send({"m": 1.0}, step=0)
            viewer.wait("globalThis.streamviz && panel('m')?.columns?.x.length === 1")
    finally:
        second.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_sticks_out(server: ServerProcess, look: Look, width: int, scheme: str) -> None:
    """At phone and desk width, light and dark, the page is as wide as the window."""
    with ranks(server, "wide-enough-to-be-cut-somewhere-in-the-header", 4) as publishers:
        for step in range(20):
            for publisher in publishers:
                publisher.send({"train/loss": 1.0 / (step + 1), "train/lr": 1e-4}, step=step)
        viewer = look(server.page, viewport={"width": width, "height": 844}, color_scheme=scheme)
        viewer.wait("panel('train/loss')?.columns?.x.length === 20")

        assert viewer.page.evaluate("() => document.documentElement.scrollWidth") <= width
        background = viewer.page.evaluate(
            "() => getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number)"
        )
        assert (sum(background[:3]) < 3 * 128) == (scheme == "dark")


def test_a_run_that_ends_is_said_to_be_done(server: ServerProcess, look: Look) -> None:
    """When all ranks have said goodbye the page says that the run is done."""
    with ranks(server, "over", 2) as publishers:
        for publisher in publishers:
            publisher.send({"m": 1.0}, step=0)
        viewer = look(server.page)
        viewer.wait("panel('m')?.columns?.x.length === 1")

    viewer.wait("streamviz.state().status?.state === 'done'")
    wait_until(lambda: "done" in viewer.page.inner_text("header"), "the header says done")
