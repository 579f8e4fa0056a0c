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


class _Alive(weakref.WeakSet[Ending]):
    """Those that are to hear of it."""

    heeds: int | None = None
    """The process in whose finalizers they are."""

    def add(self, item: Ending) -> None:
        """Add one; in a child of ``multiprocessing``, see to it that it hears how that ends.

        Such a child may end without running atexit, and by then an exception has been dealt with.
        """
        super().add(item)
        process = sys.modules.get("multiprocessing.process")
        if process is None or process.parent_process() is None or self.heeds == os.getpid():
            return
        from multiprocessing.util import Finalize

        self.heeds = os.getpid()
        Finalize(None, _close_all, exitpriority=0)


ALIVE = _Alive()
"""Those that are to hear of it."""


def _after_fork_in_child() -> None:
    for publisher in list(ALIVE):
        publisher.after_fork()


def _ended_by() -> BaseException | None:
    """Return the exception that ends the process."""
    error = sys.exc_info()[1]
    if isinstance(error, SystemExit):
        # What torch.multiprocessing makes of an exception, which is then its context.
        error = None if error.code in (None, 0) else error.__context__ or error
    if error is None and not hasattr(sys, "ps1"):
        error = getattr(sys, "last_value", None)
    return error


def _close_all() -> None:
    """Close every publisher at exit, saying whether an exception ended the process."""
    error = _ended_by()
    how = "ok" if error is None else type(error).__name__
    deadline = monotonic_time() + _AT_EXIT_S
    publishers = list(ALIVE)
    for publisher in publishers:
        publisher.ask_to_end(deadline, how)
    for publisher in publishers:
        publisher.wait_for_end(deadline)


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_all)
