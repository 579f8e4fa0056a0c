"""The watch of one run, turn by turn, on rows put straight into a store."""

from __future__ import annotations

import numpy as np

from streamviz.counters import Counters
from streamviz.ingest.liveness import WorkerState
from streamviz.ingest.roster import RunInfo, WorkerInfo
from streamviz.insight.finding import Rule
from streamviz.store import Store
from streamviz.watch.alerts import Alert
from streamviz.watch.runwatch import RunWatch

RANKS = 4
NAMES = ("grad/norm", "phase/backward", "phase/data")
WARM = 1e9
"""Wall time of the first step; half a second passes with each."""


class Training:
    """Rows of a run whose rank 2 is slow in data."""

    def __init__(self) -> None:
        self.store = Store(64 << 20, counters=Counters())
        self.workers = [self.store.open_worker("r", rank, 0) for rank in range(RANKS)]
        self.table = self.store.open_table("r", NAMES)
        self.watch = RunWatch("r", self.store, (), from_now=False)
        self.now = WARM
        self.step = 0

    def turn(self, *, senders: range = range(RANKS)) -> None:
        """Make a step and let it be looked at, half a second later."""
        for rank in senders:
            slow = rank == 2
            row = [1.0, 0.02 if slow else 0.12, 0.11 if slow else 0.01]
            step, now = np.array([self.step]), np.array([self.now])
            self.store.append(self.table, self.workers[rank], step, now, np.array([row]))
        self.step += bool(len(senders))
        self.now += 0.5
        self.watch.turn(self._info(), self.now, self.now - WARM)

    def _info(self) -> RunInfo:
        workers = tuple(
            WorkerInfo(
                run="r",
                rank=rank,
                attempt=0,
                index=index,
                world_size=RANKS,
                local_rank=rank,
                host=f"node-{rank}",
                pid=1,
                state=WorkerState.LIVE,
                started=WARM,
                last_time=self.now,
                last_step=self.step,
            )
            for rank, index in enumerate(self.workers)
        )
        return RunInfo(run="r", started=WARM, workers=workers)

    def alert(self, rule: str) -> Alert | None:
        """Return the alert of a rule."""
        return next((one for one in self.watch.alerts.all() if one.rule == rule), None)


def test_a_straggler_is_named_while_there_is_evidence() -> None:
    """Not before enough steps; over when a rank is missing from them for long."""
    training = Training()
    for _ in range(8):
        training.turn()
    assert training.alert(Rule.STRAGGLER) is None
    for _ in range(16):
        training.turn()
    named = training.alert(Rule.STRAGGLER)
    assert named is not None
    assert (named.rank, named.host, named.metric) == (2, "node-2", "phase/data")
    for _ in range(60):
        training.turn(senders=range(3))
    still = training.alert(Rule.STRAGGLER)
    assert still is not None
    assert still.until is None, "half a minute says nothing"
    for _ in range(80):
        training.turn(senders=range(3))
    over = training.alert(Rule.STRAGGLER)
    assert over is not None
    assert over.until is not None


def test_a_run_that_stands_still_is_a_stall_after_its_limit() -> None:
    """Once, with how long in words, and no sooner."""
    training = Training()
    for _ in range(20):
        training.turn()
    for _ in range(115):
        training.turn(senders=range(0))
    assert training.alert(Rule.STALL) is None
    for _ in range(20):
        training.turn(senders=range(0))
    found = training.alert(Rule.STALL)
    assert found is not None
    assert "no rank has made a step for" in found.text
    assert training.watch.situation.startswith("no rank has made a step for 1 min")
    training.turn()
    ended = training.alert(Rule.STALL)
    assert ended is not None
    assert (ended.until, ended.count) == (training.now, 1)


def test_what_an_earlier_process_watched_is_not_found_again() -> None:
    """A watch that begins from now looks at new rows only."""
    training = Training()
    values = np.array([[np.nan, 0.0, 0.0]])
    training.store.append(training.table, 0, np.array([0]), np.array([WARM]), values)
    training.watch = RunWatch("r", training.store, (), from_now=True)
    training.turn()
    assert training.alert(Rule.NAN) is None
    training.store.append(training.table, 0, np.array([1]), np.array([WARM]), values)
    training.turn()
    assert training.alert(Rule.NAN) is not None
