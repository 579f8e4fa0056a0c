"""The sender for benchmarks of the server: one stream of frames, as fast as they are taken.

``flood.py ENDPOINT ROWS FRAMES [acknowledged]``: says ``ready``, waits for a line, sends. The first
row of all holds the least value and the last the greatest. With ``acknowledged`` it ends when all
is committed; otherwise the frames are made before the clock starts, and it waits to be ended.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import numpy as np
import zmq

from streamviz.security.join import find_join
from streamviz.wire.codec import decode_ack, encode
from streamviz.wire.frames import Batch, Hello, Samples, Schema

METRICS = 10


def main() -> None:
    """Send."""
    endpoint, rows, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    acknowledged = sys.argv[4:] == ["acknowledged"]
    stream, now = os.urandom(16), time.time()
    names = tuple(f"m/{i}" for i in range(METRICS))
    first = [
        encode(Hello(stream, now, 0.0, 0, 0, None, "flood", 0, 1, 0, "h", 1, 0, None, "0", {})),
        encode(Schema(stream, now, 0.0, 0, names)),
    ]
    made: Iterator[bytes] | list[bytes] = frames(stream, rows, count, now)
    if not acknowledged:
        made = list(made)
    socket = zmq.Context().socket(zmq.DEALER)
    join = find_join()
    if join is not None:
        socket.setsockopt(zmq.CURVE_SERVERKEY, join.server)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, join.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, join.secret)
    socket.connect(endpoint)
    print("ready", flush=True)
    sys.stdin.readline()
    for frame in [*first, *made] if not acknowledged else first:
        socket.send(frame)
    if not acknowledged:
        time.sleep(600)
    window = 150  # frames; above half of the server's own, which then answers early
    wanted = 0
    for seq, frame in enumerate(made):
        while seq - wanted >= window:
            wanted = max(wanted, decode_ack(socket.recv()).next_seq)
        socket.send(frame)
    while wanted < count:
        wanted = max(wanted, decode_ack(socket.recv()).next_seq)


def frames(stream: bytes, rows: int, count: int, now: float) -> Iterator[bytes]:
    """Yield the frames."""
    random = np.random.default_rng(0)
    for seq in range(count):
        steps = np.arange(seq * rows, (seq + 1) * rows, dtype="<i8")
        times = now + steps * 1e-3
        values = random.standard_normal((rows, METRICS))
        if seq == 0:
            values[0] = -1e6
        if seq == count - 1:
            values[-1] = 1e6
        batch = Batch(0, steps.tobytes(), times.tobytes(), values.tobytes())
        yield encode(Samples(stream, seq, now, 0.0, seq * rows, (batch,), rows))


if __name__ == "__main__":
    main()
