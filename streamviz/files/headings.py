"""What the columns of a table are, told by their names.

Knows the tables that Lightning, Keras, Weights & Biases and TensorBoard write, and our own export.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streamviz.errors import ConfigError
from streamviz.files.portions import Account, Options

__all__ = ["ATTEMPTS", "RANKS", "RUNS", "STEPS", "TIMES", "Headings", "run_of"]

STEPS = ("step", "_step", "global_step", "trainer/global_step", "iteration", "iter", "epoch")
"""Names of the column of steps, the first that there is; so with the others."""
TIMES = ("wall time", "wall_time", "time", "_timestamp", "timestamp", "datetime", "date")
RANKS = ("rank", "global_rank")
RUNS = ("run", "run_name")
ATTEMPTS = ("attempt",)
_NAMES, _VALUES = ("metric", "tag"), ("value",)

_BOARD_FILE = re.compile(r"run-(?P<run>.+?)-tag-(?P<tag>.+)")
"""How TensorBoard calls the tables that it gives out."""
_NO_NAMES = ("metrics", "progress", "log", "history", "train_log", "wandb-history")
"""File names that say nothing; the directory says more."""


def run_of(path: Path) -> str:
    """Return the run that a file tells of, by where it lies."""
    stem = path.name.removesuffix(".gz").partition(".")[0] or path.name
    board = _BOARD_FILE.fullmatch(path.name.removesuffix(".gz").removesuffix(".csv"))
    if board is not None:
        return board["run"]
    if stem.lower() in _NO_NAMES:
        return path.resolve().parent.name or stem
    return stem


@dataclass(slots=True)
class Headings:
    """Which column is what; numbers of columns from 0."""

    path: Path
    names: list[str]
    step: int | None = None
    time: int | None = None
    rank: int | None = None
    run: int | None = None
    attempt: int | None = None
    metric: int | None = None
    """The column of metrics' names, in a table with a line for each value."""
    value: int | None = None
    metrics: dict[int, tuple[str | None, str]] = field(default_factory=dict)
    """Of the others the run, if the heading has one, and the metric."""

    @classmethod
    def of(cls, path: Path, names: Sequence[str], options: Options, account: Account) -> Headings:
        """Tell what the columns of a table are.

        Args:
            path: The table.
            names: Its first line.
            options: Columns that were named by hand.
            account: Told what was not obvious.

        Raises:
            ConfigError: There is no such column, or one name stands twice.
        """
        names = [name.strip().lstrip("\ufeff") for name in names]
        if not any(names):
            raise ConfigError("PATH", str(path), "a first line with the names of the columns")
        found = cls(path, names)
        for name in names:
            if name and names.count(name) > 1:
                raise ConfigError("PATH", str(path), f"each column once; {name!r} stands twice")
        find = _finder(path, names)
        found.step = find("--step", options.step, STEPS)
        found.time = find("--time", options.time, TIMES)
        found.rank = find("--rank", options.rank, RANKS)
        found.run = find("", None, RUNS)
        found.attempt = find("", None, ATTEMPTS)
        found.metric = find("", None, _NAMES)
        found.value = find("", None, _VALUES)
        if found.metric is None or found.value is None:
            found.metric = None
            found._wide(account)
        if found.step is None:
            account.note(f"{path}: no column of steps, so rows are counted from 0")
        elif names[found.step].lower() not in STEPS[:4] and options.step is None:
            account.note(f"{path}: the steps are column {names[found.step]!r}")
        return found

    def _wide(self, account: Account) -> None:
        """Tell the metrics of a table with a column for each."""
        own = {self.step, self.time, self.rank, self.run, self.attempt}
        rest = {i: name for i, name in enumerate(self.names) if i not in own and name}
        board = _BOARD_FILE.fullmatch(self.path.name.removesuffix(".gz").removesuffix(".csv"))
        if list(rest.values()) in (["Value"], ["value"]):
            tag = board["tag"] if board is not None else run_of(self.path)
            self.metrics = {next(iter(rest)): (None, tag)}
            return
        if any(name.endswith("__MIN") for name in rest.values()):
            self._of_a_chart(rest, account)
            return
        self.metrics = {i: (None, name) for i, name in rest.items()}

    def _of_a_chart(self, rest: dict[int, str], account: Account) -> None:
        """Take the columns that a chart of Weights & Biases gives: ``RUN - METRIC``."""
        for i, name in rest.items():
            if name.endswith(("__MIN", "__MAX")):
                account.skip("columns of a chart's least and greatest values")
                continue
            run, dash, metric = name.partition(" - ")
            self.metrics[i] = (run, metric) if dash and metric != "_step" else (None, name)


def _finder(
    path: Path, names: Sequence[str]
) -> Callable[[str, str | None, Sequence[str]], int | None]:
    low = [name.lower() for name in names]

    def find(flag: str, wanted: str | None, known: Sequence[str]) -> int | None:
        if wanted is not None:
            if wanted in names:
                return names.index(wanted)
            there = ", ".join(repr(name[:40]) for name in names[:12])
            raise ConfigError(flag, wanted, f"a column of {path}; there are {there}")
        return next((low.index(name) for name in known if name in low), None)

    return find
