"""``streamviz demo --simulate``: many ranks of one process, on the real wire."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from serving import ServerProcess, wait_until

from streamviz.demo.job import Job
from streamviz.demo.simulate import Simulation
from streamviz.publisher.transport import Sockets, ZmqTransport


def simulate(endpoint: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a simulation."""
    return subprocess.Popen(
        [sys.executable, "-m", "streamviz", "demo", "--endpoint", endpoint, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def told_by(simulation: subprocess.Popen[str]) -> str:
    """Wait for its end and return what it said."""
    return simulation.communicate(timeout=60)[0]


def state_of(server: ServerProcess, run: str) -> dict[int, dict[str, Any]]:
    """Return a run's workers by rank."""
    return {worker["rank"]: worker for worker in server.workers(run)}


def test_every_row_of_every_rank_arrives_once(server: ServerProcess) -> None:
    """Ranks, hosts and values are those that were asked for; the end is a good one."""
    simulation = simulate(
        server.ingest,
        *("--simulate", "64", "--hosts", "4", "--rate", "40", "--steps", "50", "--run", "many"),
        *("--fault", "nan:rank=3,metric=train/loss@step=40"),
    )

    assert "50 steps of 64 ranks, 3,200 rows sent, 3,200 acknowledged" in told_by(simulation)
    assert simulation.returncode == 0
    workers = state_of(server, "many")
    assert sorted(workers) == list(range(64))
    assert {worker["state"] for worker in workers.values()} == {"done"}
    assert {worker["host"] for worker in workers.values()} == {f"node-{n}" for n in range(4)}
    series = {one["rank"]: one for one in server.series("many", "train/loss")}
    assert all(one["step"] == list(range(50)) for one in series.values())
    assert series[3]["value"][39:] != ["NaN"] * 11
    assert series[3]["value"][40:] == ["NaN"] * 10
    assert all(math.isfinite(value) for value in series[4]["value"])


def test_a_death_and_a_stop(server: ServerProcess) -> None:
    """Who dies says nothing more, and all wait for it; Ctrl-C ends the others with a goodbye."""
    simulation = simulate(
        server.ingest,
        *("--simulate", "4", "--rate", "50", "--fault", "dead:rank=1@step=20", "--run", "dies"),
    )
    wait_until(
        lambda: [w["last_step"] for w in state_of(server, "dies").values()] == [19] * 4 or None,
        "all at the last step before the death",
    )
    simulation.send_signal(signal.SIGINT)

    assert "20 steps of 4 ranks, 80 rows sent" in told_by(simulation)
    states = wait_until(
        lambda: (
            (found if {found[rank]["state"] for rank in (0, 2, 3)} == {"failed"} else None)
            if (found := state_of(server, "dies"))
            else None
        ),
        "the others to say goodbye",
    )
    assert states[1]["state"] not in ("failed", "done")


def test_a_restarted_server_gets_all_of_it(
    serve: Callable[..., ServerProcess], tmp_path: Any
) -> None:
    """A server that is killed and started again loses no row of any rank."""
    server = serve(data_dir=tmp_path)
    simulation = simulate(
        server.ingest, *("--simulate", "8", "--rate", "50", "--steps", "200", "--run", "long")
    )
    wait_until(lambda: server.count("rows_received_total") > 200 or None, "some rows")
    server.kill()
    again = serve(data_dir=tmp_path, ingest=server.ingest)

    assert "1,600 rows sent, 1,600 acknowledged" in told_by(simulation)
    for series in again.series("long", "train/lr"):
        assert series["step"] == list(range(200))


def test_without_a_server_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives up after a while, and says that nothing was sent."""
    monkeypatch.setattr("streamviz.demo.simulate.NO_SERVER_S", 0.3)
    sockets = Sockets(2)
    simulation = Simulation(
        Job(2),
        run="alone",
        ranks=2,
        hosts=1,
        total_steps=10,
        connect=lambda: ZmqTransport("tcp://127.0.0.1:1", sockets=sockets),
        warn=lambda *_: None,
    )

    assert simulation.run().rows == 0
    sockets.close()
    assert ["no server answered" in fault for fault in simulation.faults] == [True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--simulate", "0"), "expected 1 to"),
        (("--simulate", "2", "--fault", "stall:rank=9@step=1"), "ranks 0 to 1"),
        (("--simulate", "2", "--fault", "stall:rank=x@step=1"), "at character 12"),
        (("--simulate", "2", "--rate", "nan"), "a number above 0"),
        (("--simulate", "2", "--run", "a\nb"), "legal name"),
        (("--steps", "3"), "--simulate N beside it"),
    ],
)
def test_a_wrong_simulation_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    """Code 2, what was found and what is allowed; nothing is started."""
    ended = simulate("tcp://127.0.0.1:1", *arguments)

    [line] = told_by(ended).splitlines()
    assert said in line
    assert ended.returncode == 2


def test_the_demo_simulates_behind_a_page() -> None:
    """Without an endpoint it starts a server, says what to look at, and SIGTERM ends both."""
    demo = subprocess.Popen(
        [
            *(sys.executable, "-m", "streamviz", "demo", "--port", "0", "--simulate", "16"),
            *("--fault", "stall:rank=7@step=5"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        shown = ServerProcess.of(demo)
        wait_until(
            lambda: len(state_of(shown, "simulated")) == 16 or None, "sixteen ranks on the page"
        )
        wait_until(
            lambda: any("rank 7 hangs in data" in line for line in shown.lines) or None,
            "what to look at",
        )
        assert shown.stop() == 0
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait()
