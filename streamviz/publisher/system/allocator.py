"""What torch's caching allocator holds of the GPU.

Law: torch is never imported nor CUDA begun for it, and its counters are read without a
synchronisation.
"""

from __future__ import annotations

import sys

__all__ = ["read_allocator"]

_GIB = 2.0**30
_TOLD = {
    "torch_allocated": ("allocated_bytes.all.current", _GIB),
    "torch_reserved": ("reserved_bytes.all.current", _GIB),
    "torch_alloc_retries": ("num_alloc_retries", 1.0),
    "torch_ooms": ("num_ooms", 1.0),
}
"""Our names, the allocator's, and how much of its unit is one of ours: GiB, or a count."""


def read_allocator() -> dict[str, float]:
    """Return the counters, summed over the devices that this process uses; nothing without CUDA."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return {}
    stats = [cuda.memory_stats(device) for device in range(cuda.device_count())]
    return {
        name: sum(float(one.get(theirs, 0)) for one in stats) / unit
        for name, (theirs, unit) in _TOLD.items()
    }
