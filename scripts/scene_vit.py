"""A real training of a small vision transformer, watched in every layer: what two pictures are of.

Run by scripts/screenshots.py; stands by itself: python scripts/scene_vit.py --seconds 60
"""

from __future__ import annotations

import argparse
import time

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import streamviz

WIDTH, BLOCKS, HEADS, BATCH = 64, 6, 4, 64
WATCH_EVERY = 10
PAUSE_S = 0.03
"""After each step, so that server and browser have something of this machine too."""
PROFILED = 30


class Block(nn.Module):
    """Attention and a perceptron, each beside a residual path."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class SmallViT(nn.Module):
    """Patches of a picture of 8 x 8 pixels, and the digit that it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, WIDTH, 2, stride=2),
        )
        self.position = nn.Parameter(torch.zeros(1, 16, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.blocks(x)).mean(1))


def main() -> None:
    """Train until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--run", default="small-vit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(digits.target)
    model = SmallViT()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    with streamviz.Publisher(run=arguments.run, rank=0, world_size=1) as publisher:
        publisher.graph(model, images[:1])
        publisher.watch(model, every=WATCH_EVERY, log="all")
        ends = time.monotonic() + arguments.seconds
        step = 0
        while time.monotonic() < ends:
            chosen = torch.randint(len(images), (BATCH,))
            with publisher.phase("forward"):
                loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
            with publisher.phase("backward"):
                optimizer.zero_grad()
                loss.backward()
            with publisher.phase("optimizer"):
                optimizer.step()
            publisher.send({"train/loss": loss.detach()}, step=step)
            if step == PROFILED:
                with profile(activities=[ProfilerActivity.CPU]) as measured:
                    nn.functional.cross_entropy(model(images[chosen]), labels[chosen]).backward()
                publisher.profile(measured, "one step")
            step += 1
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
