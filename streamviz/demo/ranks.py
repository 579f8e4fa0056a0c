"""One simulated rank as a live stream: the same frames that a publisher sends.

Law: what it holds for a server that is slow or away is bounded; what it gives up is one gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamviz.clock import monotonic_time, wall_time
from streamviz.errors import DecodeError
from streamviz.publisher.transport import Transport
from streamviz.wire.codec import decode_ack, encode
from streamviz.wire.delivery import BUFFER_FULL, Outgoing, Parcel
from streamviz.wire.frames import (
    Batch,
    Bye,
    Frame,
    Gap,
    Heartbeat,
    Hello,
    Samples,
    Schema,
    Span,
)

__all__ = ["Emitted", "SimulatedRank"]

HEARTBEAT_S = 1.0
FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Emitted:
    """One step of all N ranks as it is sent."""

    step: int
    times: FloatArray
    """Wall time of each rank's row, ``float64[N]``."""
    values: FloatArray
    """``float64[N, K]``."""


class SimulatedRank:
    """Speaks for one rank. Owner: the thread of the simulation.

    Attributes:
        rank: Which.
        seen: Steps that it has taken.
        phase: In which part of a step it is, and for how many seconds.
    """

    def __init__(
        self,
        hello: Hello,
        names: tuple[str, ...],
        transport: Transport,
        limit_bytes: int,
        warn: Callable[[str, str], None],
    ) -> None:
        """Begin to connect.

        Args:
            hello: What to greet with; sequence, rows and times are filled in.
            names: The metrics of its rows.
            transport: A connection of its own.
            limit_bytes: Frames that it may hold.
            warn: Told a cause and a sentence.
        """
        self.rank = hello.rank
        self.seen = 0
        self.phase: tuple[str | None, float] = (None, 0.0)
        self._hello = hello
        self._names = names
        self._transport = transport
        self._warn = warn
        self._out = Outgoing(limit_bytes)
        self._last_step: int | None = None
        self._beat_at = 0.0

    @property
    def flush_ms(self) -> int | None:
        """The pace that the server asked for, ``None`` before its first answer."""
        return self._out.flush_ms

    @property
    def rows(self) -> int:
        """Rows framed so far."""
        return self._out.next_row

    @property
    def acknowledged(self) -> int:
        """Rows among them that the server has."""
        return self._out.base_row

    def take(self, steps: Sequence[Emitted]) -> None:
        """Make a frame of its rows of some steps.

        Args:
            steps: At least one, in order.
        """
        rank, rows = self.rank, len(steps)
        numbers = np.array([step.step for step in steps], "<i8")
        times = np.array([step.times[rank] for step in steps], "<f8")
        values = b"".join(step.values[rank].tobytes() for step in steps)
        batch = (Batch(0, numbers.tobytes(), times.tobytes(), values),)
        span = Span(steps[0].step, steps[-1].step, float(times[0]), float(times[-1]))
        self._last_step = steps[-1].step

        def make(seq: int, row: int) -> bytes:
            return encode(Samples(self._hello.stream, seq, *_clock(), row, batch, rows))

        self._out.add(make, rows, span)

    def turn(self, now: float) -> None:
        """Hear what the server says, say what may be said.

        Args:
            now: Monotonic time, seconds.
        """
        out = self._out
        if self._transport.connections():
            out.connected()
        complaint = self._transport.complaint()
        if complaint is not None:
            self._warn(*complaint)
        while (data := self._transport.receive()) is not None:
            try:
                out.acknowledged(decode_ack(data), now)
            except DecodeError as error:
                self._warn("bad answer", f"the server answered: {error}")
        out.tick(now)
        if not self._greet():
            return
        if now - self._beat_at >= HEARTBEAT_S:
            self._beat_at = now
            self._beat()
        while (parcel := out.peek()) is not None:
            data = parcel.data if parcel.data is not None else encode(self._gap(parcel))
            if not self._transport.send(data):
                return
            out.sent(now)

    def _greet(self) -> bool:
        out = self._out
        if not out.needs_hello:
            return True
        wall, mono = _clock()
        hello = self._hello._replace(
            wall=wall,
            mono=mono,
            base_seq=out.base_seq,
            base_row=out.base_row,
            base_span=out.base_span,
        )
        schema = Schema(self._hello.stream, wall, mono, 0, self._names)
        if not self._transport.send(encode(hello)) or not self._transport.send(encode(schema)):
            return False
        out.needs_hello = False
        return True

    def _beat(self) -> bool:
        phase, phase_s = self.phase
        dropped = self._out.dropped_rows
        beat = Heartbeat(
            stream=self._hello.stream,
            wall=wall_time(),
            mono=monotonic_time(),
            sent=self._out.next_row,
            held=self._out.held_rows,
            spilled=0,
            dropped={BUFFER_FULL: dropped} if dropped else {},
            refused={},
            last_step=self._last_step,
            phase=phase,
            phase_s=phase_s,
        )
        return self._transport.send(encode(beat))

    def _gap(self, parcel: Parcel) -> Frame:
        return Gap(
            self._hello.stream,
            parcel.seq,
            *_clock(),
            parcel.last_seq,
            parcel.row,
            parcel.end_row,
            parcel.span,
            parcel.reason,
        )

    def say_bye(self, how: str) -> None:
        """Say goodbye.

        Args:
            how: ``ok``, or what ended it.
        """
        self.phase = (None, 0.0)
        if self._greet() and self._beat():
            self._transport.send(
                encode(Bye(self._hello.stream, *_clock(), self._out.next_seq, how))
            )

    def close(self, linger_s: float) -> None:
        """Let go of the connection; without a goodbye before that, as a process that is killed."""
        self._transport.close(linger_s)


def _clock() -> tuple[float, float]:
    return wall_time(), monotonic_time()
