"""Simulated ranks, sending: one thread, a connection and a stream for each rank.

Law: what it sends is what a training of that size would; where the machine is too slow for it, the
training is slow, and it says so.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_bytes

from streamviz import __version__
from streamviz.clock import monotonic_time, wall_time
from streamviz.demo.job import REPLICATED, TOKENS_PER_STEP, Job, Step
from streamviz.demo.ranks import Emitted, SimulatedRank
from streamviz.publisher.transport import Transport
from streamviz.wire.frames import STREAM_ID_BYTES, Hello
from streamviz.wire.reserved import RESERVED, TOTAL_STEPS

__all__ = ["NO_SERVER_S", "Simulation", "Totals"]

NO_SERVER_S = 10.0
"""Seconds after which a server that was never there is not waited for any longer."""

_HELD_BYTES = 64 * 2**20
"""Frames that all ranks together may hold for a server that is away."""
_LEAST_HELD_BYTES = 64 * 2**10

_GREETING_S = 30.0
"""How long the first step waits for ranks that the server has not answered yet."""
_TICK_S = 0.005
_FLUSH_MS = 40
"""How long rows are gathered until the server names its own pace."""
_BEHIND_S = 1.0
"""How late a step may be before the simulated clock is put back instead of catching up."""
_DRAIN_S = 3.0
"""How long what is under way at the end is waited for."""
_LINGER_S = 0.5


@dataclass(frozen=True, slots=True)
class Totals:
    """What became of a simulation."""

    steps: int
    rows: int
    acknowledged: int
    behind_s: float
    """Seconds that the simulated clock was put back, as this machine was too slow."""


class Simulation:
    """All ranks of one simulated run. Owner: the thread that calls :meth:`run`.

    Attributes:
        faults: Why not everything was delivered, a sentence each.
    """

    def __init__(
        self,
        job: Job,
        *,
        run: str,
        ranks: int,
        hosts: int,
        total_steps: int,
        connect: Callable[[], Transport],
        warn: Callable[[str, str], None],
    ) -> None:
        """Begin to connect.

        Args:
            job: What the ranks do.
            run: Name of the run.
            ranks: How many.
            hosts: Hosts they share, one behind the other.
            total_steps: Steps that the run says it will make.
            connect: Makes a connection; called once a rank.
            warn: Told a cause and a sentence, once per cause.

        Raises:
            NoTransport: A connection cannot be made.
        """
        self.faults: list[str] = []
        self._job = job
        self._tell = warn
        self._told: set[str] = set()
        self._stopping = False
        self._behind_s = 0.0
        self._emitted: list[Emitted] = []
        self._first_emitted = 0
        self._cursor = 0
        self._gone_rows = (0, 0)
        held = max(_HELD_BYTES // ranks, _LEAST_HELD_BYTES)
        a_host = math.ceil(ranks / hosts)
        facts = {
            TOTAL_STEPS: total_steps,
            "tokens_per_step": ranks * TOKENS_PER_STEP,
            "replicated": [REPLICATED] if REPLICATED in job.names else [],
        }
        self._live = [
            SimulatedRank(
                Hello(
                    stream=token_bytes(STREAM_ID_BYTES),
                    wall=0.0,
                    mono=0.0,
                    base_seq=0,
                    base_row=0,
                    base_span=None,
                    run=run,
                    rank=rank,
                    world_size=ranks,
                    local_rank=rank % a_host,
                    host=f"node-{rank // a_host}",
                    pid=10_000 + rank,
                    attempt=0,
                    parent=None,
                    library=__version__,
                    config={
                        "simulated": True,
                        "ranks": ranks,
                        RESERVED: {**facts, "mesh": {"dp": rank // a_host, "tp": rank % a_host}},
                    },
                ),
                job.names,
                connect(),
                held,
                self._warn,
            )
            for rank in range(ranks)
        ]

    def stop(self) -> None:
        """Ask :meth:`run` to end with goodbyes; may be called from a signal handler."""
        self._stopping = True

    def run(self, steps: float = math.inf, seconds: float = math.inf) -> Totals:
        """Send until so many steps are made, or so many seconds are over.

        Args:
            steps: Steps; infinite for no end.
            seconds: Likewise.
        """
        pause = threading.Event()
        if not self._meet(pause):
            return self._totals(0)
        self._origin, self._wall = monotonic_time(), wall_time()
        end = self._origin + seconds
        self._visited_at = self._origin
        current = self._next()
        while not self._stopping and (now := monotonic_time()) < end and current.step < steps:
            current = self._emit(current, now, steps)
            self._visit(current, now)
            pause.wait(max(_TICK_S - (monotonic_time() - now), 0.0))
        self._end(pause, "ok" if current.step >= steps else "stopped")
        return self._totals(current.step)

    # -- the beginning ---------------------------------------------------------------------

    def _meet(self, pause: threading.Event) -> bool:
        """Wait until the server has answered every rank; say if it has answered anybody."""
        began = monotonic_time()
        while not self._stopping and (now := monotonic_time()) - began < _GREETING_S:
            for rank in self._live:
                rank.turn(now)
            answered = sum(rank.flush_ms is not None for rank in self._live)
            if answered == len(self._live):
                return True
            if not answered and now - began > NO_SERVER_S:
                break
            pause.wait(4 * _TICK_S)
        if any(rank.flush_ms is not None for rank in self._live):
            return not self._stopping
        if not self._stopping:
            self.faults.append(f"no server answered within {NO_SERVER_S:.0f} s: nothing was sent")
        for rank in self._live:
            rank.close(0.0)
        self._live.clear()
        return False

    # -- steps -----------------------------------------------------------------------------

    def _next(self) -> Step:
        """Work out a step, and let die who dies in it."""
        step = self._job.step()
        dying = set(self._job.leaving(step.step))
        if dying:
            for rank in [rank for rank in self._live if rank.rank in dying]:
                # Its sender would have sent the rows of the steps before by now.
                self._take(rank)
                rank.turn(monotonic_time())
                self._gone_rows = (
                    self._gone_rows[0] + rank.rows,
                    self._gone_rows[1] + rank.acknowledged,
                )
                rank.close(_LINGER_S)
            self._live = [rank for rank in self._live if rank.rank not in dying]
            self._cursor = 0
        return step

    def _emit(self, current: Step, now: float, steps: float) -> Step:
        """Send off every step that is over by now; return the one that is not."""
        while current.step < steps and (over := float(current.ended.max())) <= now - self._origin:
            late = now - self._origin - over
            if late > _BEHIND_S:
                self._behind_s += late
                self._origin += late
                self._wall += late
                self._warn("behind", "this machine is too slow for so many ranks: steps come late")
            self._emitted.append(Emitted(current.step, self._wall + current.ended, current.values))
            current = self._next()
        return current

    def _visit(self, current: Step, now: float) -> None:
        """Give as many ranks their turn as have one by now."""
        live = self._live
        if not live:
            return
        flush_s = max(rank.flush_ms or _FLUSH_MS for rank in live[:1]) / 1000
        share = (now - self._visited_at) / flush_s
        count = min(int(len(live) * share), len(live))
        if not count:
            return
        self._visited_at = (
            now if count == len(live) else self._visited_at + (flush_s * count / len(live))
        )
        at = now - self._origin
        for number in range(self._cursor, self._cursor + count):
            rank = live[number % len(live)]
            self._take(rank)
            rank.phase = current.phase_at(rank.rank, at)
            rank.turn(now)
        self._cursor += count
        if self._cursor >= len(live):
            self._cursor -= len(live)
            self._forget(min(rank.seen for rank in live))

    def _take(self, rank: SimulatedRank) -> None:
        """Let a rank take the steps that it has not."""
        made = self._first_emitted + len(self._emitted)
        if rank.seen < made:
            rank.take(self._emitted[rank.seen - self._first_emitted :])
            rank.seen = made

    def _forget(self, seen: int) -> None:
        """Let go of the steps that everybody has taken."""
        done = seen - self._first_emitted
        if done > 0:
            del self._emitted[:done]
            self._first_emitted = seen

    # -- the end ---------------------------------------------------------------------------

    def _end(self, pause: threading.Event, how: str) -> None:
        """Deliver what is left, and say goodbye."""
        for rank in self._live:
            self._take(rank)
        end = monotonic_time() + _DRAIN_S
        while (now := monotonic_time()) < end and any(
            rank.acknowledged < rank.rows for rank in self._live
        ):
            for rank in self._live:
                rank.turn(now)
            pause.wait(_TICK_S)
        left = sum(rank.rows - rank.acknowledged for rank in self._live)
        if left:
            self.faults.append(f"{left} rows were not acknowledged before the end")
        for rank in self._live:
            rank.say_bye(how)
        for rank in self._live:
            rank.close(_LINGER_S)

    def _totals(self, steps: int) -> Totals:
        gone, known = self._gone_rows
        return Totals(
            steps=steps,
            rows=gone + sum(rank.rows for rank in self._live),
            acknowledged=known + sum(rank.acknowledged for rank in self._live),
            behind_s=self._behind_s,
        )

    def _warn(self, cause: str, sentence: str) -> None:
        if cause not in self._told:
            self._told.add(cause)
            self._tell(cause, sentence)
