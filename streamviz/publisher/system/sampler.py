"""The thread that reads the machine now and then.

Law: it holds nothing of the training's and keeps no process alive; a reader that fails is left out
for good, with one sentence in the log.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from streamviz.config import environment
from streamviz.publisher.identity import Identity
from streamviz.publisher.system.allocator import read_allocator
from streamviz.publisher.system.devices import DeviceReader
from streamviz.publisher.system.node import NodeReader, ProcessReader

__all__ = ["EVERY_S", "Reader", "Sampler", "readers_here", "start_sampler"]

log = logging.getLogger("streamviz")

EVERY_S = 2.0
"""Seconds between two readings: a reading costs some milliseconds of a core, and people look at
machines over minutes."""

Reader: TypeAlias = Callable[[], Mapping[str, float]]
"""Returns names without the group ``system/`` to values; what it cannot read it leaves out."""


def readers_here(environ: Mapping[str, str], local_rank: int) -> list[Reader]:
    """Return what can be read on this machine by this rank; none without the extra.

    Args:
        environ: The process's environment, for ``CUDA_VISIBLE_DEVICES``.
        local_rank: The rank on its node; rank 0 there speaks for the node as well.
    """
    readers: list[Reader] = []
    if importlib.util.find_spec("psutil") is not None:
        readers.append(ProcessReader())
        if local_rank == 0:
            readers.append(NodeReader())
    if importlib.util.find_spec("pynvml") is not None:
        readers.append(DeviceReader(environ.get("CUDA_VISIBLE_DEVICES"), local_rank))
    if readers:
        readers.append(read_allocator)
    return readers


def start_sampler(
    system: str, identity: Identity, put: Callable[[dict[str, float]], None]
) -> Sampler | None:
    """Begin to read this machine, unless that is ``off``.

    Args:
        system: The publisher's setting.
        identity: Who this rank is on its node.
        put: Takes a reading, on the sampler's thread.
    """
    if system == "off":
        return None
    sampler = Sampler(partial(readers_here, environment(), identity.local_rank), put)
    sampler.start()
    return sampler


class Sampler:
    """Reads the machine every few seconds, once there is a step to read it at."""

    def __init__(
        self,
        readers: Callable[[], list[Reader]],
        put: Callable[[dict[str, float]], None],
        every_s: float = EVERY_S,
    ) -> None:
        """Make one; nothing is read or started.

        Args:
            readers: Makes the readers; called on the thread, as it imports.
            put: Takes a reading.
            every_s: Seconds between two readings.
        """
        self._make = readers
        self._put = put
        self._every_s = every_s
        self._stop = threading.Event()
        self._pid = os.getpid()

    def start(self) -> None:
        """Begin; without a thread to be had, nothing is measured."""
        thread = threading.Thread(target=self._run, name="streamviz-system", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            log.warning("streamviz: no thread for system metrics; they are left out")

    def stop(self) -> None:
        """Read no more; waits for nothing."""
        self._stop.set()

    def _run(self) -> None:
        readers = self._ready()
        while readers and not self._stop.wait(self._every_s) and os.getpid() == self._pid:
            values: dict[str, float] = {}
            for reader in list(readers):
                try:
                    values.update(reader())
                except Exception:  # a driver's fault is not the training's
                    readers.remove(reader)
                    log.warning("streamviz: some system metrics are left out", exc_info=True)
            if values and not self._stop.is_set():
                self._put({f"system/{name}": value for name, value in values.items()})

    def _ready(self) -> list[Reader]:
        try:
            return self._make()
        except Exception:  # likewise, as libraries are loaded here
            log.warning("streamviz: system metrics are left out", exc_info=True)
            return []
