"""Train a small convolutional network on handwritten digits, and watch what happens inside it.

::

    streamviz serve --open
    python examples/watch_model.py

The page's Distributions tab then has the weights, gradients and activations of every layer over the
steps, the Model tab its structure with what each part does now, and where the time goes.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

import streamviz


def network() -> nn.Sequential:
    """Return a network for pictures of 8 x 8 pixels."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Sequential(nn.Linear(32 * 16, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10)),
    )


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=10, help="steps between two measurements")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)  # layers this small gain nothing from more
    pictures, digits = load_digits(return_X_y=True)
    x = torch.tensor(pictures, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    y = torch.tensor(digits)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()

    with streamviz.Publisher(run="watched-digits", total_steps=arguments.steps) as publisher:
        publisher.graph(model, x[:32])
        publisher.watch(model, every=arguments.every, log="all")
        for step in range(arguments.steps):
            chosen = torch.randint(len(x), (64,))
            with publisher.phase("forward"):
                loss = criterion(model(x[chosen]), y[chosen])
            with publisher.phase("backward"):
                optimizer.zero_grad()
                loss.backward()
            with publisher.phase("optimizer"):
                optimizer.step()
            publisher.send({"train/loss": loss}, step=step)
        publisher.unwatch()
        with torch.profiler.profile() as profiler:
            for _ in range(10):
                model(x[:64])
        publisher.profile(profiler, "forward of 64 digits")


if __name__ == "__main__":
    main()
