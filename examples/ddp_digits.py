"""Train a small network on handwritten digits, on as many ranks as you like, and watch them all.

::

    streamviz serve --open
    torchrun --nproc-per-node 2 examples/ddp_digits.py

Runs on the CPU in less than a minute; the digits come with scikit-learn. Also runs as one process:
``python examples/ddp_digits.py``.

Look at ``train/loss``: one band for all ranks, and by name the rank that stands out. Add
``--slow-rank 1`` and look at ``perf/samples_per_s``: all ranks are slowed, as in any synchronous
training, and the phases tell which one they wait for.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import streamviz

BATCH = 32
TRAINING_IMAGES = 1_437
VALIDATE_EVERY = 50


def parse_arguments() -> argparse.Namespace:
    """Return the command line's choices."""
    parser = argparse.ArgumentParser(description="Train on scikit-learn's digits.")
    parser.add_argument("--epochs", type=int, default=100, help="default: 100")
    parser.add_argument("--seconds", type=float, help="train for this long instead")
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--slow-rank", type=int, help="a rank whose data takes 20 ms longer")
    arguments = parser.parse_args()
    if arguments.epochs < 1:
        parser.error("--epochs: at least 1")
    return arguments


def load_images() -> tuple[TensorDataset, Tensor, Tensor]:
    """Return the training set, and the images and labels of the validation set."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, held_out = order[:TRAINING_IMAGES], order[TRAINING_IMAGES:]
    return TensorDataset(images[train], labels[train]), images[held_out], labels[held_out]


def build_model() -> nn.Module:
    """Return a convolutional network for 8 x 8 images, the same on every rank."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(64 * 4 * 4, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def train(arguments: argparse.Namespace, publisher: streamviz.Publisher) -> None:
    """Train until the epochs are done or the time is up."""
    rank, world_size = dist.get_rank(), dist.get_world_size()
    dataset, images, labels = load_images()
    sampler: DistributedSampler[tuple[Tensor, ...]] = DistributedSampler(
        dataset, seed=0, drop_last=True
    )
    loader = DataLoader(dataset, batch_size=BATCH, sampler=sampler, drop_last=True)
    model = DistributedDataParallel(build_model())
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, 10 * len(loader), T_mult=2
    )
    # Each rank scores its own share of the validation set.
    images, labels = images[rank::world_size], labels[rank::world_size]
    torch.manual_seed(1 + rank)  # from here on noise and dropout differ between ranks

    step = 0
    began = time.perf_counter()
    for epoch in itertools.count():
        # Ranks read different clocks, so the first one says for all when the time is up.
        over = epoch >= arguments.epochs
        if arguments.seconds is not None:
            over = time.perf_counter() - began >= arguments.seconds
        verdict = torch.tensor(over)
        dist.broadcast(verdict, src=0)
        if verdict:
            return
        sampler.set_epoch(epoch)
        batches = iter(loader)
        for _ in range(len(loader)):
            step_began = time.perf_counter()
            with publisher.phase("data"):
                batch, targets = next(batches)
                batch = batch + 0.3 * torch.randn_like(batch)
                if rank == arguments.slow_rank:
                    time.sleep(0.02)
            with publisher.phase("forward"):
                model.train()
                loss = nn.functional.cross_entropy(model(batch), targets)
            with publisher.phase("backward"):
                optimizer.zero_grad()
                loss.backward()
            with publisher.phase("optimizer"):
                grad_norm = nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                lr = schedule.get_last_lr()[0]
                optimizer.step()
                schedule.step()

            step_s = time.perf_counter() - step_began
            metrics = {
                "train/loss": loss,  # a tensor is taken as it is: no .item() needed
                "train/lr": lr,
                "train/grad_norm": grad_norm,
                "perf/samples_per_s": BATCH / step_s,
            }
            if step % VALIDATE_EVERY == 0:
                with publisher.phase("validation"), torch.no_grad():
                    model.eval()
                    right = model.module(images).argmax(1) == labels
                    metrics["validation/accuracy"] = right.float().mean()
            publisher.send(metrics, step=step)
            step += 1


def main() -> None:
    """Join the other ranks, or be the only one, and train."""
    arguments = parse_arguments()
    torch.set_num_threads(1)  # the ranks share this machine's cores
    if "WORLD_SIZE" in os.environ:  # set by torchrun
        dist.init_process_group("gloo")
    else:
        dist.init_process_group("gloo", init_method="tcp://127.0.0.1:0", rank=0, world_size=1)
    try:
        with streamviz.Publisher(run="digits", config=vars(arguments)) as publisher:
            train(arguments, publisher)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
