"""What a training pays for ``SummaryWriter``, next to PyTorch's own."""

from __future__ import annotations

import contextlib
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from bench_publisher import sink
from benchmarks import Row, Settings, Skipped, benchmark, percentile

import streamviz

_random = np.random.default_rng(1)
_VALUES = _random.normal(size=10_000)
_PICTURE = _random.integers(0, 256, (3, 64, 64), dtype=np.uint8)
_ROUNDS = 20
"""Turns that the two writers take, so that drift of the machine falls on both."""


@contextlib.contextmanager
def both_writers() -> Iterator[tuple[Any, Any]]:
    """Give ours, whose frames are taken and acknowledged, and theirs, which writes to a disk."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise Skipped("no tensorboard; ./scripts/bench --peers brings it") from None
    with (
        tempfile.TemporaryDirectory() as folder,
        sink("ack") as endpoint,
        streamviz.SummaryWriter(folder, run=uuid.uuid4().hex, endpoint=endpoint) as ours,
        SummaryWriter(folder) as theirs,
    ):
        ours.add_scalar("warm", 0.0, 0)
        assert ours.publisher.flush(10.0), "the sink does not acknowledge"
        yield ours, theirs


@benchmark(repeats=1)
def summary_writer_calls(settings: Settings) -> Iterator[Row]:
    """Call each method in a loop, in turns with TensorBoard's of the same name."""
    calls: dict[str, tuple[int, float, Callable[[Any, int], object]]] = {
        "add_scalar": (1000, 0.05, lambda writer, step: writer.add_scalar("a", step * 0.5, step)),
        "add_histogram, 10,000 values": (
            *(10, 1.0),
            lambda writer, step: writer.add_histogram("h", _VALUES, step),
        ),
        "add_image, 64 x 64 x 3": (
            10,
            1.0,
            lambda writer, step: writer.add_image("i", _PICTURE, step),
        ),
    }
    with both_writers() as writers:
        for name, (count, share, call) in calls.items():
            taken: tuple[list[float], list[float]] = ([], [])
            for turn in range(settings.rounds(_ROUNDS)):
                for writer, times in zip(writers, taken, strict=True):
                    for step in range(turn * count, (turn + 1) * count):
                        began = time.perf_counter_ns()
                        call(writer, step)
                        times.append((time.perf_counter_ns() - began) * 1e-9)
                    writer.flush()
            ours, theirs = (percentile(times, 50) for times in taken)
            yield Row(
                f"`SummaryWriter`: {name}, p50",
                ours,
                "s",
                peer="TensorBoard's",
                peer_reached=theirs,
                peer_share=share,
            )
