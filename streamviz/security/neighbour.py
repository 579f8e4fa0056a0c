"""A reader's token for a server that this very user runs on this host.

Law: a token is made only for a port that a process of this user listens on, so that nobody else on
the host is handed one.
"""

from __future__ import annotations

import os
from pathlib import Path

from streamviz.clock import wall_time
from streamviz.errors import BadKey
from streamviz.security.private import home
from streamviz.security.shares import Shares, share_for

__all__ = ["is_own_port", "own_token"]

_LISTEN = "0A"


def own_token(port: int, hours: float, run: str | None = None) -> str | None:
    """Return a token that ends by itself, ``None`` where there is no such server or no keys.

    Args:
        port: Of the page, on loopback.
        hours: How long it lives.
        run: The one run that it lets read; ``None`` for all.
    """
    if not is_own_port(port):
        return None
    try:
        return Shares(home()).make(share_for(hours, run, wall_time()))
    except BadKey:
        return None


def is_own_port(port: int) -> bool:
    """Say whether all who listen on a port are processes of this user.

    Reads Linux's ``/proc``; where that is not to be had, nobody is.
    """
    owners = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                owners.add(int(fields[7]))
    return owners == {os.geteuid()}
