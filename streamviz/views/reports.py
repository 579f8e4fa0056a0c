"""How the runs are, four times a second, as the texts that every page is told.

Law: each text is made once, however many pages are told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from streamviz.clock import monotonic_time, wall_time
from streamviz.errors import UnknownSeries
from streamviz.journal.state import NOT_RECORDED, JournalState
from streamviz.views.alert_texts import AlertTexts
from streamviz.views.delivery import delivery, dropped_by_reason, duplicates
from streamviz.views.marks import Marks, PayloadVersions
from streamviz.views.messages import text_of
from streamviz.views.progress import Progress, Speed
from streamviz.views.shelf import Shelf
from streamviz.views.summaries import (
    attempt_of,
    journal_row,
    newest_active,
    run_detail,
    run_row,
)
from streamviz.watch import NOTHING, Told

if TYPE_CHECKING:
    from streamviz.counters import Counters
    from streamviz.ingest.roster import Roster, RunInfo
    from streamviz.store import Store

__all__ = ["Reports", "RunReport"]

_LAG_SAMPLES = 32
_LAG_FADES_S = 2.0
_RATE_NOTES = 9
"""Two seconds of beats."""
MAX_CUT_TOLD = 3
"""Names told of those that are past a cap on metrics."""


@dataclass(slots=True, eq=False)
class RunReport:
    """What there is to tell of one run."""

    name: str | None
    info: RunInfo | None
    version: object
    """Differs whenever ``detail`` does; the same object while it does not."""
    detail: str | None
    """The text of its structure; ``None`` when no run is meant."""
    status: str | None = None


class Reports:
    """Texts about the runs, as of the last :meth:`renew`.

    Attributes:
        runs: The text of the list of runs.
        runs_version: Grows whenever that list changed in more than its times.
        journal: Says how recording goes.
        shelf: Says which runs lie on the disk only.
        marks: Texts of the runs' marks.
        payloads: Texts of the versions of their payloads.
        alerts: Texts of their alerts.
    """

    def __init__(
        self,
        store: Store,
        roster: Roster,
        counters: Counters,
        journal: Callable[[], JournalState] = lambda: NOT_RECORDED,
        told: Callable[[str], Told] = lambda _: NOTHING,
        shelf: Shelf | None = None,
    ) -> None:
        self.journal = journal
        self.shelf = shelf or Shelf(None)
        self.marks = Marks(store)
        self.payloads = PayloadVersions(store)
        self.alerts = AlertTexts(told)
        self.runs = text_of("runs", runs=[])
        self.runs_version = 0
        self._store = store
        self._roster = roster
        self._counters = counters
        self._infos: list[RunInfo] = []
        self._rows: dict[str, tuple[RunInfo, dict[str, object]]] = {}
        self._steady: list[object] = []
        self._details: dict[str | None, RunReport] = {}
        self._reports: dict[str | None, RunReport] = {}
        self._totals: deque[tuple[float, int]] = deque(maxlen=_RATE_NOTES)
        self._lags: dict[str, deque[tuple[float, float]]] = {}
        self._speeds: dict[str, Progress] = {}
        self._progress: dict[str, tuple[int, float | None]] = {}
        """Per run the sum of its workers' steps, and when it was last heard from as they moved."""
        self._newest: dict[str, float] = {}
        """Per run the time of the newest row that a page was shown."""

    def renew(self) -> None:
        """Look at the roster and the counters again."""
        self._totals.append((monotonic_time(), self._counters.total("samples_received_total")))
        self._infos = self._roster.runs()
        rows: dict[str, tuple[RunInfo, dict[str, object]]] = {}
        for info in self._infos:
            held = self._rows.get(info.run)
            # Snapshots never change, so the same one has the same row.
            rows[info.run] = held if held and held[0] is info else (info, run_row(info))
            self._note_progress(info)
        self._rows = rows
        newest_first = [row for _, row in reversed(rows.values())]
        newest_first += self.shelf.rows(rows)
        # A list that is told again at every heartbeat would be news without any.
        steady: list[object] = [{**row, "last_time": None} for row in newest_first]
        if steady != self._steady:
            self._steady = steady
            self.runs = text_of("runs", runs=newest_first)
            self.runs_version += 1
        self._reports.clear()
        self._details = {name: held for name, held in self._details.items() if name in rows}
        self._lags = {name: lags for name, lags in self._lags.items() if name in rows}
        self._progress = {name: seen for name, seen in self._progress.items() if name in rows}
        self._newest = {name: seen for name, seen in self._newest.items() if name in rows}
        self._speeds = {name: seen for name, seen in self._speeds.items() if name in rows}

    def of(self, name: str | None) -> RunReport:
        """Return the report of a run; ``None`` means the newest active one."""
        if name is None:
            info = newest_active(self._infos)
            name = None if info is None else info.run
        else:
            info = self._rows[name][0] if name in self._rows else None
        report = self._reports.get(name)
        if report is None:
            report = self._reports[name] = self._report(name, info)
        return report

    def _report(self, name: str | None, info: RunInfo | None) -> RunReport:
        if info is None:
            detail = None
            if name is not None:
                detail = text_of(
                    "run",
                    run=name,
                    metrics=[],
                    workers=[],
                    duplicates=[],
                    started=None,
                    overflow=[],
                )
            return RunReport(name, None, (name,), detail)
        try:
            structure = self._store.structure(info.run)
        except UnknownSeries:
            structure = -1
        states = [(one.rank, one.attempt, one.state, one.mesh) for one in info.workers]
        cut = self._store.usage().overflow_names.get(info.run, ())[:MAX_CUT_TOLD]
        version: object
        version = (name, structure, states, info.facts, info.config, duplicates(info), cut)
        held = self._details.get(name)
        if held is not None and held.version == version:
            # The same one, so that a viewer need not compare a thousand ranks to know it.
            version, detail = held.version, held.detail
        else:
            metrics = self._store.metrics(info.run) if structure >= 0 else []
            detail = text_of("run", **run_detail(info, metrics), overflow=cut)
        report = self._details[name] = RunReport(name, info, version, detail)
        return report

    def status(self, report: RunReport, viewers: int) -> str:
        """Return the text of how a run is.

        Args:
            report: Of this run.
            viewers: How many pages are connected.
        """
        if report.status is None:
            report.status = self._status(report.name, report.info, viewers)
        return report.status

    def _status(self, name: str | None, info: RunInfo | None, viewers: int) -> str:
        now = wall_time()
        usage = self._store.usage()
        lag = None if name is None else self.lag_s(name)
        row = {} if info is None else self._rows[info.run][1]
        steps = [] if info is None else [worker.last_step for worker in info.current]
        return text_of(
            "status",
            run=name,
            state="waiting" if info is None else info.state.value,
            lag_ms=None if lag is None else lag * 1e3,
            age_s=None if info is None else max(0.0, now - self._data_time(info)),
            ranks_live=row.get("ranks_live", 0),
            ranks_expected=row.get("ranks_expected", 0),
            step=max((step for step in steps if step is not None), default=None),
            attempt=None if info is None else attempt_of(info),
            **self._speed(info, row.get("ranks_expected", 0)),
            samples_per_s=self._samples_per_s(),
            dropped=0 if info is None else sum(dropped_by_reason([info]).values()),
            gaps=0 if info is None else self._gaps(info.run),
            delivery=None if info is None else delivery(info),
            journal=journal_row(self.journal(), now),
            nonfinite=self._counters.total("nonfinite_total"),
            memory_used=usage.bytes_held,
            memory_allowed=usage.bytes_allowed,
            viewers=viewers,
            now=now,
        )

    def _gaps(self, run: str) -> int:
        try:
            # It grows by one with every gap.
            return self._store.gaps_version(run)
        except UnknownSeries:
            return 0

    def _speed(self, info: RunInfo | None, ranks: object) -> dict[str, object]:
        if info is None or info.run not in self._speeds:
            return Speed().told()
        count = ranks if isinstance(ranks, int) else 0
        return self._speeds[info.run].speed(monotonic_time(), info.facts, count).told()

    def _note_progress(self, info: RunInfo) -> None:
        made = sorted(one.last_step for one in info.current if one.last_step is not None)
        middle = made[len(made) // 2] if made else None
        self._speeds.setdefault(info.run, Progress()).note(monotonic_time(), middle)
        total = sum(worker.last_step or 0 for worker in info.workers)
        held = self._progress.get(info.run)
        if held is None:
            self._progress[info.run] = (total, None)
        elif held[0] != total:
            self._progress[info.run] = (total, info.last_time)

    def _data_time(self, info: RunInfo) -> float:
        """Return when the run last made a step; a heartbeat of ranks that wait is no news."""
        moved = self._progress[info.run][1]
        if moved is not None:
            return moved
        # It has not moved since anybody looked: its newest row says since when.
        return min(info.last_time, self._newest.get(info.run, info.last_time))

    def _samples_per_s(self) -> float:
        if len(self._totals) < 2:
            return 0.0
        (first, low), (last, high) = self._totals[0], self._totals[-1]
        return (high - low) / (last - first) if last > first else 0.0

    # -- lag -----------------------------------------------------------------------------------

    def note_lag(self, run: str, now: float, newest: float) -> None:
        """Take in that a run's newest sample was read for its viewers.

        Args:
            run: The run.
            now: Monotonic time, seconds.
            newest: The sample's wall time by its sender's clock, seconds since the epoch.
        """
        lags = self._lags.setdefault(run, deque(maxlen=_LAG_SAMPLES))
        # Below zero where the sender's clock is ahead of ours.
        lags.append((now, max(0.0, wall_time() - newest)))

    def note_newest(self, run: str, newest: float) -> None:
        """Take in how new a run's rows are.

        Args:
            run: The run.
            newest: Of its newest row, wall time by its sender's clock, seconds since the epoch.
        """
        self._newest[run] = max(newest, self._newest.get(run, newest))

    def lag_s(self, run: str) -> float | None:
        """Return the median of the lags noted lately, seconds; ``None`` when there are none."""
        now = monotonic_time()
        lags = [lag for noted, lag in self._lags.get(run, ()) if now - noted < _LAG_FADES_S]
        return median(lags) if lags else None
