"""What tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving import ServerProcess


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """A real server, ended after the test."""
    running = ServerProcess()
    yield running
    if running.process.poll() is None:
        running.stop()
    else:
        running.wait()
