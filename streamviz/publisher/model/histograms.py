"""Histograms of tensors where they lie, and what they are once they are here.

Law: on a device no element is read, so nothing is waited for, and no more memory is taken than a
part of the tensor needs; what is not finite is in no bin, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from streamviz.publisher.histograms import Bins
from streamviz.publisher.model.statistics import flat_of

__all__ = ["BINS", "FACTS", "binned", "bins_of"]

BINS = 64
"""Bins of a histogram, of one width."""
FACTS = 6
"""Numbers behind the counts: low, high, sum, sum of squares, how many are finite, how many not."""
_PART = 1 << 24
"""Elements of a tensor on a device that are looked at together: 64 MiB, twice."""
_PART_HERE = 1 << 17
"""Elements of a tensor in host memory that are: they stay in the processor's cache."""
_ROW = 4096
"""Elements that are summed in single precision before the sums are, in double."""


def binned(torch: Any, tensor: Any) -> Any:
    """Return a histogram of :data:`BINS` bins between the least and the greatest finite value.

    Returns:
        ``float64[BINS + FACTS]`` on the tensor's device: the counts, then low, high, sum, sum of
        squares, how many are finite and how many are not. Low and high say nothing if none is.
    """
    flat = flat_of(tensor)
    return (_binned_here if flat.device.type == "cpu" else _binned_there)(torch, flat)


def _wide(torch: Any, flat: Any) -> Any:
    return flat if flat.dtype in (torch.float32, torch.float64) else flat.float()


def _binned_here(torch: Any, flat: Any) -> Any:
    """Return it of a tensor in host memory, where looking costs nothing."""
    flat, whole = _wide(torch, flat), flat.numel()
    low, high = (float(end) for end in torch.aminmax(flat))
    if not (math.isfinite(low) and math.isfinite(high)):
        flat = flat[torch.isfinite(flat)]
        if not flat.numel():
            return torch.tensor([0.0] * (BINS + FACTS - 1) + [whole], dtype=torch.float64)
        low, high = (float(end) for end in torch.aminmax(flat))
    size = max(abs(low), abs(high))
    exact = flat if 1e-15 < size < 1e15 else flat.double()  # whose squares are numbers
    facts = [low, high, *_sums(torch, exact), flat.numel(), whole - flat.numel()]
    counts = _counted(torch, flat, low, high)
    return torch.cat([counts.double(), torch.tensor(facts, dtype=torch.float64)])


def _binned_there(torch: Any, flat: Any) -> Any:
    """Return the same of a tensor on a device, whose queue is only added to."""
    parts = flat.split(_PART)
    facts = [_facts_of(torch, _wide(torch, part)) for part in parts]
    low = torch.stack([one[0] for one in facts]).amin()
    high = torch.stack([one[1] for one in facts]).amax()
    # By halves: the distance of the greatest numbers is no number.
    start, span = low * 0.5, high * 0.5 - low * 0.5
    span = torch.where(span > 0, span, torch.ones_like(span))
    counts = torch.zeros(BINS, dtype=torch.float64, device=flat.device)
    for part in parts:
        # From 0 to 1; what is not finite is elsewhere, or nowhere, and not counted.
        counts += _shares_counted(torch, (_wide(torch, part) * 0.5 - start) / span)
    sums = [torch.stack([one[at] for one in facts]).sum() for at in (2, 3, 4)]
    number = sums[2]
    told = [low.double(), high.double(), *sums, flat.numel() - number]
    return torch.cat([counts, torch.stack(told)])


def _shares_counted(torch: Any, shares: Any) -> Any:
    """Return how many of some shares each bin has."""
    if not torch.are_deterministic_algorithms_enabled():
        return torch.histc(shares, BINS, 0, 1).double()
    # ``histc`` refuses there, as its additions come in any order.
    edges = torch.linspace(0, 1, BINS + 1, dtype=shares.dtype, device=shares.device)
    edges[-1:] = math.nextafter(1, 2) if shares.dtype == torch.float64 else 1 + 1e-7
    known = torch.where(shares <= 1, shares, 2.0)  # a search would take NaN for the least
    return torch.searchsorted(known.sort().values, edges).diff().double()


def _facts_of(torch: Any, part: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Return the least, the greatest, sum, sum of squares and number of the finite values."""
    finite = torch.isfinite(part)
    known = torch.where(finite, part, 0.0)
    return (
        torch.where(finite, part, math.inf).amin(),
        torch.where(finite, part, -math.inf).amax(),
        known.sum(dtype=torch.float64),
        torch.linalg.vector_norm(known, dtype=torch.float64) ** 2,
        finite.sum(dtype=torch.float64),
    )


def _counted(torch: Any, flat: Any, low: float, high: float) -> Any:
    """Return how many values each bin has, three times as fast as ``torch.histc`` does here."""
    counts = torch.zeros(BINS, dtype=torch.int64)
    half = high / 2 - low / 2  # the distance of the greatest numbers is no number
    if not 0 < BINS / 2 / (half or math.inf) < math.inf:
        counts[0] = flat.numel()
        return counts
    if flat.dtype is torch.float32 and not 1e-30 < half < 1e38:
        flat = flat.double()
    for part in flat.split(_PART_HERE):
        place = (part - low).mul_(BINS / 2 / half).clamp_(max=BINS - 1).to(torch.int32)
        counts += torch.bincount(place, minlength=BINS)
    return counts


def _sums(torch: Any, flat: Any) -> tuple[float, float]:
    """Return the sum and the sum of squares: of short rows, then of those, in double."""
    even = flat.numel() // _ROW * _ROW
    total = squares = 0.0
    for part in (flat[:even].view(-1, _ROW), flat[even:].view(1, -1)):
        if part.numel():
            total += float(part.sum(1).sum(dtype=torch.float64))
            squares += float(torch.linalg.vector_norm(part, dim=1).double().square().sum())
    return total, squares


def bins_of(numbers: Sequence[float]) -> Bins | None:
    """Return what :func:`binned` gave as a histogram, ``None`` if no value was finite."""
    counts = np.array(numbers[:-FACTS], np.float64)
    low, high, total, squares, count, lost = numbers[-FACTS:]
    if not count:
        return None
    width = high - low
    if not width > abs(low) * 1e-12:  # all of one value
        width = max(1.0, abs(low) * 1e-6)
    edges = low + np.linspace(0.0, 1.0, len(counts) + 1) * width
    edges[-1] = max(high, edges[-1])
    return Bins(edges, counts, low, high, total, squares, count, int(lost))
