"""A bare socket to the ingest port, for tests that say what no publisher would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from streamviz.security.join import Join, find_join

__all__ = ["dealer"]


@contextmanager
def dealer(
    endpoint: str, join: Join | None = None, *, plain: bool = False
) -> Iterator[zmq.Socket[bytes]]:
    """Connect with the keys that a publisher here would find, with others, or in plaintext."""
    context = zmq.Context()
    raw: zmq.Socket[bytes] = context.socket(zmq.DEALER)
    raw.setsockopt(zmq.LINGER, 2000)
    join = None if plain else join or find_join()
    if join is not None:
        raw.setsockopt(zmq.CURVE_SERVERKEY, join.server)
        raw.setsockopt(zmq.CURVE_PUBLICKEY, join.public)
        raw.setsockopt(zmq.CURVE_SECRETKEY, join.secret)
    raw.connect(endpoint)
    try:
        yield raw
    finally:
        raw.close()
        context.term()
