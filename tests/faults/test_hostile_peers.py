"""What a port scanner, a broken sender or an exhausted process may do: nothing to anybody else."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import msgpack
import pytest
from rawsocket import dealer
from serving import ServerProcess, wait_until

import streamviz
from streamviz.security.keys import open_keys
from streamviz.security.private import home
from streamviz.wire.codec import MAX_FRAME_BYTES, encode
from streamviz.wire.frames import Batch, Hello, Samples, Schema


@pytest.fixture(params=["keys", "plaintext"])
def server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServerProcess]:
    """A server with keys, whose members go wrong; and one without, for everybody."""
    arguments = []
    if request.param == "plaintext":
        monkeypatch.setenv("STREAMVIZ_JOIN", "none")
        arguments.append("--insecure")
    running = ServerProcess(*arguments)
    yield running
    running.stop()


def hello(stream: bytes, run: str) -> bytes:
    """Return a greeting."""
    return encode(Hello(stream, 1.0, 1.0, 0, 0, None, run, 0, 1, 0, "h", 1, 0, None, "0", {}))


def bad_frames(server: ServerProcess) -> dict[str, int]:
    """Return how many frames were refused, by reason."""
    counted: dict[str, int] = server.get("/api/v1/status")["counters"]["frames_bad_total"]
    return counted


def test_damaged_frames_are_counted_and_hurt_nobody(server: ServerProcess) -> None:
    """Frames damaged in any way are refused, by reason, while another stream goes on."""
    stream = os.urandom(16)
    row = (Batch(0, bytes(8), bytes(8), bytes(8)),)
    good = encode(Samples(stream, 0, 1.0, 1.0, 0, row, 1))
    chance = random.Random(0)
    with (
        streamviz.Publisher(server.ingest, run="innocent") as publisher,
        dealer(server.ingest) as raw,
    ):
        raw.send(hello(stream, "broken"))
        raw.send(encode(Schema(stream, 1.0, 1.0, 0, ("m",))))
        for step in range(2_000):
            damaged = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            raw.send(bytes(damaged[: chance.randint(1, len(damaged))]))
            if step % 100 == 0:
                publisher.send({"m": float(step)}, step=step)
        raw.send(msgpack.packb([99, 3, stream, 0, 1.0, 1.0, []]))
        raw.send(msgpack.packb([1, 42, stream, 0, 1.0, 1.0, []]))
        raw.send_multipart([b"two", b"parts"])
        assert publisher.flush(10)

        wait_until(lambda: bad_frames(server).get("multipart"), "the last one was judged")

    counted = bad_frames(server)
    assert counted["other version"] >= 1
    assert counted["unknown kind"] >= 1
    assert counted["not msgpack"] > 100
    assert len(server.series("innocent", "m")[0]["step"]) == 20


def test_a_frame_over_the_limit_cuts_its_sender_off(server: ServerProcess) -> None:
    """A message over the frame limit never reaches the decoder; others go on."""
    with dealer(server.ingest) as raw:
        raw.send(bytes(MAX_FRAME_BYTES + 1))
        with streamviz.Publisher(server.ingest, run="beside") as publisher:
            publisher.send({"m": 1.0}, step=0)
            assert publisher.flush(10)

    assert bad_frames(server) == {}


def test_a_stopped_server_costs_the_training_nothing(server: ServerProcess) -> None:
    """While a server is frozen ``send`` goes on; once it thaws every row is there, once."""
    with streamviz.Publisher(server.ingest, run="frozen") as publisher:
        publisher.send({"m": 0.0}, step=0)
        assert publisher.flush(10)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            for step in range(1, 3_000):
                publisher.send({"m": float(step)}, step=step)
            assert not publisher.flush(0.5)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        assert publisher.flush(20)

    assert server.series("frozen", "m")[0]["step"] == list(range(3_000))


def test_a_full_buffer_is_a_gap_that_adds_up() -> None:
    """What a full buffer gave up is one gap; with what is stored it makes up all that was sent."""
    first = ServerProcess()
    endpoint = first.ingest
    first.stop()
    publisher = streamviz.Publisher(endpoint, run="full", buffer_bytes=20_000)
    for step in range(6_000):
        publisher.send({"m": float(step)}, step=step)
        if step % 500 == 0:
            wait_until(lambda: not publisher._rows, "the sender keeps up")
    late = ServerProcess(ingest=endpoint)
    try:
        assert publisher.flush(20)
        [series] = late.series("full", "m")
        missing = late.count("gap_rows_total")
    finally:
        publisher.close()
        late.stop()

    steps = series["step"]
    assert steps == list(range(steps[0], 6_000))
    assert missing == steps[0] > 0
    assert missing + len(steps) == 6_000 == publisher.totals().sent


@pytest.mark.parametrize("spare", [0, 1, 2, 3, 4, 5, 8, 12, 16, 24, 40])
def test_a_process_without_descriptors_trains_on(spare: int) -> None:
    """With hardly a descriptor left a publisher says so once; it neither aborts nor raises."""
    open_keys(home())
    program = f"""
        import os, resource
        import streamviz
        highest = os.open(os.devnull, os.O_RDONLY)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + {spare}, limit))
        publisher = streamviz.Publisher("tcp://127.0.0.1:9", run="poor")
        for step in range(100):
            publisher.send({{"m": 1.0}}, step=step)
        publisher.close()
        print("trained")
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, "trained\n"), ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
