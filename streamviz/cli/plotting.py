"""What ``streamviz plot`` draws: which columns of which files, and their rows as charts.

Law: what was asked for and is not there is an error that names it; what was not asked for is
chosen from the first rows alone, so that it stays the same while a file grows.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamviz.cli.columns import Bad, date_format_of, dates, is_date, is_number, numbers, words
from streamviz.cli.csvfile import CsvFile, Part
from streamviz.errors import ConfigError
from streamviz.views.charts.chart import MAX_SERIES
from streamviz.views.charts.gathering import Gathering, XType

if TYPE_CHECKING:
    from streamviz.views.plotted import ChartPage

__all__ = ["KINDS", "Choice", "Plotting"]

KINDS = ("line", "bar", "scatter", "hist", "pie", "box", "heatmap")
_MOST_CHARTS = 48
_WITHOUT_X = ("hist", "box")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the command line asks for; ``None`` and empty mean that it is found out."""

    x: str | None = None
    y: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("line",)
    group_by: str | None = None
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    log: frozenset[str] = frozenset()
    bins: int = 30
    subplots: int | None = None


@dataclass
class _Drawn:
    """A chart, and the columns of files that go into it."""

    gathering: Gathering
    kind: str
    columns: list[tuple[int, str]]


@dataclass
class Plotting:
    """Files as charts.

    Raises:
        ConfigError: A file, a column or a choice cannot be used.
    """

    paths: Sequence[Path]
    choice: Choice
    files: list[CsvFile] = field(init=False)
    remarks: list[str] = field(default_factory=list)
    _charts: list[_Drawn] = field(init=False)

    def __post_init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self.files = [CsvFile(path) for path in self.paths]
        self._labels = _labels(self.paths)
        self._bad: dict[tuple[int, str], Bad] = {}
        self._knows_nothing = not all(file.sample.table.num_rows for file in self.files)
        self._check_columns()
        self._ys = self._choose_ys()
        self._x, self._x_type, self._patterns = self._choose_x()
        self._charts = self._lay_out()

    def read(self, *, to_end: bool = True) -> int:
        """Take in the rows that were not read yet; return how many there were.

        Raises:
            ConfigError: A column that was asked for has nothing that can be drawn.
        """
        before = sum(file.rows for file in self.files)
        for i, file in enumerate(self.files):
            wanted = [name for name in self._wanted(i) if name in file.columns]
            for part in file.parts(wanted, to_end=to_end):
                self._take(i, part)
        self._judge()
        return sum(file.rows for file in self.files) - before

    def follow(self) -> bool:
        """Take in what came since, and say if there was any; a replaced file begins anew."""
        replaced = [file for file in self.files if file.was_replaced()]
        if not replaced and self._knows_nothing and any(file.has_more() for file in self.files):
            self._open()  # its first row says what its columns are
            return self.read(to_end=False) > 0
        if replaced:
            try:
                self._open()
            except ConfigError:
                return False  # it is being written anew; the next look will see more of it
            names = ", ".join(file.path.name for file in replaced)
            self.remarks = [f"{names}: begun anew"]
            self.read(to_end=False)
            return True
        return any(file.has_more() for file in self.files) and self.read(to_end=False) > 0

    def page(self) -> ChartPage:
        """Return the charts as they are now."""
        from streamviz.views.plotted import ChartPage

        documents = [chart.gathering.document() for chart in self._charts]
        counts = [f"{file.path.name}: {file.rows:,} rows" for file in self.files]
        names = ", ".join(file.path.name for file in self.files)
        alone = len(documents) == 1
        columns = self.choice.subplots or (1 if alone else 2)
        return ChartPage(
            title=names if alone else self.choice.title or names,
            documents=documents,
            columns=min(columns, len(documents)),
            note=" · ".join([*counts, *self.told()]),
        )

    def told(self) -> list[str]:
        """Return what somebody should know of how the files were read."""
        told = [remark for file in self.files for remark in file.remarks] + self.remarks
        for bad in self._bad.values():
            if bad.count:
                more = f" ({bad.count:,} such cells left out)" if bad.count > 1 else " (left out)"
                told.append(bad.first + more)
        return told

    # -- which columns ---------------------------------------------------------------------

    def _check_columns(self) -> None:
        """Refuse columns that no file has, or that a file lacks though its others need them."""
        asked = [("--y", name) for name in self.choice.y]
        asked += [("--x", self.choice.x)] if self.choice.x is not None else []
        asked += [("--group-by", self.choice.group_by)] if self.choice.group_by is not None else []
        known = list(dict.fromkeys(name for file in self.files for name in file.columns))
        for flag, name in asked:
            if name in known:
                continue
            near = difflib.get_close_matches(name, known, 1, 0.5) or [
                one for one in known if one.lower() == name.lower()
            ]
            hint = f"{near[0]!r}, the nearest" if near else "one of its columns"
            shown = ", ".join(map(repr, known[:12])) + (", …" if len(known) > 12 else "")
            where = ", ".join(str(path) for path in self.paths)
            raise ConfigError(flag, name, f"{hint}; the header of {where} has {shown}")
        for file in self.files:
            if self.choice.y and not set(self.choice.y) & set(file.columns):
                shown = ", ".join(map(repr, file.columns[:12]))
                expected = f"a column of {file.path} among them, which has {shown}"
                raise ConfigError("--y", ", ".join(self.choice.y), expected)
            for flag, name in asked:
                if flag != "--y" and name not in file.columns:
                    shown = ", ".join(map(repr, file.columns[:12]))
                    raise ConfigError(flag, name, f"a column of {file.path}, which has {shown}")

    def _choose_ys(self) -> list[str]:
        if self.choice.y:
            return list(dict.fromkeys(self.choice.y))
        others = {self.choice.x, self.choice.group_by}
        found = [
            name
            for file in self.files
            for name in file.columns
            if name not in others and is_number(file.sample, name)
        ]
        names = list(dict.fromkeys(found))
        if self.choice.x is None and len(names) > 1:
            first = self.files[0].columns[0]
            if first in names and self._increases(first) and not self._is_free_of_x():
                names.remove(first)
        if not names:
            where = ", ".join(str(path) for path in self.paths)
            raise ConfigError("--y", "none", f"a column of numbers in {where}; there is none")
        if len(names) > MAX_SERIES:
            self.remarks.append(f"the first {MAX_SERIES} of {len(names)} columns of numbers")
        return names[:MAX_SERIES]

    def _is_free_of_x(self) -> bool:
        return all(kind in _WITHOUT_X for kind in self.choice.kinds)

    def _increases(self, column: str) -> bool:
        """Say whether a column can be the x of all files: it only ever increases."""
        for file in self.files:
            if column not in file.columns or not is_number(file.sample, column):
                return False
            values = numbers(file.sample, column, file.path.name, Bad())
            if not (np.diff(values[np.isfinite(values)]) > 0).all():
                return False
        return True

    def _choose_x(self) -> tuple[str | None, XType, list[str | None]]:
        """Return the column of x, what it is, and each file's format of dates."""
        nothing: list[str | None] = [None] * len(self.files)
        if self._is_free_of_x():
            return None, "number", nothing
        x = self.choice.x
        if x is None:
            x = self._guess_x()
        if x is None:
            return None, "number", nothing
        if "pie" in self.choice.kinds:
            return x, "category", nothing
        types, patterns = [], []
        for file in self.files:
            column = file.sample.table.column(x)
            pattern = (
                None if is_number(file.sample, x) or is_date(column) else date_format_of(column)
            )
            patterns.append(pattern)
            if is_date(column) or pattern is not None or self._mostly_iso(file, x):
                types.append("datetime")
            else:
                types.append("number" if is_number(file.sample, x) else "category")
        if len(set(types)) > 1:
            told = ", ".join(
                f"{one} in {file.path.name}" for one, file in zip(types, self.files, strict=True)
            )
            raise ConfigError("--x", x, f"a column that is the same in all files; it is {told}")
        found: XType = types[0]  # type: ignore[assignment]
        return x, found, patterns

    def _mostly_iso(self, file: CsvFile, column: str) -> bool:
        if is_number(file.sample, column):
            return False
        bad = Bad()
        dates(file.sample, column, file.path.name, None, bad)
        return bad.seen > 0 and bad.count < bad.seen / 2

    def _guess_x(self) -> str | None:
        """Return the first column if it increases or has dates; words, where words are wanted."""
        first = self.files[0].columns[0]
        if any(first not in file.columns for file in self.files):
            return None
        if first not in self._ys and "pie" not in self.choice.kinds:
            column = self.files[0].sample.table.column(first)
            if is_date(column) or date_format_of(column) or self._mostly_iso(self.files[0], first):
                return first
            if self._increases(first):
                return first
        if {"pie", "bar"} & set(self.choice.kinds):
            for name in self.files[0].columns:
                shared = all(name in file.columns for file in self.files)
                free = name not in (*self._ys, self.choice.group_by)
                if shared and free and not is_number(self.files[0].sample, name):
                    return name
        if "pie" in self.choice.kinds:
            raise ConfigError("--x", "none", "a column with the words of the parts, for a pie")
        return None

    def _wanted(self, place: int) -> list[str]:
        others = [name for name in (self._x, self.choice.group_by) if name is not None]
        ys = {name for chart in self._charts for i, name in chart.columns if i == place}
        return [*others, *ys]

    # -- charts ----------------------------------------------------------------------------

    def _lay_out(self) -> list[_Drawn]:
        """Return the charts: one a kind, or one for each kind and column."""
        found = []
        for kind in self.choice.kinds:
            pairs = [
                (i, y) for y in self._ys for i, file in enumerate(self.files) if y in file.columns
            ]
            if kind == "pie":
                groups = [[pair] for pair in pairs]
            elif self.choice.subplots is not None:
                groups = [[pair for pair in pairs if pair[1] == y] for y in self._ys]
            else:
                groups = [pairs]
            found += [self._chart(kind, group, alone=len(groups) == 1) for group in groups]
        if len(found) > _MOST_CHARTS:
            self.remarks.append(f"the first {_MOST_CHARTS} of {len(found)} charts")
        return found[:_MOST_CHARTS]

    def _chart(self, kind: str, columns: list[tuple[int, str]], *, alone: bool) -> _Drawn:
        choice = self.choice
        names = list(dict.fromkeys(name for _, name in columns))
        several = len(choice.kinds) > 1 or not alone
        what = names[0] if len(names) == 1 else ""
        if kind == "pie" and len(self.files) > 1:
            what = self._name(*columns[0])
        title = what if several else choice.title
        if several and not what:
            title = f"{kind}: {', '.join(names[:3])}"
        beside = "" if title == what else what
        labels = {"x": choice.x_label or self._x or "row", "y": choice.y_label or beside}
        if kind == "hist":
            labels = {"x": choice.x_label or beside, "y": choice.y_label or "rows"}
        elif kind == "box":
            labels["x"] = choice.x_label
        elif kind == "heatmap":
            labels["y"] = choice.y_label
        log = {axis: "log" for axis in choice.log if not (axis == "x" and kind in _WITHOUT_X)}
        if kind in ("bar", "pie", "heatmap"):
            log = {axis: "log" for axis in choice.log if kind == "bar" and axis == "y"}
        about = {"title": title, "labels": labels, "axes": log}
        gathering = Gathering(kind, self._x_type, about, choice.bins)
        if choice.group_by is None:
            for place, name in columns:
                # Declared in this order, whichever file is read first.
                gathering.add(self._name(place, name), np.empty(0), np.empty(0))
        return _Drawn(gathering, kind, columns)

    def _name(self, place: int, column: str) -> str:
        """Return a series' name: the column's, and the file's where others have it too."""
        same = sum(column in file.columns for file in self.files)
        return f"{column} ({self._labels[place]})" if same > 1 else column

    def _take(self, place: int, part: Part) -> None:
        file = self.files[place]
        count = part.table.num_rows
        x: Any = None
        if self._x is None:
            x = np.arange(file.rows - count, file.rows, dtype=np.float64)
        elif self._x_type == "category":
            x = words(part, self._x)
        elif self._x_type == "datetime":
            bad = self._bad.setdefault((place, self._x), Bad())
            x = dates(part, self._x, file.path.name, self._patterns[place], bad)
        else:
            bad = self._bad.setdefault((place, self._x), Bad())
            x = numbers(part, self._x, file.path.name, bad)
        values = {
            name: numbers(
                part, name, file.path.name, self._bad.setdefault((place, name), Bad())
            )
            for name in {y for chart in self._charts for i, y in chart.columns if i == place}
        }  # fmt: skip
        groups = self._groups(part)
        for chart in self._charts:
            for i, column in chart.columns:
                if i == place:
                    self._add(chart, self._name(i, column), x, values[column], groups)

    def _groups(self, part: Part) -> list[tuple[str, np.ndarray]]:
        """Return the words of the column to group by, each with the rows that have it."""
        if self.choice.group_by is None:
            return []
        found = np.array(words(part, self.choice.group_by), dtype=object)
        return [(word, found == word) for word in dict.fromkeys(found.tolist())]

    def _add(
        self,
        chart: _Drawn,
        name: str,
        x: Any,  # noqa: ANN401 - a list or an array
        y: np.ndarray,
        groups: list[tuple[str, np.ndarray]],
    ) -> None:
        if not groups:
            chart.gathering.add(name, x, y)
        one = len({column for _, column in chart.columns}) == 1
        for word, mask in groups:
            named = word if one and len(self.files) == 1 else f"{name}, {word}"
            xs = x[mask] if isinstance(x, np.ndarray) else np.array(x, dtype=object)[mask].tolist()
            chart.gathering.add(named, xs, y[mask])

    def _judge(self) -> None:
        """Refuse a column of which most cells cannot be used."""
        for (_, column), bad in self._bad.items():
            if bad.count > bad.seen / 2:
                flag = "--x" if column == self._x else "--y"
                words = f"a column of numbers or dates; {bad.first} ({bad.count:,} of {bad.seen:,})"
                raise ConfigError(flag, column, words) from None


def _labels(paths: Sequence[Path]) -> list[str]:
    """Return the shortest names that tell files apart."""
    for names in ([path.stem for path in paths], [path.name for path in paths]):
        if len(set(names)) == len(names):
            return names
    parts = [f"{path.parent.name}/{path.name}" for path in paths]
    return parts if len(set(parts)) == len(parts) else [str(path) for path in paths]
