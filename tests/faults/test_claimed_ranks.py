"""Ranks that come twice, come back all at once, or whose frames come in any order."""

from __future__ import annotations

import random
import resource
from collections.abc import Callable
from pathlib import Path

from handmade_frames import Ingest, batch, hello_frame, stream_id
from nemesis import Nemesis
from serving import ServerProcess, wait_until
from witness import Fleet

import streamviz
from streamviz.clock import monotonic_time
from streamviz.wire.codec import encode
from streamviz.wire.delivery import STALL_S, Outgoing
from streamviz.wire.frames import Ack, Samples, Schema, Span

RANKS, BACK_S = 200, 30.0
SCHEDULES, FRAMES = 400, 30


def test_all_ranks_come_back_at_once(tmp_path: Path, outcome: Callable[[int, str], None]) -> None:
    """After a kill -9 two hundred ranks are back together, each of them whole."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    nemesis = Nemesis(tmp_path)
    publishers = [
        streamviz.Publisher(nemesis.endpoint, run="many", rank=rank, world_size=RANKS)
        for rank in range(RANKS)
    ]
    try:
        for step in range(20):
            for rank, publisher in enumerate(publishers):
                publisher.send({"m": float(rank)}, step=step)
        assert all(publisher.flush(30) for publisher in publishers)
        nemesis.kill()
        for step in range(20, 40):
            for rank, publisher in enumerate(publishers):
                publisher.send({"m": float(rank)}, step=step)
        nemesis.start()
        began = monotonic_time()
        assert all(publisher.flush(BACK_S) for publisher in publishers)
        back_s = monotonic_time() - began
        series = nemesis.server.series("many", "m")
        missing = nemesis.server.count("gap_rows_total")
    finally:
        for publisher in publishers:
            publisher.close()
        nemesis.end()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert [entry["rank"] for entry in series] == list(range(RANKS))
    assert all(entry["step"] == list(range(40)) for entry in series)
    assert missing == 0
    outcome(22, f"{RANKS} ranks all back {back_s:.1f} s after the server was, each of them whole")


def test_two_jobs_with_one_name_are_kept_apart(
    server: ServerProcess, tmp_path: Path, outcome: Callable[[int, str], None]
) -> None:
    """Two live processes of one run and rank are two lines, each whole, and counted."""
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    fleets = [Fleet(server.ingest, folder, ranks=2, hz=100, run="twice") for folder in folders]
    try:
        wait_until(lambda: len(server.workers("twice")) == 4, "four workers")
        wait_until(
            lambda: {worker["state"] for worker in server.workers("twice")} == {"live"},
            "all of them live",
        )
        said = [one for fleet in fleets for one in fleet.finish()]
    finally:
        for fleet in fleets:
            fleet.kill()

    assert all(one["drained"] for one in said), said
    for rank in range(2):
        stored = {tuple(one["value"]) for one in server.series("twice", "m", rank=rank)}
        assert stored == {tuple(fleet.offered()[rank]["value"]) for fleet in fleets}
    assert server.count("duplicate_ranks_total") == 2
    outcome(23, "two live jobs of one run name, two ranks each: four lines, each whole; counted")


def test_frames_in_any_order_are_stored_once(outcome: Callable[[int, str], None]) -> None:
    """Over a network that loses, repeats and reorders both ways, each row is stored once."""
    handed = repeated = 0
    for seed in range(SCHEDULES):
        chance, ingest = random.Random(seed), Ingest()
        outgoing, stream, now = Outgoing(1 << 20), stream_id(seed + 1), 0.0
        for step in range(FRAMES):
            outgoing.add(framed(stream, step), 1, Span(step, step, 0.0, 0.0))
        network: list[bytes] = []
        answers: list[Ack] = []
        while not outgoing.is_empty:
            now += 0.1
            if outgoing.needs_hello:
                outgoing.needs_hello = False
                greeting = hello_frame(
                    stream,
                    base_seq=outgoing.base_seq,
                    base_row=outgoing.base_row,
                    base_span=outgoing.base_span,
                )
                # These two come first on every connection, and TCP keeps them there.
                ingest.receive(encode(greeting))
                ingest.receive(encode(Schema(stream, 0.0, 0.0, 0, ("m",))))
            while (parcel := outgoing.peek()) is not None and chance.random() < 0.7:
                assert parcel.data is not None
                network.append(parcel.data)
                outgoing.sent(now)
            for _ in range(chance.randrange(6)):
                if not network:
                    break
                data = chance.choice(network)
                if chance.random() < 0.6:
                    network.remove(data)
                if chance.random() < 0.85:
                    ingest.receive(data)
                    handed += 1
            answers.extend(ack for _, ack in ingest.acks(0.1))
            if answers and chance.random() < 0.5:
                outgoing.acknowledged(answers.pop(chance.randrange(len(answers))), now)
            outgoing.tick(now + STALL_S * (chance.random() < 0.1))
        assert ingest.rows()[0, 0] == [(step, float(step)) for step in range(FRAMES)]
        assert ingest.gaps() == []
        repeated += ingest.total("frames_duplicate_total") + ingest.total("frames_ahead_total")

    assert repeated > SCHEDULES
    outcome(
        24,
        f"{SCHEDULES} schedules, {handed:,} frames handed over, {repeated:,} of them repeated or "
        "too early: every row stored once, in order",
    )


def framed(stream: bytes, step: int) -> Callable[[int, int], bytes]:
    """Return what makes a frame of one row, once its numbers are known."""

    def make(seq: int, row: int) -> bytes:
        return encode(Samples(stream, seq, 0.0, 0.0, row, (batch([step], [[float(step)]]),), 1))

    return make
