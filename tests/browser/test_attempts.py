"""What the page makes of trainings that started again, and of two that share a name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from serving import ServerProcess, wait_until
from viewing import Viewer

import streamviz

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]


@contextmanager
def attempt(
    server: ServerProcess, number: int | None, *, ranks: int = 1, run: str = "again"
) -> Iterator[list[streamviz.Publisher]]:
    """Publishers of one start of a job."""
    publishers = [
        streamviz.Publisher(server.ingest, run=run, rank=rank, world_size=ranks, attempt=number)
        for rank in range(ranks)
    ]
    try:
        yield publishers
    finally:
        for publisher in publishers:
            publisher.close()


def send(publishers: list[streamviz.Publisher], steps: range, value: float) -> None:
    """Send a metric from every rank, and see it acknowledged."""
    for step in steps:
        for rank, publisher in enumerate(publishers):
            publisher.send({"m": value + rank}, step=step)
    assert all(publisher.flush(10) for publisher in publishers)


def test_a_resume_leaves_what_was_and_marks_where_it_begins(
    server: ServerProcess, look: Look
) -> None:
    """From step 100 back to 50: two lines, each in the order of its steps, the old one faint."""
    with attempt(server, 0) as first:
        send(first, range(100), 1.0)
    with attempt(server, 1) as second:
        # Every other step: rows of one attempt must not break the other's line.
        send(second, range(51, 81, 2), 2.0)
        viewer = look(server.page)
        viewer.wait("panel('m')?.columns?.x.at(-1) === 79 && panel('m').lines.length === 1")
        panel = viewer.panel("m")
        assert panel is not None
        assert panel["columns"]["x"] == list(range(51, 81, 2))
        assert set(panel["columns"]["raw"]) == {2.0}
        [old] = panel["lines"]
        assert (old["kind"], old["label"]) == ("old", "attempt 0")
        assert old["x"] == list(range(100))
        assert set(old["y"]) == {1.0}
        assert panel["starts"] == [{"x": 51, "step": 51, "label": "attempt 1"}]
        assert panel["range"]["start"] <= 0 < 99 <= panel["range"]["end"]
        viewer.page.locator(".start", has_text="attempt 1").wait_for()
        assert "attempt 1" in viewer.page.inner_text("header")

        box = viewer.page.locator(".over").bounding_box()
        assert box is not None
        viewer.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2)
        tip = viewer.page.locator(".tip:visible")
        tip.wait_for()
        assert tip.locator(".tip-row").all_inner_texts() == ["attempt 1\n2", "attempt 0\n1"]

        viewer.page.keyboard.press("x")
        viewer.page.keyboard.press("x")
        viewer.wait("panel('m').range.start > 1e12")
        clock = viewer.panel("m")
        assert clock is not None
        times = clock["lines"][0]["x"] + clock["columns"]["x"]
        assert times == sorted(times)
        assert len(times) == 115


def test_many_ranks_that_started_again_often_are_a_few_faint_lines(
    server: ServerProcess, look: Look
) -> None:
    """Each earlier attempt is the median of its ranks; all before the last few are one line."""
    for number in range(7):
        with attempt(server, number, ranks=6) as publishers:
            send(publishers, range(10 * number, 10 * number + 15), float(number))
            if number < 6:
                continue
            viewer = look(server.page)
            viewer.wait("panel('m')?.ranks === 6 && panel('m').lines.length === 5")
            panel = viewer.panel("m")
    assert panel is not None
    labels = [line["label"] for line in panel["lines"]]
    assert labels == ["attempt 5", "attempt 4", "attempt 3", "attempt 2", "attempts 0 to 1"]
    assert set(panel["lines"][0]["y"]) == {5 + 2.5}
    last = panel["lines"][-1]
    # Where both have a step the later one stands for it.
    assert dict(zip(last["x"], last["y"], strict=True)) == {
        **dict.fromkeys(range(10), 2.5),
        **dict.fromkeys(range(10, 25), 3.5),
    }


def test_two_jobs_of_one_name_are_warned_of(server: ServerProcess, look: Look) -> None:
    """Both are drawn, apart; the warning names rank, host and process, and what to do."""
    stop = threading.Event()
    with attempt(server, None) as one, attempt(server, None) as other:

        def train() -> None:
            step = 0
            while not stop.wait(0.02):
                one[0].send({"m": 1.0}, step=step)
                other[0].send({"m": 2.0}, step=step)
                step += 1

        training = threading.Thread(target=train)
        training.start()
        try:
            viewer = look(server.page)
            notice = viewer.page.locator("#notice-text")
            wait_until(lambda: "several jobs send as" in notice.inner_text(), "it is warned of")
            viewer.wait("panel('m').lines.length === 1 && panel('m').columns.x.length > 20")
            panel = viewer.panel("m")
            words = notice.inner_text()
        finally:
            stop.set()
            training.join()
    assert panel is not None
    kept = [set(panel["columns"]["raw"]), set(panel["lines"][0]["y"])]
    assert kept in ([{1.0}, {2.0}], [{2.0}, {1.0}])
    assert "rank 0: " in words
    assert "(attempt 0)" in words
    assert "(attempt 1)" in words
    assert "run name of its own" in words
