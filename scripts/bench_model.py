"""What watching a model costs its training: beside the same steps without, in turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import Row, Settings, Skipped, benchmark

from streamviz import Publisher

if TYPE_CHECKING:
    import torch

BLOCK = 10
"""Steps in a row with or without: the machine's speed changes more slowly."""


def network(width: int) -> torch.nn.Module:
    """Return a network of about ``3 * width**2`` parameters."""
    import torch

    layers = [layer for _ in range(3) for layer in (torch.nn.Linear(width, width), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 10))


@benchmark(repeats=1)
def watch(settings: Settings) -> Iterator[Row]:
    """A step of a model of ten million parameters, watched and not."""
    try:
        import torch
    except ImportError:
        raise Skipped("torch is not installed: ./scripts/setup examples") from None
    model = network(1820)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    x, y = torch.randn(512, 1820), torch.randint(0, 10, (512,))
    with Publisher("tcp://127.0.0.1:9", run="bench", mode="online", system="off") as publisher:

        def step(number: int) -> float:
            began = time.perf_counter()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            publisher.send({"loss": loss}, step=number)
            return time.perf_counter() - began

        step(0)
        for every, log, target in ((1, "norms", 1.03), (100, "norms", None), (100, "all", None)):
            plain: list[float] = []
            watched: list[float] = []
            for block in range(settings.rounds(20)):
                plain += [step(number) for number in range(BLOCK)]
                publisher.watch(model, every=every, log=log)
                watched += [step(number) for number in range(BLOCK)]
                publisher.unwatch()
                del block
            # Every block measures its first step: of a hundred, ten times as many as it would.
            each = sum(watched) / len(watched) if every > 1 else median(watched)
            usual = sum(plain) / len(plain) if every > 1 else median(plain)
            if every > 1:
                each = usual + (each - usual) * BLOCK / every
            yield Row(
                f"a step of 10 million parameters, {log} every {every}, against without",
                each / usual,
                "x",
                target=target,
            )


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
