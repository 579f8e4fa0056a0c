"""What one chart can do: each control in a real Chromium, against numpy on the same rows."""

from __future__ import annotations

import csv
import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Locator
from serving import ServerProcess
from viewing import Viewer

import streamviz

pytestmark = pytest.mark.browser

RANKS, STEPS = 9, 300
SPIKE, NAN, ZERO = 120, 77, 40
HOSTILE = "train/<b>&\"' ]]>"

Floats = npt.NDArray[np.float64]


def values() -> dict[str, Floats]:
    """What each rank sends of each metric; shape (steps, ranks)."""
    rng = np.random.default_rng(7)
    steps = np.arange(STEPS, dtype=np.float64)[:, None]
    loss = 1 + np.exp(-steps / 80) + 0.02 * rng.standard_normal((STEPS, RANKS))
    loss[SPIKE, 3] = 1e4
    loss[NAN] = np.nan
    signed = rng.standard_normal((STEPS, RANKS)) * 10.0 ** rng.integers(-3, 4, (STEPS, 1))
    signed[ZERO] = 0
    return {
        "train/loss": loss,
        "train/signed": signed,
        "train/tokens": np.repeat(steps * 4096, RANKS, axis=1),
        HOSTILE: np.repeat(steps, RANKS, axis=1),
    }


SENT = values()


class Desk:
    """One page that all tests of this file share, and the run it shows."""

    def __init__(self, server: ServerProcess, viewer: Viewer) -> None:
        self.server = server
        self.viewer = viewer
        self.page = viewer.page
        self.base = server.page

    def show(self, query: str = "", until: str = "true") -> None:
        """Open the page anew with some choices in its address."""
        address, _, _ = self.base.partition("?")
        self.page.goto(f"{address}?{query}")
        self.viewer.wait(
            f"globalThis.streamviz && panel('train/loss')?.columns?.x.length === {STEPS}"
            f" && panel('train/loss').painted > 0 && ({until})"
        )

    def panel(self, metric: str = "train/loss") -> dict[str, Any]:
        """Return what stands on the screen of a metric."""
        found = self.viewer.panel(metric)
        assert found is not None
        return found

    def card(self, metric: str = "train/loss") -> Locator:
        """Return the card of a metric."""
        return self.page.locator(".card").filter(has=self.page.locator(f'h3[title="{metric}"]'))

    def notes(self, metric: str = "train/loss") -> str:
        """Return what the title row says of the data."""
        return self.card(metric).locator(".card-notes").inner_text()

    def query(self) -> str:
        """Return the address's choices."""
        return str(self.page.evaluate("() => location.search"))

    def menu(self, metric: str = "train/loss") -> Locator:
        """Open the menu of a chart."""
        self.card(metric).hover()
        self.card(metric).locator(".menu-button").click()
        return self.page.locator(".menu")


@pytest.fixture(scope="module")
def publishers(chromium: Browser) -> Iterator[tuple[ServerProcess, list[streamviz.Publisher]]]:
    """A server, and the ranks of a run that have sent all rows."""
    assert chromium.is_connected()
    server = ServerProcess()
    ranks = [
        streamviz.Publisher(server.ingest, run="controls", rank=rank, world_size=RANKS)
        for rank in range(RANKS)
    ]
    for step in range(STEPS):
        for rank, publisher in enumerate(ranks):
            publisher.send({name: of[step, rank] for name, of in SENT.items()}, step=step)
    assert all(publisher.flush(20) for publisher in ranks)
    yield server, ranks
    for publisher in ranks:
        publisher.close()
    server.stop()


@pytest.fixture(scope="module")
def desk(
    chromium: Browser, publishers: tuple[ServerProcess, list[streamviz.Publisher]]
) -> Iterator[Desk]:
    """The page; it must not complain about anything that the tests do."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    viewer = Viewer(context.new_page())
    viewer.page.on(
        "console",
        lambda said: (
            viewer.complaints.append(said.text) if said.type in ("error", "warning") else None
        ),
    )
    viewer.page.on("pageerror", lambda error: viewer.complaints.append(str(error)))
    viewer.page.goto(publishers[0].page)
    yield Desk(publishers[0], viewer)
    context.close()
    assert viewer.complaints == []


def debiased_ema(line: Floats, weight: float) -> Floats:
    """Smooth as TensorBoard does: a moving average from 0 on, its bias removed."""
    out, last, count = np.full(line.shape, np.nan), 0.0, 0
    for i, value in enumerate(line):
        if np.isfinite(value):
            last = weight * last + (1 - weight) * value
            count += 1
            out[i] = last / (1 - weight**count)
    return out


def windowed(line: Floats, width: int, fold: Any) -> Floats:
    """Fold the values around each."""
    before, after = width // 2, width - 1 - width // 2
    return np.array(
        [
            fold(line[max(0, i - before) : i + after + 1]) if np.isfinite(value) else np.nan
            for i, value in enumerate(line)
        ]
    )


def test_smoothing_is_what_it_is_called(desk: Desk) -> None:
    """The moving average is TensorBoard's; median and mean are those of the points around each."""
    median = np.median(SENT["train/loss"], axis=1)
    for query, expected in (
        ("ema:0.9", debiased_ema(median, 0.9)),
        ("median:11", windowed(median, 11, np.nanmedian)),
        ("mean:21", windowed(median, 21, np.nanmean)),
    ):
        desk.show(f"smooth={query}")
        columns = desk.panel()["columns"]
        np.testing.assert_array_equal(columns["raw"], median)
        np.testing.assert_allclose(columns["mid"], expected, rtol=1e-9, err_msg=query)
    # What cannot be meant is as if nothing had been said.
    desk.show("smooth=mean:1e9")
    assert desk.panel()["columns"]["mid"] == pytest.approx(list(median), nan_ok=True)
    desk.page.locator("#smoothing-kind").select_option("median")
    desk.page.locator("#smoothing").fill("21")
    desk.viewer.wait("location.search === '?smooth=median:21'")


def test_a_metric_can_be_the_x_axis(desk: Desk) -> None:
    """Joined by step; likely metrics come first in the list, and the address holds the choice."""
    desk.show()
    options = desk.page.locator("#x-metric option").all_inner_texts()
    assert options[1] == "train/tokens"
    desk.page.locator("#x-metric").select_option("train/tokens")
    desk.viewer.wait(f"panel('train/loss').columns.x.at(-1) === {(STEPS - 1) * 4096}")
    assert desk.query() == "?x=metric:train/tokens"
    columns = desk.panel()["columns"]
    assert columns["x"] == [4096.0 * step for step in columns["step"]]
    assert len(columns["x"]) == STEPS
    # An axis that goes to and fro orders the points, and says so.
    desk.show("x=metric:train/signed", "panel('train/loss').columns.x[0] < 0")
    x = desk.panel()["columns"]["x"]
    assert x == sorted(np.median(SENT["train/signed"], axis=1))
    assert "train/signed goes back" in desk.notes()
    desk.page.keyboard.press("x")
    desk.viewer.wait("panel('train/loss').columns.x[0] === 0")


def test_scales_show_what_has_no_place_on_them(desk: Desk) -> None:
    """Log leaves out what is not above zero and says how much; symlog has a place for all of it."""
    signed = SENT["train/signed"]
    desk.show("", "panel('train/signed').scale === 'linear'")
    desk.page.keyboard.press("y")
    desk.viewer.wait(
        "panel('train/signed').scale === 'log' && panel('train/signed').yRange.start > 0"
    )
    without = int((np.nanmin(signed, axis=1) <= 0).sum())
    assert f"{without} points ≤ 0" in desk.notes("train/signed")
    desk.page.keyboard.press("y")
    desk.viewer.wait("panel('train/signed').scale === 'symlog'")
    span = desk.panel("train/signed")["yRange"]
    assert span["start"] < -100
    assert span["end"] > 100
    assert "≤ 0" not in desk.notes("train/signed")
    assert desk.query() == "?y=symlog"
    desk.page.keyboard.press("y")
    desk.viewer.wait("panel('train/signed').scale === 'linear' && location.search === ''")
    desk.show("logx=1", "panel('train/loss').range.start > 0")
    assert desk.panel()["range"] == {"start": 1, "end": STEPS - 1}
    assert "1 point left of the axis" in desk.notes()


def test_outliers_can_be_ignored_and_are_counted(desk: Desk) -> None:
    """The axis spans the bulk; what lies outside is said on the chart."""
    desk.show("outliers=ignore")
    panel = desk.panel()
    hi, lo = panel["columns"]["hi"], panel["columns"]["lo"]
    end, start = panel["yRange"]["end"], panel["yRange"]["start"]
    assert end < 3
    above = sum(value > end for value in hi)
    assert above >= 1
    assert re.search(rf"\b{above} points? above", desk.notes())
    below = sum(value < start for value in lo if value is not None)
    assert (f"{below} point" in desk.notes()) == (below > 0)


def test_all_outliers_can_be_shown(desk: Desk) -> None:
    """The axis goes to the furthest point; as it is without, a note says that it does not."""
    desk.show("")
    assert desk.panel()["yRange"]["end"] < 100
    assert "outliers beyond the axis" in desk.notes()
    desk.page.evaluate("() => document.querySelector('[name=outliers][value=show]').click()")
    desk.viewer.wait("panel('train/loss').yRange.end >= 10000")
    assert desk.query() == "?outliers=show"
    assert "beyond" not in desk.notes()


def test_an_unknown_metric_for_the_x_axis_is_explained(desk: Desk) -> None:
    """Charts say why they are empty, and show no axes of nothing."""
    address, _, _ = desk.base.partition("?")
    desk.page.goto(f"{address}?x=metric:no/such")
    blank = desk.card().locator(".blank")
    blank.filter(has_text="no metric named “no/such” for the x axis").wait_for()
    assert not desk.card().locator(".figure").is_visible()


def test_a_window_follows_the_live_edge(
    desk: Desk, publishers: tuple[ServerProcess, list[streamviz.Publisher]]
) -> None:
    """The last N steps stay in view while more come, as fine as they were sent."""
    server, _ = publishers
    with streamviz.Publisher(server.ingest, run="long", rank=0) as publisher:
        for step in range(8_000):
            publisher.send({"m": float(step % 89)}, step=step)
            if step % 2_000 == 0:
                assert publisher.flush(10)
        assert publisher.flush(10)
        address, _, _ = desk.base.partition("?")
        desk.page.goto(f"{address}?run=long&window=steps:100")
        wait = desk.viewer.wait
        wait(
            "globalThis.streamviz && panel('m')?.range?.end === 7999"
            " && panel('m').range.start === 7900 && panel('m').shift === 0"
        )
        for step in range(8_000, 8_150):
            publisher.send({"m": float(step % 89)}, step=step)
        wait("panel('m').range.end === 8149 && panel('m').range.start === 8050")
        wait("panel('m').shift === 0")
        columns = desk.panel("m")["columns"]
        fine = [(x, y) for x, y in zip(columns["x"], columns["raw"], strict=True) if x >= 8_050]
        assert fine == [(step, step % 89) for step in range(8_050, 8_150)]
        field = desk.page.locator("#window")
        field.fill("nonsense")
        assert field.get_attribute("aria-invalid") == "true"
        field.fill("")
        wait("panel('m').range.start === 0 && location.search === '?run=long'")


def test_the_band_can_be_mean_and_deviation(desk: Desk) -> None:
    """Chosen in a fold of the panel; the columns are numpy's, the readout says which they are."""
    desk.show()
    desk.page.locator("#more-controls summary").click()
    desk.page.get_by_text("mean ± std").click()
    loss = SENT["train/loss"]
    desk.viewer.wait(f"Math.abs(panel('train/loss').columns.raw[0] - {loss[0].mean()}) < 1e-9")
    columns = desk.panel()["columns"]
    np.testing.assert_allclose(columns["raw"], loss.mean(1), rtol=1e-9)
    np.testing.assert_allclose(columns["p10"], loss.mean(1) - loss.std(1), rtol=1e-6)
    np.testing.assert_allclose(columns["p90"], loss.mean(1) + loss.std(1), rtol=1e-6)
    assert desk.query() == "?band=std"
    desk.card().locator(".over").hover()
    desk.page.locator(".tip:visible").get_by_text("mean ± std").wait_for()


def test_the_readout_is_short_and_counts_the_rest(desk: Desk) -> None:
    """Five ranks, nearest first, and how many more; the crosshair stands in every chart."""
    desk.show("mode=lines&smooth=", "panel('train/loss').lines.length === 9")
    desk.card().locator(".over").hover()
    tip = desk.page.locator(".tip:visible")
    tip.locator(".tip-row").first.wait_for()
    assert tip.locator(".tip-row").count() == 5
    assert f"+{RANKS - 5} more" in tip.inner_text()
    shown = desk.page.locator(".cursor-line:visible").count()
    assert shown == len(SENT)
    distances = desk.page.evaluate(
        """() => [...document.querySelectorAll('.tip-row > span:last-child')]
        .map((span) => Number(span.textContent.replace('\\u2212', '-')))"""
    )
    assert len(distances) == 5


def test_the_menu_keeps_to_its_chart_and_to_the_keyboard(desk: Desk) -> None:
    """It shows under the pointer or with the focus; what is chosen there holds for one chart."""
    desk.show("smooth=ema:0.5")
    desk.page.mouse.move(5, 5)
    button = desk.card().locator(".menu-button")
    tools = desk.card().locator(".card-tools")
    assert tools.evaluate("element => getComputedStyle(element).opacity") == "0"
    button.focus()
    desk.viewer.wait(
        "getComputedStyle(document.activeElement.closest('.card-tools')).opacity === '1'"
    )
    desk.page.keyboard.press("Enter")
    menu = desk.page.locator(".menu")
    menu.locator("input[type=range]").fill("0")
    desk.viewer.wait(
        "panel('train/loss').columns.mid.every((value, i) => "
        "Object.is(value, panel('train/loss').columns.raw[i]))"
    )
    other = desk.panel("train/signed")["columns"]
    assert other["mid"] != other["raw"]
    menu.get_by_text("as the side panel says").click()
    desk.viewer.wait("panel('train/loss').columns.mid[9] !== panel('train/loss').columns.raw[9]")
    desk.page.keyboard.press("Escape")
    assert menu.count() == 0
    assert button.evaluate("element => element === document.activeElement")


def test_a_chart_can_be_taken_away(desk: Desk, tmp_path: Path) -> None:
    """CSV has every row as sent; the picture is twice as fine; the drawing's text is escaped."""
    desk.show()

    def saved(kind: str, metric: str) -> bytes:
        menu = desk.menu(metric)
        with desk.page.expect_download() as caught:
            menu.get_by_text(kind).click()
        path = tmp_path / kind[:3]
        caught.value.save_as(path)
        return path.read_bytes()

    rows = list(csv.DictReader(io.StringIO(saved("CSV", "train/loss").decode())))
    assert len(rows) == RANKS * STEPS
    table = np.array([float(row["value"]) for row in rows]).reshape(RANKS, STEPS)
    np.testing.assert_array_equal(table.T, SENT["train/loss"])

    drawing = ET.fromstring(saved("SVG", "train/loss"))
    words = [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert "train/loss" in words
    assert f"median of {RANKS} ranks" in words
    assert len(list(drawing.iter("{http://www.w3.org/2000/svg}path"))) >= 1

    picture = saved("PNG", "train/loss")
    width, height = struct.unpack(">II", picture[16:24])
    assert (width, height) == (2 * int(drawing.attrib["width"]), 2 * int(drawing.attrib["height"]))

    hostile = desk.page.locator(".card").filter(has_text="]]>")
    hostile.hover()
    hostile.locator(".menu-button").click()
    with desk.page.expect_download() as caught:
        desk.page.locator(".menu").get_by_text("SVG").click()
    caught.value.save_as(tmp_path / "hostile.svg")
    found = ET.fromstring((tmp_path / "hostile.svg").read_bytes())
    assert HOSTILE in [element.text for element in found.iter("{http://www.w3.org/2000/svg}text")]


def test_charts_zoom_together_and_come_back(desk: Desk) -> None:
    """A range chosen in one is shown in all; `0` follows again."""
    desk.show("together=1")
    box = desk.card().locator(".over").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    desk.page.mouse.move(box["x"] + 120, y)
    desk.page.mouse.down()
    desk.page.mouse.move(box["x"] + 200, y, steps=3)
    desk.page.mouse.up()
    desk.viewer.wait("streamviz.panels().every(({following}) => !following)")
    ranges = desk.page.evaluate("() => streamviz.panels().map(({range}) => range)")
    assert all(one == ranges[0] for one in ranges)
    desk.page.keyboard.press("0")
    desk.viewer.wait("streamviz.panels().every(({following, range}) => following && !range.start)")


def test_nothing_moves_while_data_arrive(
    desk: Desk, publishers: tuple[ServerProcess, list[streamviz.Publisher]]
) -> None:
    """The browser counts no layout shift at all over live data, values and axes included."""
    desk.show()
    desk.page.evaluate(
        """() => { window.shifts = [];
        new PerformanceObserver((list) => list.getEntries().forEach(
          (entry) => window.shifts.push(entry.value))).observe({type: 'layout-shift'}); }"""
    )
    for step in range(STEPS, STEPS + 60):
        for publisher in publishers[1]:
            row = {name: of[step % STEPS, 0] * (step - STEPS + 1) for name, of in SENT.items()}
            publisher.send(row, step=step)
        if step % 10 == 0:
            assert publishers[1][0].flush(10)
    desk.viewer.wait(f"panel('train/loss').columns.step.at(-1) >= {STEPS + 59}")
    assert desk.page.evaluate("() => shifts") == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_can_be_read(desk: Desk, theme: str) -> None:
    """Every colour of words has the contrast of AA, 4.5 to 1, on what it stands on."""
    ratios = desk.page.evaluate(
        """(theme) => {
        document.documentElement.dataset.theme = theme;
        const style = getComputedStyle(document.documentElement);
        const light = (token) => {
          const colour = style.getPropertyValue(token).trim();
          const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16) / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const on = (words, grounds) => grounds.flatMap((ground) =>
          words.map((word) => [`${word} on ${ground}`, ratio(light(word), light(ground))]));
        const runs = Array.from({length: 6}, (_, i) => `--run-${i}`);
        return [
          ...on(['--ink', '--ink-2', '--ink-3', '--axis-ink', '--focus', '--red', '--amber',
            '--live', ...runs], ['--surface']),
          ...on(['--ink', '--ink-2', '--ink-3', '--focus'], ['--bg']),
          ...on(['--ink', '--ink-2'], ['--surface-2']),
          ...on(['--amber'], ['--amber-bg']), ...on(['--red'], ['--red-bg']),
        ];
        }""",
        theme,
    )
    desk.page.evaluate("() => { document.documentElement.dataset.theme = 'system'; }")
    assert len(ratios) > 20
    assert {name: ratio for name, ratio in ratios if not ratio >= 4.5} == {}
