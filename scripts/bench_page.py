"""How old a picture is, and what it costs: from ``send`` to pixels in a real Chromium."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import TYPE_CHECKING

from bench_server import flood_server
from benchmarks import Row, Settings, benchmark, percentile, said_by
from chromium import chromium
from procs import cpu_seconds, ended, resident

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

RANKS, METRICS, HZ = 4, 4, 20
WIDE = {"width": 1440, "height": 900}

_FEED = f"""
import sys, time, streamviz
publisher = streamviz.Publisher(sys.argv[1], run="fresh", rank=int(sys.argv[2]), world_size={RANKS})
began = time.time()
for step in range(10**6):
    publisher.send({{f"train/m{{i}}": (step * (i + 7)) % 31 for i in range({METRICS})}}, step=step)
    time.sleep(max(began + (step + 1) / {HZ} - time.time(), 0))
"""

_SHIFTS = """
globalThis.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@contextmanager
def serving(
    *arguments: str, record: bool = True
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Start a server; give it, its page's address and its ingest endpoint."""
    with ExitStack() as stack:
        kept = (
            ["--data-dir", stack.enter_context(tempfile.TemporaryDirectory())]
            if record
            else ["--no-record"]
        )
        command = [sys.executable, "-m", "streamviz", "serve", "--port", "0", "--no-token"]
        command += ["--ingest", "tcp://127.0.0.1:0", *kept, *arguments]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        stack.enter_context(ended(server))
        facts = said_by(server)
        yield server, facts["page"], facts["ingest"]


def simulation(endpoint: str, *arguments: str) -> subprocess.Popen[str]:
    """Start simulated ranks."""
    command = [sys.executable, "-m", "streamviz", "demo", "--endpoint", endpoint, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )


@benchmark(repeats=1)
def page(settings: Settings) -> Iterator[Row]:
    """The age of the newest sample of each frame at the moment the page has painted it."""
    with ExitStack() as stack:
        _, address, endpoint = stack.enter_context(serving())
        for rank in range(RANKS):
            feed = [sys.executable, "-c", _FEED, endpoint, str(rank)]
            stack.enter_context(ended(subprocess.Popen(feed, text=True)))
        tab = stack.enter_context(chromium()).new_page(viewport=WIDE)
        tab.goto(address)
        tab.wait_for_function("() => streamviz.panels().length >= 4", timeout=30_000)
        ages, rate = painted_ages(tab, 4.0 if settings.quick else 25.0)
    load = f"{RANKS} ranks x {METRICS} metrics at {HZ} Hz"
    yield from age_rows(load, ages, rate, (0.040, 0.100))


@benchmark(repeats=1)
def page_under_load(settings: Settings) -> Iterator[Row]:
    """The same beside 1,024 ranks that send 100 metrics ten times a second."""
    with ExitStack() as stack:
        _, address, endpoint = stack.enter_context(serving("--memory", "1GiB"))
        load = simulation(endpoint, "--simulate=1024", "--metrics=100", "--rate=10")
        stack.enter_context(ended(load))
        tab = stack.enter_context(chromium()).new_page(viewport=WIDE)
        tab.goto(address)
        tab.wait_for_function("() => streamviz.panels().length >= 4", timeout=60_000)
        ages, rate = painted_ages(tab, 5.0 if settings.quick else 30.0)
    yield from age_rows("1,024 ranks x 100 metrics at 10 Hz", ages, rate, (0.060, 0.150))


def age_rows(
    load: str, ages: list[float], rate: float, targets: tuple[float, float]
) -> Iterator[Row]:
    """Yield the rows of one load."""
    for percent, target in zip((50, 99), targets, strict=True):
        what = f"newest sample's age when painted, {load}, p{percent}"
        yield Row(what, percentile(ages, percent), "s", target=target)
    yield Row(f"frames painted meanwhile, {load}", rate, "a second")


def painted_ages(tab: Page, seconds: float) -> tuple[list[float], float]:
    """Return the age of each painted frame in seconds, and the frames a second."""
    time.sleep(3)  # charts are built, the interpreter of the page is warm
    begin = time.time()
    time.sleep(seconds)
    painted = tab.evaluate("() => streamviz.paintedAt")
    ages = [at - newest for _, newest, at in painted if at > begin and newest is not None]
    return ages, len(ages) / seconds


@benchmark(repeats=1)
def first_paint(settings: Settings) -> Iterator[Row]:
    """Twenty charts of a live run: from the address to the first of them drawn, and how much moves.

    The second visit of a browser, which has the page's files.
    """
    with ExitStack() as stack:
        _, address, endpoint = stack.enter_context(serving())
        load = simulation(endpoint, "--simulate=8", "--metrics=20", "--rate=10")
        stack.enter_context(ended(load))
        context = stack.enter_context(chromium()).new_context(viewport=WIDE)
        context.add_init_script(_SHIFTS)
        taken, moved = [], []
        for visit in range(1 + settings.rounds(10)):
            tab = context.new_page()
            tab.goto(address, wait_until="commit")
            tab.wait_for_function("() => globalThis.streamviz?.paintedAt.length > 0")
            seconds = tab.evaluate(
                "() => streamviz.paintedAt[0][2] - performance.timeOrigin / 1000"
            )
            time.sleep(1.5)  # whatever still moves after the first data
            shift = tab.evaluate("() => shifted")
            tab.close()
            if visit > 0:
                taken.append(seconds)
                moved.append(shift)
    yield Row("first paint, 20 charts", median(taken), "s", target=1.0)
    yield Row("layout shift from then on, the worst", max(moved), "", target=0.0)


@benchmark(repeats=1)
def pages(settings: Settings) -> Iterator[Row]:
    """Pages opened and closed again on a run that has ended: what is left of them in the server.

    While ranks send, the server's arrays fill up, and nobody could tell one growth from the other.
    """
    count = settings.rounds(100)
    with ExitStack() as stack:
        server, address, endpoint = stack.enter_context(serving(record=False))
        load = simulation(endpoint, "--simulate=64", "--metrics=20", "--rate=20", "--steps=200")
        load.wait()
        browser = stack.enter_context(chromium())

        def visit(times: int) -> None:
            for _ in range(times):
                tab = browser.new_context(viewport=WIDE).new_page()
                tab.goto(address)
                tab.wait_for_function("() => streamviz.paintedAt.length > 0", timeout=60_000)
                tab.context.close()

        visit(max(count // 5, 2))
        time.sleep(3.0)  # connections that a browser let go of
        base, cpu = resident(server.pid), cpu_seconds(server.pid)
        visit(count)
        cpu = cpu_seconds(server.pid) - cpu
        time.sleep(3.0)
        grown = resident(server.pid) - base
    yield Row(f"{count} pages opened and closed: the server has grown by", grown, "B", target=8e6)
    yield Row("a page opened, files and all: the server's CPU", cpu / count, "s")


@benchmark(repeats=1)
def heatmap(settings: Settings) -> Iterator[Row]:
    """The heatmap of 1,024 ranks and 1,000 steps while a step is added ten times a second."""
    with ExitStack() as stack:
        _, address, endpoint = stack.enter_context(serving("--memory", "1GiB"))
        load = simulation(endpoint, "--simulate=1024", "--metrics=8", "--rate=10")
        stack.enter_context(ended(load))
        browser = stack.enter_context(chromium())
        tab = browser.new_page(viewport=WIDE)
        sizes: list[int] = []
        tab.on(
            "websocket", lambda socket: socket.on("framereceived", lambda text: note(sizes, text))
        )
        tab.goto(
            f"{address}&tab=heatmap&heat=train%2Floss"
            if "?" in address
            else f"{address}?tab=heatmap&heat=train%2Floss"
        )
        # Up to 1,000 while it is measured, and not beyond 1,024, where two become one.
        columns = 100 if settings.quick else 830
        tab.wait_for_function(
            f"() => streamviz.boards().heatmap.columns >= {columns}",
            timeout=200_000,
            polling=1_000,  # the question itself costs the page its time
        )
        session = tab.context.new_cdp_session(tab)
        session.send("Performance.enable")
        sizes.clear()
        before = busy_seconds(session)
        time.sleep(3.0 if settings.quick else 15.0)
        busy = busy_seconds(session) - before
        took = tab.evaluate("() => streamviz.boards().heatmap.took")
        binary = [size for size in sizes if size > 0]
    updates = max(len(binary), 1)
    yield Row(
        f"heatmap of 1,024 x {columns} and more, an update: its drawing, p50",
        median(took) / 1000,
        "s",
    )
    yield Row(
        "the same: all that the browser's main thread does", busy / updates, "s", target=0.015
    )
    yield Row("the same: bytes on the wire, p50", median(binary), "B", target=2_000)


_ZOOMED = """
(was) => new Promise((resolve) => {
  const of = () => streamviz.panels().find(({ metric }) => metric === "m/0");
  addEventListener("pointerup", () => {
    const released = performance.now();
    const painted = of().painted;
    const look = () => {
      const panel = of();
      // Finer rows are there, and a paint has shown them.
      if (panel.shift < was && panel.painted > painted) resolve(performance.now() - released);
      else if (performance.now() - released < 5000) requestAnimationFrame(look);
      else resolve(NaN);
    };
    requestAnimationFrame(look);
  }, { once: true, capture: true });
})
"""


@benchmark(repeats=1)
def zoom(settings: Settings) -> Iterator[Row]:
    """From the release of the mouse over a part of a chart to its finer rows painted."""
    rows = settings.rounds(10**7)
    with ExitStack() as stack:
        server, address, endpoint = stack.enter_context(serving("--memory", "1GiB"))
        flood_server(server.pid, {"page": address, "ingest": endpoint}, rows)
        tab = stack.enter_context(chromium()).new_page(viewport=WIDE)
        tab.goto(address)
        chart = 'streamviz.panels().find(({ metric }) => metric === "m/0")'
        tab.wait_for_function(f"() => {chart}?.columns?.x.length > 100", timeout=60_000)
        box = tab.locator(".card", has_text="0").first.locator("canvas").first.bounding_box()
        assert box is not None
        taken = []
        for turn in range(settings.rounds(20)):
            shift = tab.evaluate(f"() => {chart}.shift")
            middle = box["x"] + box["width"] * (0.3 + 0.02 * turn)
            y = box["y"] + box["height"] / 2
            took = tab.evaluate_handle(f"() => ({{ answer: ({_ZOOMED})({shift}) }})")
            tab.mouse.move(middle, y)
            tab.mouse.down()
            tab.mouse.move(middle + 15, y, steps=3)
            tab.mouse.move(middle + 30, y + 2)
            tab.mouse.up()
            taken.append(took.evaluate("(held) => held.answer") / 1000)
            tab.keyboard.press("0")
            tab.wait_for_function(f"() => {chart}.following && {chart}.shift === {shift}")
    what = f"zoom into {rows:,} points: from the mouse's release to painted"
    yield Row(f"{what}, p50", median(taken), "s", target=0.060)
    yield Row(f"{what}, the worst", max(taken), "s")


def note(sizes: list[int], payload: str | bytes) -> None:
    """Take down the size of a binary message."""
    if isinstance(payload, bytes):
        sizes.append(len(payload))


def busy_seconds(session: CDPSession) -> float:
    """Return for how long the main thread of a tab has been at work."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))
