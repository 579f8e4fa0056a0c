"""Thousands of ranks in one process, each with a connection and a stream of its own.

``fleet.py ENDPOINT CONNECTIONS``: each sends a frame of one row a second. Says ``ready`` when all
are greeted; then, for each line on standard input, one line of JSON: how many frames were made and
how many of them are acknowledged. ``end`` as the line stops sending first, and waits for the rest.
"""

from __future__ import annotations

import json
import os
import selectors
import sys
import time

import numpy as np
import zmq

from streamviz.security.join import find_join
from streamviz.wire.codec import decode_ack, encode
from streamviz.wire.delivery import Outgoing
from streamviz.wire.frames import Batch, Hello, Samples, Schema, Span

SLOTS = 20
"""Parts of a second: in each of them some ranks have their turn."""
DRAIN_S = 60.0


class Rank:
    """One rank: a socket, and the sender's end of the protocol."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, rank: int) -> None:
        self.rank = rank
        self.stream = os.urandom(16)
        self.out = Outgoing(1 << 20)
        self.socket = context.socket(zmq.DEALER)
        self.socket.set_hwm(64)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 500)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 10_000)
        join = find_join()
        if join is not None:
            self.socket.setsockopt(zmq.CURVE_SERVERKEY, join.server)
            self.socket.setsockopt(zmq.CURVE_PUBLICKEY, join.public)
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, join.secret)
        self.socket.connect(endpoint)

    def make(self, now: float) -> None:
        """Make a frame of one row."""
        step = self.out.next_seq
        batch = Batch(
            0,
            np.array([step], "<i8").tobytes(),
            np.array([now], "<f8").tobytes(),
            np.array([float(step)], "<f8").tobytes(),
        )
        self.out.add(
            lambda seq, row: encode(Samples(self.stream, seq, now, now, row, (batch,), 1)),
            1,
            Span(step, step, now, now),
        )

    def turn(self, now: float) -> None:
        """Take acknowledgements and send what may be sent."""
        try:
            while True:
                self.out.acknowledged(decode_ack(self.socket.recv(zmq.NOBLOCK)), now)
        except zmq.Again:
            pass
        self.out.tick(now)
        try:
            if self.out.needs_hello:
                self.socket.send(self._hello(now), zmq.NOBLOCK)
                self.socket.send(encode(Schema(self.stream, now, now, 0, ("m",))), zmq.NOBLOCK)
                self.out.needs_hello = False
            while (parcel := self.out.peek()) is not None:
                assert parcel.data is not None
                self.socket.send(parcel.data, zmq.NOBLOCK)
                self.out.sent(now)
        except zmq.Again:
            pass  # no connection, or it takes no more just now

    def _hello(self, now: float) -> bytes:
        out = self.out
        return encode(
            Hello(
                *(self.stream, now, now, out.base_seq, out.base_row, out.base_span),
                *("fleet", self.rank, 1, 0, "host", 1, 0, None, "0", {}),
            )
        )


def main() -> None:
    """Send until told to end."""
    endpoint, count = sys.argv[1], int(sys.argv[2])
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(2)
    context.set(zmq.MAX_SOCKETS, count + 10)
    ranks = [Rank(context, endpoint, rank) for rank in range(count)]
    while any(rank.out.flush_ms is None for rank in ranks):
        for rank in ranks:
            rank.turn(time.monotonic())
        time.sleep(0.05)
    print("ready", flush=True)
    asked = selectors.DefaultSelector()
    asked.register(sys.stdin, selectors.EVENT_READ)
    slot, began = 0, time.monotonic()
    while True:
        now = time.monotonic()
        for rank in ranks[slot % SLOTS :: SLOTS]:
            rank.make(now)
            rank.turn(now)
        slot += 1
        while asked.select(max(began + slot / SLOTS - time.monotonic(), 0)):
            ending = sys.stdin.readline().strip() in ("end", "")
            if ending:
                drain(ranks)
            print(json.dumps(totals(ranks)), flush=True)
            if ending:
                context.destroy(0)
                return


def drain(ranks: list[Rank]) -> None:
    """Wait until all is acknowledged."""
    end = time.monotonic() + DRAIN_S
    while time.monotonic() < end and not all(rank.out.is_empty for rank in ranks):
        for rank in ranks:
            rank.turn(time.monotonic())
        time.sleep(0.05)


def totals(ranks: list[Rank]) -> dict[str, int]:
    """Return what was made and what of it is acknowledged."""
    made = sum(rank.out.next_row for rank in ranks)
    held = sum(rank.out.held_rows for rank in ranks)
    behind = sum(rank.out.held_rows > 3 for rank in ranks)
    return {"made": made, "acknowledged": made - held, "ranks_behind": behind}


if __name__ == "__main__":
    main()
