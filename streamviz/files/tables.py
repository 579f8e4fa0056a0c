"""Tables of text, one line a row, read as the rows of workers.

Law: a cell that cannot be read is counted with its file, line and column, and the rest of its row
is read; memory holds one batch of lines, however long the table is.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from streamviz.errors import ConfigError
from streamviz.files.attempts import Attempts
from streamviz.files.cells import EARLIEST_S, BoolArray, Column, numbers, seconds, whole
from streamviz.files.headings import Headings, run_of
from streamviz.files.legal import legal_name
from streamviz.files.portions import Account, Options, Portion
from streamviz.files.sorting import Sorter
from streamviz.files.tail import Tail
from streamviz.publisher.past import FloatArray, IntArray, Piece
from streamviz.publisher.pour import Who
from streamviz.wire.frames import MAX_TIME_S

__all__ = ["CsvSource"]

BATCH_LINES = 16_384
"""Rows read at a time: some tens of MiB of text and numbers, in a table of hundreds of columns."""
BATCH_CELLS = 1 << 20
_SIGNS = ",;\t|"
_MAX_RANK = (1 << 24) - 1

_Index = np.ndarray


class CsvSource:
    """One table."""

    def __init__(self, path: Path, options: Options, account: Account, attempts: Attempts) -> None:
        """Open it; its first line is read when there is one.

        Raises:
            ConfigError: It cannot be read.
        """
        self.path = path
        self._options = options
        self._account = account
        self._attempts = attempts
        self._tail = Tail(path, options.encoding)
        self._headings: Headings | None = None
        self._kinds: dict[int, bool] = {}
        """Of columns that had something in them: whether they hold numbers."""
        self._counted: dict[tuple[Who, str], int] = {}
        self._legal: dict[str, str | None] = {}
        self._seen_run: str | None = None
        self._run = options.run or run_of(path)
        self._sorter = Sorter()

    def read(self, *, last: bool) -> Iterator[Portion]:
        """Yield what there is since the last call.

        Raises:
            ConfigError: It is no table, or its text cannot be decoded.
        """
        self._tail.last = last
        if self._headings is None and not self._begin():
            if last:
                raise ConfigError("PATH", str(self.path), "a table; there is nothing in it")
            return
        headings = self._headings
        assert headings is not None  # noqa: S101 - for the type checker
        batch = max(1, min(BATCH_LINES, BATCH_CELLS // max(len(headings.names), 1)))
        while True:
            before = self._tail.lines
            try:
                rows = list(islice(self._reader, batch))
            except csv.Error as error:
                where = f"near line {self._tail.lines}: {error}"
                raise ConfigError("PATH", str(self.path), f"a table ({where})") from None
            if not rows:
                return
            yield from self._portions(headings, rows, before)

    def _begin(self) -> bool:
        line = next((line for line in self._tail if line.strip()), None)
        if line is None:
            return False
        sign = max(_SIGNS, key=line.count) if any(sign in line for sign in _SIGNS) else ","
        csv.field_size_limit(min(sys.maxsize, 1 << 24))
        self._comma = sign == ";"
        [names] = csv.reader([line], delimiter=sign)
        self._headings = Headings.of(self.path, names, self._options, self._account)
        self._reader = csv.reader(self._tail, delimiter=sign)
        return True

    # -- rows ------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the file."""
        self._tail.close()

    def _portions(
        self, headings: Headings, rows: list[list[str]], before: int
    ) -> Iterator[Portion]:
        width = len(headings.names)
        lines = np.arange(before + 1, before + 1 + len(rows))
        if any(len(row) != width for row in rows):
            kept = [i for i, row in enumerate(rows) if self._is_whole(row, width, int(lines[i]))]
            lines, rows = lines[kept], [rows[i] for i in kept]
        if not rows:
            return
        columns: list[tuple[str, ...]] = list(zip(*rows, strict=True))
        who, groups = self._who(headings, columns, lines)
        steps, good = self._steps(headings, columns, lines, who, groups)
        times = self._times(headings, columns, lines)
        good &= (times >= 0) & (times < MAX_TIME_S) & (groups >= 0)
        if headings.metric is not None and headings.value is not None:
            yield from self._long(headings, columns, lines, (who, groups, steps, times, good))
        else:
            yield from self._wide(headings, columns, lines, (who, groups, steps, times, good))

    def _is_whole(self, row: Sequence[str], width: int, line: int) -> bool:
        if len(row) == width:
            return True
        if row:
            where = f"{self.path}, line {line}: {len(row)} of {width}"
            self._account.refuse("a row with another number of cells than there are columns", where)
        return False

    def _place(self, line: int, column: str) -> str:
        return f"{self.path}, line {line}, column {column!r}"

    def _who(
        self, headings: Headings, columns: list[tuple[str, ...]], lines: IntArray
    ) -> tuple[list[Who], _Index]:
        """Return who there are, and which of them each row is of, -1 for nobody."""
        parts = [i for i in (headings.run, headings.rank, headings.attempt) if i is not None]
        size = len(lines)
        if not parts:
            return [Who(self._run)], np.zeros(size, np.int64)
        keys = list(zip(*(columns[i] for i in parts), strict=True))
        numbers_of: dict[tuple[str, ...], int] = {}
        who: list[Who] = []
        for i, key in enumerate(keys):
            if key not in numbers_of:
                one = self._one(headings, dict(zip(parts, key, strict=True)), int(lines[i]))
                if one is None:
                    numbers_of[key] = -1
                elif one in who:
                    numbers_of[key] = who.index(one)
                else:
                    numbers_of[key] = len(who)
                    who.append(one)
        return who, np.fromiter(map(numbers_of.__getitem__, keys), np.int64, size)

    def _one(self, headings: Headings, cells: dict[int, str], line: int) -> Who | None:
        small = []
        for column in (headings.rank, headings.attempt):
            text = cells.get(column, "0").strip() if column is not None else "0"
            value = whole(numbers([text or "0"]))
            if not value[1][0] or value[0][0] > _MAX_RANK:
                place = self._place(line, headings.names[column or 0])
                cause = f"what is no rank or attempt, from 0 to {_MAX_RANK}"
                self._account.refuse(cause, f"{place}: {text!r}")
                return None
            small.append(int(value[0][0]))
        said = cells.get(headings.run, "") if headings.run is not None else ""
        return Who(self._named(said), small[0], small[1])

    def _named(self, said: str) -> str:
        """Return the name of a run that the table calls so."""
        if not said or said == self._run:
            return self._run
        if self._options.run is None:
            return said
        if self._seen_run not in (None, said):
            raise ConfigError(
                "--run",
                self._options.run,
                f"no name, as {self.path} has several runs ({self._seen_run!r}, {said!r}): "
                "each becomes one",
            )
        self._seen_run = said
        return self._options.run

    def _steps(
        self,
        headings: Headings,
        columns: list[tuple[str, ...]],
        lines: IntArray,
        who: list[Who],
        groups: _Index,
    ) -> tuple[IntArray, BoolArray]:
        if headings.step is not None:
            column = numbers(columns[headings.step], comma=self._comma)
            steps, good = whole(column)
            for i in np.flatnonzero(~good)[:1]:
                place = self._place(int(lines[i]), headings.names[headings.step])
                self._account.refuse(
                    "a row without a step, which is a whole number from 0",
                    f"{place}: {columns[headings.step][i]!r}",
                    int((~good).sum()),
                )
            return steps, good
        steps = np.zeros(len(lines), np.int64)
        for i, one in enumerate(who):
            mine = np.flatnonzero(groups == i)
            names = columns[headings.metric] if headings.metric is not None else None
            for at in mine:
                key = (one, names[at] if names is not None else "")
                steps[at] = self._counted.get(key, 0)
                self._counted[key] = int(steps[at]) + 1
        return steps, np.ones(len(lines), np.bool_)

    def _times(
        self, headings: Headings, columns: list[tuple[str, ...]], lines: IntArray
    ) -> FloatArray:
        """Return wall times; without any, when the file was written last."""
        written = self.path.stat().st_mtime
        if headings.time is None:
            return np.full(len(lines), written)
        column = seconds(columns[headings.time])
        name = headings.names[headings.time]
        given = column.values if column.there is None else column.values[column.there]
        if given.size and self._options.time is None and float(np.nanmax(given)) < EARLIEST_S:
            # Seconds since the start, which is a metric like others.
            self._account.note(
                f"{self.path}: column {name!r} holds no dates, so it is read as a metric, and rows "
                "have the time at which the file was written last"
            )
            if headings.metric is None:
                headings.metrics[headings.time] = (None, name)
            headings.time = None
            return np.full(len(lines), written)
        for i in column.bad[:1]:
            place = self._place(int(lines[i]), name)
            what = f"{place}: {columns[headings.time][i]!r}"
            self._account.refuse("a row without a time", what, len(column.bad))
        blank = np.isnan(column.values)
        blank[column.bad] = False
        return np.where(blank, written, column.values)

    # -- metrics ---------------------------------------------------------------------------

    def _wide(
        self,
        headings: Headings,
        columns: list[tuple[str, ...]],
        lines: IntArray,
        rows: tuple[list[Who], _Index, IntArray, FloatArray, BoolArray],
    ) -> Iterator[Portion]:
        who, groups, steps, times, good = rows
        by_run: dict[str | None, list[tuple[str, Column]]] = {}
        for i, (run, name) in headings.metrics.items():
            legal = self._legal_name(name)
            column = self._numbers(i, headings, columns[i], lines)
            if legal is not None and column is not None:
                by_run.setdefault(run, []).append((legal, column))
        for run, metrics in by_run.items():
            names = tuple(name for name, _ in metrics)
            values = np.column_stack([column.values for _, column in metrics])
            there = None
            if any(column.there is not None for _, column in metrics):
                everywhere = np.ones(len(lines), np.bool_)
                there = np.column_stack(
                    [everywhere if c.there is None else c.there for _, c in metrics]
                )
            for number, one in enumerate(who):
                chosen = np.flatnonzero(good & (groups == number))
                pieces: list[Piece] = []
                pieces += self._sorter.rows(names, steps, times, values, there, chosen)
                if pieces:
                    whose = one if run is None else one._replace(run=self._named(run))
                    yield Portion(self._attempts.place(self, whose, pieces), pieces)

    def _numbers(
        self, i: int, headings: Headings, cells: Sequence[str], lines: IntArray
    ) -> Column | None:
        """Return a column's numbers, ``None`` for one of words."""
        if self._kinds.get(i) is False:
            return None
        column = numbers(cells, comma=self._comma)
        if i not in self._kinds:
            good = len(cells) if column.there is None else int(column.there.sum())
            if not good and not column.bad:
                return column
            self._kinds[i] = good >= len(column.bad)
            if not self._kinds[i]:
                self._account.note(
                    f"{self.path}: column {headings.names[i]!r} holds no numbers, passed over"
                )
                return None
        if column.bad:
            first = column.bad[0]
            place = f"{self._place(int(lines[first]), headings.names[i])}: {cells[first]!r}"
            self._account.refuse("a cell that is no number", place, len(column.bad))
        return column

    def _long(
        self,
        headings: Headings,
        columns: list[tuple[str, ...]],
        lines: IntArray,
        rows: tuple[list[Who], _Index, IntArray, FloatArray, BoolArray],
    ) -> Iterator[Portion]:
        """Yield the rows of a table that has a line for each value."""
        who, groups, steps, times, good = rows
        assert headings.metric is not None and headings.value is not None  # noqa: S101, PT018
        cells = columns[headings.value]
        column = numbers(cells, comma=self._comma)
        if column.there is not None:
            good = good & column.there
        for first in column.bad[:1]:
            place = f"{self._place(int(lines[first]), headings.names[headings.value])}"
            what = f"{place}: {cells[first]!r}"
            self._account.refuse("a cell that is no number", what, len(column.bad))
        known: dict[str, int] = {}
        names = columns[headings.metric]
        codes = np.fromiter((known.setdefault(n, len(known)) for n in names), np.int64, len(names))
        legal = [self._legal_name(name) for name in known]
        for number, one in enumerate(who):
            mine = good & (groups == number)
            pieces: list[Piece] = []
            for code in dict.fromkeys(codes[mine].tolist()):
                name = legal[code]
                if name is not None:
                    chosen = np.flatnonzero(mine & (codes == code))
                    values = column.values[:, None]
                    pieces += self._sorter.rows((name,), steps, times, values, None, chosen)
            if pieces:
                yield Portion(self._attempts.place(self, one, pieces), pieces)

    def _legal_name(self, name: str) -> str | None:
        if name not in self._legal:
            if len(self._legal) > BATCH_LINES:
                self._legal.clear()
            self._legal[name] = legal_name(name, self._account, str(self.path))
        return self._legal[name]
