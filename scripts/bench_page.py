"""How old a picture is: from ``send`` in four processes to pixels in a real Chromium."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks import Row, Settings, Skipped, benchmark, percentile, said_by

RANKS, METRICS, HZ = 4, 4, 20

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
_FEED = f"""
import sys, time, streamviz
publisher = streamviz.Publisher(sys.argv[1], run="fresh", rank=int(sys.argv[2]), world_size={RANKS})
began = time.time()
for step in range(10**6):
    publisher.send({{f"train/m{{i}}": (step * (i + 7)) % 31 for i in range({METRICS})}}, step=step)
    time.sleep(max(began + (step + 1) / {HZ} - time.time(), 0))
"""


@benchmark(repeats=1)
def page(settings: Settings) -> Iterator[Row]:
    """The age of the newest sample of each frame at the moment the page has painted it."""
    ages, frames_per_s = painted_ages(4.0 if settings.quick else 25.0)
    load = f"{RANKS} ranks x {METRICS} metrics at {HZ} Hz"
    for percent, target in ((50, 0.060), (99, 0.150)):
        yield Row(
            f"newest sample's age when painted, {load}, p{percent}",
            percentile(ages, percent),
            "s",
            target=target,
        )
    yield Row("frames painted meanwhile", frames_per_s, "a second")


def painted_ages(seconds: float) -> tuple[list[float], float]:
    """Return the age of each painted frame in seconds, and the frames a second."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise Skipped("no chromium on PATH")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise Skipped("playwright is not installed: ./scripts/setup test") from None
    command = [
        *(sys.executable, "-m", "streamviz", "serve", "--port", "0", "--no-token"),
        *("--ingest", "tcp://127.0.0.1:0"),
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [*command, "--data-dir", folder], stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        facts = said_by(server)
        feeds = [
            subprocess.Popen([sys.executable, "-c", _FEED, facts["ingest"], str(rank)])
            for rank in range(RANKS)
        ]
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=path, args=_FLAGS.split())
                tab = browser.new_page(viewport={"width": 1440, "height": 900})
                tab.goto(facts["page"])
                tab.wait_for_function("() => streamviz.panels().length === 4", timeout=30_000)
                time.sleep(3)  # charts are built, the interpreter of the page is warm
                begin = time.time()
                time.sleep(seconds)
                painted = tab.evaluate("() => streamviz.paintedAt")
                browser.close()
        finally:
            for feed in feeds:
                feed.kill()
                feed.wait()
            server.terminate()
    ages = [at - newest for _, newest, at in painted if at > begin and newest is not None]
    return ages, len(ages) / seconds
