"""★ Bytes that no publisher sends, at the ingest port: closed, counted, and no memory spent."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest
from rawsocket import dealer
from serving import ServerProcess, wait_until

import streamviz
from streamviz.wire.codec import MAX_FRAME_BYTES

READY = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
MORE, LONG = 1, 2
SILENT = 1_000

Outcome = Callable[[int, str], None]


@pytest.fixture(scope="module", params=["keys", "plaintext"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server with keys, and one that takes plaintext from everybody."""
    with pytest.MonkeyPatch.context() as patch:
        arguments = []
        if request.param == "plaintext":
            patch.setenv("STREAMVIZ_JOIN", "none")
            arguments.append("--insecure")
        running = ServerProcess(*arguments)
        running.guarded = not arguments  # type: ignore[attr-defined]
        yield running
        running.stop()


def greeting(mechanism: bytes) -> bytes:
    """Return the 64 bytes that a peer begins with."""
    return b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") + bytes(32)


def connect(server: ServerProcess) -> socket.socket:
    """Open a bare connection to the ingest port."""
    return socket.create_connection(("127.0.0.1", int(server.ingest.rpartition(":")[2])), 20)


def is_closed(stranger: socket.socket) -> bool:
    """Read until the server closes; whatever it says before is no matter."""
    stranger.settimeout(20)
    with contextlib.suppress(ConnectionError):
        while stranger.recv(65_536):
            pass
    return True


def memory(server: ServerProcess) -> int:
    """Return the bytes that the server's process holds."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def refused(server: ServerProcess) -> int:
    """Return how many connections came to nothing."""
    return server.count("connections_refused_total")


def goes_on(server: ServerProcess, run: str) -> None:
    """See that a publisher is served, and that nobody wrote a traceback."""
    with streamviz.Publisher(server.ingest, run=run) as publisher:
        publisher.send({"m": 1.0}, step=0)
        assert publisher.flush(20)
    assert not [line for line in server.lines if "Traceback" in line]


def test_other_protocols_are_closed_and_counted(server: ServerProcess, outcome: Outcome) -> None:
    """HTTP, TLS, a port scan, and noise of any length, before and after the first bytes."""
    chance = random.Random(20)
    noises = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        greeting(b"PLAIN"),
        greeting(b"GSSAPI"),
        *(chance.randbytes(chance.randint(1, 600)) for _ in range(40)),
        *(greeting(b"NULL") + chance.randbytes(chance.randint(1, 600)) for _ in range(40)),
        *(greeting(b"CURVE") + chance.randbytes(chance.randint(1, 600)) for _ in range(40)),
    ]
    before, held = refused(server), memory(server)
    frames, bad = server.count("frames_received_total"), server.count("frames_bad_total")
    for noise in noises:
        with connect(server) as stranger, contextlib.suppress(ConnectionError):
            stranger.sendall(noise)
    # A few end like any other connection: what they said was the beginning of something.
    wait_until(lambda: refused(server) - before >= len(noises) * 0.8, "they are counted")
    decoded = server.count("frames_received_total") - frames
    # Without keys some noise is a message of ZeroMQ's first version, and no frame of ours.
    assert decoded <= server.count("frames_bad_total") - bad
    assert server.count("streams_opened_total") == 0
    assert memory(server) - held < 8e6
    goes_on(server, "noise")
    if server.guarded:  # type: ignore[attr-defined]
        assert decoded == 0
        outcome(20, f"{len(noises)} strangers: 0 frames decoded, each connection closed, counted")


def test_a_huge_frame_is_cut_at_its_first_bytes(server: ServerProcess) -> None:
    """Whatever length is declared, nothing is kept for it."""
    held = memory(server)
    for length in (MAX_FRAME_BYTES + 1, 2**40, 2**63 + 5, 2**64 - 1):
        mechanism = b"CURVE" if server.guarded else b"NULL"  # type: ignore[attr-defined]
        with connect(server) as stranger:
            with contextlib.suppress(ConnectionError):
                stranger.sendall(greeting(mechanism) + READY)
                stranger.sendall(bytes([LONG]) + length.to_bytes(8, "big"))
                for _ in range(64):
                    stranger.sendall(bytes(1 << 20))
            assert is_closed(stranger)
    assert memory(server) - held < 8e6
    goes_on(server, "huge")


def test_parts_without_end(server: ServerProcess, outcome: Outcome) -> None:
    """With keys a stranger's parts are never begun; in plaintext they are held until it goes.

    libzmq bounds parts and whole messages, not a message of parts that never ends: without keys
    nothing stops a peer from filling the memory, which is one reason why they are the default.
    """
    held, frames = memory(server), server.count("frames_received_total")
    guarded = server.guarded  # type: ignore[attr-defined]
    part = bytes([MORE | LONG]) + (60_000).to_bytes(8, "big") + bytes(60_000)
    sent = 0
    with connect(server) as stranger:
        with contextlib.suppress(ConnectionError):
            stranger.sendall(greeting(b"CURVE" if guarded else b"NULL") + READY)
            said = b""
            while not guarded and b"READY" not in said:
                said += stranger.recv(4096)
            for _ in range(500):
                stranger.sendall(part)
                sent += len(part)
        if not guarded:
            wait_until(lambda: memory(server) - held > 0.5 * sent, "it is held")
    peak = memory(server) - held
    assert server.count("frames_received_total") == frames
    goes_on(server, "endless")
    if guarded:
        assert peak < 8e6
        outcome(16, "with keys: cut before the first part is held; plaintext holds parts")
    else:
        assert peak < 2 * sent


def test_a_bomb_in_a_frame_is_refused(server: ServerProcess) -> None:
    """A member that sends a million maps in a megabyte costs one refusal."""
    held, before = memory(server), server.count("frames_bad_total")
    bombs = [
        msgpack.packb([{}] * 1_000_000)[:MAX_FRAME_BYTES],
        b"\xdd\xff\xff\xff\xff" + bytes(1000),
        b"\x91" * 100_000,
        b"\xdf\xff\xff\xff\xff" + bytes(1000),
    ]
    with dealer(server.ingest) as raw:
        for bomb in bombs:
            raw.send(bomb)
        wait_until(
            lambda: server.count("frames_bad_total") - before == len(bombs), "all are refused"
        )
    assert memory(server) - held < 16e6
    goes_on(server, "bomb")


def test_a_thousand_who_say_nothing(server: ServerProcess, outcome: Outcome) -> None:
    """They are closed after five seconds, and meanwhile everybody else is served."""
    before, held = refused(server), memory(server)
    descriptors = Path(f"/proc/{server.process.pid}/fd")
    open_before = len(list(descriptors.iterdir()))
    with contextlib.ExitStack() as stack:
        for _ in range(SILENT):
            stack.enter_context(connect(server))
        goes_on(server, "beside")
        assert memory(server) - held < 32e6
        wait_until(lambda: refused(server) - before >= SILENT, "they are closed and counted")
        assert len(list(descriptors.iterdir())) <= open_before + 2
    outcome(21, f"{SILENT} silent connections closed and counted; others served meanwhile")
