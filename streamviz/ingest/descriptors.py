"""How many connections this process may hold before its last descriptors go.

Law: a server that runs short refuses newcomers while it can still answer whoever is there; libzmq
by itself would accept, fail and accept again as fast as it can.
"""

from __future__ import annotations

import resource

__all__ = ["Descriptors"]

_MOST = 1 << 17
"""What the limit is raised to where the system allows more: ten times the largest fleet."""
_MOST_RESERVED = 1024
"""Kept for the page and the disk, and for what is accepted before we have noticed: libzmq takes
some 30 µs a connection, and is looked after every 20 ms."""


class Descriptors:
    """Raises this process's limit as far as it may be, and watches it.

    Descriptors are given out lowest first, so the number of a new one says how many are in use.

    Attributes:
        limit: How many there may be.
    """

    def __init__(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        self.limit = _MOST if soft == resource.RLIM_INFINITY else soft
        self._reserved = min(_MOST_RESERVED, self.limit // 4)

    def are_short(self, newest: int) -> bool:
        """Say whether a descriptor with this number is one of the last."""
        return newest >= self.limit - self._reserved
