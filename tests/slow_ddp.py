"""A real data-parallel training in which one rank is slow, in one phase after the other.

Run by the test of stragglers: endpoint, ranks, slow rank, extra seconds, and a file by which the
ranks find each other.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import streamviz

BLOCK = 15
"""Steps with the same fault."""
FAULTS = ("", "data", "forward", "backward", "optimizer", "")


class Slow(torch.autograd.Function):
    """Passes values on, and takes its time in the backward pass."""

    @staticmethod
    def forward(ctx: object, values: torch.Tensor, seconds: float) -> torch.Tensor:
        """Remember how long."""
        ctx.seconds = seconds  # type: ignore[attr-defined]
        return values.clone()

    @staticmethod
    def backward(ctx: object, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Take that long."""
        time.sleep(ctx.seconds)  # type: ignore[attr-defined]
        return grads[0], None


def train(rank: int, endpoint: str, ranks: int, slow: int, extra: float, meeting: str) -> None:
    """Train as one rank."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    layers = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    model = DistributedDataParallel(layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    with streamviz.Publisher(endpoint, run="slow", rank=rank, world_size=ranks) as publisher:
        for step in range(BLOCK * len(FAULTS)):
            late = dict.fromkeys(FAULTS, 0.0)
            if rank == slow:
                late[FAULTS[step // BLOCK]] = extra
            with publisher.phase("data"):
                batch = torch.randn(32, 64)
                time.sleep(0.005 + late["data"])
            with publisher.phase("forward"):
                loss = model(batch).pow(2).mean()
                time.sleep(late["forward"])
            with publisher.phase("backward"):
                optimizer.zero_grad()
                slowed = Slow.apply(loss, late["backward"])  # type: ignore[no-untyped-call]
                slowed.backward()
            with publisher.phase("optimizer"):
                optimizer.step()
                time.sleep(late["optimizer"])
            publisher.send({"train/loss": loss}, step=step)
        assert publisher.flush(10)
    dist.destroy_process_group()


def main() -> int:
    """Train on all ranks; they share one import of torch, which takes longer than the training."""
    endpoint, meeting = sys.argv[1], sys.argv[5]
    ranks, slow, extra = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=train, args=(rank, endpoint, ranks, slow, extra, meeting), daemon=True)
        for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return max(abs(process.exitcode or 0) for process in processes)


if __name__ == "__main__":
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    sys.exit(main())
