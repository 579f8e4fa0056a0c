"""A real training of a small vision transformer, watched in every layer: what two pictures are of.

Run by scripts/screenshots.py; stands by itself: python scripts/scene_vit.py --seconds 60
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import streamviz
from streamviz.wire.payloads import document_body

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
        publisher._item("graph", "model", 0, document_body({"modules": modules(model, images[:1])}))
        ends = time.monotonic() + arguments.seconds
        step = 0
        while time.monotonic() < ends:
            chosen = torch.randint(len(images), (BATCH,))
            watched = step % WATCH_EVERY == 0
            with outputs(model if watched else None) as seen, publisher.phase("forward"):
                loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
            with publisher.phase("backward"):
                optimizer.zero_grad()
                loss.backward()
            before = {name: p.detach().clone() for name, p in model.named_parameters()}
            with publisher.phase("optimizer"):
                optimizer.step()
            publisher.send({"train/loss": loss.detach()}, step=step)
            if watched:
                tell(publisher, model, before, seen, step)
            if step == PROFILED:
                with profile(activities=[ProfilerActivity.CPU]) as measured:
                    nn.functional.cross_entropy(model(images[chosen]), labels[chosen]).backward()
                publisher._item("profile", "step", step, document_body(operators(measured)))
            step += 1
            time.sleep(PAUSE_S)


@contextmanager
def outputs(model: nn.Module | None) -> Iterator[dict[str, Tensor]]:
    """Keep what every layer of a model puts out."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            seen[name] = output[0] if isinstance(output, tuple) else output

        return hook

    named = list(model.named_modules()) if model is not None else []
    leaves = [(name, module) for name, module in named if name and not list(module.children())]
    hooks = [module.register_forward_hook(keep(name)) for name, module in leaves]
    yield seen
    for hook in hooks:
        hook.remove()


def tell(
    publisher: streamviz.Publisher,
    model: nn.Module,
    before: dict[str, Tensor],
    seen: dict[str, Tensor],
    step: int,
) -> None:
    """Send the norms and histograms of a step."""
    metrics: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        moved, size = (parameter.detach() - before[name]).norm(), before[name].norm()
        metrics[f"watch/grad_norm/{name}"] = float(parameter.grad.norm())
        metrics[f"watch/param_norm/{name}"] = float(parameter.detach().norm())
        metrics[f"watch/update_ratio/{name}"] = float(moved / (size + 1e-12))
        publisher._item("histogram", f"parameters/{name}", step, histogram(parameter))
        publisher._item("histogram", f"gradients/{name}", step, histogram(parameter.grad))
    for name, output in seen.items():
        metrics[f"watch/act_zero/{name}"] = float((output == 0).float().mean())
        publisher._item("histogram", f"activations/{name}", step, histogram(output))
    rows = list(metrics.items())
    for first in range(0, len(rows), 100):
        publisher.send(dict(rows[first : first + 100]), step=step)


def histogram(tensor: Tensor) -> dict[str, object]:
    """Return a tensor's values, counted in 64 bins."""
    values = tensor.detach().flatten().numpy().astype(np.float64)
    counts, edges = np.histogram(values, bins=64)
    return {
        "edges": edges.astype("<f8").tobytes(),
        "counts": counts.astype("<f8").tobytes(),
        "min": float(values.min()),
        "max": float(values.max()),
        "count": values.size,
    }


def modules(model: nn.Module, example: Tensor) -> list[dict[str, object]]:
    """Return the model's modules, with the shapes and seconds of a forward pass."""
    began: dict[str, float] = {}
    seconds: dict[str, float] = {}
    shapes: dict[str, tuple[str, str]] = {}

    def before(name: str) -> Any:
        return lambda *_: began.__setitem__(name, time.perf_counter())

    def after(name: str) -> Any:
        def hook(_module: nn.Module, inputs: Any, output: Any) -> None:
            took = time.perf_counter() - began[name]
            seconds[name] = min(seconds.get(name, took), took)
            shapes[name] = (shape(inputs[0]), shape(output))

        return hook

    hooks = []
    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(before(name)))
        hooks.append(module.register_forward_hook(after(name)))
    with torch.no_grad():
        for _ in range(20):
            model(example)
    for hook in hooks:
        hook.remove()
    places: dict[str, int] = {}
    told: list[dict[str, object]] = []
    for name, module in model.named_modules():
        places[name] = len(told)
        parameters = list(module.parameters())
        told.append(
            {
                "path": name,
                "type": type(module).__name__,
                "parent": places[name.rpartition(".")[0]] if name else -1,
                "parameters": sum(p.numel() for p in module.parameters(recurse=False)),
                "total": sum(p.numel() for p in parameters),
                "trainable": sum(p.numel() for p in parameters if p.requires_grad),
                "bytes": sum(p.numel() * p.element_size() for p in parameters),
                "input": shapes.get(name, ("", ""))[0],
                "output": shapes.get(name, ("", ""))[1],
                "seconds": seconds.get(name),
                "extra": module.extra_repr(),
            }
        )
    return told


def shape(value: Any) -> str:
    """Return a tensor's shape, or that of the first of several."""
    first = value[0] if isinstance(value, tuple) else value
    return "\u00d7".join(map(str, first.shape))


def operators(measured: profile) -> dict[str, object]:
    """Return what the profiler measured of each operator."""
    rows = [
        [event.key, event.self_cpu_time_total, event.cpu_time_total, event.count]
        for event in measured.key_averages()
    ]
    columns = ["operator", "self CPU \u00b5s", "CPU \u00b5s", "calls"]
    return {"title": "torch.profiler, one step", "columns": columns, "rows": rows}


if __name__ == "__main__":
    main()
