"""A run's file made by hand, as a server would have left it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamviz.journal.directory import run_path
from streamviz.journal.entries import Commit, ItemRow, StreamRow, TableRows, WorkerRow
from streamviz.journal.records import Record, pack
from streamviz.journal.runfile import RunFile
from streamviz.store.gaps import Gap

__all__ = ["RunMaker", "table_rows"]

EPOCH = 1_700_000_000.0
"""Wall time of step 0; a step takes a tenth of a second."""


def table_rows(worker: int, steps: range, *, table: int = 0, first: int = 0) -> TableRows:
    """Return rows of two metrics whose values tell worker, step and metric."""
    axis = np.array(steps, np.int64)
    values = np.stack([worker + axis / 3, -axis.astype(np.float64)], axis=1)
    times = np.array(EPOCH + axis * 0.1, np.float64)
    return TableRows(
        table=table, worker=worker, first=first, steps=axis, times=times, values=values
    )


class RunMaker:
    """Writes one run's file.

    Attributes:
        path: Where it lies.
        file: The open file.
    """

    def __init__(self, directory: Path, run: str = "made") -> None:
        self.path = run_path(directory, run)
        self.file = RunFile.create(self.path, run, EPOCH)
        names = ("train/loss", "train/lr")
        self.file.commit(Commit(tables=[(0, names)], config={"lr": 0.1}))
        self._rows: dict[int, int] = {}

    def worker(
        self, index: int, rank: int, *, attempt: int = 0, ended: str | None = "ok", rows: int = 0
    ) -> None:
        """Add an attempt of a rank, and its stream."""
        stream = bytes([index + 1]) * 16
        worker = WorkerRow(
            index=index,
            rank=rank,
            attempt=attempt,
            world_size=8,
            local_rank=rank,
            host=f"node{rank}",
            pid=100 + index,
            library="0.1.0",
            started=EPOCH,
            last_time=EPOCH + rows * 0.1,
            last_step=rows or None,
            ended=ended,
            stream=stream,
        )
        far = StreamRow(
            index=index, stream=stream, worker=index, next_seq=1, next_row=rows, sent=rows
        )
        self.file.commit(Commit(workers=[worker], streams=[far]))

    def chunk(self, rows: TableRows) -> None:
        """Add rows to the chunks."""
        self.file.checkpoint([rows], None)

    def journal(self, rows: TableRows) -> None:
        """Add rows to the journal."""
        numbers = (rows.worker, rows.worker, rows.table, rows.first, 1, 1)
        record = Record(*numbers, rows.steps, rows.times, rows.values)
        self.file.commit(Commit(records=pack(record)))

    def gap(self, worker: int, gap: Gap) -> None:
        """Add a gap."""
        self.file.commit(Commit(gaps=[(worker, gap)]))

    def items(self, *rows: ItemRow) -> None:
        """Add items."""
        self.file.commit(Commit(items=rows))

    def facts(self, facts: dict[str, object], meshes: dict[int, dict[str, int]]) -> None:
        """Say what is known besides rows."""
        self.file.commit(Commit(facts=facts, meshes=meshes))

    def close(self) -> Path:
        """Close the file, and return where it lies."""
        self.file.close()
        return self.path
