"""The heatmap, the phases and the machines, in a real Chromium, fed over real sockets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from serving import ServerProcess
from viewing import Viewer

import streamviz

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]

RANKS = 4
STEPS = 40


def value(rank: int, step: int) -> float:
    """Return what a rank sends: one is always off, one has a NaN, one a spike."""
    if (rank, step) == (1, 20):
        return float("nan")
    if (rank, step) == (3, 30):
        return 1000.0
    return 10.0 - step / 10 + (0.5 if rank == 2 else 0.01 * ((step * 7 + rank) % 5))


def send(publishers: list[streamviz.Publisher], first: int, last: int) -> None:
    """Send these steps of all ranks."""
    for step in range(first, last):
        for rank, publisher in enumerate(publishers):
            publisher.send(
                {
                    "loss": value(rank, step),
                    "phase/data": 0.1 if rank == 2 else 0.02,
                    "phase/forward": 0.05,
                    **({} if step % 4 else {"phase/validation": 0.4}),
                    "system/gpu_use": 90.0 - rank,
                    "system/gpu_temperature": 60.0 + rank,
                    "system/net_sent": 0.7 if rank else 0.0,
                },
                step=step,
            )


def heatmap(viewer: Viewer) -> dict[str, Any]:
    """Return what stands in the heatmap."""
    found: dict[str, Any] = viewer.page.evaluate("() => streamviz.boards().heatmap")
    return found


def assert_as_sent(shown: dict[str, Any], steps: int) -> None:
    """Each cell of the first steps is what its rank sent."""
    for rank in range(RANKS):
        for step in range(steps):
            cell, sent = shown["cells"][rank][step], value(rank, step)
            if sent != sent:
                assert cell != cell
            else:
                assert cell == pytest.approx(sent, abs=2e-3, rel=1e-3), (rank, step)


def test_rank_by_step_is_live_true_and_leads_to_the_line(server: ServerProcess, look: Look) -> None:
    """Each cell is the value sent; columns come one by one; NaN and spikes are marked and named."""
    publishers = [
        streamviz.Publisher(server.ingest, run="heat", rank=rank, world_size=RANKS)
        for rank in range(RANKS)
    ]
    try:
        send(publishers, 0, STEPS)
        viewer = look(f"{server.page}&tab=heatmap&heat=loss")
        page = viewer.page
        viewer.wait(f"streamviz.boards().heatmap.columns === {STEPS}")
        shown = heatmap(viewer)
        assert shown["steps"] == list(range(STEPS))
        assert_as_sent(shown, STEPS)
        viewer.wait("document.querySelector('.heat-marked').textContent.includes('r1 at step 20')")
        assert "r3 at step 30" in page.locator(".heat-marked").inner_text()

        told = [text.removeprefix("step ") for text in page.locator(".heat-step").all_inner_texts()]
        assert told == [str(10 * place) for place in range(len(told))]
        assert len(told) > 2

        drawn = len(shown["took"])
        # In turns, so that the same columns fill up rank by rank; the other ranks' cells wait.
        for rank, publisher in enumerate(publishers):
            for step in range(STEPS, STEPS + 5):
                publisher.send({"loss": value(rank, step)}, step=step)
            viewer.wait(
                "streamviz.boards().heatmap.cells[argument].slice(-5).every((one) => one !== null)"
                f" && streamviz.boards().heatmap.columns === {STEPS + 5}",
                rank,
            )
        viewer.wait("streamviz.boards().heatmap.took.length > argument", drawn)
        assert_as_sent(heatmap(viewer), STEPS + 5)

        page.get_by_text("difference between ranks").click()
        viewer.wait("Math.abs(streamviz.boards().heatmap.cells[2]?.[5] - 0.48) < 0.03")
        page.locator("label", has_text="value").last.click()
        viewer.wait(
            "streamviz.boards().heatmap.order[0] === 2 || streamviz.boards().heatmap.order[0] === 3"
        )
        page.locator("label:visible", has_text=re.compile("^rank$")).click()

        frame = page.locator(".heat-frame").bounding_box()
        assert frame is not None
        # The middle of rank 2's line at step 10: 64 columns is the least that the width is for.
        x = frame["x"] + frame["width"] * 10.5 / 64
        y = frame["y"] + frame["height"] * 2.5 / RANKS
        viewer.wait("streamviz.boards().heatmap.order.join() === '0,1,2,3'")
        page.mouse.move(x, y)
        page.locator(".tip:visible", has_text="r2").wait_for()
        assert "10" in page.locator(".tip:visible").inner_text()
        page.mouse.click(x, y)
        viewer.wait("streamviz.state().tab === 'charts' && streamviz.state().ranks === '2'")
        viewer.wait("panel('loss')?.following === false")

        page.keyboard.press("7")
        # Each phase is a view of its own, and is there when its values are.
        viewer.wait(
            "streamviz.boards().phases.ranks.length === 4"
            " && streamviz.boards().phases.phases.length === 3"
            " && streamviz.boards().phases.ranks.every(({means}) => means.every(Number.isFinite))"
        )
        phases = page.evaluate("() => streamviz.boards().phases")
        assert phases["phases"] == ["data", "forward", "validation"]
        means = {rank["rank"]: rank["means"] for rank in phases["ranks"]}
        # Of a step, not of those steps alone that have it: every fourth one validates.
        assert means[2] == pytest.approx([0.1, 0.05, 0.1], rel=1e-2)
        assert means[0] == pytest.approx([0.02, 0.05, 0.1], rel=1e-2)
        assert "most r2" in page.locator(".phase-legend").inner_text()
        viewer.wait("streamviz.boards().resources.columns.length === 3")
        columns = page.evaluate("() => streamviz.boards().resources.columns")
        assert columns[0]["metric"] == "system/gpu_use"
        assert dict(columns[0]["values"]) == pytest.approx({0: 90, 1: 89, 2: 88, 3: 87}, abs=0.1)
        net = dict(next(one for one in columns if one["metric"] == "system/net_sent")["values"])
        assert net[0] == 0, "a rate of nothing is not a little below it"
    finally:
        for publisher in publishers:
            publisher.close()


def test_time_per_step_needs_no_metric_of_its_own(server: ServerProcess, look: Look) -> None:
    """The heatmap's default is the seconds per step, from the times of whatever rows there are."""
    with streamviz.Publisher(server.ingest, run="pace", rank=0, world_size=1) as publisher:
        for step in range(20):
            publisher.send({"loss": 1.0}, step=step)
        assert publisher.flush(10)
        viewer = look(f"{server.page}&tab=heatmap")
        viewer.wait("streamviz.boards().heatmap.columns === 20")
        shown = heatmap(viewer)
        assert shown["metric"] == "time/step"
        assert shown["cells"][0][0] is None
        assert all(0 <= seconds < 5 for seconds in shown["cells"][0][1:])
        viewer.page.goto(f"{server.page}&tab=heatmap&heat=no-such-metric")
        viewer.page.get_by_text("no rank has sent “no-such-metric” yet").wait_for()
