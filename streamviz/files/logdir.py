"""A TensorBoard log directory: each directory with event files is a run, as TensorBoard has it.

A directory named after a rank (``rank_3``, ``rank-3``, ``rank3``) is that rank of the run around
it; a file that goes back in steps is the rank's next attempt.

Law: files of one directory are read in the order in which they were begun, each once and in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from streamviz.files.attempts import Attempts
from streamviz.files.events import Events, Scalar, Thing
from streamviz.files.legal import kept, legal_name
from streamviz.files.portions import Account, Options, Portion
from streamviz.files.sorting import WIDEST
from streamviz.files.tfrecords import EventFile
from streamviz.publisher.past import Piece, Rows
from streamviz.publisher.pour import Who
from streamviz.wire.frames import MAX_STEP, MAX_TIME_S
from streamviz.wire.names import name_fault

__all__ = ["LogDirectory"]

BATCH = 8192
"""Values read at a time."""
BATCH_BYTES = 8 << 20
"""Bytes of pictures and the like that are read at a time."""

_RANK = re.compile(r"rank[-_]?(?P<rank>\d{1,7})(?:[._-]attempt[-_]?(?P<attempt>\d{1,7}))?")
_FILE = re.compile(r"events\.out\.tfevents\.(?P<time>\d+)\.(?P<host>[^/]+?)(?:\.(?P<pid>\d+)\..*)?")


class LogDirectory:
    """One log directory, or one event file."""

    def __init__(self, path: Path, options: Options, account: Account, attempts: Attempts) -> None:
        """Look at nothing yet.

        Args:
            path: The directory or the file.
            options: The run's name, if it was given.
            account: Where what cannot be used is counted.
            attempts: What has been read of every worker so far.
        """
        self.path = path
        self._options = options
        self._account = account
        self._attempts = attempts
        self._files: dict[Path, _File] = {}

    @staticmethod
    def is_event_file(path: Path) -> bool:
        """Say whether TensorBoard would read a file, by its name."""
        return "tfevents" in path.name and not path.name.endswith((".csv", ".json", ".gz"))

    def read(self, *, last: bool) -> Iterator[Portion]:
        """Yield what there is since the last call, of files and directories that are new too.

        Raises:
            ConfigError: A file cannot be read.
        """
        for path in self.files():
            if path not in self._files:
                self._files[path] = _File(path, self._who(path), self._account)
            file = self._files[path]
            for pieces in file.read(last=last):
                yield Portion(self._attempts.place(file, file.who, pieces), pieces)
            if last and file.events.waiting:
                self._account.note(
                    f"{path}: the last {file.events.waiting:,} bytes are no whole record"
                )

    def close(self) -> None:
        """Let go of nothing: between readings no file is open."""

    def files(self) -> list[Path]:
        """Return the event files, those of a directory in the order of their beginning."""
        if self.path.is_file():
            return [self.path]
        found = [
            path
            for path in self.path.rglob("*tfevents*")
            if self.is_event_file(path) and path.is_file()
        ]
        return sorted(found, key=lambda path: (path.parent, _begun(path), path.name))

    def _who(self, path: Path) -> Who:
        root = self.path if self.path.is_dir() else self.path.parent
        parts = list(path.parent.relative_to(root).parts)
        rank = attempt = 0
        found = _RANK.fullmatch(parts[-1]) if parts else None
        if found is not None:
            rank, attempt = int(found["rank"]), int(found["attempt"] or 0)
            parts.pop()
        own = self._options.run or root.resolve().name or "tensorboard"
        name = "/".join(([own] if self._options.run or not parts else []) + parts)
        run = legal_name(name, self._account, str(path)) or "tensorboard"
        about = _FILE.fullmatch(path.name)
        host = about["host"] if about is not None and name_fault(about["host"]) is None else None
        pid = int(about["pid"] or 0) if about is not None else 0
        return Who(run, rank, attempt, host or "unknown", pid)


class _File:
    """One event file on its way."""

    def __init__(self, path: Path, who: Who, account: Account) -> None:
        self.who = who
        self.events = EventFile(path, account)
        self._values = Events(account)
        self._account = account
        self._names: dict[str, str | None] = {}

    def read(self, *, last: bool) -> Iterator[list[Piece]]:
        """Yield what there is since the last call, in batches."""
        rows = _Batch()
        items: list[Piece] = []
        place = str(self.events.path)
        for event in self.events.events():
            scalars: dict[str, float] = {}
            for found in self._values.read(event, place):
                if not isinstance(found, Scalar):
                    rows.size += self._item(found, items, place)
                elif self._legal_name(found.name) is not None:
                    if found.name in scalars:
                        rows.add(event.step, event.wall_time, scalars)
                        scalars = {}
                    scalars[found.name] = found.value
            if scalars:
                rows.add(event.step, event.wall_time, scalars)
            if rows.values >= BATCH or rows.size >= BATCH_BYTES:
                yield [*self._pieces(rows, place), *items]
                rows, items = _Batch(), []
        if last or rows.values or items:
            for thing in self._values.rest():
                self._item(thing, items, place)
        pieces = [*self._pieces(rows, place), *items]
        if pieces:
            yield pieces

    def _item(self, thing: Thing, items: list[Piece], place: str) -> int:
        item = kept(*thing, self._account, f"{place}, tag {thing.name!r}")
        if item is None:
            return 0
        items.append(item)
        return len(item.body)

    def _legal_name(self, name: str) -> str | None:
        if name not in self._names:
            self._names[name] = legal_name(name, self._account, str(self.events.path))
        return self._names[name]

    def _pieces(self, rows: _Batch, place: str) -> list[Piece]:
        """Return rows by their names, each set's in order."""
        found: list[Piece] = []
        for names, (all_steps, all_times, cells) in rows.by_names.items():
            # Numbers of 64 bits in the file, of which any may be damaged.
            steps, times = np.array(all_steps, np.int64), np.array(all_times, np.float64)
            values = np.array(cells, np.float64)
            good = (steps >= 0) & (steps <= MAX_STEP) & (times >= 0) & (times < MAX_TIME_S)
            if not good.all():
                bad = np.flatnonzero(~good)
                where = f"{place}, tag {names[0]!r}: step {steps[bad[0]]}, time {times[bad[0]]}"
                cause = f"a step or time that cannot be, as above {MAX_STEP}"
                self._account.refuse(cause, where, bad.size)
                steps, times, values = steps[good], times[good], values[good]
            if steps.size:
                legal = tuple(dict.fromkeys(self._names[name] or "" for name in names))
                if len(legal) < len(names):
                    self._account.refuse("tags that are one when they are cleaned", place)
                    continue
                found += [
                    Rows(legal[i : i + WIDEST], steps, times, values[:, i : i + WIDEST])
                    for i in range(0, len(legal), WIDEST)
                ]
        return found


class _Batch:
    """Rows on their way, by the names of an event's scalars.

    Attributes:
        by_names: Steps, times and values of each set of names.
        values: How many values there are.
        size: Bytes of what came beside them.
    """

    def __init__(self) -> None:
        self.by_names: dict[tuple[str, ...], tuple[list[int], list[float], list[list[float]]]] = {}
        self.values = 0
        self.size = 0

    def add(self, step: int, time: float, scalars: Mapping[str, float]) -> None:
        """Add an event's scalars."""
        steps, times, cells = self.by_names.setdefault(tuple(scalars), ([], [], []))
        steps.append(step)
        times.append(time)
        cells.append(list(scalars.values()))
        self.values += len(scalars)


def _begun(path: Path) -> int:
    found = _FILE.fullmatch(path.name)
    return int(found["time"]) if found is not None else 0
