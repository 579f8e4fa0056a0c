"""What a training process may do, suffer or lack: it trains on, and ends as it would have."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from serving import ServerProcess, wait_until

import streamviz
from streamviz.clock import monotonic_time

END_S = 2.0
"""How long a process may take from its last line to its end."""
NOWHERE = "tcp://127.0.0.1:9"

Outcome = Callable[[int, str], None]

STAMPED = """
import sys, time, streamviz
def last_line():
    print("last line", time.monotonic(), flush=True)
"""


def run(
    program: str, environ: Mapping[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a program; return what became of it and the seconds from its last line to its end."""
    ended = subprocess.run(
        [sys.executable, "-c", STAMPED + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(environ or {})},
    )
    end = monotonic_time()
    stamps = [line.split()[2] for line in ended.stdout.splitlines() if line.startswith("last line")]
    return ended, end - float(stamps[-1]) if stamps else 0.0


# -- 1: no server, for ever ------------------------------------------------------------------

ABSENT = """
import json, os, resource, statistics
def steps(send, count=1500):
    taken = []
    for step in range(count):
        began = time.perf_counter()
        sum(i * i for i in range(2000))
        send({"loss": 1.0, "lr": 0.1}, step=step)
        taken.append(time.perf_counter() - began)
    return taken
nothing = lambda metrics, step: None
# Taken by turns, so that whatever else the machine does falls on both.
publisher = streamviz.Publisher(run="alone", buffer_bytes=1 << 20)
before, during = [], []
for _ in range(6):
    before += steps(nothing)
    during += steps(publisher.send)
for step in range(400_000):
    publisher.send({"loss": 1.0, "lr": 0.1}, step=step)
    if step == 100_000:
        early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
time.sleep(float(os.environ["WAIT_S"]))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - early
print(json.dumps([statistics.median(during) / statistics.median(before), grown]))
last_line()
"""


@pytest.mark.parametrize("spills", [False, True])
def test_an_absent_server_is_not_noticed(tmp_path: Path, spills: bool, outcome: Outcome) -> None:  # noqa: FBT001
    """Without a server steps take as long, memory stays flat, the end is quick, one line said."""
    environ = {"STREAMVIZ_ENDPOINT": NOWHERE, "WAIT_S": "0.5" if spills else "5.5"}
    if spills:
        environ["STREAMVIZ_SPILL_DIR"] = str(tmp_path)

    ended, end_s = run(ABSENT, environ)

    assert ended.returncode == 0, ended.stderr
    ratio, grown_kib = json.loads(ended.stdout.splitlines()[0])
    assert ratio < 1.5
    assert grown_kib < 16 * 1024
    assert end_s < END_S
    # A flood of rows and a full buffer have warnings of their own.
    own = ("faster than they could be framed", "away or slow for too long")
    warnings = [line for line in ended.stderr.splitlines() if not line.endswith(own)]
    absent = [line for line in warnings if "no streamviz server at" in line]
    kept = [line for line in warnings if f"streamviz sync {tmp_path}" in line]
    # One that nobody is there, unless it ends before that is known; one where the rows are.
    assert len(absent) == 1 or (spills and not absent)
    assert (len(kept), len(absent) + len(kept)) == (int(spills), len(warnings))
    if not spills:
        outcome(
            1,
            f"step {ratio:.3f} of one without; memory +{grown_kib / 1024:.0f} MiB over 400,000 "
            f"rows; 1 warning; end {end_s:.1f} s after the last line",
        )


def test_a_hanging_server_does_not_hold_up_the_end(
    server: ServerProcess, tmp_path: Path, outcome: Outcome
) -> None:
    """A server that stands still holds up nothing; what it did not take is on disk, and arrives."""
    program = f"""
        publisher = streamviz.Publisher("{server.ingest}", run="hang")
        publisher.send({{"m": 0}}, step=0)
        assert publisher.flush(10)
        print("up", flush=True)
        sys.stdin.readline()
        for step in range(1, 20_001):
            publisher.send({{"m": step}}, step=step)
            if step % 4000 == 0:
                time.sleep(0.1)
        last_line()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", STAMPED + textwrap.dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "STREAMVIZ_SPILL_DIR": str(tmp_path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    server.process.send_signal(signal.SIGSTOP)
    try:
        out, err = process.communicate("go\n", timeout=30)
        end_s = monotonic_time() - float(out.split()[2])
    finally:
        server.process.send_signal(signal.SIGCONT)

    assert process.returncode == 0
    assert end_s < END_S
    assert len(err.splitlines()) == 1
    [path] = tmp_path.iterdir()
    assert str(path) in err
    assert "streamviz sync" in err
    synced = sync(tmp_path, server.ingest)
    assert synced.returncode == 0, synced.stdout
    [series] = server.series("hang", "m", points=30_000)
    assert series["step"] == list(range(20_001))
    assert list(tmp_path.iterdir()) == []
    outcome(3, f"end {end_s:.1f} s after the last line under a stopped server; 0 of 20,001 lost")


def test_a_disk_that_stands_still_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """A disk that takes half a second for each write costs rows, counted or torn, and no time."""
    ended, end_s = run(
        """
        import os
        really = os.pwrite
        def slowly(*arguments):
            time.sleep(0.5)
            return really(*arguments)
        os.pwrite = slowly
        publisher = streamviz.Publisher(run="slow disk")
        for step in range(40_000):
            publisher.send({"m": 1.0}, step=step)
            if step % 4000 == 0:
                time.sleep(0.05)
        last_line()
        """,
        {"STREAMVIZ_ENDPOINT": NOWHERE, "STREAMVIZ_SPILL_DIR": str(tmp_path)},
    )

    assert ended.returncode == 0, ended.stderr
    assert end_s < END_S
    assert len(list(tmp_path.iterdir())) == 1


def sync(directory: Path, endpoint: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Deliver what lies in a directory."""
    command = [sys.executable, "-m", "streamviz", "sync", str(directory), *arguments]
    return subprocess.run(
        [*command, "--endpoint", endpoint],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# -- 6: no descriptors, no threads -------------------------------------------------------------


def child(work: Callable[[], None]) -> int:
    """Run something in a forked child without anything of the parent's; return how it ended."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            work()
            code = 0
        except BaseException as error:  # noqa: BLE001 - the child must not come back from here
            sys.stderr.write(f"{error!r}\n")
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def train_and_close(directory: Path | None) -> None:
    """Send a little, as a training would, and end."""
    publisher = streamviz.Publisher(NOWHERE, run="starved", spill_dir=directory)
    for step in range(100):
        publisher.send({"m": 1.0}, step=step)
    publisher.flush(0.05)
    publisher.close(1.0)
    publisher.send({"m": 1.0})


@pytest.mark.parametrize("spills", [False, True])
def test_no_number_of_free_descriptors_ends_a_training(tmp_path: Path, spills: bool) -> None:  # noqa: FBT001
    """With 0 to 20 descriptors free nothing aborts, raises or hangs; with one, rows are kept."""
    endings: dict[int, int] = {}
    kept: dict[int, int] = {}
    for free in range(21):
        where = tmp_path / str(free) if spills else None

        def work(free: int = free, where: Path | None = where) -> None:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            taken = [os.open(os.devnull, os.O_RDONLY)]
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
            while True:
                try:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
                except OSError:
                    break
            for _ in range(free):
                os.close(taken.pop())
            train_and_close(where)

        endings[free] = child(work)
        if where is not None and where.exists():
            kept[free] = sum(path.stat().st_size for path in where.iterdir())

    assert set(endings.values()) == {0}, endings
    if spills:
        # One is enough for the file; a directory listing takes it for a moment before.
        assert all(kept.get(free) for free in range(2, 21)), kept


def test_no_thread_limit_ends_a_training(outcome: Outcome) -> None:
    """With room for 0 to 8 more threads nothing aborts, raises or hangs, spilling or not."""
    if os.getuid() != 0:
        pytest.skip("a limit on processes is set for another user, which takes root")
    # The tests' own folder is not for others to enter.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    endings: dict[tuple[int, bool], int] = {}
    kept: set[int] = set()
    for threads in range(7):
        for spills in (False, True):
            where = folder / str(threads) if spills else None
            user = 40_000 + threads * 2 + spills

            def work(threads: int = threads, where: Path | None = where, user: int = user) -> None:
                os.setgid(user)
                os.setuid(user)
                # One is this process itself.
                resource.setrlimit(resource.RLIMIT_NPROC, (threads + 1, threads + 1))
                train_and_close(where)

            endings[threads, spills] = child(work)
            if where is not None and where.exists() and list(where.iterdir()):
                kept.add(threads)

    assert set(endings.values()) == {0}, endings
    assert kept == set(range(7))
    shutil.rmtree(folder)
    outcome(6, "0 to 20 free descriptors, 0 to 6 more threads: no abort, no exception, no hang")


# -- 7: forks ----------------------------------------------------------------------------------

LOADER = """
import torch
class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, index):
        if {sends}:
            publisher.send({{"loader": float(index)}}, step=index)
        return index
def train():
    loader = torch.utils.data.DataLoader(
        Rows(), batch_size=4, num_workers={workers}, multiprocessing_context={context!r})
    for epoch in range({epochs}):
        for step, _ in enumerate(loader):
            publisher.send({{"loss": float(step)}}, step=epoch * 16 + step)
    print(publisher.flush(20))
    publisher.close()
if __name__ == "__main__":
    publisher = streamviz.Publisher("{endpoint}", run="loader-{context}", world_size=1)
    publisher.send({{"start": 1.0}}, step=0)
    train()
    last_line()
"""


@pytest.mark.torch
@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_data_loaders_of_every_kind(
    server: ServerProcess, tmp_path: Path, context: str, outcome: Outcome
) -> None:
    """Workers, forked ones sending themselves, neither hang nor mix nor repeat anything."""
    pytest.importorskip("torch")
    forks = context == "fork"
    # Each worker of the other kinds imports torch anew.
    workers, epochs = (2, 2) if forks else (1, 1)
    script = tmp_path / "train.py"
    script.write_text(
        STAMPED
        + LOADER.format(
            endpoint=server.ingest, context=context, sends=forks, workers=workers, epochs=epochs
        )
    )
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=90, check=False
    )
    end_s = monotonic_time() - float(ended.stdout.split()[-1])

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("True")
    assert end_s < END_S + 1.0
    name = f"loader-{context}"
    [losses] = server.series(name, "loss")
    assert losses["step"] == list(range(16 * epochs))
    assert losses["value"] == [float(step % 16) for step in range(16 * epochs)]
    if forks:
        [rows] = server.series(name, "loader")
        # Two epochs: each index twice, on the one line of this rank, with its own value.
        assert sorted(rows["step"]) == sorted([*range(64), *range(64)])
        assert all(value == step for step, value in zip(rows["step"], rows["value"], strict=True))
        outcome(7, "fork, spawn, forkserver: no hang, each row of parent and workers once")
    assert len(server.workers(name)) == 1
    assert server.count("gap_rows_total") == 0


def test_a_rank_that_dies_is_seen_although_its_children_live(server: ServerProcess) -> None:
    """Forked workers that outlive a killed rank do not make it look alive for 20 s."""
    program = f"""
        import os
        publisher = streamviz.Publisher("{server.ingest}", run="orphans")
        publisher.send({{"m": 1.0}}, step=0)
        publisher.flush(10)
        if os.fork() == 0:
            time.sleep(30)
        os.kill(os.getpid(), 9)
    """
    run_in_background = subprocess.Popen(
        [sys.executable, "-c", STAMPED + textwrap.dedent(program)], start_new_session=True
    )
    try:
        run_in_background.wait(20)
        wait_until(
            lambda: server.workers("orphans")[0]["state"] in ("stale", "lost", "silent"),
            "the dead rank is told from a living one",
            20.0,
        )
    finally:
        os.killpg(run_in_background.pid, signal.SIGKILL)


# -- 8: killed -------------------------------------------------------------------------------


def test_a_killed_process_leaves_what_it_had_spilled(
    server: ServerProcess, tmp_path: Path, outcome: Outcome
) -> None:
    """After a kill -9 every row that had been spilled arrives; the worker is not called done."""
    program = """
        publisher = streamviz.Publisher(run="killed", buffer_bytes=200_000)
        for step in range(40_000):
            publisher.send({"m": step}, step=step)
            if step % 4000 == 0:
                time.sleep(0.05)
        while publisher._rows:
            time.sleep(0.01)
        print(publisher._stream.outgoing.shelved_row, flush=True)
        import os
        os.kill(os.getpid(), 9)
    """
    where = {"STREAMVIZ_SPILL_DIR": str(tmp_path), "STREAMVIZ_ENDPOINT": NOWHERE}
    ended, _ = run(program, where)
    assert ended.returncode == -signal.SIGKILL
    spilled = int(ended.stdout)
    assert spilled > 20_000

    synced = sync(tmp_path, server.ingest)

    assert synced.returncode == 0, synced.stdout
    assert "its process was killed" in synced.stdout
    [series] = server.series("killed", "m", points=50_000)
    assert series["step"] == list(range(len(series["step"])))
    missing = server.count("gap_rows_total")
    assert len(series["step"]) + missing >= spilled
    assert server.workers("killed")[0]["state"] not in ("done", "failed")
    outcome(8, f"{spilled:,} of 40,000 rows had been spilled: all of them delivered, none twice")


# -- 9: endings ------------------------------------------------------------------------------

ENDINGS: dict[str, tuple[str, int]] = {
    "falls off": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "exception": ("raise RuntimeError('lost')", 1),
    "SIGTERM": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "SIGINT": ("import os, signal; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", -2),
    "os._exit": ("import os; os._exit(4)", 4),
}


@pytest.mark.parametrize("has_server", [False, True])
def test_every_ending_is_the_process_s_own(
    tmp_path: Path,
    has_server: bool,  # noqa: FBT001
    outcome: Outcome,
) -> None:
    """Exit codes are as without us, each end is quick, and no signal is handled by us."""
    server = ServerProcess() if has_server else None
    slowest = 0.0
    try:
        for number, (name, (ending, code)) in enumerate(ENDINGS.items()):
            program = f"""
                import signal
                before = [signal.getsignal(number) for number in range(1, 32)]
                publisher = streamviz.Publisher(run="end {number}")
                for step in range(2000):
                    publisher.send({{"m": step}}, step=step)
                assert [signal.getsignal(number) for number in range(1, 32)] == before
                last_line()
                {ending}
            """
            ended, end_s = run(
                program,
                {
                    "STREAMVIZ_ENDPOINT": server.ingest if server else NOWHERE,
                    "STREAMVIZ_SPILL_DIR": str(tmp_path),
                },
            )
            assert ended.returncode == code, (name, ended.stderr)
            assert end_s < END_S, name
            slowest = max(slowest, end_s)
    finally:
        if server is not None:
            server.stop()
    if not has_server:
        outcome(
            9, f"{len(ENDINGS)} endings with and without a server: codes unchanged, {slowest:.1f} s"
        )


# -- 11: races -------------------------------------------------------------------------------


def test_threads_and_the_end_do_not_race(outcome: Outcome) -> None:
    """Two threads that send while a third closes or turns to a new attempt: all is counted."""
    rounds = 40
    for number in range(rounds):
        publisher = streamviz.Publisher(NOWHERE, run="race")
        go = threading.Barrier(3)

        def work(publisher: streamviz.Publisher = publisher, go: threading.Barrier = go) -> None:
            go.wait()
            for step in range(200):
                publisher.send({"m": 1.0}, step=step)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        go.wait()
        if number % 2:
            publisher.new_attempt()
            publisher.new_attempt()
        else:
            publisher.close(0.05)
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        publisher.close(0.05)
        totals = publisher.totals()
        assert totals.sent + totals.refused.get("after close", 0) == 400
        assert totals.held == totals.sent
    outcome(11, f"{rounds} rounds, two threads against close and new_attempt: 0 rows uncounted")


# -- 10, 13, 14 --------------------------------------------------------------------------------


class Slow:
    """A number that takes its time, and one that never comes."""

    def __init__(self, *, fails: bool) -> None:
        self._fails = fails

    def __float__(self) -> float:
        if self._fails:
            raise MemoryError
        sum(range(50_000))
        return 1.0


def test_values_may_be_slow_or_fail(server: ServerProcess, outcome: Outcome) -> None:
    """A value that fails is counted and told once, and holds up neither others nor the sender."""
    hostile: list[Any] = [
        Slow(fails=True),
        Slow(fails=False),
        10**400,
        "x",
        None,
        [1.0],
        object(),
        1j,
        b"1",
    ]
    with streamviz.Publisher(server.ingest, run="hostile") as publisher:
        for step in range(50):
            publisher.send({f"v{i}": value for i, value in enumerate(hostile)}, step=step)
            publisher.send({"fine": float(step)}, step=step)
        assert publisher.flush(10)
        refused = publisher.totals().refused
    [fine] = server.series("hostile", "fine")

    assert fine["step"] == list(range(50))
    assert sum(refused.values()) == 50 * (len(hostile) - 1)
    outcome(10, f"{len(hostile)} kinds of value 50 times: {sum(refused.values())} refused, counted")


def test_a_clock_that_is_set_changes_no_order(server: ServerProcess, outcome: Outcome) -> None:
    """Wall clocks that leap by an hour and back are drawn as they were; nothing is lost or late."""
    program = f"""
        import streamviz.clock, itertools
        leap = 0.0
        real = streamviz.clock.wall_time
        import streamviz.publisher.publisher as p, streamviz.publisher.sender as s
        import streamviz.publisher.stream as t
        for module in (p, s, t):
            module.wall_time = lambda: real() + leap
        publisher = streamviz.Publisher("{server.ingest}", run="clock")
        for step in range(300):
            leap = (0.0, 3600.0, -3600.0)[step // 100]
            publisher.send({{"m": step}}, step=step)
            if step % 50 == 0:
                assert publisher.flush(10)
        assert publisher.flush(10)
        last_line()
    """
    ended, end_s = run(program)

    assert ended.returncode == 0, ended.stderr
    assert end_s < END_S
    [series] = server.series("clock", "m")
    assert series["step"] == series["value"] == list(range(300))
    times = series["time"]
    assert 3500 < times[100] - times[99] < 3700
    assert -7300 < times[200] - times[199] < -7100
    assert server.count("gap_rows_total") == 0
    outcome(13, "+1 h, then -2 h while training: 300 of 300 rows in order, times as the clock said")


def test_a_flood_stays_within_memory(server: ServerProcess, outcome: Outcome) -> None:
    """A loop that only sends keeps its memory, and what is too much is counted and drawn."""
    program = f"""
        import json, resource
        publisher = streamviz.Publisher("{server.ingest}", run="flood", buffer_bytes=1 << 20)
        for step in range(300_000):
            publisher.send({{"a": 1.0, "b": 2.0, "c": 3.0}}, step=step)
            if step == 100_000:
                early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - early
        safe = publisher.flush(20)
        totals = publisher.totals()
        print(json.dumps([grown, safe, totals.sent, sum(totals.dropped.values())]))
    """
    ended, _ = run(program)

    assert ended.returncode == 0, ended.stderr
    grown_kib, is_safe, sent, dropped = json.loads(ended.stdout)
    assert is_safe
    assert sent == 300_000
    assert grown_kib < 8 * 1024
    stored, drawn = server.count("rows_received_total"), server.count("gap_rows_total")
    assert stored + drawn == 300_000
    # What was given up had in part arrived: its acknowledgement was under way.
    assert drawn <= dropped
    outcome(
        14,
        f"300,000 rows at full speed: {stored:,} stored, {drawn:,} counted and drawn, memory "
        f"+{grown_kib / 1024:.0f} MiB",
    )
