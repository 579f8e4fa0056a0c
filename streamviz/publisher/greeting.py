"""Ask what listens at an address how it wants to be spoken to: with keys, or in plaintext.

Law: it sends the eleven bytes that any ZeroMQ peer begins with, and nothing else.
"""

from __future__ import annotations

import socket

__all__ = ["mechanism_of"]

_SIGNATURE_AND_VERSION = b"\xff" + bytes(8) + b"\x7f\x03"
_GREETING_BYTES = 64
_MECHANISM = slice(12, 32)


def mechanism_of(endpoint: str, timeout_s: float) -> str | None:
    """Return the security mechanism in the greeting of a ZeroMQ peer: ``CURVE`` or ``NULL``.

    libzmq itself does not say: when a server closes first, it reports a connection that broke.

    Args:
        endpoint: ``tcp://HOST:PORT``.
        timeout_s: Seconds to wait for each of the connection and its bytes, at most.

    Returns:
        ``None`` if nothing answers in time, or what answers is no ZeroMQ peer.
    """
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    greeting = b""
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout_s) as peer:
            peer.sendall(_SIGNATURE_AND_VERSION)
            while len(greeting) < _MECHANISM.stop:
                part = peer.recv(_GREETING_BYTES)
                if not part:
                    return None
                greeting += part
    except (OSError, ValueError):
        return None
    if greeting[0] != 0xFF:
        return None
    return greeting[_MECHANISM].rstrip(b"\0").decode("ascii", "replace")
