"""From ``send`` in real processes, over real sockets, to what a server answers."""

from __future__ import annotations

import math
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from serving import ServerProcess, wait_until

import streamviz
from streamviz.clock import monotonic_time


def run_python(
    source: str, *, timeout: float = 60, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **environ},
    )


def test_values_arrive_as_they_were_sent(server: ServerProcess) -> None:
    """Every value arrives bit-exact, with its step, NaN and infinities included."""
    values = [0.1, -0.0, 5e-324, 1e308, float("nan"), float("inf"), -float("inf"), np.float32(0.1)]
    with streamviz.Publisher(server.ingest, run="exact") as publisher:
        for step, value in enumerate(values):
            publisher.send({"m": value}, step=step)
        assert publisher.flush(10)

    [series] = server.series("exact", "m")

    assert series["step"] == list(range(len(values)))
    got = [float(value) for value in series["value"]]
    assert np.array(got).tobytes() == np.array(values, dtype=np.float64).tobytes()
    assert series["value"][4:7] == ["NaN", "Infinity", "-Infinity"]
    assert server.count("nonfinite_total") == 3


def test_a_worker_is_live_then_done(server: ServerProcess) -> None:
    """A worker shows rank, host and last step while it runs, and that it is done afterwards."""
    publisher = streamviz.Publisher(server.ingest, run="life", rank=3, world_size=8)
    publisher.send({"m": 1.0}, step=41)
    publisher.flush(10)

    wait_until(lambda: server.workers("life")[0]["last_step"] == 41, "the worker shows")
    [worker] = server.workers("life")
    assert (worker["rank"], worker["world_size"], worker["state"]) == (3, 8, "live")

    publisher.close()
    wait_until(lambda: server.workers("life")[0]["state"] == "done", "the worker is done")


@pytest.mark.parametrize(
    ("ending", "code", "state"),
    [
        ("", 0, "done"),
        ("import sys; sys.exit(3)", 3, "done"),
        ("raise RuntimeError('lost')", 1, "failed"),
        ("import os; os._exit(4)", 4, None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, None),
    ],
)
def test_every_ending_keeps_its_exit_code(
    server: ServerProcess, ending: str, code: int, state: str | None
) -> None:
    """However a process ends, its exit code is its own, and what was flushed is stored."""
    program = f"""
        import streamviz
        publisher = streamviz.Publisher("{server.ingest}", run="end")
        for step in range(100):
            publisher.send({{"m": step}}, step=step)
        publisher.flush(10)
        {ending}
    """

    ended = run_python(program)

    assert ended.returncode == code, ended.stderr
    assert len(server.series("end", "m")[0]["step"]) == 100
    if state is not None:
        wait_until(lambda: server.workers("end")[0]["state"] == state, f"the worker is {state}")


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:9", "tcp://no-such-host.invalid:6167"])
def test_no_server_neither_delays_nor_breaks_a_training(endpoint: str) -> None:
    """Without a server a program runs at full speed, ends within 2 s and says so once."""
    # No more rows than the outbox holds: on a busy machine it would overflow, and rightly say that.
    ended = run_python(
        f"""
        import time, streamviz
        publisher = streamviz.Publisher("{endpoint}", run="alone")
        began = time.perf_counter()
        for step in range(8_000):
            publisher.send({{"m": 1.0}}, step=step)
        sent = time.perf_counter()
        publisher.close()
        print(sent - began, time.perf_counter() - sent)
        """
    )

    assert ended.returncode == 0, ended.stderr
    sending_s, closing_s = map(float, ended.stdout.split())
    assert sending_s < 2.0
    assert closing_s < 2.0
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


def test_a_server_that_comes_later_gets_everything() -> None:
    """What was sent before any server ran is delivered to the one that comes."""
    first = ServerProcess()
    endpoint = first.ingest
    first.stop()
    publisher = streamviz.Publisher(endpoint, run="late")
    for step in range(1000):
        publisher.send({"m": step}, step=step)

    later = ServerProcess(ingest=endpoint)
    try:
        assert publisher.flush(20)
        [series] = later.series("late", "m")
        assert series["step"] == list(range(1000))
    finally:
        publisher.close()
        later.stop()


def test_a_killed_server_costs_only_what_it_alone_held() -> None:
    """After a kill -9, each unacknowledged row reaches the next server once; the rest is a gap."""
    first = ServerProcess()
    endpoint = first.ingest
    publisher = streamviz.Publisher(endpoint, run="killed")
    for step in range(500):
        publisher.send({"m": step}, step=step)
    assert publisher.flush(10)
    first.kill()
    for step in range(500, 1500):
        publisher.send({"m": step}, step=step)

    second = ServerProcess(ingest=endpoint)
    try:
        for step in range(1500, 1600):
            publisher.send({"m": step}, step=step)
        assert publisher.flush(20)
        [series] = second.series("killed", "m")
        missing = second.count("gap_rows_total")
    finally:
        publisher.close()
        second.stop()

    assert series["step"] == list(range(500, 1600))
    assert missing == 500
    assert publisher.totals().held == 0


def fork_and_send(publisher: streamviz.Publisher, rows: int) -> None:
    """Send from a forked child, as a DataLoader's worker would."""
    for step in range(rows):
        publisher.send({"child": step}, step=step)


def test_forked_children_send_streams_of_their_own(server: ServerProcess) -> None:
    """Rows of forked workers arrive, under their rank, and the parent's go on."""
    context = multiprocessing.get_context("fork")
    publisher = streamviz.Publisher(server.ingest, run="forks")
    publisher.send({"parent": 0.0}, step=0)
    assert publisher.flush(10)

    children = [context.Process(target=fork_and_send, args=(publisher, 50)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(20)
        assert child.exitcode == 0
    publisher.send({"parent": 1.0}, step=1)
    assert publisher.flush(10)

    [child_series] = server.series("forks", "child")
    assert sorted(child_series["step"]) == sorted([*range(50), *range(50)])
    assert server.series("forks", "parent")[0]["step"] == [0, 1]
    wait_until(lambda: server.workers("forks")[0]["state"] == "live", "the rank is live")
    assert len(server.workers("forks")) == 1
    publisher.close()


def test_an_attempt_that_starts_over_is_kept_apart(server: ServerProcess) -> None:
    """A second process whose steps overlap the first's is a new attempt; nothing is overwritten."""
    for value in (1.0, 2.0):
        with streamviz.Publisher(server.ingest, run="again") as publisher:
            for step in range(10):
                publisher.send({"m": value}, step=step)
            assert publisher.flush(10)

    series = server.series("again", "m")

    assert [(entry["attempt"], set(entry["value"])) for entry in series] == [(0, {1.0}), (1, {2.0})]


def test_a_busy_ingest_port_names_its_holder(server: ServerProcess) -> None:
    """A second server on the ingest port refuses, naming the port and who holds it."""
    ended = run_python(
        f"""
        from streamviz.cli import run
        import sys
        sys.exit(run(["serve", "--port", "0", "--ingest", "{server.ingest}"]))
        """
    )

    port = server.ingest.rpartition(":")[2]
    assert ended.returncode == 1
    assert re.search(rf"ingest port {port} is held by process {server.process.pid}", ended.stderr)


def test_a_busy_page_port_moves_on(server: ServerProcess) -> None:
    """A second server on the page's port takes the next free one and says so."""
    second = ServerProcess(port=server.port)
    try:
        assert second.port != server.port
        assert any("busy" in line for line in second.lines)
    finally:
        second.stop()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_a_server_cleanly(server: ServerProcess, signum: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end a server within 5 s, with exit code 0 and nothing said."""
    with streamviz.Publisher(server.ingest, run="signal") as publisher:
        publisher.send({"m": 1.0})
        publisher.flush(10)
    said = list(server.lines)
    began = monotonic_time()

    server.process.send_signal(signum)

    assert server.wait() == 0
    assert monotonic_time() - began < 5.0
    assert server.lines == said


def test_infinitely_many_calls_stay_within_bounds() -> None:
    """A loop that only sends, with nobody to take it, keeps its memory; the rest is counted."""
    publisher = streamviz.Publisher("tcp://127.0.0.1:9", run="flood", buffer_bytes=200_000)
    for step in range(100_000):
        publisher.send({"a": 1.0, "b": 2.0, "c": 3.0}, step=step)
    wait_until(lambda: not publisher._rows, "the outbox is framed")
    totals = publisher.totals()
    publisher.close()

    assert publisher._stream.outgoing.held_bytes <= 200_000 + 70_000
    assert sum(totals.dropped.values()) > 50_000
    assert math.isclose(totals.sent, 100_000, abs_tol=0)
