"""A Plotly figure that lives on the page while a network learns digits.

::

    pip install plotly
    streamviz serve --open
    python examples/plotly_figure.py

Look at the Media tab. Any figure of Plotly, matplotlib or Bokeh is sent this way; Plotly's and
Bokeh's stay alive there, and matplotlib's is a picture.
"""

from __future__ import annotations

import argparse

import plotly.graph_objects as go
import torch
from sklearn.datasets import load_digits
from torch import nn

import streamviz


def main() -> None:
    """Train, and send the figure of each epoch."""
    parser = argparse.ArgumentParser(description="Send a Plotly figure during a training.")
    parser.add_argument("--epochs", type=int, default=20, help="default: 20")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    # Two numbers for each image, so that there is a place for it.
    encoder = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 2))
    head = nn.Linear(2, 10)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=4e-3)
    publisher = streamviz.Publisher(run="plotly-figure")

    for epoch in range(arguments.epochs):
        for batch in torch.randperm(len(images)).split(64):
            loss = nn.functional.cross_entropy(head(encoder(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        publisher.send({"loss": loss}, step=epoch)
        with torch.no_grad():
            places = encoder(images)
        figure = go.Figure(
            [
                go.Scatter(
                    x=places[labels == digit, 0].tolist(),
                    y=places[labels == digit, 1].tolist(),
                    mode="markers",
                    name=str(digit),
                )
                for digit in range(10)
            ]
        )
        figure.update_layout(title=f"Where digits lie after epoch {epoch}")
        publisher.figure("places", figure, step=epoch)

    publisher.close()


if __name__ == "__main__":
    main()
