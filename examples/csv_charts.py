"""Train on handwritten digits, write train.csv and test.csv, and draw them: no server, no browser.

::

    python examples/csv_charts.py

Two files come out of it, beside the CSV files: ``loss.html`` is what ``streamviz plot`` makes of
them, ``digits.html`` has a line, bars, points, a histogram and a pie on one page. Each opens
anywhere, and asks nobody for anything.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from streamviz.views.charts.gathering import Gathering
from streamviz.views.plotted import ChartPage, html_of

TRAINING_IMAGES = 1_437
HEADS = {
    "train": ("Date", "epoch", "Training Loss", "Accuracy"),
    "test": ("Date", "epoch", "Testing Loss", "Accuracy"),
}


def train(epochs: int, folder: Path) -> tuple[Tensor, Tensor]:
    """Train, write a row an epoch into both files, and return the test's outputs and labels."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images))
    parts = {"train": order[:TRAINING_IMAGES], "test": order[TRAINING_IMAGES:]}
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    files = {name: (folder / f"{name}.csv").open("w", newline="") for name in parts}
    writers = {name: csv.writer(file) for name, file in files.items()}
    for name, writer in writers.items():
        writer.writerow(HEADS[name])
    for epoch in range(epochs):
        for batch in parts["train"][torch.randperm(TRAINING_IMAGES)].split(32):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        for name, part in parts.items():
            with torch.no_grad():
                outputs = model(images[part])
                score = nn.functional.cross_entropy(outputs, labels[part]).item()
                right = (outputs.argmax(1) == labels[part]).float().mean().item()
            now = datetime.fromtimestamp(time.time()).isoformat(sep=" ", timespec="milliseconds")
            writers[name].writerow([now, epoch, f"{score:.5f}", f"{right:.4f}"])
            files[name].flush()  # `streamviz plot --follow` shows the row now
    for file in files.values():
        file.close()
    return outputs, labels[parts["test"]]


def column(path: Path, name: str) -> np.ndarray:
    """Return a column of numbers, ``float64[rows]``."""
    with path.open(newline="") as file:
        return np.array([float(row[name]) for row in csv.DictReader(file)])


def documents(folder: Path, outputs: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    """Return a chart of each kind: what is drawn is a plain mapping, as JSON has them."""
    losses = {
        "train": column(folder / "train.csv", "Training Loss"),
        "test": column(folder / "test.csv", "Testing Loss"),
    }
    accuracy = {name: column(folder / f"{name}.csv", "Accuracy") for name in losses}
    guesses = outputs.argmax(1)
    words = [str(digit) for digit in range(10)]
    sure, wrong = outputs.softmax(1).max(1).values.numpy(), (guesses != labels).numpy()
    per_digit = [float((guesses[labels == d] == d).float().mean()) for d in range(10)]
    # What comes in rows is gathered, however many rows there are.
    certainty = Gathering("hist", about={"title": "How sure it is", "labels": {"x": "probability"}})
    certainty.add("right", None, sure[~wrong].astype(np.float64))
    certainty.add("wrong", None, sure[wrong].astype(np.float64))
    return [
        {
            "chart": "line",
            "title": "Loss",
            "labels": {"x": "epoch"},
            "axes": {"y": "log"},
            "series": [{"name": name, "y": values} for name, values in losses.items()],
        },
        {
            "chart": "bar",
            "title": "Accuracy by digit",
            "labels": {"x": "digit"},
            "x": words,
            "series": [{"name": "test", "y": per_digit}],
        },
        {
            "chart": "scatter",
            "title": "Loss and accuracy of each epoch",
            "labels": {"x": "loss", "y": "accuracy"},
            "series": [{"name": name, "x": losses[name], "y": accuracy[name]} for name in losses],
        },
        certainty.document(),
        {
            "chart": "pie",
            "title": "What its mistakes were",
            "x": words,
            "series": [{"name": "mistakes", "y": np.bincount(labels.numpy()[wrong], minlength=10)}],
        },
    ]


def main() -> None:
    """Train, and draw."""
    parser = argparse.ArgumentParser(description="Write CSV files of a training and draw them.")
    parser.add_argument("--epochs", type=int, default=20, help="default: 20")
    parser.add_argument(
        "--folder", type=Path, default=Path("csv-charts"), help="default: csv-charts"
    )
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    outputs, labels = train(arguments.epochs, arguments.folder)

    command = ["train.csv", "test.csv", "--x", "epoch", "--y", "Training Loss", "--y"]
    command += ["Testing Loss", "--ylabel", "loss", "--log-y", "--html", "loss.html"]
    print("streamviz plot", " ".join(f'"{one}"' if " " in one else one for one in command))
    subprocess.run(
        [sys.executable, "-m", "streamviz", "plot", *command], cwd=arguments.folder, check=True
    )

    page = ChartPage("Digits", documents(arguments.folder, outputs, labels), columns=3)
    (arguments.folder / "digits.html").write_text(html_of(page), encoding="utf-8")
    print(f"and {arguments.folder / 'digits.html'}")


if __name__ == "__main__":
    main()
