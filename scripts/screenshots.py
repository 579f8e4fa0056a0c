"""The pictures in ``docs/images``: every view, as a real Chromium shows it beside a real server.

Law: the same command gives the same pictures, but for the times of day and of the machine on them.
"""

from __future__ import annotations

import argparse
import functools
import http.client
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from procs import ended

import streamviz

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 150_000
"""Of one picture: they are part of every clone."""

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
_DEADLINE_S = 120.0
_SETTLED_S = 3.0
"""After the first data: fonts, layout and the first live frames are there."""
_COLOURS = (256, 128, 64, 32)

_SLOW = "straggler:rank=5,phase=data,seconds=0.15@step=60"
_DRIFTS = "desync:rank=2,metric=param/norm@step=90"
_HANGS = "stall:rank=417,phase=data@step=60"

_CELL = """<!doctype html><meta charset="utf-8"><title>notebook</title>
<style>body{max-width:1180px;margin:28px auto;font:15px/1.5 system-ui,sans-serif}
pre{padding:8px 12px;border:1px solid #ddd;background:#f7f7f7;font:14px/1.5 monospace}</style>
<pre><span style="color:#307fc1">[1]:</span> import streamviz
     streamviz.show("llm-7b")</pre>
"""

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": "light",
        "device_scale_factor": 1.5,
        "is_mobile": True,
        "has_touch": True,
    },
}


@dataclass(frozen=True)
class Picture:
    """One view.

    Attributes:
        name: The file's, before the look: ``workers`` makes ``workers-light.png``.
        run: The run that it shows; empty: none, but the file of charts that an example writes.
        query: What of the page's address chooses the view.
        looks: Of :data:`LOOKS`.
        before: Done to the page before it is taken.
        in_notebook: Whether it stands within a notebook's page.
    """

    name: str
    run: str
    query: str = ""
    looks: Sequence[str] = ("light", "dark", "phone")
    before: Callable[[Page], None] | None = None
    in_notebook: bool = False


def _open_alerts(page: Page) -> None:
    page.get_by_role("button", name=re.compile(r"^\d+ alerts?$")).first.click()


def _to_gradients(page: Page) -> None:
    page.locator("#dist-filter").fill("gradients/blocks")
    page.locator("#dist-filter").blur()
    page.locator(".dist-sheet").first.wait_for()


def _open_model(page: Page) -> None:
    page.get_by_role("button", name="open 3 deep").click()
    page.locator(".modules-live").first.wait_for()


PICTURES = (
    Picture("page", "digits", looks=("light", "dark")),
    Picture("charts", "llm-7b"),
    Picture("heatmap", "llm-7b", "tab=heatmap&heat=phase/data"),
    Picture("system", "llm-7b", "tab=system"),
    Picture("alerts", "llm-7b", looks=("light", "dark"), before=_open_alerts),
    Picture("notebook", "llm-7b", looks=("light",), in_notebook=True),
    Picture("workers", "llm-70b", "tab=workers"),
    Picture("plot", "", looks=("light", "dark")),
    Picture("distributions", "small-vit", "tab=distributions", before=_to_gradients),
    Picture("model", "small-vit", "tab=model", before=_open_model),
    Picture("media", "digits-cnn", "tab=media"),
)


def main() -> int:
    """Take them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [picture.name for picture in PICTURES]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(names)}")
    chosen = parser.parse_args().names or names
    if unknown := set(chosen) - set(names):
        parser.error(f"found {', '.join(sorted(unknown))}, expected some of {', '.join(names)}")
    pictures = [picture for picture in PICTURES if picture.name in chosen]
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if chromium is None:
        print("screenshots: no chromium or google-chrome on PATH", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with ExitStack() as ending, sync_playwright() as playwright:
        folder = ending.enter_context(tempfile.TemporaryDirectory())
        # Its keys, with which the notebook's link is made, are in the folder too.
        os.environ["STREAMVIZ_HOME"] = f"{folder}/keys"
        server = ending.enter_context(_server(Path(folder)))
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS.split())
        # One training after the other: they share this machine with the browser.
        for run in dict.fromkeys(picture.run for picture in pictures if picture.run):
            with _training(server, run):
                server.wait_for(run)
                for picture in pictures:
                    if picture.run == run:
                        _take(browser, server, picture)
        for picture in pictures:
            if not picture.run:
                _take_file(browser, _file_of_charts(Path(folder)), picture)
        browser.close()
    return 0


# -- a server, and what it shows ------------------------------------------------------------


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Served:
    """A server in a process of its own."""

    def __init__(self, page: str, ingest: str, folder: Path) -> None:
        self.page, self.ingest, self._folder = page, ingest, folder

    def notebook(self, html: str) -> str:
        """Serve a page for as long as this program runs; return its address."""
        (self._folder / "notebook").mkdir(exist_ok=True)
        (self._folder / "notebook" / "index.html").write_text(html)
        handler = functools.partial(_Silent, directory=str(self._folder / "notebook"))
        pages = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{pages.server_port}/"

    def get(self, path: str, **query: str) -> Any:
        """Return what the API answers."""
        parts = urllib.parse.urlsplit(self.page)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        connection.request(
            "GET",
            f"{path}?{urllib.parse.urlencode(query)}",
            headers={"Authorization": f"Bearer {parts.query.partition('=')[2]}"},
        )
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def wait_for(self, run: str) -> None:
        """Wait until a run shows what its pictures are of."""
        step, rules = _READY[run]
        ends = time.monotonic() + _DEADLINE_S
        while True:
            told = [one for one in self.get("/api/v1/runs") if one["run"] == run]
            steps = [w["last_step"] or 0 for one in told for w in one["workers"]]
            alerts = self.get("/api/v1/alerts", run=run).get("alerts", []) if told else []
            if max(steps, default=0) >= step and rules <= {alert["rule"] for alert in alerts}:
                return
            if time.monotonic() > ends:
                raise SystemExit(f"screenshots: {run} showed no {sorted(rules)} at step {step}")
            time.sleep(0.2)


_READY: dict[str, tuple[int, set[str]]] = {
    "digits": (400, set()),
    "llm-7b": (160, {"straggler", "replicas"}),
    "llm-70b": (59, {"stall"}),
    "small-vit": (240, set()),
    "digits-cnn": (250, set()),
}


@contextmanager
def _server(folder: Path) -> Iterator[Served]:
    command = [
        *(sys.executable, "-m", "streamviz", "serve", "--no-record", "--stall-after", "8"),
        "--allow-frame=http://127.0.0.1:*",
        *("--port", "0", "--ingest", "tcp://127.0.0.1:0"),
    ]
    with _running(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said: dict[str, str] = {}
        while "ingest" not in said and (line := process.stdout.readline()):
            name, _, value = line.partition(": ")
            said[name] = value.strip()
        yield Served(said["page"], said["ingest"], folder)


@contextmanager
def _training(server: Served, run: str) -> Iterator[None]:
    simulated = ["-m", "streamviz", "demo", "--endpoint", server.ingest, "--run", run, "--simulate"]
    command = {
        "digits": [
            *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4"),
            *("examples/ddp_digits.py", "--seconds", "300"),
        ],
        "llm-7b": [*simulated, "64", "--rate", "10", "--fault", _SLOW, "--fault", _DRIFTS],
        "llm-70b": [*simulated, "1024", "--rate", "4", "--fault", _HANGS],
        "small-vit": ["scripts/scene_vit.py"],
        "digits-cnn": ["scripts/scene_digits.py"],
    }[run]
    with _running([sys.executable, *command], server.ingest):
        yield


@contextmanager
def _running(
    command: list[str], endpoint: str = "", *, stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        text=True,
        env={
            **os.environ,
            "STREAMVIZ_ENDPOINT": endpoint,
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        },
    )
    with ended(process):
        yield process


# -- pictures -------------------------------------------------------------------------------


def _take(browser: Browser, server: Served, picture: Picture) -> None:
    for look in picture.looks:
        context = browser.new_context(**LOOKS[look])
        try:
            page = _opened(context, server, picture)
            if picture.before is not None:
                picture.before(page)
            page.wait_for_timeout(_SETTLED_S * 1000)
            _write(page.screenshot(), picture.name, look)
        finally:
            context.close()


def _write(png: bytes, name: str, look: str) -> None:
    """Write a picture, as small as it can be."""
    data = _small(png)
    path = IMAGES / f"{name}-{look}.png"
    path.write_bytes(data)
    print(f"{path.relative_to(ROOT)}: {len(data) / 1000:.0f} kB", flush=True)


def _file_of_charts(folder: Path) -> Path:
    """Run the example that writes charts; return its file."""
    command = [sys.executable, "examples/csv_charts.py", f"--folder={folder}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return folder / "digits.html"


def _take_file(browser: Browser, file: Path, picture: Picture) -> None:
    for look in picture.looks:
        context = browser.new_context(**LOOKS[look])
        try:
            page = context.new_page()
            page.goto(file.as_uri())
            page.wait_for_function("() => document.documentElement.dataset.shown")
            page.wait_for_timeout(_SETTLED_S * 1000)
            _write(page.screenshot(), picture.name, look)
        finally:
            context.close()


def _opened(context: BrowserContext, server: Served, picture: Picture) -> Page:
    page = context.new_page()
    if picture.in_notebook:
        shown = streamviz.show(picture.run, server=server.page, height=620)._repr_html_()
        page.goto(server.notebook(_CELL + shown))
        page.frame_locator("iframe").get_by_text("Charts", exact=True).wait_for()
        return page
    address, _, token = server.page.partition("?")
    run = urllib.parse.quote(picture.run)
    page.goto(f"{address}?run={run}&{picture.query}&{token}")
    page.wait_for_function(
        "() => /[0-9]/.test(document.getElementById('stat-step')?.textContent ?? '')"
    )
    return page


def _small(png: bytes) -> bytes:
    """Return a picture in as many colours as fit into :data:`MOST_BYTES`."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    by_count = sorted(image.getcolors(image.width * image.height), reverse=True)
    for colours in _COLOURS:
        out = io.BytesIO()
        # The greater surfaces keep their very colour, and so do rare ones, as a state's; no
        # dithering, which does not compress.
        common = [part for _, colour in by_count[: colours // 2] for part in colour]
        rest = image.quantize(colours - colours // 2, Image.Quantize.MAXCOVERAGE).getpalette()
        palette = Image.new("P", (1, 1))
        palette.putpalette(common + (rest or []))
        reduced = image.quantize(palette=palette, dither=Image.Dither.NONE)
        reduced.save(out, "PNG", optimize=True)
        if out.tell() <= MOST_BYTES:
            return out.getvalue()
    raise SystemExit(f"screenshots: a picture takes {out.tell():,} bytes, allowed {MOST_BYTES:,}")


if __name__ == "__main__":
    sys.exit(main())
