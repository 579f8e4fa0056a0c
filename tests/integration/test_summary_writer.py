"""``SummaryWriter`` beside TensorBoard's: one script, and what the reader of each says of it."""

from __future__ import annotations

import base64
import http.client
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import ServerProcess

import streamviz

pytest.importorskip("torch")
pytest.importorskip("tensorboard")
Image = pytest.importorskip("PIL.Image")

from both_writers import BATCH, IMAGES, VALUES, write  # noqa: E402 - it needs torch

pytestmark = pytest.mark.torch


class Both:
    """What one script told both writers."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorBoard's own
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
            from torch.utils.tensorboard import SummaryWriter

            write(SummaryWriter(str(folder / "tb")))
            self.folder = folder / "tb"
            self.theirs = EventAccumulator(str(folder / "tb"), size_guidance={"tensors": 0})
            self.theirs.Reload()
        write(streamviz.SummaryWriter(run="both", endpoint=server.ingest, log_dir=folder / "ours"))
        self.server = server
        index = server.get("/api/v1/payloads", run="both")["payloads"]
        self.numbers = {(one["kind"], one["name"]): one["numbers"][-1] for one in index}
        self.steps = {(one["kind"], one["name"]): one["steps"] for one in index}

    def body(self, kind: str, name: str) -> dict[str, Any]:
        """Return what our server says of a payload."""
        number = self.numbers[kind, name]
        return dict(self.server.get("/api/v1/payload", run="both", number=number)["body"])

    def pixels(self, name: str) -> np.ndarray:
        """Return a picture of ours as RGB."""
        target = f"/api/v1/media?run=both&number={self.numbers['image', name]}"
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        headers = {"Authorization": f"Bearer {self.server.token}"} if self.server.token else {}
        connection.request("GET", target, headers=headers)
        data = connection.getresponse().read()
        connection.close()
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def their_pixels(self, name: str) -> np.ndarray:
        """Return a picture of theirs as RGB."""
        data = self.theirs.Images(name)[0].encoded_image_string
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """One server and one pair of writers for all tests of this file."""
    server = ServerProcess()
    yield Both(server, tmp_path_factory.mktemp("writers"))
    server.stop()


@pytest.mark.parametrize("tag", ["train/loss", "train/tensor", "train/array", "nan"])
def test_scalars_are_the_same(both: Both, tag: str) -> None:
    """Steps, values and given times are TensorBoard's, ours in full precision."""
    [ours] = both.server.series("both", tag)
    theirs = both.theirs.Scalars(tag)

    assert ours["step"] == [one.step for one in theirs]
    values = [float(value) for value in ours["value"]]
    np.testing.assert_allclose(values, [one.value for one in theirs], rtol=1e-6)
    if tag == "train/array":
        assert [one.wall_time for one in theirs] == [1e9 + step for step in range(20)]
        assert ours["time"] == [1e9 + step for step in range(20)]


def test_add_scalars_is_one_chart_of_this_run(both: Both) -> None:
    """Its keys are metrics of the run and lines of one chart; TensorBoard makes runs of them."""
    assert [both.server.series("both", f"both/{key}")[0]["value"] for key in "ab"] == [[1.0], [2.0]]
    assert both.body("layout", "custom_scalars")["charts"] == [
        {"category": "both", "title": "both", "kind": "multiline", "metrics": ["both/a", "both/b"]}
    ]
    assert (both.folder / "both_a").is_dir()


@pytest.mark.parametrize(
    "tag", [*(f"values/{name}" for name in VALUES), "bins/auto", "bins/fd", "bins/10", "raw"]
)
def test_histograms_are_the_same(both: Both, tag: str) -> None:
    """Counts and edges are TensorBoard's, but for empty neighbours that are one bin."""
    ours = both.body("histogram", tag)
    theirs = both.theirs.Histograms(tag)[0].histogram_value
    limits = np.array(theirs.bucket_limit)
    edges, counts = np.array(ours["edges"]), np.array(ours["counts"])

    if tag == "values/far":  # beyond 1e20 TensorBoard drops them, and counts them all the same
        assert (sum(theirs.bucket), counts.sum()) == (5, 7)
        assert (edges[0], edges[-1]) == (-1e25, 1e22)
        [inside] = np.nonzero((edges[1:] <= limits[-1]) & (edges[:-1] >= -1e20))
        edges, counts = edges[inside[0] : inside[-1] + 2], counts[inside]
    below = np.concatenate(([0.0], np.cumsum(theirs.bucket)))
    at = np.searchsorted(limits, edges)
    assert (limits[at[1:]] == edges[1:]).all()
    assert (np.diff(np.concatenate(([0.0], below[at[1:] + 1]))) == counts).all()
    assert ours["count"] == theirs.num
    for name, value in {"min": theirs.min, "max": theirs.max, "total": theirs.sum}.items():
        assert ours[name] == pytest.approx(value)
    assert ours["squares"] == pytest.approx(theirs.sum_squares)
    assert both.steps["histogram", tag] == [both.theirs.Histograms(tag)[0].step]


@pytest.mark.parametrize("name", [*(f"image/{name}" for name in IMAGES), "images"])
def test_pictures_are_the_same(both: Both, name: str) -> None:
    """Every pixel is TensorBoard's, of batches as grids too."""
    ours, theirs = both.pixels(name), both.their_pixels(name)

    assert ours.shape == theirs.shape
    assert (ours == theirs).all()
    assert name != "images" or ours.shape == (2 * BATCH.shape[2], 8 * BATCH.shape[3], 3)


def test_texts_are_the_same(both: Both) -> None:
    """The text is there as it was written, and drawn as Markdown."""
    [theirs] = both.theirs.Tensors("note/text_summary")
    ours = both.body("text", "note")

    assert ours["text"] == theirs.tensor_proto.string_val[0].decode()
    assert ours["html"].strip() == "<p><strong>lr</strong> was halved</p>"
    assert both.steps["text", "note"] == [theirs.step]


@pytest.mark.parametrize("tag", ["curve", "weighted"])
def test_pr_curves_are_the_same(both: Both, tag: str) -> None:
    """Counts, precision and recall at each threshold are TensorBoard's."""
    from tensorboard.util.tensor_util import make_ndarray

    [theirs] = both.theirs.Tensors(tag)
    rows = make_ndarray(theirs.tensor_proto)
    ours = both.body("pr_curve", tag)

    assert len(ours["thresholds"]) == rows.shape[1] == (127 if tag == "curve" else 20)
    for name, row in zip(("tp", "fp", "tn", "fn", "precision", "recall"), rows, strict=True):
        np.testing.assert_allclose(ours[name], row, rtol=1e-6, atol=1e-7)


def test_hparams_are_of_this_run(both: Both) -> None:
    """They and their metrics belong to the run itself; TensorBoard makes a run for them."""
    assert both.body("hparams", "hparams") == {
        "hparams": {"lr": 0.1, "bsize": 4, "opt": "sgd", "amp": True},
        "metrics": {"hparam/acc": 0.5},
    }
    assert both.server.series("both", "hparam/acc")[0]["value"] == [0.5]
    assert "hparam/acc" not in both.theirs.Tags()["scalars"]


def test_a_figure_is_the_same(server: ServerProcess, tmp_path: Path) -> None:
    """A matplotlib figure has TensorBoard's pixels and is closed; those of Plotly stay alive."""
    matplotlib = pytest.importorskip("matplotlib")
    objects = pytest.importorskip("plotly.graph_objects")
    matplotlib.use("agg")
    from matplotlib import pyplot as plt
    from torch.utils.tensorboard._utils import figure_to_image

    figure, axes = plt.subplots()
    axes.plot([1, 3, 2])
    expected = figure_to_image(figure, close=False).transpose(1, 2, 0)
    with streamviz.SummaryWriter(tmp_path, run="f", endpoint=server.ingest) as writer:
        writer.add_figure("drawn", figure, 1)
        writer.add_figure("alive", objects.Figure(objects.Scatter(y=[1, 2])), 1)
    assert plt.get_fignums() == []

    index = server.get("/api/v1/payloads", run="f")["payloads"]
    told = {one["name"]: (one["kind"], one["numbers"][0]) for one in index}
    assert {name: kind for name, (kind, _) in told.items()} == {"drawn": "image", "alive": "figure"}
    item = server.get("/api/v1/items", run="f", kind="image")["items"][0]
    png = base64.b64decode(item["body"]["data"]["base64"])
    assert (np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) == expected).all()
    body = server.get("/api/v1/payload", run="f", number=told["alive"][1])["body"]
    assert body["library"] == "plotly"


def test_written_after_close_and_after_a_crash(server: ServerProcess, tmp_path: Path) -> None:
    """A write after ``close`` goes on with the same line; with ``purge_step`` it is an attempt."""
    with streamviz.SummaryWriter(tmp_path, run="again", endpoint=server.ingest) as writer:
        for step in range(10):
            writer.add_scalar("loss", step, step)
    writer.close()
    assert writer.all_writers is None
    writer.add_scalar("loss", 10, 10)
    assert writer.file_writer is not None
    writer.close()
    assert [one["attempt"] for one in server.workers("again")] == [0]
    [line] = server.series("again", "loss")
    assert line["step"] == list(range(11))

    resumed = streamviz.SummaryWriter(tmp_path, purge_step=6, run="again", endpoint=server.ingest)
    resumed.add_scalar("loss", 0.5, 6)
    resumed.close()
    assert {one["attempt"]: one["step"] for one in server.series("again", "loss")} == {
        0: list(range(11)),
        1: [6],
    }
