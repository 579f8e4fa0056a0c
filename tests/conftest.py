"""What tests of several rooms share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from serving import ServerProcess

# A test that times nothing fails for no time: a busy machine is not a fault.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def keys_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers and publishers, of child processes too, find each other's keys in a folder of ours.

    What the person who runs the tests has set stays out of it.
    """
    with pytest.MonkeyPatch.context() as patch:
        # Tests count the rows that they send; what the machine does would be rows beside them.
        patch.setenv("STREAMVIZ_SYSTEM", "off")
        patch.setenv("STREAMVIZ_HOME", str(tmp_path_factory.mktemp("keys")))
        for name in [name for name in os.environ if name.startswith("STREAMVIZ_JOIN")]:
            patch.delenv(name)
        yield


@pytest.fixture
def serve() -> Iterator[Callable[..., ServerProcess]]:
    """Start real servers, as :class:`ServerProcess` does; who still runs at the end is killed."""
    started: list[ServerProcess] = []

    def start(*arguments: str, **how: Any) -> ServerProcess:
        started.append(ServerProcess(*arguments, **how))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """A real server, ended after the test."""
    running = ServerProcess()
    yield running
    if running.process.poll() is None:
        running.stop()
    else:
        running.wait()
