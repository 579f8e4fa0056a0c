"""Which addresses may be bound."""

from __future__ import annotations

import pytest

from streamviz.errors import ExposedAddress
from streamviz.security.exposure import (
    allowed_hosts,
    check_ingest_endpoint,
    check_page_address,
    is_any,
    is_loopback,
)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.9.8.7", "::1", "[::1]", "[::ffff:127.0.0.1]", "localhost"]
)
def test_a_loopback_address_needs_no_protection(address: str) -> None:
    """Only this machine reaches it."""
    assert is_loopback(address)
    check_page_address(address, token=False, encrypted=False, insecure=False)
    check_ingest_endpoint(f"tcp://{address}:6167", encrypted=False, insecure=False)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "*", "", "10.0.0.5", "node-7", "8.8.8.8"])
def test_any_other_address_is_refused_with_the_words_to_add(address: str) -> None:
    """Without login and encryption the page is not shown to others."""
    with pytest.raises(ExposedAddress, match=r"--no-token.*ssh tunnel.*--insecure") as refused:
        check_page_address(address, token=False, encrypted=True, insecure=False)
    assert "--tls-cert" not in str(refused.value)
    with pytest.raises(ExposedAddress, match=r"--tls-cert FILE.*--behind-proxy") as refused:
        check_page_address(address, token=True, encrypted=False, insecure=False)
    assert "--no-token" not in str(refused.value)
    with pytest.raises(ExposedAddress, match=r"--no-token; and encryption: add --tls-cert"):
        check_page_address(address, token=False, encrypted=False, insecure=False)
    check_page_address(address, token=True, encrypted=True, insecure=False)
    check_page_address(address, token=False, encrypted=False, insecure=True)
    with pytest.raises(ExposedAddress, match="--insecure"):
        check_ingest_endpoint(f"tcp://{address}:6167", encrypted=False, insecure=False)
    check_ingest_endpoint(f"tcp://{address}:6167", encrypted=True, insecure=False)
    check_ingest_endpoint(f"tcp://{address}:6167", encrypted=False, insecure=True)


def test_a_socket_of_the_file_system_is_guarded_by_it() -> None:
    """An ipc endpoint cannot be reached from elsewhere."""
    check_ingest_endpoint("ipc:///run/streamviz", encrypted=False, insecure=False)


def test_the_allowed_hosts_are_the_loopback_names_the_bound_address_and_the_named_ones() -> None:
    """An address that stands for all of them is no name."""
    loopback = {"localhost", "127.0.0.1", "::1"}
    assert allowed_hosts("127.0.0.1") == loopback
    assert allowed_hosts("0.0.0.0") == loopback
    assert allowed_hosts("10.0.0.5", ["Viz.Example.", "[fe80::1]"]) == loopback | {
        "10.0.0.5",
        "viz.example",
        "fe80::1",
    }
    assert is_any("::")
    assert not is_any("::1")
