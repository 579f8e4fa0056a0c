"""What a training process pays for its publisher."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import logging
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import msgpack
import zmq
from benchmarks import Row, Settings, Skipped, benchmark, percentile, said_by

import streamviz

HERE = Path(__file__).parent
RAW = "msgpack + zmq send"
NAMES = tuple(f"group/metric{index}" for index in range(10))
Send = Callable[[dict[str, float], int], object]


@contextlib.contextmanager
def sink(*arguments: str) -> Iterator[str]:
    """Start a sink in another process and give its endpoint."""
    command = [sys.executable, str(HERE / "sink.py"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"tcp://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


@contextlib.contextmanager
def publisher_send() -> Iterator[Send]:
    """Give ``send`` of a publisher whose frames are taken and acknowledged."""
    with sink("ack") as endpoint:
        publisher = streamviz.Publisher(endpoint=endpoint, run=uuid.uuid4().hex)
        publisher.send({"warm": 0.0}, step=0)
        assert publisher.flush(10.0), "the sink does not acknowledge"
        yield publisher.send
        publisher.flush(10.0)
        publisher.close()


@contextlib.contextmanager
def raw_send() -> Iterator[Send]:
    """Give the least that one could write by hand: pack, and hand to ZeroMQ."""
    with sink() as endpoint, zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set_hwm(0)
        socket.linger = 0
        socket.connect(endpoint)
        pack = msgpack.packb
        socket.send(pack([0, time.time(), {"warm": 0.0}]))
        time.sleep(0.2)  # the connection stands
        yield lambda metrics, step: socket.send(pack([step, time.time(), metrics]))


@contextlib.contextmanager
def summary_writer() -> Iterator[Send]:
    """Give TensorBoard's way to say the same."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise Skipped("no tensorboard; ./scripts/bench --peers brings it") from None
    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:

        def send(metrics: dict[str, float], step: int) -> None:
            for name, value in metrics.items():
                writer.add_scalar(name, value, step)

        yield send


def row_of(floats: int, step: int) -> dict[str, float]:
    """Return new metrics under the same names, as a training loop makes them."""
    return {name: step * 0.5 + index for index, name in enumerate(NAMES[:floats])}


def call_times(send: Send, *, floats: int, calls: int, pause_s: float) -> list[float]:
    """Return the seconds that each call took, the clock's own 40 ns included."""
    clock = time.perf_counter_ns
    rows = [row_of(floats, step) for step in range(100)]
    times = []
    for step, metrics in zip(range(calls), itertools.cycle(rows)):
        if pause_s:
            time.sleep(pause_s)
        began = clock()
        send(metrics, step)
        times.append(clock() - began)
    return [nanoseconds * 1e-9 for nanoseconds in times]


def compare_calls(
    settings: Settings,
    peer: contextlib.AbstractContextManager[Send],
    peer_name: str,
    *,
    pace: str,
    flood_calls: int = 200_000,
    targets: dict[tuple[int, int], float] | None = None,
    peer_share: float | None = None,
) -> Iterator[Row]:
    """Yield a row per (floats, percentile) for ``send`` next to a peer."""
    pause_s = 0.001 if pace == "1 ms" else 0.0
    calls = settings.rounds(3_000 if pause_s else flood_calls)
    with publisher_send() as ours, peer as theirs:
        for floats in (1, 10):
            mine, other = (
                call_times(send, floats=floats, calls=calls, pause_s=pause_s)
                for send in (ours, theirs)
            )
            for percent in (50, 99):
                yield Row(
                    f"`send`, {floats} float{'s' * (floats > 1)}, {pace}, p{percent}",
                    percentile(mine, percent),
                    "s",
                    target=(targets or {}).get((floats, percent)),
                    peer=peer_name,
                    peer_reached=percentile(other, percent),
                    peer_share=peer_share if percent == 50 else None,
                )


@benchmark(repeats=3)
def send_flood(settings: Settings) -> Iterator[Row]:
    """Call ``send`` in a loop that does nothing else."""
    targets = {(1, 50): 5e-7, (1, 99): 2e-6, (10, 50): 1e-6, (10, 99): 4e-6}
    yield from compare_calls(
        settings, raw_send(), RAW, pace="flood", targets=targets, peer_share=1.0
    )


@benchmark(repeats=3)
def send_paced(settings: Settings) -> Iterator[Row]:
    """Call ``send`` once a millisecond, when the caches are cold.

    A virtual machine that was idle needs some of that to wake up: appending to a list is 0.1 µs
    in a loop and 4 µs here. So the target is the ratio to a bare ZeroMQ send.
    """
    yield from compare_calls(settings, raw_send(), RAW, pace="1 ms", peer_share=0.25)


@benchmark(repeats=1)
def send_tensorboard(settings: Settings) -> Iterator[Row]:
    """Call ``send`` next to TensorBoard's ``add_scalar``."""
    rows = compare_calls(
        settings,
        summary_writer(),
        "TensorBoard `add_scalar`",
        pace="beside TensorBoard",
        flood_calls=10_000,
        peer_share=0.01,
    )
    yield from (row for row in rows if row.what.endswith("p50"))


@benchmark(repeats=3)
def cpu_per_million(settings: Settings) -> Iterator[Row]:
    """Measure the whole process, its threads included, at 20,000 calls of 10 floats a second."""
    bursts = settings.rounds(500)

    def cpu_of(send: Send | None) -> float:
        metrics = row_of(10, 1)
        began = time.process_time()
        for burst in range(bursts):
            for call in range(100):
                if send is not None:
                    send(metrics, burst * 100 + call)
            time.sleep(0.005)
        return (time.process_time() - began) * 1e6 / (bursts * 1000)

    idle = cpu_of(None)
    with publisher_send() as ours:
        mine = cpu_of(ours) - idle
    with raw_send() as theirs:
        other = cpu_of(theirs) - idle
    what = "CPU of the process per 10⁶ scalars, 10 a call"
    yield Row(what, mine, "s", target=1.5, peer=RAW, peer_reached=other)


@benchmark(repeats=3)
def training_step(settings: Settings) -> Iterator[Row]:
    """Time a training step of about 1 ms with ``send`` in each step against without.

    Against a real server, which asks for a slower pace while nobody has its page open.
    """
    try:
        import torch
    except ImportError:
        raise Skipped("no torch") from None
    torch.set_num_threads(1)
    weights = torch.randn(192, 192)

    def work(times: int) -> torch.Tensor:
        state = weights
        for _ in range(times):
            state = torch.tanh(state @ weights)
        return state.mean()

    work(2_000)  # the first ones are slower
    began = time.perf_counter()
    work(1_000)
    products = max(round(1.0 / (time.perf_counter() - began)), 1)

    def block(send: Send | None) -> float:
        # The sum, not a median: the sender's own turns must count too.
        began = time.perf_counter()
        for step in range(100):
            loss = work(products)
            if send is not None:
                send({"train/loss": loss, "train/lr": 1e-3}, step)  # type: ignore[dict-item]
        return (time.perf_counter() - began) / 100

    ratios, plain = [], []
    with server() as endpoint, streamviz.Publisher(endpoint, run="steps") as publisher:
        publisher.send({"train/loss": 0.0}, 0)
        publisher.flush()
        for index in range(settings.rounds(40)):
            # Each order as often as the other, so that drift of the machine cancels.
            first, second = (None, publisher.send) if index % 2 else (publisher.send, None)
            one, two = block(first), block(second)
            with_it, without = (two, one) if index % 2 else (one, two)
            ratios.append(with_it / without)
            plain.append(without)
    what = f"step time with `send` / without, {quantity_ms(median(plain))} steps"
    yield Row(what, median(ratios), "", target=1.01)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run ``streamviz serve`` and give its ingest endpoint."""
    command = [
        *(sys.executable, "-m", "streamviz", "serve", "--port", "0", "--no-token"),
        *("--ingest", "tcp://127.0.0.1:0"),
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [*command, "--data-dir", folder], stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            yield said_by(process)["ingest"]
        finally:
            process.terminate()


def quantity_ms(seconds: float) -> str:
    """Return about how many milliseconds, so that repeats carry the same name."""
    return f"about {max(round(seconds * 1000), 1)} ms"


@benchmark(repeats=1)
def weight(settings: Settings) -> Iterator[Row]:
    """Measure what the publisher adds to a process and to a disk."""
    ours = import_seconds("import streamviz; streamviz.Publisher", settings)
    peer: tuple[str, float | None] = ("", None)
    if settings.peers:
        theirs = import_seconds("from torch.utils.tensorboard import SummaryWriter", settings)
        peer = ("TensorBoard's writer", theirs)
    yield Row("import, on top of numpy", ours, "s", 0.06, peer=peer[0], peer_reached=peer[1])

    package = Path(streamviz.__file__).parent
    own = [package / room for room in ("publisher", "wire")]
    size = sum(path.stat().st_size for room in own for path in room.rglob("*.py"))
    size += sum(path.stat().st_size for path in package.glob("*.py"))
    size += installed_bytes("pyzmq") + installed_bytes("msgpack")
    peer = ("TensorBoard", float(installed_bytes("tensorboard"))) if settings.peers else ("", None)
    what = "installed: pyzmq, msgpack and the publisher"
    yield Row(what, size, "B", 8e6, peer=peer[0], peer_reached=peer[1])


def import_seconds(statement: str, settings: Settings) -> float:
    """Return what a statement takes in a new interpreter that has numpy (and torch, if it is the
    peer that needs it) already."""
    before = "import numpy, torch" if "torch" in statement else "import numpy"
    program = (
        f"import time\n{before}\nbegan = time.perf_counter()\n{statement}\n"
        "print(time.perf_counter() - began)"
    )
    # Compiled files are kept, as they are on a user's machine.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times = [
        float(subprocess.check_output([sys.executable, "-c", program], env=environment))
        for _ in range(1 + settings.rounds(10))
    ]
    return median(times[1:])


def installed_bytes(name: str) -> int:
    """Return the bytes of a package's files, compiled ones left out."""
    files = importlib.metadata.distribution(name).files or []
    paths = [Path(str(file.locate())) for file in files if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.exists())


# Nothing a publisher says may end up between the lines of the table.
logging.getLogger("streamviz").addHandler(logging.StreamHandler(sys.stderr))
