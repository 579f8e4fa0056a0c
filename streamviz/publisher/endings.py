"""The end of a process, and its forks: every publisher that is alive hears of both.

Law: it holds no publisher alive, and knows of each no more than it says here.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import Protocol

from streamviz.clock import monotonic_time

__all__ = ["ALIVE", "Ending"]

_AT_EXIT_S = 1.8
"""How long the end of a process may take for us: 2 s are promised, and the interpreter has its own
things to do in them."""


class Ending(Protocol):
    """A publisher, as the process that ends sees it."""

    def ask_to_end(self, deadline: float, how: str) -> None:
        """Begin to deliver what is left; a monotonic time to be through by, and the last word."""

    def wait_for_end(self, deadline: float) -> None:
        """Wait until it is through, or it is time."""

    def after_fork(self) -> None:
        """In a forked child: forget what is the parent's."""


ALIVE: weakref.WeakSet[Ending] = weakref.WeakSet()
"""Those that are to hear of it."""


def _after_fork_in_child() -> None:
    for publisher in list(ALIVE):
        publisher.after_fork()


def _close_all() -> None:
    """Close every publisher at exit, saying whether an exception ended the process."""
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    how = "ok" if error is None else type(error).__name__
    deadline = monotonic_time() + _AT_EXIT_S
    publishers = list(ALIVE)
    for publisher in publishers:
        publisher.ask_to_end(deadline, how)
    for publisher in publishers:
        publisher.wait_for_end(deadline)


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_all)
