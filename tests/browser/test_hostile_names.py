"""Names from outside in every place of the page: text, within its place, and never run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from asideserver import page_of, serving_aside
from serving import wait_until
from viewing import Viewer

from streamviz.clock import wall_time
from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import RunInfo, WorkerInfo
from streamviz.journal.state import JournalState
from streamviz.store import Gap, Store

pytestmark = pytest.mark.browser

Look = Callable[..., Viewer]

NAMES = [
    "<img src=x onerror=window.__hit=1>",
    "<script>window.__hit=1</script>",
    "</script><svg onload=window.__hit=1>",
    "\"><a href='javascript:window.__hit=1'>x</a>",
    "javascript:window.__hit=1",
    "$$\\frac{window.__hit=1}{2}$$",
    "\\(\\require{html}\\href{javascript:window.__hit=1}{x}\\)",
    "{{constructor.constructor('window.__hit=1')()}}",
    "${window.__hit=1}",
    "a\u202eb\u2066c",
    "nul\0in/the\0middle",
    "loss \N{FIRE} \N{WOMAN}\u200d\N{ROCKET}",
    "\u05d4\u05e4\u05e1\u05d3/\u05d0\u05d9\u05de\u05d5\u05df",
    "e\u0301" * 60,
    "W" * 250,
    "a" * 120 + " " + "b/" * 60,
    "__proto__",
    "constructor/prototype",
    "%3Cscript%3E",
    "&lt;b&gt;&#x3c;",
]
LONG = "<b>long</b>" * 6000
"""Some 64 kB, where the wire would let nothing of the kind through."""

WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


def worker(run: str, rank: int, host: str, **more: Any) -> WorkerInfo:
    """Build a worker's snapshot, heard of just now."""
    now = wall_time()
    fields: dict[str, Any] = {
        "attempt": 0,
        "index": rank,
        "world_size": len(NAMES),
        "local_rank": rank,
        "pid": 1,
        "state": WorkerState.LIVE,
        "started": now - 60,
        "last_time": now,
        **more,
    }
    return WorkerInfo(run=run, rank=rank, host=host, **fields)


def hostile_run(store: Store, run: str) -> RunInfo:
    """Fill a run with hostile metrics, hosts, reasons, phases, endings and settings."""
    crew = []
    for rank, name in enumerate(NAMES):
        index = store.open_worker(run, rank, 0)
        table = store.open_table(run, tuple(NAMES))
        at = np.arange(20, dtype=np.int64)
        values = np.full((20, len(NAMES)), float(rank))
        store.append(table, index, at, 1e9 + at.astype(np.float64), values)
        store.add_gap(run, index, Gap(25, 30, 1e9, 1e9, 6, name))
        crew.append(
            worker(
                run,
                rank,
                LONG if rank == 3 else name,
                index=index,
                phase=name,
                ended=name,
                dropped={name: 3},
                refused={name: 1},
            )
        )
    config = {name: name for name in NAMES}
    return RunInfo(run=run, started=wall_time() - 60, workers=tuple(crew), config=config)


def check(viewer: Viewer, width: int) -> None:
    """Nothing ran, nothing was tried, nothing sticks out, no element came from a name."""
    page = viewer.page
    assert page.evaluate("() => window.__hit") is None
    assert page.evaluate("() => window.__violations") == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert page.locator("img, main script, [onerror], [onload], main a[href], math").count() == 0


def outside(viewer: Viewer, selector: str) -> list[str]:
    """Return the texts of elements that reach out of the window on either side."""
    found: list[str] = viewer.page.evaluate(
        """selector => [...document.querySelectorAll(selector)].filter((element) => {
          const { left, right, width } = element.getBoundingClientRect();
          return width > 0 && (left < -1 || right > innerWidth + 1);
        }).map(({ textContent }) => textContent.slice(0, 80))""",
        selector,
    )
    return found


@pytest.mark.parametrize("width", [390, 1440])
def test_hostile_names_are_text_in_every_view(look: Look, width: int) -> None:
    """Run, metric, host, reasons of losses, the disk's own words: shown, and nothing more."""
    run = NAMES[0]
    store = Store(64 << 20)
    info = hostile_run(store, run)
    disk = [JournalState(kind="off", since=None, detail="", bytes_used=0, bytes_allowed=0, path="")]
    with serving_aside(store=store, journal=lambda: disk[0]) as server:
        roster = server.dashboard.roster
        for other in NAMES[1:]:
            roster.replace(RunInfo(run=other, started=1.0, workers=(worker(other, 0, other),)))
        roster.replace(info)
        viewer = look("about:blank", viewport={"width": width, "height": 844})
        viewer.excused = True
        viewer.page.add_init_script(WATCH)
        viewer.page.goto(page_of(server))
        page = viewer.page
        viewer.wait("streamviz.state().metrics.length === argument", len(NAMES))
        viewer.wait("streamviz.panels().length > 0")
        viewer.wait("streamviz.panels().every(({ columns }) => columns?.x.length === 20)")

        # Metrics, runs, groups.
        assert set(viewer.state()["metrics"]) == set(NAMES)
        titles = page.locator(".card-title").evaluate_all("all => all.map(({ title }) => title)")
        assert set(titles) == set(NAMES)
        options = page.locator("#run option").all_text_contents()
        for name in NAMES:
            plain = name.replace("\u202e", "").replace("\u2066", "")
            told = [text for text in options if plain in text.replace("\u2068", "")]
            assert told or "\0" in name, name
        assert outside(viewer, ".card-title, .group-name, .stat, #run") == []
        check(viewer, width)

        # The readout, over a chart as a band and as lines.
        for mode in ("band", "lines"):
            if mode == "lines":
                page.keyboard.press("b")
                viewer.wait("streamviz.panels().some(({ lines }) => lines.length > 5)")
            box = page.locator(".over").first.bounding_box()
            assert box is not None
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
            page.locator(".tip:visible").wait_for()
            check(viewer, width)

        # Hosts in the notice: silent, failed, twice.
        def notice(workers: tuple[WorkerInfo, ...], says: str) -> str:
            roster.replace(replace(info, workers=workers))
            text = page.locator("#notice-text")
            wait_until(lambda: says in text.inner_text(), says)
            assert page.locator("#notice").evaluate("one => one.clientHeight") <= 130
            check(viewer, width)
            return text.inner_text()

        silent = tuple(replace(one, state=WorkerState.STALE) for one in info.workers[1:])
        assert NAMES[1] in notice((info.workers[0], *silent), "silent")
        failed = tuple(replace(one, state=WorkerState.FAILED) for one in info.workers)
        assert NAMES[0] in notice(failed, "failed")
        again = [replace(one, attempt=1, started=one.started + 30) for one in info.workers]
        assert NAMES[0] in notice((*info.workers, *again), "several jobs")

        # Reasons and the disk, in the sheet and in the notice.
        disk[0] = JournalState(
            kind="failing",
            since=wall_time(),
            detail=NAMES[2],
            bytes_used=1,
            bytes_allowed=2,
            path=f"/{NAMES[1]}/{LONG}",
        )
        assert NAMES[2] in notice(info.workers, "the disk")
        page.keyboard.press("d")
        sheet = page.locator("#delivery")
        wait_until(lambda: NAMES[0] in sheet.inner_text(), "the reasons are there")
        assert NAMES[2] in sheet.inner_text()
        check(viewer, width)
        page.keyboard.press("Escape")

        # What the person types, and an address that names no run.
        page.evaluate("() => document.getElementById('filter').focus()")
        page.locator("#filter").evaluate(
            "(field, text) => { field.value = text; field.dispatchEvent(new Event('input')); }",
            "zz" + NAMES[0],
        )
        page.locator("#board .no-match").wait_for()
        assert NAMES[0] in page.inner_text("#board .no-match")
        page.evaluate(
            "(run) => { history.pushState(null, '', `?run=${encodeURIComponent(run)}`);"
            " dispatchEvent(new PopStateEvent('popstate')); }",
            "nobody" + NAMES[1],
        )
        wait_until(lambda: NAMES[1] in page.inner_text("#empty"), "the unknown run is named")
        check(viewer, width)
        assert outside(viewer, "#empty *") == []
        assert viewer.state()["shown"] == ""
