"""What an import pulls in, asked in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

TRAINING_SIDE_NEVER = ("asyncio", "bokeh", "pandas", "prometheus_client", "tornado", "torch")

ROOMS = {
    "streamviz.wire.codec": ("asyncio", "bokeh", "numpy", "tornado", "torch", "zmq"),
    "streamviz.wire.delivery": ("asyncio", "bokeh", "msgpack", "numpy", "tornado", "torch", "zmq"),
    "streamviz.store.store": ("asyncio", "bokeh", "msgpack", "tornado", "torch", "zmq"),
    "streamviz.insight.bands": ("asyncio", "bokeh", "msgpack", "tornado", "torch", "zmq"),
    "streamviz.publisher.publisher": TRAINING_SIDE_NEVER,
    "streamviz.integrations.tensorboard": (*TRAINING_SIDE_NEVER, "matplotlib", "tensorboard"),
}
"""Module to import by itself: packages that must not come along."""

# The package's own __init__ brings in the publisher; without it one sees what a room needs.
WITHOUT_THE_FRONT_DOOR = """
import importlib.util, sys, types
root = types.ModuleType("streamviz")
root.__path__ = importlib.util.find_spec("streamviz").submodule_search_locations
root.__version__ = "0"
sys.modules["streamviz"] = root
"""


def loaded_after(statement: str) -> set[str]:
    """Return the names of all modules that a new interpreter holds after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert process.returncode == 0, process.stderr
    return set(json.loads(process.stdout.splitlines()[-1]))


@pytest.mark.parametrize("statement", ["import streamviz", "import streamviz.publisher"])
def test_importing_the_package_stays_light(statement: str) -> None:
    """What a training script imports brings in neither Bokeh, tornado, torch nor asyncio."""
    unwanted = set(TRAINING_SIDE_NEVER) & loaded_after(f"{statement}\nstreamviz.Publisher")

    assert not unwanted


@pytest.mark.parametrize("module", ROOMS)
def test_a_room_brings_only_what_it_needs(module: str) -> None:
    """Importing a room by itself does not bring in what belongs to another."""
    unwanted = set(ROOMS[module]) & loaded_after(f"{WITHOUT_THE_FRONT_DOOR}import {module}")

    assert not unwanted


def test_the_command_line_starts_without_bokeh() -> None:
    """Asking for help does not wait for the server's packages, nor need them."""
    unwanted = {"bokeh", "tornado", "torch"} & loaded_after("import streamviz.__main__")

    assert not unwanted


def test_importing_starts_nothing() -> None:
    """An import leaves no thread, no child and no handler on the root logger behind."""
    program = """
import threading, logging, signal
before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
import streamviz
streamviz.Publisher
assert threading.active_count() == 1, threading.enumerate()
assert logging.getLogger().handlers == []
assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
"""

    loaded_after(program)
