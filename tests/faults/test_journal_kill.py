"""★ What was acknowledged is on the disk, however the server ends."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

from framesender import ROWS, FrameSender
from rawsocket import dealer
from serving import ServerProcess

from streamviz.clock import monotonic_time
from streamviz.journal.history import History

KILLS = 6
OPEN_S = 5.0
STOP_S = 5.0

Outcome = Callable[[int, str], None]
Serve = Callable[..., ServerProcess]


def test_every_acknowledged_frame_survives_a_kill_in_a_commit(
    serve: Serve, tmp_path: Path, outcome: Outcome
) -> None:
    """Killed at any moment of a flood of commits, a server has all that it acknowledged."""
    chance, sender = random.Random(34), FrameSender("flood")
    ingest, slowest_s = "tcp://127.0.0.1:0", 0.0
    for life in range(KILLS + 1):
        began = monotonic_time()
        server = serve(ingest=ingest, data_dir=tmp_path)
        slowest_s, ingest = max(slowest_s, monotonic_time() - began), server.ingest
        if life:
            steps = stored(server, tmp_path)
            assert len(steps) >= sender.acked * ROWS > 0
            assert steps == list(range(len(steps)))
        with dealer(ingest) as socket:
            sender.greet(socket)
            end = monotonic_time() + chance.uniform(0.2, 0.9)
            while life < KILLS and monotonic_time() < end:
                sender.turn(socket)
            server.kill()
            sender.hear(socket, 100)  # what it had said before
    assert slowest_s < OPEN_S
    outcome(
        34,
        f"{KILLS} kill -9 in a flood of commits: all of {sender.acked:,} acknowledged frames there;"
        f" listens after {slowest_s:.1f} s at most",
    )


def stored(server: ServerProcess, data: Path) -> list[int]:
    """Return the steps that are on the disk, which are those that the server has."""
    steps = [int(step) for rows in History(data).rows("flood") for step in rows.steps]
    [series] = server.series("flood", "m")
    assert sum(series["count"]) == len(steps)
    return steps


def test_a_server_told_to_end_in_a_write_ends_well(
    serve: Serve, tmp_path: Path, outcome: Outcome
) -> None:
    """SIGTERM in a flood: exit code 0 within 5 s, and all that was acknowledged is there."""
    sender = FrameSender("flood")
    server = serve(data_dir=tmp_path)
    with dealer(server.ingest) as socket:
        sender.greet(socket)
        ended: list[int] = []
        enough, began = monotonic_time() + 0.5, 0.0
        stopping = threading.Thread(target=lambda: ended.append(server.stop()))
        while not ended:
            sender.turn(socket, wait_ms=20)
            if not began and monotonic_time() > enough:
                began = monotonic_time()
                stopping.start()
            elif began and sender.sent - sender.acked >= 64:
                stopping.join(0.1)
        stopped_s = monotonic_time() - began
        sender.hear(socket, 100)
    after = serve(data_dir=tmp_path)
    steps = stored(after, tmp_path)
    after.stop()

    assert ended == [0]
    assert stopped_s < STOP_S
    assert steps == list(range(len(steps)))
    assert len(steps) >= sender.acked * ROWS > 0
    outcome(
        35, f"SIGTERM in a flood: exit 0 after {stopped_s:.1f} s, {sender.acked:,} frames there"
    )
