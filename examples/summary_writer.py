"""A script written for TensorBoard, with one line changed: where ``SummaryWriter`` comes from.

::

    streamviz serve --open
    python examples/summary_writer.py

Trains a small network on scikit-learn's digits for some seconds. On the page: the scalars under
Charts, weights and gradients under Distributions, and under Media the digits it gets wrong, the
confusion matrix, precision and recall, and a report. ``--tensorboard`` writes for both at once.
"""

from __future__ import annotations

import argparse
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn

from streamviz import SummaryWriter  # was: from torch.utils.tensorboard import SummaryWriter

HELD_OUT = 360
BATCH = 64


def load() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images float[n, 1, 8, 8] and labels int[n]: to train with, and held out."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    held_out, rest = order[:HELD_OUT], order[HELD_OUT:]
    return images[rest], labels[rest], images[held_out], labels[held_out]


def confusion(labels: Tensor, guesses: Tensor) -> Figure:
    """Return a drawing of which digit was taken for which."""
    counts = torch.bincount(labels * 10 + guesses, minlength=100).reshape(10, 10)
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts.numpy(), cmap="Blues")
    axes.set(xlabel="taken for", ylabel="is", xticks=range(10), yticks=range(10))
    for row, column in counts.nonzero().tolist():
        axes.text(column, row, str(int(counts[row, column])), ha="center", va="center")
    return figure


def report(
    writer: SummaryWriter, model: nn.Module, images: Tensor, labels: Tensor, step: int
) -> float:
    """Write all that is to be seen at the end of an epoch; return the accuracy."""
    with torch.no_grad():
        odds = model(images).softmax(dim=1)
    guesses = odds.argmax(dim=1)
    accuracy = float((guesses == labels).float().mean())
    writer.add_scalar("val/accuracy", accuracy, step)
    for name, parameter in model.named_parameters():
        writer.add_histogram(f"parameters/{name}", parameter, step)
        writer.add_histogram(f"gradients/{name}", parameter.grad, step)
    wrong = images[guesses != labels][:16]
    if len(wrong):
        writer.add_images("digits/wrong", wrong.expand(-1, 3, -1, -1), step)
    writer.add_figure("confusion", confusion(labels, guesses), step)
    writer.add_pr_curve("precision and recall/is it an 8", labels == 8, odds[:, 8], step)
    writer.add_text("report", f"**{accuracy:.1%}** right, {len(wrong)} wrong ones shown", step)
    return accuracy


def main() -> None:
    """Train, and write what one writes."""
    parser = argparse.ArgumentParser(description="Train on digits, written for TensorBoard.")
    parser.add_argument("--epochs", type=int, default=5, help="default: 5")
    parser.add_argument("--logdir", default="runs/digits", help="default: runs/digits")
    parser.add_argument("--tensorboard", action="store_true", help="write for TensorBoard too")
    arguments = parser.parse_args()
    mpl.use("agg")
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network is not faster with more

    tee: list[Any] = []
    if arguments.tensorboard:
        from torch.utils.tensorboard import SummaryWriter as TensorBoardsWriter

        tee.append(TensorBoardsWriter(arguments.logdir))
    images, labels, held_images, held_labels = load()
    params = {"lr": 2e-3, "batch": BATCH, "optimizer": "AdamW"}
    model = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(16 * 64, 64), nn.ReLU(), nn.Linear(64, 10)),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    with SummaryWriter(arguments.logdir, tee=tee) as writer:
        writer.add_graph(model, images[:1])
        step, accuracy = 0, 0.0
        for epoch in range(arguments.epochs):
            order = torch.randperm(len(images))
            for batch in order.split(BATCH):
                loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                writer.add_scalar("train/loss", loss.detach(), step)
                writer.add_scalar("train/grad_norm", norm, step)
                step += 1
            writer.add_scalars("progress", {"epoch": epoch, "share": step / len(images)}, step)
            accuracy = report(writer, model, held_images, held_labels, step)
        writer.add_hparams(params, {"final/accuracy": accuracy}, global_step=step)
    for other in tee:
        other.close()
    print(f"{accuracy:.1%} right after {step} steps")


if __name__ == "__main__":
    main()
