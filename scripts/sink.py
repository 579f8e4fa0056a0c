"""The other end for benchmarks of the publisher: takes everything at the least cost.

Prints the port it listens on, then reads until it is ended. With ``ack`` it speaks enough of the
protocol for a publisher to let go of what it sent, and has a server's keys; without, it throws
away what comes.
"""

from __future__ import annotations

import sys

import zmq

from streamviz.security.keys import open_keys
from streamviz.security.private import home
from streamviz.wire import codec
from streamviz.wire.delivery import Incoming
from streamviz.wire.frames import Ack, Gap, Hello, Item, Samples


def main() -> None:
    """Listen and swallow."""
    acknowledges = sys.argv[1:] == ["ack"]
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.set_hwm(0)
    if acknowledges:
        keys = open_keys(home())
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    print(port, flush=True)
    streams: dict[bytes, Incoming] = {}
    while True:
        peer, data = socket.recv_multipart()
        if not acknowledges:
            continue
        frame = codec.decode(data)
        stream = streams.setdefault(frame.stream, Incoming())
        if isinstance(frame, Hello):
            stream.hello(frame.base_seq, frame.base_row)
        elif isinstance(frame, Samples):
            rows = sum(len(batch.steps) // 8 for batch in frame.batches)
            stream.samples(frame.seq, frame.row, rows)
        elif isinstance(frame, Item):
            stream.samples(frame.seq, frame.row, 1)
        elif isinstance(frame, Gap):
            stream.gap(frame.seq, frame.last_seq, frame.end_row)
        ack = Ack(epoch=1, next_seq=stream.next_seq, window=1 << 20, flush_ms=20)
        socket.send_multipart([peer, codec.encode_ack(ack)])


if __name__ == "__main__":
    main()
