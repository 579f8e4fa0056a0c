"""A sender that knows what was acknowledged: for tests of what an acknowledgement is worth."""

from __future__ import annotations

import os

import numpy as np
import zmq
from handmade_frames import batch, hello_frame

from streamviz.clock import wall_time
from streamviz.wire.codec import decode_ack, encode
from streamviz.wire.frames import Samples, Schema

__all__ = ["FrameSender"]

ROWS = 20
UNDER_WAY = 64
"""Frames, so that little of what was sent is ever lost with a connection."""


class FrameSender:
    """One stream of frames of 20 rows, steps 0, 1, 2…; what is not acknowledged is sent again.

    Attributes:
        sent: Frames sent so far.
        acked: Frames acknowledged so far.
    """

    def __init__(self, run: str) -> None:
        self.sent = self.acked = 0
        self._run = run
        self._stream = os.urandom(16)

    def greet(self, socket: zmq.Socket[bytes]) -> None:
        """Say who is there, on a new connection, and go back to what was acknowledged."""
        self.sent = self.acked
        hello = hello_frame(
            self._stream, run=self._run, base_seq=self.acked, base_row=self.acked * ROWS
        )
        socket.send(encode(hello._replace(wall=wall_time())))
        socket.send(encode(Schema(self._stream, wall_time(), 0.0, 0, ("m",))))

    def turn(self, socket: zmq.Socket[bytes], wait_ms: int = 5) -> None:
        """Send what may be sent, and hear what is acknowledged."""
        while self.sent - self.acked < UNDER_WAY:
            first = self.sent * ROWS
            steps = range(first, first + ROWS)
            rows = batch(steps, np.arange(first, first + ROWS, dtype=float)[:, None].tolist())
            frame = Samples(self._stream, self.sent, wall_time(), 0.0, first, (rows,), ROWS)
            socket.send(encode(frame))
            self.sent += 1
        self.hear(socket, wait_ms)

    def hear(self, socket: zmq.Socket[bytes], wait_ms: int) -> None:
        """Take the acknowledgements that are there, or come in time."""
        while socket.poll(wait_ms):
            self.acked = max(self.acked, decode_ack(socket.recv()).next_seq)
            wait_ms = 0
