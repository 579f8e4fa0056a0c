"""A real parallel training of two ranks that watch their model: replicated, then sharded.

Run by a test, once a rank: endpoint, rank, and a file by which the ranks find each other.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import streamviz

STEPS = 6
EVERY = 2


def network() -> nn.Sequential:
    """Return a model with buffers, the same on every rank."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))


def train(model: nn.Module, publisher: streamviz.Publisher, rank: int) -> None:
    """Make some steps on data of one's own."""
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    generator = torch.Generator().manual_seed(rank)
    for step in range(STEPS):
        optimizer.zero_grad()
        for _ in range(2):  # passes that are accumulated
            loss = model(torch.randn(4, 8, generator=generator)).square().mean()
            loss.backward()
        optimizer.step()
        publisher.send({"loss": loss}, step=step)


def main() -> None:
    """Join the other rank, and train twice."""
    endpoint, rank, store = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    for run in ("replicated", "sharded"):
        with streamviz.Publisher(endpoint, run=run, rank=rank, world_size=2) as publisher:
            model: Any = network()
            if run == "replicated":
                model = DistributedDataParallel(model)
            publisher.watch(model, every=EVERY, log="all")
            if run == "sharded":
                fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
            if rank == 0:  # alone: whatever asks the other rank for something never returns
                publisher.graph(model, torch.ones(3, 8))
            train(model, publisher, rank)
            assert publisher.flush(20), "not acknowledged"
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
