"""What is measured of tensors: reductions that stay on their device, many at once.

Law: no element is read here, so no device is waited for; half precision is summed in single.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from math import gcd
from typing import Any

__all__ = ["SAMPLE", "Activations", "flat_of", "has_values", "local", "norms_of", "samples_of"]

SAMPLE = 4096
"""Elements by which updates, shares of zeros and deviations are told: both are right to about a
hundredth."""


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


@functools.lru_cache(maxsize=4096)
def _stride(size: int) -> int:
    """Return of how many elements one is taken."""
    stride = max(-(-size // SAMPLE), 1)
    # With a common divisor it would see the same few columns of every row.
    while gcd(stride, size) > 1:
        stride += 1
    return stride


def _sample_of(torch: Any, tensor: Any) -> Any:
    """Return at most :data:`SAMPLE` elements, ``float32`` on the device; maybe a view of them."""
    part = flat_of(tensor)[:: _stride(tensor.numel())]
    return part if part.dtype is torch.float32 else part.float()


def samples_of(torch: Any, tensors: Sequence[Any]) -> tuple[Any, list[int]]:
    """Return at most :data:`SAMPLE` elements of each tensor, evenly spread, one after the other.

    Args:
        torch: The module.
        tensors: On one device; of the same sizes the same elements are taken each time.

    Returns:
        A copy of theirs, ``float32[sum of sizes]`` on the device, and the sizes.
    """
    views = [_sample_of(torch, one) for one in tensors]
    return torch.cat(views), [int(view.numel()) for view in views]


class Activations:
    """Mean, standard deviation and share of zeros of many tensors, told together.

    The mean is of all elements, so that one that is not finite is seen; the others are of a sample.
    """

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._found: dict[tuple[Any, int], tuple[list[str], list[Any], list[Any]]] = {}

    def add(self, name: str, tensor: Any) -> None:
        """Read a tensor now: by the time it is told it may be gone, or another."""
        torch = self._torch
        sample = _sample_of(torch, tensor)
        if sample.dtype is tensor.dtype:
            sample = sample.clone()
        if tensor.dtype is torch.float64:
            mean = tensor.mean().float()
        else:
            mean = tensor.mean(dtype=torch.float32)
        key = (tensor.device, int(sample.numel()))
        names, means, samples = self._found.setdefault(key, ([], [], []))
        names.append(name)
        means.append(mean)
        samples.append(sample)

    def rows(self) -> Iterator[tuple[str, list[str], Any]]:
        """Yield kinds, names and ``float32[n]`` on a device for all that was read."""
        torch = self._torch
        for (_, size), (names, means, samples) in self._found.items():
            rows = torch.stack(samples)
            away = rows - rows.mean(1, keepdim=True)
            yield "act_mean", names, torch.stack(means)
            yield "act_std", names, torch.linalg.vector_norm(away, dim=1) / size**0.5
            yield "act_zero", names, (rows == 0).float().mean(1)
