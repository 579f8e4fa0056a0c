"""What is measured of tensors: reductions that stay on their device, one vector for many.

Law: no element is read here, so no device is waited for; half precision is summed in single.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["BINS", "activation_of", "binned", "local", "norms_of", "sample_of"]

BINS = 64
"""Bins of a layer's histogram."""
_SAMPLE = 4096
"""Elements of a parameter by which the size of its update is told."""


def local(tensor: Any) -> Any:
    """Return this rank's part of a distributed tensor, or a tensor as it is; without its graph."""
    part = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return part.detach()


def norms_of(torch: Any, tensors: Sequence[Any]) -> Any:
    """Return the Euclidean norms of tensors on one device, ``float32[n]`` there."""
    single = [one for one in tensors if one.dtype == torch.float32]
    fast = getattr(torch, "_foreach_norm", None)
    if fast is not None and len(single) == len(tensors):
        return torch.stack(fast(single))
    norm = torch.linalg.vector_norm
    return torch.stack([norm(one.reshape(-1), dtype=torch.float32) for one in tensors])


def sample_of(tensor: Any) -> Any:
    """Return a copy of at most :data:`_SAMPLE` elements, evenly spread."""
    flat = tensor.reshape(-1)
    return flat[:: max(flat.numel() // _SAMPLE, 1)].float().clone()


def activation_of(torch: Any, tensor: Any) -> Any:
    """Return mean, standard deviation and share of zeros, ``float32[3]`` on the device."""
    variance, mean = torch.var_mean(tensor.float(), correction=0)
    zeros = 1 - torch.count_nonzero(tensor) / tensor.numel()
    return torch.stack([mean, variance.sqrt(), zeros.float()])


def binned(torch: Any, tensor: Any) -> Any:
    """Return a histogram of :data:`BINS` bins between the least and the greatest finite value.

    Returns:
        ``float64[BINS + 6]`` on the device: the counts, then low, high, sum, sum of squares, how
        many are finite and how many are not. High is below low where none is finite.
    """
    flat = tensor.reshape(-1)
    if flat.dtype not in (torch.float32, torch.float64):
        flat = flat.float()
    if flat.device.type == "cpu":
        return _binned_here(torch, flat)
    finite = torch.isfinite(flat)
    low = torch.where(finite, flat, torch.inf).amin()
    high = torch.where(finite, flat, -torch.inf).amax()
    span = torch.where(high > low, high - low, torch.ones_like(low))
    # What lies outside 0 to 1 is in no bin: so are those that are not finite.
    counts = torch.histc(torch.where(finite, (flat - low) / span, 2.0), BINS, 0, 1)
    known = torch.where(finite, flat, 0.0).double()
    number = finite.sum()
    facts = [low, high, known.sum(), (known * known).sum(), number, flat.numel() - number]
    return torch.cat([counts.double(), torch.stack([fact.double() for fact in facts])])


def _binned_here(torch: Any, flat: Any) -> Any:
    """Return the same of a tensor in host memory, where looking costs nothing."""
    lost = 0
    low, high = (float(end) for end in torch.aminmax(flat))
    if not (abs(low) < float("inf") and abs(high) < float("inf")):  # also true of NaN
        kept = flat[torch.isfinite(flat)]
        lost, flat = flat.numel() - kept.numel(), kept
        if not kept.numel():
            return torch.tensor([0.0] * BINS + [1, 0, 0, 0, 0, lost], dtype=torch.float64)
        low, high = (float(end) for end in torch.aminmax(flat))
    counts = torch.histc(flat, BINS, low, high if high > low else low + 1)
    # In the tensor's own precision: widening ten million values takes as long as binning them.
    facts = [low, high, float(flat.sum()), float(torch.linalg.vector_norm(flat)) ** 2]
    facts += [flat.numel(), lost]
    return torch.cat([counts.double(), torch.tensor(facts, dtype=torch.float64)])
