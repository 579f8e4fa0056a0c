"""The thread that watches all runs: twice a second at most, with a small share of a core.

Law: a fault in the watch of one run stops neither the others nor anything else of the server.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from streamviz.clock import monotonic_time, wall_time, worked_time
from streamviz.counters import Counters
from streamviz.errors import UnknownSeries
from streamviz.ingest.roster import Roster
from streamviz.insight.stalls import FLOOR_S
from streamviz.insight.thresholds import Threshold
from streamviz.store import Store
from streamviz.watch.alerts import Alert
from streamviz.watch.runwatch import RunWatch

__all__ = ["MOST_ALERT_RULES", "NOTHING", "Told", "WatchConfig", "Watchman"]

log = logging.getLogger(__name__)

TURN_S = 0.5
"""Least time between two turns."""
SHARE = 1 / 33
"""Part of a core that the watch may take: a turn that was dear is followed by a longer pause."""
LONGEST_PAUSE_S = 30.0
SAVE_EVERY_S = 2.0
"""Least time between two writes of a run's alerts."""
MOST_ALERT_RULES = 100
"""Rules that ``--alert`` may give: each is a comparison with every new value of its metric."""
FAULTS_MOST = 8
"""Turns in a row that may fail before a run is left alone, which is said."""


class Files(Protocol):
    """Where alerts are kept over a restart."""

    def read(self, run: str) -> list[Mapping[str, object]] | None:
        """Return the rows of a run."""

    def write(self, run: str, rows: Sequence[Mapping[str, object]]) -> bool:
        """Put rows in place of a run's former ones; say whether that is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """What the watch can be told."""

    thresholds: tuple[Threshold, ...] = ()
    stall_s: float = FLOOR_S
    """Seconds without a step that are a stall at the least."""
    webhook: str | None = None
    """Address to which an alert that opens is posted."""
    command: tuple[str, ...] = ()
    """Program that is run for an alert that opens, with its arguments."""


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to tell of a run's alerts, at a moment."""

    alerts: tuple[Alert, ...] = ()
    first_bad: int | None = None
    """The id of the alert of the run's first NaN or infinity."""
    situation: str = ""

    def rows(self) -> list[dict[str, object]]:
        """Return the alerts as JSON can say them."""
        return [{**alert.row(), "first_bad": alert.id == self.first_bad} for alert in self.alerts]


NOTHING = Told()
"""Of a run that nobody has looked at."""


@dataclass(slots=True, eq=False)
class _Watched:
    watch: RunWatch
    version: int = -1
    saved: int = 0
    saved_at: float = float("-inf")
    faults: int = 0
    left_out: int = 0
    turned_away: int = 0
    told: Told = field(default_factory=Told)


class Watchman:
    """Watches the runs of a store.

    Thread-safe: :meth:`told` is anybody's; the rest is its own thread's.
    """

    def __init__(
        self,
        store: Store,
        roster: Roster,
        counters: Counters,
        config: WatchConfig | None = None,
        *,
        files: Files | None = None,
        act: Callable[[str, Alert], None] = lambda *_: None,
    ) -> None:
        """Remember what is there; nothing is looked at before :meth:`start`.

        Args:
            store: Where the rows are.
            roster: Who publishes.
            counters: Where alerts are counted.
            config: Rules and settings.
            files: Where alerts are kept; ``None``: in memory only.
            act: Called with run and alert for each that opens; must not wait.
        """
        self._store = store
        self._roster = roster
        self._counters = counters
        self._config = WatchConfig() if config is None else config
        self._files = files
        self._act = act
        self._watched: dict[str, _Watched] = {}
        self._former: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def told(self, run: str) -> Told:
        """Return what there is to tell of a run; the same object until something changed."""
        held = self._watched.get(run)
        return NOTHING if held is None else held.told

    def start(self) -> None:
        """Begin to watch. What the store holds by now was watched by an earlier process."""
        self._former = {info.run for info in self._roster.runs()}
        self._thread = threading.Thread(target=self._run, name="streamviz-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch and save what is not saved."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        pause = TURN_S
        while not self._stop.wait(pause):
            before = worked_time()
            self.turn()
            worked = worked_time() - before
            pause = min(max(TURN_S, worked / SHARE), LONGEST_PAUSE_S)
        for name, held in list(self._watched.items()):
            self._save(name, held, float("inf"))

    def turn(self) -> None:
        """Look at every run once. Never raises."""
        mono, now = monotonic_time(), wall_time()
        infos = self._roster.runs()
        known = {info.run for info in infos}
        for name in [name for name in self._watched if name not in known]:
            del self._watched[name]
        for info in infos:
            held: _Watched | None = None
            try:
                held = self._watched.get(info.run) or self._begin(info.run, now)
                if held.faults >= FAULTS_MOST:
                    continue
                held.watch.turn(info, now, mono)
                held.faults = 0
            except UnknownSeries:
                continue  # it has said hello and sent nothing yet, or was let go of meanwhile
            except Exception:  # the watch must not end with a fault in one run's rules
                self._counters.add("watch_faults_total")
                if held is not None:
                    held.faults += 1
                log.exception("the watch of run %r failed", info.run)
                continue
            self._tell(info.run, held, mono)

    def _begin(self, run: str, now: float) -> _Watched:
        rows = None if self._files is None else self._files.read(run)
        watch = RunWatch(
            run,
            self._store,
            self._config.thresholds,
            from_now=run in self._former or rows is not None,
            stall_s=self._config.stall_s,
        )
        held = _Watched(watch)
        if rows is not None:
            watch.alerts.restore(rows, now)
            held.saved = watch.alerts.version
        self._watched[run] = held
        return held

    def _tell(self, run: str, held: _Watched, mono: float) -> None:
        """Put what changed where readers find it, and let who wants to know be told."""
        watch = held.watch
        alerts = watch.alerts
        if alerts.version != held.version or watch.situation != held.told.situation:
            held.version = alerts.version
            first = alerts.first_bad()
            held.told = Told(alerts.all(), None if first is None else first.id, watch.situation)
        opened, alerts.opened = alerts.opened, []
        for alert in opened:
            self._counters.add("alerts_total", reason=alert.rule)
            log.warning("run %r: %s: %s", run, alert.rule, alert.text)
            if watch.is_alive:
                # Of a run that was called back from the disk nobody need be woken.
                self._act(run, alert)
        if watch.left_out > held.left_out:
            self._counters.add("watch_rows_left_out_total", watch.left_out - held.left_out)
            held.left_out = watch.left_out
        if alerts.turned_away > held.turned_away:
            self._counters.add("alerts_dropped_total", alerts.turned_away - held.turned_away)
            held.turned_away = alerts.turned_away
        self._save(run, held, mono)

    def _save(self, run: str, held: _Watched, mono: float) -> None:
        alerts = held.watch.alerts
        if self._files is None or alerts.version == held.saved:
            return
        if mono - held.saved_at < SAVE_EVERY_S:
            return
        held.saved_at = mono
        try:
            if self._files.write(run, [alert.row() for alert in alerts.all()]):
                held.saved = alerts.version
        except OSError as error:
            self._counters.add("alerts_unsaved_total")
            log.warning("the alerts of run %r are not saved: %s", run, error)
