"""A jump of a loss or a gradient norm: the newest value against what the last ones foretold.

A value is foretold by the median of the few before it, so that a falling curve is no noise. How far
off such forecasts usually are is remembered for longer.

Law: no alarm before enough was seen, and none for a value that the curve's own noise, on a linear
or a logarithmic scale, makes likely.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Sequence
from statistics import median

__all__ = ["WARM_UP", "WINDOW", "Spike", "is_spiky"]

NEAR = 16
"""Values that foretell the next one."""
WINDOW = 128
"""Errors of forecasts remembered: what is unlikely once in so many steps."""
WARM_UP = 48
"""Errors before the first alarm: the first steps of a training do what they like."""
SIGMAS = 8.0
"""Robust standard deviations above the forecast."""
RANGES = 2.0
"""And so many times as far above it as any in the window."""
RISE = 0.3
"""And at least this share of the forecast: less is nothing to get up for."""
SIGMA_OF_MAD = 1.4826
_SPIKY = re.compile(r"loss|perplexity|ppl|grad(ient)?s?[-_./ ]?norm", re.IGNORECASE)


def is_spiky(metric: str) -> bool:
    """Say whether a jump of a metric is trouble, by its name: a loss, a gradient norm."""
    return _SPIKY.search(metric) is not None


class Spike:
    """The recent past of one metric. Owner: the watch of a run."""

    def __init__(self) -> None:
        self._near: deque[float] = deque(maxlen=NEAR)
        self._off: deque[float] = deque(maxlen=WINDOW)
        """How far values were from their forecasts."""
        self._times: deque[float] = deque(maxlen=WINDOW)
        """The same as logarithms of their ratio; empty unless all values are positive."""

    def step(self, value: float) -> float | None:
        """Take in the next value; return how many times its forecast it is, if it is a spike.

        Args:
            value: The median over the ranks at a step; not finite: left out.
        """
        if not math.isfinite(value):
            return None
        spike = None
        if len(self._near) == NEAR:
            foretold = median(self._near)
            off = value - foretold
            is_positive = foretold > 0 and value > 0
            times = math.log(value) - math.log(foretold) if is_positive else None
            if self._is_spike(off, times, foretold):
                spike = value / foretold if foretold > 0 else math.inf
            self._off.append(off)
            if times is None:
                self._times.clear()
            else:
                self._times.append(times)
        self._near.append(value)
        return spike

    def _is_spike(self, off: float, times: float | None, foretold: float) -> bool:
        if (
            len(self._off) < WARM_UP
            or off < RISE * abs(foretold)
            or not _stands_out(off, self._off)
        ):
            return False
        # Noise that multiplies, as that of a gradient norm, is even on this scale only.
        known = times is not None and len(self._times) == len(self._off)
        return not known or _stands_out(times or 0.0, self._times)


def _stands_out(off: float, others: Sequence[float]) -> bool:
    # The cheaper test first: it spares the other one for all but one value in a hundred.
    if off <= RANGES * max(others):
        return False
    return off > SIGMAS * SIGMA_OF_MAD * median(map(abs, others))
