"""What a rank's machine does, measured beside the training: node, process, GPU, allocator.

Law: on a thread of its own, a few times a minute of work at most; it never raises into the
training, and what cannot be read is left out.
"""

from __future__ import annotations

from streamviz.publisher.system.sampler import EVERY_S, Sampler, readers_here, start_sampler

__all__ = ["EVERY_S", "Sampler", "readers_here", "start_sampler"]
