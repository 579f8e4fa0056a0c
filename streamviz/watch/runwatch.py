"""The watch of one run: its rows and ranks go to the rules, their findings to its alerts.

Law: what a turn costs depends on what is new, not on how long the run has gone on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamviz.errors import DecodeError
from streamviz.ingest.roster import RunInfo
from streamviz.insight.batch import Batch, IntArray
from streamviz.insight.behind import situation
from streamviz.insight.finding import Finding, Level, Rule
from streamviz.insight.lost import lost
from streamviz.insight.nonfinite import nonfinite
from streamviz.insight.replicas import disagreement
from streamviz.insight.spikes import Spike, is_spiky
from streamviz.insight.stalls import FLOOR_S, stalls
from streamviz.insight.standing import ENDED
from streamviz.insight.steps import WholeStep
from streamviz.insight.stragglers import STEPS_MIN, STEPS_SEEN, Verdict, straggler
from streamviz.insight.thresholds import Streaks, Threshold
from streamviz.insight.wording import brief, named, whole
from streamviz.store import Item, Store
from streamviz.watch.alerts import Alerts
from streamviz.watch.progress import Progress
from streamviz.watch.tables import PHASE, Ranks, Tables
from streamviz.wire.bodies import ALERT, LEVELS, read_body

__all__ = ["RunWatch"]

_LASTING = frozenset({Rule.STALL, Rule.SILENT, Rule.FAILED})
_JUDGE_EVERY = 4
"""Turns between two looks for a straggler: of 1,024 ranks one takes milliseconds."""
_AGREED = 2
"""Looks in a row that must name the same rank and phase."""
_BELIEVED_S, _BELIEVED_STEPS = 60.0, 4.0
"""How long a verdict stands when no step of all ranks comes any more: then something else is up."""


@dataclass(slots=True, eq=False)
class _Phases:
    """The last steps of one table's phases."""

    names: tuple[str, ...]
    columns: IntArray
    steps: deque[WholeStep]
    judged: int = 0
    """Steps taken since the last look."""
    named: tuple[int, str] | None = None
    times: int = 0
    """Looks in a row that named it."""
    verdict: Verdict | None = None
    at: WholeStep | None = None
    heard: float = 0.0
    """When the last step was taken in, by the watch's clock."""


class RunWatch:
    """Owner: the watchman.

    Attributes:
        alerts: What was found.
        situation: Whom the run waits for, in a sentence; empty for nobody.
    """

    def __init__(
        self,
        run: str,
        store: Store,
        thresholds: Sequence[Threshold],
        *,
        from_now: bool,
        stall_s: float = FLOOR_S,
    ) -> None:
        """Begin to watch.

        Args:
            run: Its name.
            store: Where its rows are.
            thresholds: Rules of the command line.
            from_now: Whether what is there already was watched by an earlier process.
            stall_s: Seconds without a step that are a stall at the least.

        Raises:
            UnknownSeries: There is no such run.
        """
        self.run = run
        self.alerts = Alerts()
        self.situation = ""
        self._store = store
        self._tables = Tables(run, store, from_now=from_now)
        self._items = store.items_version(run) if from_now else 0
        self._progress = Progress()
        self._stall_s = stall_s
        self._streaks: list[Streaks] = [Streaks(rule) for rule in thresholds]
        self._spikes: dict[str, tuple[Spike, int]] = {}
        """By metric: its window, and the last step taken in."""
        self._phases: dict[tuple[str, ...], _Phases] = {}
        self._info: RunInfo | None = None
        self._ranks: Ranks | None = None
        self._turns = 0

    @property
    def is_alive(self) -> bool:
        """Whether some rank was heard of alive since the watch began."""
        return self._progress.is_alive

    @property
    def left_out(self) -> int:
        """Rows that no rule has seen."""
        return self._tables.left_out

    def turn(self, info: RunInfo, now: float, mono: float) -> None:
        """Look at what is new.

        Args:
            info: The run's snapshot.
            now: Wall time, seconds since the epoch.
            mono: Monotonic time, seconds.

        Raises:
            UnknownSeries: The run is gone.
        """
        self._turns += 1
        if self._ranks is None or info is not self._info:
            self._info, self._ranks = info, Ranks.of(info)
        ranks = self._ranks
        replicated = _names(info.facts.get("replicated"))
        for batch, names, steps in self._tables.turn(ranks, replicated, self._turns):
            if batch is not None and batch.step.size:
                self._look_at_rows(batch, ranks, now)
            self._look_at_steps(names, steps, ranks, replicated, now)
        self._name_stragglers(info, ranks, now)
        self._look_at_ranks(info, now, mono)
        self._take_items(now)
        self.alerts.settle(now)

    # -- rows ----------------------------------------------------------------------------------

    def _look_at_rows(self, batch: Batch, ranks: Ranks, now: float) -> None:
        for finding in nonfinite(batch, ranks.hosts):
            self.alerts.note(finding, now)
        for streaks in self._streaks:
            rule = streaks.rule
            if rule.metric not in batch.names:
                continue
            values = batch.values[:, batch.names.index(rule.metric)]
            fires = streaks.step(values, batch.step, batch.worker)
            if fires.size:
                first = int(fires[0])
                rank, step = int(batch.rank[first]), int(batch.step[first])
                where = named(rank, ranks.hosts.get(rank, ""))
                value = brief(float(values[first]))
                self.alerts.note(
                    Finding(
                        rule=Rule.THRESHOLD,
                        level=Level.WARNING,
                        text=f"{rule.text}: {value} on {where} at step {whole(step)}",
                        time=float(batch.time[first]),
                        rank=rank,
                        attempt=int(batch.attempt[first]),
                        host=ranks.hosts.get(rank, ""),
                        metric=rule.metric,
                        step=step,
                        count=int(fires.size),
                        fold=rule.text,
                    ),
                    now,
                )

    # -- steps ---------------------------------------------------------------------------------

    def _look_at_steps(
        self,
        names: tuple[str, ...],
        steps: list[WholeStep],
        ranks: Ranks,
        replicated: set[str],
        now: float,
    ) -> None:
        for column, name in enumerate(names):
            if name in replicated:
                for step in steps:
                    finding = disagreement(step, column, name, ranks.hosts)
                    if finding is not None:
                        self.alerts.note(finding, now)
            if is_spiky(name):
                for step in steps:
                    self._look_for_spike(name, step, column, now)
        columns = [i for i, name in enumerate(names) if name.startswith(PHASE)]
        if steps and columns:
            self._take_phases(names, columns, steps, now)

    def _look_for_spike(self, name: str, step: WholeStep, column: int, now: float) -> None:
        spike, last = self._spikes.setdefault(name, (Spike(), -1))
        if step.step < last - STEPS_SEEN:
            spike = Spike()  # it began again from an earlier step: the window is another's
        elif step.step <= last or not step.full:
            return  # what comes late, or from some ranks only, may jump for that alone
        self._spikes[name] = spike, step.step
        values = step.values[:, column]
        values = values[np.isfinite(values)]
        if values.size == 0:
            return
        value = float(np.median(values))
        times = spike.step(value)
        if times is None:
            return
        usual = f"{_times(times)} the usual"
        self.alerts.note(
            Finding(
                rule=Rule.SPIKE,
                level=Level.WARNING,
                text=f"{name} jumped to {brief(value)} at step {whole(step.step)}, {usual}",
                time=step.time,
                metric=name,
                step=step.step,
            ),
            now,
        )

    def _take_phases(
        self, names: tuple[str, ...], columns: list[int], steps: list[WholeStep], now: float
    ) -> None:
        held = self._phases.get(names)
        if held is None:
            phases = tuple(names[i].removeprefix(PHASE) for i in columns)
            held = _Phases(phases, np.array(columns, np.int64), deque(maxlen=STEPS_SEEN))
            self._phases[names] = held
        for step in steps:
            if step.full and not step.repeated:
                held.steps.append(step)
                held.judged += 1
                held.heard = now

    def _name_stragglers(self, info: RunInfo, ranks: Ranks, now: float) -> None:
        """Ask of each table's phases whom the others wait for, now and then."""
        if self._turns % _JUDGE_EVERY:
            return
        findings = []
        for held in self._phases.values():
            if held.judged >= STEPS_MIN // 2 or (held.judged and held.verdict):
                held.judged = 0
                self._judge(held)
            elif now - held.heard > max(_BELIEVED_S, _BELIEVED_STEPS * self._progress.step_s):
                held.verdict = None
            running = info.state not in ENDED
            if held.verdict is not None and held.at is not None and running:
                findings.append(_straggler_finding(held.verdict, held.at, ranks))
        self.alerts.hold({Rule.STRAGGLER}, findings, now)

    @staticmethod
    def _judge(held: _Phases) -> None:
        newest = held.steps[-1].rank
        same = [step for step in held.steps if np.array_equal(step.rank, newest)]
        spent = np.stack([step.values[:, held.columns] for step in same])
        verdict = straggler(spent, newest, held.names)
        found = (verdict.rank, verdict.phase) if isinstance(verdict, Verdict) else None
        held.times = held.times + 1 if found is not None and found == held.named else 1
        held.named = found
        if not isinstance(verdict, Verdict):
            held.verdict = None
        elif held.times >= _AGREED:
            held.verdict, held.at = verdict, same[-1]

    # -- ranks ---------------------------------------------------------------------------------

    def _look_at_ranks(self, info: RunInfo, now: float, mono: float) -> None:
        if not self._progress.look(info, mono):
            self.situation = ""
            self.alerts.hold(_LASTING, (), now)
            return
        standings = self._progress.standings(info, now)
        self.situation = situation(standings, self._progress.step_s)
        found = stalls(standings, self._progress.step_s, now, self._stall_s)
        self.alerts.hold(_LASTING, [*found, *lost(standings, now)], now)

    # -- what ranks say themselves ---------------------------------------------------------------

    def _take_items(self, now: float) -> None:
        version = self._store.items_version(self.run)
        if version == self._items:
            return
        for item in self._store.items(self.run, kind=ALERT):
            if item.number >= self._items:
                self.alerts.note(_of_publisher(item, self._ranks), now)
        self._items = version


def _times(ratio: float) -> str:
    if not np.isfinite(ratio):
        return "far above"
    return f"{ratio:.2g} times" if ratio < 100 else f"{whole(round(ratio))} times"


def _names(value: object) -> set[str]:
    """Return the names in what a run says that it is a list of names."""
    found = value if isinstance(value, (list, tuple)) else ()
    return {name for name in found if isinstance(name, str)}


def _straggler_finding(verdict: Verdict, step: WholeStep, ranks: Ranks) -> Finding:
    host = ranks.hosts.get(verdict.rank, "")
    return Finding(
        rule=Rule.STRAGGLER,
        level=Level.WARNING,
        text=verdict.sentence(host),
        time=step.time,
        rank=verdict.rank,
        host=host,
        metric=f"{PHASE}{verdict.phase}",
        step=step.step,
        fold=str(verdict.rank),
    )


def _of_publisher(item: Item, ranks: Ranks | None) -> Finding:
    try:
        body = read_body(item.body)
    except DecodeError:
        body = {}
    title, text, level = (body.get(name) for name in ("title", "text", "level"))
    lead = title if isinstance(title, str) and title else item.name
    rest = f": {text}" if isinstance(text, str) and text else ""
    return Finding(
        rule=Rule.PUBLISHER,
        level=level if isinstance(level, str) and level in LEVELS else Level.WARNING,
        text=f"{lead}{rest}",
        time=item.time,
        rank=item.rank,
        attempt=item.attempt,
        host="" if ranks is None else ranks.hosts.get(item.rank, ""),
        step=item.step,
        fold=f"{item.rank} {lead}",
    )
