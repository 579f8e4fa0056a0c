"""A training that never was: when each rank is in which part of a step, and what it measures.

Law: no clock, no socket; the same seed, size and faults always give the same steps.

The training is synchronous, as DistributedDataParallel is: in ``backward`` everybody waits for the
slowest, so a slow rank shows in its own part before that, and in everybody else's ``backward``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamviz.demo.faults import PHASES, Fault
from streamviz.errors import ConfigError

__all__ = ["MAX_METRICS", "REPLICATED", "Job", "Step"]

FloatArray: TypeAlias = NDArray[np.float64]

MAX_METRICS = 4_096
"""Metrics of a rank: as many as one row may have."""

REPLICATED = "param/norm"
"""The metric that is equal on all ranks."""
TOKENS_PER_STEP = 8_192
"""Tokens of one rank and step."""
WARMUP_STEPS = 100

_FIRST = (
    "train/loss",
    "train/lr",
    "grad/norm",
    *(f"phase/{phase}" for phase in PHASES),
    "throughput/tokens",
    REPLICATED,
)
_LAYER = ("grad_norm", "activation_mean", "weight_norm")
_SHARES = np.array([0.06, 0.26, 0.46, 0.1])
"""What the parts of a step take of it, without waiting; the rest is the all-reduce."""
_JITTER = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of all N ranks; times are seconds since the training's start, infinite for never."""

    step: int
    began: FloatArray
    """``float64[N]``."""
    data: FloatArray
    """When each rank has its batch, ``float64[N]``."""
    forward: FloatArray
    """When its forward pass is over."""
    barrier: float
    """When the gradients are reduced: the end of everybody's backward pass."""
    ended: FloatArray
    """When it has stepped the optimizer, and sends its row."""
    values: FloatArray
    """``float64[N, K]``."""

    def phase_at(self, rank: int, now: float) -> tuple[str | None, float]:
        """Return in which part of the step a rank is, and for how many seconds."""
        marks = (self.began, self.data, self.forward)
        found, since = None, 0.0
        for phase, mark in zip(PHASES, marks, strict=False):
            if now >= mark[rank]:
                found, since = phase, float(mark[rank])
        if now >= self.barrier:
            found, since = "optimizer", self.barrier
        return (None, 0.0) if now >= self.ended[rank] else (found, now - since if found else 0.0)


class Job:
    """A simulated training of N ranks.

    Attributes:
        names: Its K metrics.
    """

    def __init__(
        self,
        ranks: int,
        *,
        metrics: int = 8,
        rate: float = 10.0,
        total_steps: int = 20_000,
        seed: int = 0,
        faults: Sequence[Fault] = (),
    ) -> None:
        """Begin.

        Args:
            ranks: How many.
            metrics: Metrics of each; what a fault names comes on top.
            rate: Steps a second, while nobody is slow.
            total_steps: Steps over which the learning rate goes down.
            seed: Of all that is random.
            faults: What goes wrong, and when.

        Raises:
            ConfigError: A fault names a rank or a metric that there is not.
        """
        self.names = _names(metrics, faults)
        self._ranks = ranks
        self._period_s = 1.0 / rate
        self._total = total_steps
        self._seed = seed
        self._faults = tuple(faults)
        self._next = 0
        self._began = np.zeros(ranks)
        self._barrier = 0.0
        for fault in faults:
            if fault.ranks is not None and fault.ranks[1] >= ranks:
                raise ConfigError("--fault", f"rank {fault.ranks[1]}", f"ranks 0 to {ranks - 1}")
        random = np.random.default_rng((seed, ranks, 7))
        self._speed = 1.0 + 0.02 * random.standard_normal(ranks)
        """How slow each rank is by nature."""
        self._layers = np.abs(1.0 + 0.5 * random.standard_normal(len(self.names)))

    def leaving(self, step: int) -> list[int]:
        """Return the ranks that die at a step."""
        return [
            rank
            for fault in self._faults
            if fault.kind == "dead" and fault.step == step
            for rank in self._of(fault)
        ]

    def step(self) -> Step:
        """Work out the next step."""
        step, self._next = self._next, self._next + 1
        random = np.random.default_rng((self._seed, step))
        parts = self._parts(step, random)
        began = self._began
        data = began + parts[0]
        forward = data + parts[1]
        arrived = forward + parts[2]
        earliest = self._barrier + self._period_s
        barrier = max(float(arrived.max()), earliest)
        ended = barrier + parts[3]
        values = self._values(step, random)
        # A step that never ends is worked out like any other, and never sent.
        with np.errstate(invalid="ignore"):
            columns = (data - began, parts[1], barrier - forward, parts[3])
            for phase, seconds in zip(PHASES, columns, strict=True):
                self._put(values, f"phase/{phase}", seconds)
            self._put(values, "throughput/tokens", TOKENS_PER_STEP / (ended - began))
        self._spoil(step, values)
        self._began, self._barrier = ended, barrier
        return Step(step, began, data, forward, barrier, ended, values)

    def _parts(self, step: int, random: np.random.Generator) -> FloatArray:
        """Return the seconds of each part without waiting, ``float64[4, N]``."""
        noise = np.abs(random.standard_normal((len(PHASES), self._ranks)))
        parts: FloatArray = (
            self._period_s * _SHARES[:, None] * self._speed * (1.0 + _JITTER * noise)
        )
        for fault in self._faults:
            ranks = self._of(fault)
            slow = fault.kind == "straggler" and fault.holds(step)
            if slow or (fault.kind == "stall" and fault.step == step):
                parts[PHASES.index(fault.phase), ranks] += fault.seconds
            elif fault.kind == "dead" and step >= fault.step:
                parts[0, ranks] = math.inf
        return parts

    def _values(self, step: int, random: np.random.Generator) -> FloatArray:
        shared = random.standard_normal(max(len(self.names), len(_FIRST)))
        values: FloatArray = random.standard_normal((self._ranks, len(self.names)))
        decay = (1.0 + step / 40.0) ** -0.45
        loss = 1.1 + 8.0 * decay
        self._shape(values, "train/loss", loss * (1.0 + 0.02 * shared[0]), 0.04)
        self._shape(values, "train/lr", 3e-4 * self._schedule(step), 0.0)
        self._shape(values, "grad/norm", (0.4 + 6.0 * decay) * math.exp(0.1 * shared[2]), 0.06)
        self._shape(values, REPLICATED, 120.0 + 2.0 * math.log1p(step), 0.0)
        start = min(len(_FIRST), len(self.names))
        rest = slice(start, len(self.names))
        level = self._layers[rest] * (0.3 + decay)
        values[:, rest] = level * (1.0 + 0.02 * shared[rest] + 0.05 * values[:, rest])
        return values

    def _shape(self, values: FloatArray, name: str, level: float, noise: float) -> None:
        """Make a column of noise one around a level."""
        if name in self.names:
            column = values[:, self.names.index(name)]
            column[:] = level * (1.0 + noise * column)

    def _put(self, values: FloatArray, name: str, column: FloatArray) -> None:
        if name in self.names:
            values[:, self.names.index(name)] = column

    def _schedule(self, step: int) -> float:
        """Return the learning rate's share of its peak: a warm-up, then half a cosine."""
        if step < WARMUP_STEPS:
            return (step + 1) / WARMUP_STEPS
        done = min((step - WARMUP_STEPS) / max(self._total - WARMUP_STEPS, 1), 1.0)
        return 0.1 + 0.45 * (1.0 + math.cos(math.pi * done))

    def _spoil(self, step: int, values: FloatArray) -> None:
        """Let faults of values happen."""
        for fault in self._faults:
            if not fault.metric or not fault.holds(step):
                continue
            column = values[:, self.names.index(fault.metric)]
            ranks = self._of(fault)
            if fault.kind == "nan":
                column[ranks] = math.nan
            elif fault.kind == "spike":
                column[ranks] *= fault.factor
            elif fault.kind == "desync":
                column[ranks] *= 1.0 + 1e-3 * (step - fault.step + 1)

    def _of(self, fault: Fault) -> range:
        first, last = fault.ranks or (0, self._ranks - 1)
        return range(first, last + 1)


def _names(count: int, faults: Sequence[Fault]) -> tuple[str, ...]:
    """Return so many names, and those that faults name besides.

    Raises:
        ConfigError: A fault names a metric that no rank has.
    """
    layers = (
        f"layer{number // len(_LAYER):02}/{_LAYER[number % len(_LAYER)]}"
        for number in range(max(count - len(_FIRST), 0))
    )
    names = [*_FIRST[:count], *layers]
    for fault in faults:
        if fault.metric and fault.metric not in names:
            if fault.metric not in _FIRST:
                expected = f"one of {', '.join(names[:12])}"
                raise ConfigError("--fault", fault.metric, expected)
            # With layers all of these are there, so none stands behind one.
            names = [name for name in _FIRST if name in names or name == fault.metric]
    return tuple(names)
