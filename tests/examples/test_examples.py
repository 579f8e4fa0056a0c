"""The examples, run as a user would run them, on a machine where no server listens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture
def deaf_endpoint() -> Iterator[str]:
    """Hold a port on which nobody listens, so that no other test can open it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{held.getsockname()[1]}"


def run(*arguments: str, endpoint: str, seconds: float) -> str:
    """Run Python, and return all that it printed; fail if it fails or takes longer."""
    environment = {name: value for name, value in os.environ.items() if name != "STREAMVIZ_RUN"}
    environment["STREAMVIZ_ENDPOINT"] = endpoint
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert process.returncode == 0, process.stdout
    return process.stdout


def warnings_in(output: str) -> int:
    """Count the lines in which streamviz had something to say."""
    return sum("streamviz: " in line for line in output.splitlines())


def test_the_minimal_example_needs_no_server(deaf_endpoint: str) -> None:
    """The smallest program ends by itself, with one warning at most, though nobody listens."""
    output = run(
        "examples/minimal.py",
        "--seconds=1",
        endpoint=deaf_endpoint,
        seconds=30,
    )

    assert "Traceback" not in output
    assert warnings_in(output) <= 1, output


@pytest.mark.torch
def test_ddp_runs_under_torchrun_without_a_server(deaf_endpoint: str) -> None:
    """Two ranks train to the end, each with one warning at most, though nobody listens."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")

    output = run(
        *TORCHRUN,
        "examples/ddp_digits.py",
        "--epochs=2",
        endpoint=deaf_endpoint,
        seconds=90,
    )

    assert "Traceback" not in output
    assert warnings_in(output) <= 2, output


@pytest.mark.torch
def test_ddp_runs_as_a_single_process(deaf_endpoint: str) -> None:
    """The distributed example needs no launcher."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")

    output = run(
        "examples/ddp_digits.py",
        "--epochs=1",
        endpoint=deaf_endpoint,
        seconds=60,
    )

    assert "Traceback" not in output
    assert warnings_in(output) <= 1, output


def test_every_example_is_documented_and_run() -> None:
    """A program in examples/ is named in its README and in a test of this file."""
    tests = Path(__file__).read_text()
    readme = (EXAMPLES / "README.md").read_text()

    programs = sorted(path.name for path in EXAMPLES.glob("*.py"))

    assert programs
    assert [name for name in programs if name not in readme] == []
    assert [name for name in programs if f"examples/{name}" not in tests] == []
