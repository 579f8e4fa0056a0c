"""May this address be bound, and by which names may a browser call it?

Law: what other machines can reach is protected, or somebody said in words that it need not be.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from streamviz.errors import ExposedAddress

__all__ = [
    "LOOPBACK_NAMES",
    "allowed_hosts",
    "check_ingest_endpoint",
    "check_page_address",
    "is_address",
    "is_any",
    "is_loopback",
]

_ENCRYPT = (
    "encryption: add --tls-cert FILE --tls-key FILE, or --behind-proxy if a proxy in front ends TLS"
)
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def _literal(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        literal = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return None
    # ::ffff:127.0.0.1 is 127.0.0.1 in the spelling of a socket that speaks both.
    return getattr(literal, "ipv4_mapped", None) or literal


def is_address(host: str) -> bool:
    """Say whether a host is an IP address rather than a name."""
    return _literal(host) is not None


def is_loopback(address: str) -> bool:
    """Say whether only this machine can reach an address; a name other than localhost may not be.

    Args:
        address: An IP address or a host name; ``""`` and ``*`` stand for every address.
    """
    literal = _literal(address)
    return literal.is_loopback if literal is not None else address.lower() == "localhost"


def is_any(address: str) -> bool:
    """Say whether an address stands for every address of this machine."""
    literal = _literal(address)
    return literal.is_unspecified if literal is not None else address in {"", "*"}


def allowed_hosts(address: str, extra: Iterable[str] = ()) -> frozenset[str]:
    """Return the names, lower case and without port, by which a browser may call the page.

    Args:
        address: Where the page is bound.
        extra: Further names, as given by ``--allow-host``.
    """
    bound = set() if is_any(address) else {address.strip("[]").lower()}
    return LOOPBACK_NAMES | bound | {name.strip("[]").rstrip(".").lower() for name in extra}


def check_page_address(address: str, *, token: bool, encrypted: bool, insecure: bool) -> None:
    """Let a page be bound to an address, or say what is missing.

    Args:
        address: IP address or host name.
        token: Whether a login is asked for.
        encrypted: Whether TLS protects the way to it, its own or a proxy's.
        insecure: Whether somebody said that none of this is needed.

    Raises:
        ExposedAddress: Others can reach it, and it lacks a login or encryption.
    """
    if is_loopback(address) or insecure or (token and encrypted):
        return
    missing = [
        words
        for words, there in (
            ("a login: leave out --no-token", token),
            (_ENCRYPT, encrypted),
        )
        if not there
    ]
    raise ExposedAddress(
        f"page address {address!r}: other machines can reach it and it lacks "
        f"{'; and '.join(missing)}. Or bind 127.0.0.1 and come through an ssh tunnel, or add "
        "--insecure if this network may read everything"
    )


def check_ingest_endpoint(endpoint: str, *, encrypted: bool, insecure: bool) -> None:
    """Let the ingest socket be bound to an endpoint, or say what is missing.

    Args:
        endpoint: As ZeroMQ writes it: ``tcp://127.0.0.1:6167``, ``ipc:///run/streamviz``.
        encrypted: Whether CURVE guards it.
        insecure: Whether somebody said that it need not be guarded.

    Raises:
        ExposedAddress: Others can reach it, and nothing guards it.
    """
    scheme, _, rest = endpoint.partition("://")
    if scheme != "tcp" or encrypted or insecure or is_loopback(rest.rpartition(":")[0]):
        return
    raise ExposedAddress(
        f"ingest endpoint {endpoint!r}: other machines can reach it and no keys guard it; bind "
        "tcp://127.0.0.1:6167, or add --insecure if every machine on this network may send"
    )
