"""Alerts of a real server: each rule's fault, and who is told of it."""

from __future__ import annotations

import http.server
import json
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from serving import ServerProcess, wait_until

import streamviz
from streamviz.cli import run


class Hook:
    """A local server that takes what is posted, and refuses the first so many times."""

    def __init__(self, refusals: int = 0) -> None:
        self.took: list[dict[str, Any]] = []
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                nonlocal refusals
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refusals -= 1
                self.send_response(204 if refusals < 0 else 503)
                self.end_headers()
                if refusals < 0:
                    hook.took.append(json.loads(body))

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/hook"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop it."""
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    """One that refuses the very first post."""
    made = Hook(refusals=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(hook: Hook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a rule, a webhook, a command and a short patience."""
    place = tmp_path_factory.mktemp("alerts")
    script = place / "told.py"
    script.write_text(
        "import json, os, sys\n"
        "alert = json.load(sys.stdin)\n"
        "assert os.environ['STREAMVIZ_ALERT_RULE'] == alert['rule']\n"
        f"print(json.dumps(alert), file=open({str(place / 'told.jsonl')!r}, 'a'))\n"
    )
    made = ServerProcess(
        *("--alert", "val/acc<0.1@step>5@for=2", "--stall-after", "1"),
        *("--alert-webhook", hook.address),
        *("--alert-command", f"{sys.executable} '{script}'"),
    )
    made.told = place / "told.jsonl"  # type: ignore[attr-defined]
    yield made
    made.stop()


@contextmanager
def ranks(server: ServerProcess, run: str, count: int, **facts: Any) -> Iterator[list[Any]]:
    """Publishers of a run."""
    made = [
        streamviz.Publisher(server.ingest, run=run, rank=rank, world_size=count, **facts)
        for rank in range(count)
    ]
    try:
        yield made
    finally:
        for one in made:
            one.close()


def lines_of(path: Path) -> list[str]:
    """Return the whole lines of a file that somebody may just be writing."""
    return path.read_text().split("\n")[:-1]


def alerts(server: ServerProcess, run: str) -> dict[str, dict[str, Any]]:
    """Return a run's alerts by rule."""
    told = server.get("/api/v1/alerts", run=run).get("alerts", [])
    return {one["rule"]: one for one in told}


def send(publishers: list[Any], steps: range, row: Callable[[int, int], dict[str, float]]) -> None:
    """Send rows of rank and step from all, and see them acknowledged."""
    for step in steps:
        for rank, publisher in enumerate(publishers):
            publisher.send(row(rank, step), step=step)
    assert all(publisher.flush(10) for publisher in publishers)


@pytest.fixture(scope="module", autouse=True)
def stalled(server: ServerProcess) -> Iterator[list[Any]]:
    """A run whose last rank stands still; it takes seconds to be one that is waited for."""
    with ranks(server, "stall", 3) as publishers:
        for step in range(6):
            send(publishers, range(step, step + 1), lambda *_: {"m": 1.0})
        send(publishers[:2], range(6, 7), lambda *_: {"m": 1.0})
        yield publishers


def test_each_rule_finds_its_fault(server: ServerProcess, hook: Hook) -> None:
    """NaN, a spike, replicas apart, a bound, a straggler, a sentence of the training's own."""

    def row(rank: int, step: int) -> dict[str, float]:
        loss = 2 * math.exp(-step / 60) + 0.01 * ((7 * step + rank) % 5)
        slow = rank == 1
        return {
            "train/loss": loss + 30 if step == 90 else loss,
            "grad": math.nan if (rank, step) in ((2, 40), (0, 41)) else 1.0,
            "scale": 2.0 if rank == 2 and step >= 70 else 1.0,
            "val/acc": 0.05 if step > 60 else 0.5,
            "phase/data": 0.2 if slow else 0.01,
            "phase/backward": 0.05 if slow else 0.24,
        }

    with ranks(server, "faults", 3, replicated=("scale",)) as publishers:
        send(publishers, range(60), row)
        publishers[1].alert("disk nearly full", "3 % left", level="info", step=59)
        send(publishers, range(60, 100), row)
        expected = {"nan", "spike", "replicas", "threshold", "publisher"}
        wait_until(lambda: expected <= set(alerts(server, "faults")), "each rule has fired")
        # A verdict is asked for twice, of different steps.
        later = iter(range(100, 10_000, 8))

        def named() -> bool:
            first = next(later)
            send(publishers, range(first, first + 8), row)
            return "straggler" in alerts(server, "faults")

        wait_until(named, "the straggler is named")
        found = alerts(server, "faults")
    assert (found["nan"]["rank"], found["nan"]["step"], found["nan"]["count"]) == (2, 40, 2)
    assert found["nan"]["first_bad"]
    assert (found["spike"]["metric"], found["spike"]["step"]) == ("train/loss", 90)
    assert (found["replicas"]["rank"], found["replicas"]["step"]) == (2, 70)
    assert found["threshold"]["step"] == 62, "the second point in a row"
    assert found["publisher"]["text"] == "disk nearly full: 3 % left"
    assert (found["straggler"]["rank"], found["straggler"]["metric"]) == (1, "phase/data")

    def posted() -> set[str]:
        return {one["rule"] for one in hook.took if one["run"] == "faults"}

    wait_until(lambda: set(found) <= posted(), "all were posted, the first at the second attempt")
    rules = [one["rule"] for one in hook.took if one["run"] == "faults"]
    assert sorted(rules) == sorted(set(rules)), "each once"
    told: Path = server.told  # type: ignore[attr-defined]
    wait_until(
        lambda: told.exists() and set(found) <= {json.loads(x)["rule"] for x in lines_of(told)},
        "the command was run for all",
    )

    def reasons() -> dict[str, int]:
        return dict(server.get("/api/v1/status")["counters"]["alert_messages_total"])

    # A command is counted once it has ended, which is after it wrote.
    wait_until(lambda: reasons()["command run"] >= len(found), "all commands have ended")
    assert reasons()["webhook retried"] == 1


def test_a_rank_that_stalls_is_told_of_and_forgiven(
    server: ServerProcess, stalled: list[Any]
) -> None:
    """The sentence names it; the alert ends with its next step. Another that is slow is not one."""
    found = wait_until(lambda: alerts(server, "stall").get("stall"), "it stalls")
    assert found["until"] is None

    def said() -> bool:
        sentence = server.get("/api/v1/alerts", run="stall")["situation"]
        assert not sentence or sentence.startswith("rank 2 (")
        return bool(sentence.endswith("2 ranks wait at 6"))

    wait_until(said, "whom the others wait for")
    later = iter(range(6, 10_000))

    def forgiven() -> bool:
        first = next(later)
        send(stalled, range(first, first + 1), lambda *_: {"m": 1.0})
        return alerts(server, "stall")["stall"]["until"] is not None

    wait_until(forgiven, "it goes on")


def test_a_command_waits_for_the_end_or_the_first_alert(server: ServerProcess) -> None:
    """`streamviz watch`: 0 when the run ended well, 1 with a sentence when a rule fired."""

    def watch(run: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "streamviz", "watch", run, "--server", server.page, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    well, bad = watch("well"), watch("bad", "--fail-on", "nan,spike")
    never = watch("never", "--timeout", "0.1")
    wrong = watch("x", "--fail-on", "nan,pain")
    with ranks(server, "well", 1) as publishers:
        send(publishers, range(5), lambda *_: {"m": 1.0})
    with ranks(server, "bad", 1) as publishers:
        send(publishers, range(5), lambda _, step: {"m": math.nan if step == 3 else 1.0})
        said, _ = bad.communicate(timeout=20)
        assert (bad.returncode, said.split(": ")[1]) == (1, "nan"), said
        assert "NaN in m: first on rank 0" in said
    said, _ = well.communicate(timeout=20)
    assert (well.returncode, said) == (0, "run 'well' ended well\n")
    assert never.communicate(timeout=20)[0].startswith("run 'never' was not heard of")
    assert never.returncode == 3
    _, complaint = wrong.communicate(timeout=20)
    assert wrong.returncode == 2
    assert "--fail-on: found 'pain'" in complaint


def test_alerts_outlast_the_server(tmp_path: Path) -> None:
    """The first bad value is there after a kill and a restart, as it was, and told to nobody."""
    first = ServerProcess(data_dir=tmp_path)
    with ranks(first, "kept", 2) as publishers:
        send(publishers, range(9), lambda r, s: {"m": math.nan if (r, s) == (1, 4) else 1.0})
        wait_until(lambda: list(tmp_path.rglob("alerts.json")), "it is written")
        found = alerts(first, "kept")["nan"]
    first.kill()
    second = ServerProcess(data_dir=tmp_path)
    try:
        again = wait_until(lambda: alerts(second, "kept").get("nan"), "it is back")
        for name in ("id", "text", "rank", "step", "time", "count", "first_bad"):
            assert again[name] == found[name], name
        assert second.count("alerts_total") == 0
    finally:
        second.stop()


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--alert", "loss<"), "loss<"),
        (("--alert-webhook", "file:///etc/passwd"), "an address such as https://"),
        (("--alert-command", "'unclosed"), "quoted in pairs"),
        (("--alert-command", "no-such-program-here"), "can be run"),
        (("--stall-after", "nan"), "seconds"),
    ],
)
def test_what_cannot_be_used_stops_the_start(
    flags: tuple[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was found and what is allowed, and exit code 2."""
    assert run(["serve", "--no-record", "--port", "0", *flags]) == 2
    assert complaint in capsys.readouterr().err
