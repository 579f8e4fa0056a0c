"""A real training on handwritten digits that shows what it makes of them: what one picture is of.

Run by scripts/screenshots.py; stands by itself: python scripts/scene_digits.py
"""

from __future__ import annotations

import time

import numpy as np
import plotly.graph_objects as go
import torch
from sklearn.datasets import load_digits
from torch import nn

import streamviz

EPOCHS = 8
"""With a report each; what comes after them goes on for as long as somebody looks."""
BATCH, RATE = 40, 1e-3
LIMIT_S = 300.0
NAMES = [str(digit) for digit in range(10)]


def main() -> None:
    """Train, send what came out after each epoch, and wait for somebody to look."""
    torch.manual_seed(0)
    digits = load_digits()
    order = torch.randperm(len(digits.target))
    images = torch.tensor(digits.images / 16, dtype=torch.float32)[order, None]
    truth = torch.tensor(digits.target)[order]
    train, test = slice(0, 1200), slice(1200, None)
    features = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 32)),
    )
    model = nn.Sequential(features, nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    publisher = streamviz.Publisher(run="digits-cnn", config={"lr": RATE})
    ends = time.monotonic() + LIMIT_S
    step, epoch = 0, 0
    while time.monotonic() < ends:
        for at in range(0, 1200, BATCH):
            batch = slice(at, at + BATCH)
            loss = nn.functional.cross_entropy(model(images[train][batch]), truth[train][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            publisher.send({"train/loss": loss}, step=step)
            time.sleep(0 if epoch < EPOCHS else 0.1)
        epoch += 1
        if epoch <= EPOCHS:
            with torch.no_grad():
                report(publisher, model, features, images[test], truth[test], step, epoch)
    publisher.close()


def report(
    publisher: streamviz.Publisher,
    model: nn.Module,
    features: nn.Module,
    images: torch.Tensor,
    truth: torch.Tensor,
    step: int,
    epoch: int,
) -> None:
    """Send what the model makes of digits that it has not seen."""
    odds = model(images).softmax(1)
    guess = odds.argmax(1)
    right = guess == truth
    publisher.send({"val/accuracy": right.float().mean()}, step=step)
    wrong = (~right).nonzero()[:32, 0]
    apart = nn.functional.pad(images[wrong], (1, 1, 1, 1), value=0.4)
    caption = f"{len(wrong)} of {int((~right).sum())} that it mistook in epoch {epoch}"
    publisher.image("val/mistaken", apart, step, layout="NCHW", caption=caption)
    kernels = features[0].weight  # type: ignore[index]
    kernels = (kernels - kernels.min()) / (kernels.max() - kernels.min())
    kernels = nn.functional.pad(kernels, (0, 1, 0, 1), value=1.0)
    publisher.image("val/first layer", kernels, step, layout="NCHW")
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (truth.numpy(), guess.numpy()), 1)
    publisher.chart("val/confusion", "confusion", x=NAMES, y=counts, step=step)
    publisher.chart(
        "val/accuracy by digit",
        "bar",
        x=NAMES,
        y=counts.diagonal() / counts.sum(1),
        labels={"y": "accuracy"},
        step=step,
    )
    publisher.pr_curve("val/is it an 8", truth == 8, odds[:, 8], step)
    sure = odds.max(1).values
    rows = [[int(i), NAMES[truth[i]], NAMES[guess[i]], float(sure[i])] for i in wrong]
    publisher.table("val/worst", ["image", "is", "said", "sure"], rows, step)
    found = features(images)
    plane = (found - found.mean(0)) @ torch.linalg.svd(found - found.mean(0)).Vh[:2].T
    figure = go.Figure()
    for digit in range(10):
        x, y = plane[truth == digit].T.numpy()
        figure.add_scatter(x=x, y=y, name=NAMES[digit], mode="markers", marker_size=4)
    publisher.figure("val/plane", figure, step)
    share = float(right.float().mean())
    text = f"**Epoch {epoch}**: {share:.1%} of {len(truth)} digits.\n\n"
    text += "| digit | right |\n|---|---|\n"
    text += "\n".join(f"| {i} | {counts[i, i]} of {counts[i].sum()} |" for i in range(10))
    publisher.text("val/report", text, step)


if __name__ == "__main__":
    main()
