"""A server that stands still, or whose clock is set: the ranks are as alive as before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from serving import ServerProcess, wait_until

import streamviz
from streamviz.clock import monotonic_time
from streamviz.ingest.liveness import GONE_AFTER_S, STALE_AFTER_S

RANKS = 40
SUSPENDED_S = STALE_AFTER_S + 2
WATCHED_S = 2.0


@contextmanager
def fleet(endpoint: str) -> Iterator[list[float]]:
    """Let some ranks send all the time; gives the seconds that each call of ``send`` took."""
    publishers = [
        streamviz.Publisher(endpoint, run="fleet", rank=rank, world_size=RANKS)
        for rank in range(RANKS)
    ]
    ending, calls = threading.Event(), list[float]()

    def train() -> None:
        step = 0
        while not ending.wait(0.02):
            for publisher in publishers:
                began = monotonic_time()
                publisher.send({"m": float(step)}, step=step)
                calls.append(monotonic_time() - began)
            step += 1

    training = threading.Thread(target=train)
    training.start()
    try:
        yield calls
        ending.set()
        training.join()
        assert all(publisher.flush(20) for publisher in publishers)
    finally:
        ending.set()
        training.join()
        for publisher in publishers:
            publisher.close()


def states(server: ServerProcess) -> set[str]:
    """Return the states that the ranks are in."""
    return {worker["state"] for worker in server.workers("fleet")}


def states_for(server: ServerProcess, seconds: float) -> set[str]:
    """Return every state that any rank is seen in for some time."""
    seen: set[str] = set()
    end = monotonic_time() + seconds
    while monotonic_time() < end:
        seen |= states(server)
    return seen


def wait_for_all_live(server: ServerProcess) -> None:
    """Wait until every rank is there and live."""
    wait_until(lambda: len(server.workers("fleet")) == RANKS, "every rank is there")
    wait_until(lambda: states(server) == {"live"}, "every rank is live")


def test_a_suspended_server_calls_nobody_silent(
    server: ServerProcess, outcome: Callable[[int, str], None]
) -> None:
    """After standing still for longer than a rank may be silent, a server still calls all live."""
    with fleet(server.ingest) as calls:
        wait_for_all_live(server)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            threading.Event().wait(SUSPENDED_S)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        seen = states_for(server, WATCHED_S)
    sent = len(calls) // RANKS

    assert seen == {"live"}
    assert max(calls) < 1.0
    series = server.series("fleet", "m")
    assert [one["step"] for one in series] == [list(range(sent))] * RANKS
    assert server.count("gap_rows_total") == 0
    outcome(
        3,
        f"server stopped for {SUSPENDED_S:.0f} s: {len(calls):,} rows of {RANKS} ranks all stored "
        f"once; slowest `send` {max(calls) * 1e3:.0f} ms",
    )
    outcome(39, f"stopped for {SUSPENDED_S:.0f} s: {RANKS} ranks seen live and nothing else")


def test_a_clock_that_is_set_calls_nobody_silent(
    tmp_path: Path, outcome: Callable[[int, str], None]
) -> None:
    """The server's wall clock jumps forth and back by an hour; every rank stays live."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    program = f"""
        import sys, time
        from pathlib import Path
        import streamviz.clock
        streamviz.clock.wall_time = lambda: time.time() + float(Path({str(offset)!r}).read_text())
        from streamviz.cli import run
        sys.exit(run(["serve", "--no-record", "--port", "0", "--ingest", "tcp://127.0.0.1:0"]))
    """
    server = ServerProcess.of(
        subprocess.Popen(
            [sys.executable, "-u", "-c", textwrap.dedent(program)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )
    seen: set[str] = set()
    try:
        with fleet(server.ingest):
            wait_for_all_live(server)
            for jump in (3600.0, -3600.0):
                assert abs(jump) > GONE_AFTER_S
                # Written whole under another name first: the server reads it all the time.
                (tmp_path / "next").write_text(str(jump))
                (tmp_path / "next").rename(offset)
                seen |= states_for(server, WATCHED_S)
    finally:
        server.stop()

    assert seen == {"live"}
    outcome(39, f"wall clock set forth and back by an hour: {RANKS} ranks stay live")
