"""A publisher that is opened when it is first needed, for frameworks that build loggers early.

Law: until then there is no thread and no socket, so it may be pickled and copied into other
processes; what travels is how to open one there, never the one that is open here.
"""

from __future__ import annotations

import multiprocessing.context
import os
import sys
from typing import Any

from streamviz.clock import monotonic_time, wall_time
from streamviz.config import environment, setting
from streamviz.publisher.identity import find_identity, find_run
from streamviz.publisher.publisher import Publisher
from streamviz.publisher.successor import Successor

__all__ = ["CLOSE_S", "LazyPublisher", "place_in_group", "say_goodbye"]

CLOSE_S = 2.0
"""Seconds that a framework may be held up at its end."""


def place_in_group() -> dict[str, int]:
    """Return rank and world size as ``torch.distributed`` has them; empty before it has any.

    They stand above the environment: within an allocation of Slurm, all processes that a framework
    starts by itself inherit the same task number.
    """
    distributed = getattr(sys.modules.get("torch"), "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return {}
    return {"rank": distributed.get_rank(), "world_size": distributed.get_world_size()}


def say_goodbye(publisher: Publisher, how: str = "ok", timeout: float = CLOSE_S) -> None:
    """Deliver what is left and close.

    Args:
        publisher: Who.
        how: ``ok``, or what ended the training; anything else than ``ok`` is shown as failed.
        timeout: Seconds it may take at most.
    """
    deadline = monotonic_time() + timeout
    publisher.ask_to_end(deadline, how)
    publisher.wait_for_end(deadline)


class LazyPublisher:
    """What one training sends through, over as many openings and closings as it takes.

    Attributes:
        settings: What each opening is given, besides run, rank and world size.
    """

    def __init__(self, run: str | None = None, **settings: Any) -> None:
        """Open nothing yet.

        Args:
            run: Name of the run; default: what a :class:`Publisher` finds.
            **settings: As :class:`Publisher` takes them.
        """
        self.settings = settings
        self._run = run
        self._open: Publisher | None = None
        self._closed: Publisher | None = None

    @property
    def current(self) -> Publisher | None:
        """The publisher, if one is open."""
        return self._open

    @property
    def run(self) -> str:
        """Name of the run; asking for it settles it."""
        if self._run is None and self._open is not None:
            self._run = self._open.run
        if self._run is None:
            ranks = place_in_group().get("world_size") or find_identity(environment()).world_size
            self._run = setting("run", None, "", str) or find_run(
                environment(), parent_pid=os.getppid(), now=wall_time(), ranks=ranks
            )
        return self._run

    def get(self, *, goes_on: bool = False, **more: Any) -> Publisher:
        """Return the open publisher, opening one if there is none.

        Args:
            goes_on: Of one that follows a closed one: whether it speaks of the same line, whatever
                its steps, as with an evaluation after the training. Else the server sees by its
                steps whether it goes on or is another attempt.
            **more: Further settings for an opening, such as what is known by now of the training.

        Raises:
            ConfigError: A setting cannot be used.
        """
        if self._open is None:
            settings = {**more, **place_in_group(), **self.settings}
            if goes_on and self._closed is not None:
                self._open = Successor(self._closed, **settings)
            else:
                self._open = Publisher(run=self._run, **settings)
            # A second opening speaks of the same run.
            self._run = self._open.run
        return self._open

    def close(self, how: str = "ok") -> None:
        """Close the publisher, if one is open; the next :meth:`get` opens another."""
        publisher, self._open = self._open, None
        if publisher is not None:
            self._closed = publisher
            say_goodbye(publisher, how)

    def __getstate__(self) -> dict[str, Any]:
        if multiprocessing.context.get_spawning_popen() is not None:
            _ = self.run  # one name for this process and all that it starts
        return {**self.__dict__, "_open": None, "_closed": None}
