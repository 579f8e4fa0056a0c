"""What is measured of tensors: reductions that stay on their device, many at once.

Law: no element is read here, so no device is waited for; half precision is summed in single.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

__all__ = ["SAMPLE", "activation_of", "flat_of", "has_values", "local", "norms_of", "samples_of"]

SAMPLE = 4096
"""Elements of a parameter by which the size of its update and the zeros of its gradient are told:
a share of zeros is right to about a hundredth."""


def local(tensor: Any) -> Any:
    """Return this rank's part of a distributed tensor, or a tensor as it is; without its graph."""
    part = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return part.detach()


def has_values(torch: Any, tensor: Any) -> bool:
    """Say whether a tensor holds real numbers of a floating type, in the usual layout."""
    return (
        tensor is not None
        and tensor.is_floating_point()
        and tensor.layout is torch.strided
        and tensor.device.type != "meta"
        and tensor.numel() > 0
    )


def flat_of(tensor: Any) -> Any:
    """Return the elements in one row, in whatever order needs no copy."""
    if tensor.is_contiguous():
        return tensor.view(-1)
    by_stride = sorted(range(tensor.dim()), key=lambda axis: -int(tensor.stride(axis)))
    return tensor.permute(by_stride).reshape(-1)


def norms_of(torch: Any, tensors: Sequence[Any]) -> Any:
    """Return the Euclidean norms of tensors on one device, ``float32[n]`` there."""
    fast = getattr(torch, "_foreach_norm", None)
    if fast is not None and all(one.dtype is torch.float32 for one in tensors):
        return torch.stack(fast(tensors))
    if fast is not None and all(one.dtype in (torch.bfloat16, torch.float16) for one in tensors):
        try:
            return torch.stack(fast(tensors, 2, torch.float32))
        except TypeError:
            pass  # before torch 2.4 it takes no type
    return torch.stack([_norm(torch, one) for one in tensors])


def _norm(torch: Any, tensor: Any) -> Any:
    if tensor.dtype in (torch.float32, torch.float64):
        return torch.linalg.vector_norm(tensor).float()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        return torch.linalg.vector_norm(tensor, dtype=torch.float32)
    return torch.linalg.vector_norm(tensor.float())


def samples_of(torch: Any, tensors: Sequence[Any]) -> tuple[Any, list[int]]:
    """Return at most :data:`SAMPLE` elements of each tensor, evenly spread, one after the other.

    Args:
        torch: The module.
        tensors: On one device; with each of the same sizes the same elements are taken.

    Returns:
        A copy of theirs, ``float32[sum of sizes]`` on the device, and the sizes.
    """
    views = []
    for one in tensors:
        stride = max(one.numel() // SAMPLE, 1)
        # With a common divisor it would see the same few columns of every row.
        while gcd(stride, one.numel()) > 1:
            stride += 1
        part = flat_of(one)[::stride]
        views.append(part if part.dtype is torch.float32 else part.float())
    return torch.cat(views), [int(view.numel()) for view in views]


def activation_of(torch: Any, tensor: Any) -> Any:
    """Return mean, standard deviation and share of zeros, ``float32[3]`` on the device."""
    known = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    if known.device.type == "cpu":
        # A tenth of the time of var_mean there, and as exact: the mean goes first.
        mean = known.mean()
        deviation = torch.linalg.vector_norm(known - mean) / known.numel() ** 0.5
    else:
        variance, mean = torch.var_mean(known, correction=0)
        deviation = variance.sqrt()
    zeros = 1 - torch.count_nonzero(tensor).float() / tensor.numel()
    return torch.stack([mean.float(), deviation.float(), zeros])
