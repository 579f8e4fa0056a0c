"""The rows of a run's tables, turn by turn: told by rank, and brought together by step.

Law: a turn looks at a bounded number of values, the newest; what it leaves out is counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from streamviz.ingest.roster import RunInfo
from streamviz.insight.batch import Batch, IntArray
from streamviz.insight.spikes import is_spiky
from streamviz.insight.standing import ENDED, SILENT
from streamviz.insight.steps import Steps, WholeStep
from streamviz.store import Store

__all__ = ["MOST_STEPS_A_TURN", "MOST_VALUES_A_TURN", "MOST_WATCHED_COLUMNS", "Ranks", "Tables"]

MOST_VALUES_A_TURN = 2_000_000
"""Values of a run that one turn reads: ten times what 1,024 ranks with a hundred metrics send in
half a second at two steps a second."""
MOST_STEPS_A_TURN = 256
"""Steps of a table that one turn compares between ranks; of a faster loop the newest."""
MOST_WATCHED_COLUMNS = 64
"""Metrics of a table that are brought together by step: replicated ones first, then phases, losses
and norms. All metrics are looked at for NaN and by ``--alert``."""
PHASE = "phase/"
MOST_WATCHED_TABLES = 32
"""Tables of a run whose rows are brought together by step; a run has one or two that matter."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """Who a run's worker indices stand for, as arrays."""

    rank: IntArray
    attempt: IntArray
    current: np.ndarray[tuple[int], np.dtype[np.bool_]]
    expected: np.ndarray[tuple[int], np.dtype[np.bool_]]
    """Whether rows of it are waited for: of its rank's latest attempt, alive."""
    hosts: Mapping[int, str]
    """By rank, of the latest attempt."""

    @classmethod
    def of(cls, info: RunInfo) -> Ranks:
        """Read a run's snapshot."""
        size = 1 + max((worker.index for worker in info.workers), default=-1)
        rank, attempt = np.full(size, -1, np.int64), np.zeros(size, np.int64)
        current, expected = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        for worker in info.workers:
            rank[worker.index], attempt[worker.index] = worker.rank, worker.attempt
        hosts = {}
        for worker in info.current:
            current[worker.index] = True
            expected[worker.index] = worker.state not in ENDED and worker.state not in SILENT
            hosts[worker.rank] = worker.host
        return cls(rank, attempt, current, expected, hosts)


@dataclass(slots=True, eq=False)
class _Table:
    names: tuple[str, ...]
    """Of the columns that are looked at by step."""
    steps: Steps
    senders: set[int] = field(default_factory=set)
    """Workers that have sent to it."""


class Tables:
    """Owner: the watch of a run.

    Attributes:
        left_out: Rows that no rule has seen, as too many came at once.
    """

    def __init__(self, run: str, store: Store, *, from_now: bool) -> None:
        """Begin with what comes from now on, or with all there is.

        Raises:
            UnknownSeries: There is no such run.
        """
        self.left_out = 0
        self._run = run
        self._store = store
        self._seen: dict[tuple[str, ...], int] = {}
        self._tables: dict[tuple[str, ...], _Table | None] = {}
        if from_now:
            self._seen = {fresh.table: fresh.rows for fresh in store.fresh(run, {})}

    def turn(
        self, ranks: Ranks, replicated: Collection[str], turn: int
    ) -> Iterator[tuple[Batch | None, tuple[str, ...], list[WholeStep]]]:
        """Yield of each table the new rows, and the steps that are complete with their columns.

        Args:
            ranks: Who the workers are.
            replicated: Metrics that are to be equal on all ranks.
            turn: Number of the turn, growing.

        Raises:
            UnknownSeries: The run is gone.
        """
        found = self._store.fresh(self._run, self._seen)
        quiet = set(self._tables)
        left = MOST_VALUES_A_TURN
        for fresh in found:
            quiet.discard(fresh.table)
            self._seen[fresh.table] = fresh.rows
            rows = fresh.read(max(left, 1))
            left -= rows.values.size
            self.left_out += rows.missed
            # Of a worker that the roster does not tell of yet nothing can be said.
            known = rows.worker < ranks.rank.size
            worker, step, time, values = rows.worker, rows.step, rows.time, rows.values
            if not known.all():
                self.left_out += int((~known).sum())
                worker, step, time, values = worker[known], step[known], time[known], values[known]
            batch = Batch(
                names=rows.names,
                worker=worker,
                rank=ranks.rank[worker],
                attempt=ranks.attempt[worker],
                current=ranks.current[worker],
                step=step,
                time=time,
                values=values,
            )
            yield self._take(fresh.table, batch, ranks, replicated, turn)
        for key in quiet:
            table = self._tables[key]
            if table is not None:
                steps = table.steps.add(None, self._expected(table, ranks), turn, MOST_STEPS_A_TURN)
                yield None, table.names, steps

    def _take(
        self,
        key: tuple[str, ...],
        batch: Batch,
        ranks: Ranks,
        replicated: Collection[str],
        turn: int,
    ) -> tuple[Batch, tuple[str, ...], list[WholeStep]]:
        if key not in self._tables:
            self._tables[key] = self._open(batch.names, replicated)
        table = self._tables[key]
        if table is None:
            return batch, (), []
        table.senders.update(np.unique(batch.worker).tolist())
        steps = table.steps.add(batch, self._expected(table, ranks), turn, MOST_STEPS_A_TURN)
        self.left_out += table.steps.given_up
        table.steps.given_up = 0
        return batch, table.names, steps

    def _open(self, names: tuple[str, ...], replicated: Collection[str]) -> _Table | None:
        held = sum(table is not None for table in self._tables.values())
        wanted = [name for name in names if name in replicated]
        wanted += [name for name in names if name.startswith(PHASE) and name not in replicated]
        wanted += [name for name in names if is_spiky(name) and name not in wanted]
        if not wanted or held >= MOST_WATCHED_TABLES:
            return None
        wanted = wanted[:MOST_WATCHED_COLUMNS]
        columns = np.array([names.index(name) for name in wanted], np.int64)
        return _Table(tuple(wanted), Steps(columns))

    @staticmethod
    def _expected(table: _Table, ranks: Ranks) -> int:
        senders = np.fromiter(table.senders, np.int64, len(table.senders))
        return int(ranks.expected[senders[senders < ranks.expected.size]].sum())
