"""Each use of the writer that PyTorch's manual shows, in words of our own, against ours.

pytest makes an error of every warning, so none is given.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from payloads_caught import Caught

from streamviz.integrations.tensorboard import SummaryWriter

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch


@pytest.fixture
def caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caught]:
    """A publisher whose items are caught."""
    monkeypatch.chdir(tmp_path)
    found = Caught()
    yield found
    found.close()


@pytest.fixture
def writer(caught: Caught) -> SummaryWriter:
    """A writer that sends with it."""
    return SummaryWriter("shown", publisher=caught.publisher)


def kinds(caught: Caught) -> list[str]:
    """Return the kinds of what was sent."""
    return [note.kind for _, _, note in caught.notes]


def test_scalars(caught: Caught, writer: SummaryWriter) -> None:
    """A line, several lines of one chart, and a dictionary of NumPy's numbers."""
    with writer as entered:
        for step in range(10):
            entered.add_scalar("double", step * 2, step)
            waves = {"sin": step * np.sin(step / 5), "cos": step * np.cos(step / 5)}
            entered.add_scalars("waves", {**waves, "tan": np.tan(step / 5)}, step)

    assert len(caught.rows) == 20
    assert kinds(caught) == ["layout"]
    assert caught.refused == {}


def test_histograms(caught: Caught, writer: SummaryWriter) -> None:
    """Centres that wander, whole and as counts."""
    for step in range(3):
        writer.add_histogram("centres", np.random.default_rng(step).random(1000) + step, step)
    values = np.array([[0.0, 2.0], [3.0, 7.0]]).reshape(-1)
    counts, limits = np.histogram(values)
    writer.add_histogram_raw(
        tag="raw",
        min=values.min(),
        max=values.max(),
        num=len(values),
        sum=values.sum(),
        sum_squares=values.dot(values),
        bucket_limits=limits[1:].tolist(),
        bucket_counts=counts.tolist(),
        global_step=0,
    )

    assert kinds(caught) == ["histogram"] * 4
    assert caught.body()["counts"] == counts.tolist()
    assert caught.refused == {}


def test_pictures(caught: Caught, writer: SummaryWriter) -> None:
    """Colour ramps in both layouts, a batch, a tensor of a data loader, boxes, and a figure."""
    ramp = np.zeros((3, 100, 100))
    ramp[0] = np.arange(10_000).reshape(100, 100) / 10_000
    ramp[1] = 1 - ramp[0]
    writer.add_image("ramp", ramp, 0)
    writer.add_image("ramp", ramp.transpose(1, 2, 0), 1, dataformats="HWC")
    writer.add_images("batch", np.stack([ramp * share / 16 for share in range(16)]), 0)
    writer.add_image("loaded", torch.rand(1, 28, 28), 0)
    writer.add_image_with_boxes("found", ramp, torch.tensor([[10, 10, 40, 40]]), 0, labels=["cat"])

    assert kinds(caught) == ["image"] * 5
    assert caught.body()["box_labels"] == ["cat"]
    assert caught.refused == {}


def test_texts_and_curves(caught: Caught, writer: SummaryWriter) -> None:
    """Sentences at steps, and a curve of random guesses."""
    writer.add_text("lstm", "This is an lstm", 0)
    writer.add_text("rnn", "This is an rnn", 10)
    labels, guesses = np.random.default_rng(1).integers(2, size=100), np.linspace(0, 1, 100)
    writer.add_pr_curve("pr", labels, guesses, 0)

    assert kinds(caught) == ["text", "text", "pr_curve"]
    assert caught.refused == {}


def test_layouts_and_hparams(caught: Caught, writer: SummaryWriter) -> None:
    """Charts by category, margins among them, and a loop over hyperparameters."""
    writer.add_custom_scalars(
        {
            "Taiwan": {"twse": ["Multiline", ["twse/0050", "twse/2330"]]},
            "USA": {"dow": ["Margin", ["dow/aaa", "dow/bbb", "dow/ccc"]]},
        }
    )
    for trial in range(5):
        metrics = {"hparam/accuracy": 10 * trial, "hparam/loss": 10 * trial}
        writer.add_hparams({"lr": 0.1 * trial, "bsize": trial}, metrics)

    assert kinds(caught) == ["layout", *["hparams"] * 5]
    assert [row["hparam/accuracy"] for row in caught.rows] == [0, 10, 20, 30, 40]
    assert caught.refused == {}


def test_tensors_and_models(caught: Caught, writer: SummaryWriter) -> None:
    """A tensor, a model with an example of its input, and every parameter's distribution."""
    model: Any = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    writer.add_tensor("x", torch.tensor([1, 2, 3]))
    model(torch.rand(5, 4)).sum().backward()
    for name, parameter in model.named_parameters():
        writer.add_histogram(name, parameter, 1)
        writer.add_histogram(f"{name}.grad", parameter.grad, 1)
    writer.add_graph(model, torch.rand(1, 4))

    assert kinds(caught)[:9] == ["tensor", *["histogram"] * 8]
    assert caught.refused == {}


def test_what_we_leave_to_tensorboard(caught: Caught, writer: SummaryWriter) -> None:
    """Embeddings, meshes, sound and films are taken, and harm nothing."""
    colours = [colorsys.hsv_to_rgb(share / 10, 1, 1) for share in range(10)]
    writer.add_embedding(torch.randn(10, 5), metadata=list("abcdefghij"), label_img=None)
    writer.add_mesh("mesh", vertices=torch.rand(1, 10, 3), colors=torch.tensor([colours]))
    writer.add_audio("sound", torch.zeros(1, 100), 0)
    writer.add_video("film", torch.zeros(1, 2, 3, 4, 4), 0)

    assert kinds(caught) == []
    assert caught.refused == {}
