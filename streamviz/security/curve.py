"""Key pairs of Curve25519, as ZeroMQ's CURVE mechanism uses them.

Law: the only place where keys are made.
"""

from __future__ import annotations

import zmq
from zmq.utils.z85 import decode

from streamviz.errors import BadKey

__all__ = ["library_fault", "library_version", "make_pair"]

_OLDEST = (4, 3, 5)
"""libzmq before this has known holes that a peer can use without a key."""


def make_pair() -> tuple[bytes, bytes]:
    """Return a new public and secret key, 32 bytes each.

    Raises:
        BadKey: This libzmq was built without CURVE.
    """
    if not zmq.has("curve"):
        raise BadKey(
            f"libzmq {library_version()} was built without CURVE: install pyzmq from a wheel, or "
            "take plaintext with --insecure"
        )
    public, secret = zmq.curve_keypair()
    return decode(public), decode(secret)


def library_fault() -> str | None:
    """Return what is wrong with this libzmq, ``None`` if nothing is known to be."""
    if not zmq.has("curve"):
        return "it was built without CURVE, so keys cannot be used; install pyzmq from a wheel"
    if zmq.zmq_version_info() < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        return f"before {wanted} peers without a key can harm it; install a newer pyzmq"
    return None


def library_version() -> str:
    """Return the version of libzmq."""
    return str(zmq.zmq_version())
