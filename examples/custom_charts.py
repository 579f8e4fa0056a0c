"""Charts of one's own beside the metrics: each kind of them, while a network learns digits.

::

    streamviz serve --open
    python examples/custom_charts.py

They are on the Media tab. A chart is sent like a metric, with a name and a step, and takes the
place of the one before; the page keeps earlier steps to go back to.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

import streamviz

TRAINING_IMAGES = 1_437


def main() -> None:
    """Train, and send a chart of each kind every few epochs."""
    parser = argparse.ArgumentParser(description="Send charts during a training.")
    parser.add_argument("--epochs", type=int, default=20, help="default: 20")
    parser.add_argument("--every", type=int, default=5, help="epochs between charts (5)")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images))
    training, test = order[:TRAINING_IMAGES], order[TRAINING_IMAGES:]
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    publisher = streamviz.Publisher(run="custom-charts")
    words = [str(digit) for digit in range(10)]
    losses: dict[str, list[float]] = {"train": [], "test": []}

    for epoch in range(arguments.epochs):
        for batch in training[torch.randperm(TRAINING_IMAGES)].split(32):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            outputs = {"train": model(images[training]), "test": model(images[test])}
        for name, part in (("train", training), ("test", test)):
            losses[name].append(nn.functional.cross_entropy(outputs[name], labels[part]).item())
        publisher.send({f"loss/{name}": values[-1] for name, values in losses.items()}, step=epoch)
        if epoch % arguments.every and epoch != arguments.epochs - 1:
            continue

        sure, guesses = outputs["test"].softmax(1).max(1)
        truth = labels[test]
        wrong = guesses != truth
        counts = torch.zeros(10, 10, dtype=torch.int64)
        counts.index_put_((truth, guesses), torch.ones_like(truth), accumulate=True)
        of_digit = {word: sure[truth == digit] for digit, word in enumerate(words)}

        # Lists, arrays and tensors are taken alike, and a mapping is several series.
        publisher.chart(
            "charts/loss", "line", y=losses, title="Loss", labels={"x": "epoch"}, step=epoch
        )
        publisher.chart(
            "charts/accuracy", "bar", x=words, y=(~wrong).float().new_tensor(
                [(~wrong[truth == digit]).float().mean() for digit in range(10)]
            ), title="Accuracy by digit", step=epoch,
        )  # fmt: skip
        publisher.chart(
            "charts/margin", "scatter", x=outputs["test"].max(1).values,
            y=nn.functional.cross_entropy(outputs["test"], truth, reduction="none"),
            title="Loss of each image", labels={"x": "largest output", "y": "loss"}, step=epoch,
        )  # fmt: skip
        publisher.chart(
            "charts/sure", "hist", y={"right": sure[~wrong], "wrong": sure[wrong]},
            title="How sure it is", labels={"x": "probability"}, step=epoch,
        )  # fmt: skip
        publisher.chart(
            "charts/mistakes", "pie", x=words, y=torch.bincount(truth[wrong], minlength=10),
            title="What its mistakes were", step=epoch,
        )  # fmt: skip
        publisher.chart(
            "charts/weights", "heatmap", y=model[0].weight, title="Weights of the first layer",
            labels={"x": "pixel", "y": "unit"}, step=epoch,
        )  # fmt: skip
        publisher.chart("charts/spread", "box", y=of_digit, title="How sure, by digit", step=epoch)
        publisher.chart(
            "charts/confusion", "confusion", x=words, y=counts, title="Confusion", step=epoch
        )

    publisher.close()


if __name__ == "__main__":
    main()
