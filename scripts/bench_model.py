"""What watching a model costs its training: beside the same steps without, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import Row, Settings, Skipped, benchmark

from streamviz import Publisher

if TYPE_CHECKING:
    import torch

BLOCK = 10
"""Steps in a row with or without: the machine's speed changes more slowly."""
RHYTHMS = ((1, "norms", 1.03), (100, "norms", 1.01), (100, "all", None))
"""Every how many steps what is measured, and what a step may take then, by what it takes without.
"""


def wide() -> tuple[torch.nn.Module, torch.Tensor]:
    """Return a network of ten million parameters in 4 layers, and a batch for it."""
    import torch

    layers = [layer for _ in range(3) for layer in (torch.nn.Linear(1820, 1820), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers, torch.nn.Linear(1820, 10)), torch.randn(512, 1820)


def deep() -> tuple[torch.nn.Module, torch.Tensor]:
    """Return one of ten million parameters in 151 layers, 302 tensors, and a batch for it."""
    import torch

    layers = [layer for _ in range(150) for layer in (torch.nn.Linear(256, 256), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers, torch.nn.Linear(256, 10)), torch.randn(512, 256)


@benchmark(repeats=1)
def watch(settings: Settings) -> Iterator[Row]:
    """A step of a model of ten million parameters, watched and not."""
    try:
        import torch
    except ImportError:
        raise Skipped("torch is not installed: ./scripts/setup examples") from None
    for what, (model, x) in (("4 layers", wide()), ("151 layers", deep())):
        optimizer = torch.optim.SGD(model.parameters(), 1e-3)
        y = torch.randint(0, 10, (len(x),))
        with Publisher("tcp://127.0.0.1:9", run="bench", mode="online", system="off") as publisher:
            step = steps_of(publisher, model, optimizer, x, y)
            for every, log, target in RHYTHMS:
                step(0)
                ratios = []
                for turn in range(settings.rounds(10)):
                    times: dict[bool, list[float]] = {}
                    # Now the one first, now the other: neither always has the warmer machine.
                    for is_watched in (turn % 2 == 0, turn % 2 == 1):
                        if is_watched:
                            publisher.watch(model, every=every, log=log)
                        times[is_watched] = [step(number) for number in range(BLOCK)]
                        publisher.unwatch()
                    first, *others = times[True]
                    each = median(times[True] if every == 1 else others)
                    # Of a hundred steps one is measured: the first of its block.
                    each += (first - each) * (every > 1) / every
                    ratios.append(each / median(times[False]))
                yield Row(
                    f"a step of 10 million parameters in {what}, {log} every {every}, "
                    "against without",
                    median(ratios),
                    "x",
                    target=target,
                )


def steps_of(
    publisher: Publisher, model: Any, optimizer: Any, x: torch.Tensor, y: torch.Tensor
) -> Callable[[int], float]:
    """Return what makes a step of a training, and returns its seconds."""
    import torch

    def step(number: int) -> float:
        began = time.perf_counter()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        publisher.send({"loss": loss}, step=number)
        return time.perf_counter() - began

    return step


@benchmark(repeats=3)
def histograms(settings: Settings) -> Iterator[Row]:
    """A histogram of ten million values beside torch's own."""
    try:
        import torch
    except ImportError:
        raise Skipped("torch is not installed: ./scripts/setup examples") from None
    from streamviz.publisher.histograms import binned as thinned
    from streamviz.publisher.model.histograms import BINS, binned

    values = torch.randn(10**7)

    def seconds(work: Any) -> float:
        taken = []
        for _ in range(settings.rounds(20)):
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
        return median(taken)

    alone = seconds(lambda: torch.histc(values, BINS))
    for what, work in (
        ("as a watch does, of all", lambda: binned(torch, values)),
        ("publisher.histogram, of a part", lambda: thinned(values, BINS, 512)),
    ):
        yield Row(
            f"histogram of 10^7 values, {what}",
            seconds(work),
            "s",
            peer="torch.histc",
            peer_reached=alone,
            peer_share=1.2,
        )
