"""Who holds a port."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamviz.ingest.holder import holder_of


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A listening socket of this process."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listening:
        try:
            listening.bind((request.param, 0))
        except OSError:
            pytest.skip("no IPv6 here")
        listening.listen()
        yield listening


def test_this_process_is_found(listener: socket.socket) -> None:
    """A listening port is told with its process's id and name."""
    name = Path("/proc/self/comm").read_text().strip()

    assert holder_of(listener.getsockname()[1]) == f"process {os.getpid()} ({name})"


def test_a_connection_is_no_holder(listener: socket.socket) -> None:
    """A port that is only connected from is not held."""
    with socket.create_connection(listener.getsockname()[:2]) as client:
        assert holder_of(client.getsockname()[1]) == "another process"


def test_a_free_port_is_nobody_s() -> None:
    """Without a listener, or where it cannot be seen, no name is made up."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert holder_of(bound.getsockname()[1]) == "another process"


def test_processes_that_end_meanwhile_are_passed_over(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that vanishes while it is looked at is not an error."""
    seen = Path.iterdir

    def vanishing(path: Path) -> Iterator[Path]:
        if path == Path("/proc"):
            yield Path("/proc/1999999999")
        yield from seen(path)

    monkeypatch.setattr(Path, "iterdir", vanishing)

    assert holder_of(listener.getsockname()[1]).startswith(f"process {os.getpid()} ")
