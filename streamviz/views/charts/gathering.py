"""Rows of a table, gathered into a chart document: any number of them within a bounded memory.

Law: what is drawn of too many rows is exact in its extremes, or in its counts; and it is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamviz.views.charts.chart import MAX_BARS, MAX_SERIES, MAX_TOTAL
from streamviz.views.charts.summing import Counted, Means, Quartiles, Sampled, Totals
from streamviz.views.charts.thinning import MAX_POINTS, Thinned

__all__ = ["Gathering", "XType"]

XType: TypeAlias = Literal["number", "datetime", "category"]
_Array = NDArray[np.float64]

_SCATTERED = 20_000
"""Points of a series of a scatter: more is a blot."""
_BARS = 400
_COLUMNS = 200
"""Columns of a heatmap."""


@dataclass
class Gathering:
    """One chart's rows.

    Attributes:
        kind: ``"line"``, ``"bar"``, ``"scatter"``, ``"hist"``, ``"pie"``, ``"heatmap"``, ``"box"``.
        x_type: What x is; dates are seconds since the epoch.
        about: Further fields of the document: title, labels, axes.
        bins: About how many bins a histogram has.
        rows: Values that came.
        missing: Of these, the ones that are no finite number.
    """

    kind: str
    x_type: XType = "number"
    about: dict[str, Any] = field(default_factory=dict)
    bins: int = 30
    rows: int = 0
    missing: int = 0
    _series: dict[str, Any] = field(default_factory=dict)
    _left_out: set[str] = field(default_factory=set)
    _places: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, x: _Array | Sequence[str] | None, y: _Array) -> None:
        """Take further rows of a series.

        Args:
            name: Of the series.
            x: ``float64[n]``, or a word each where x is a category; ``None`` for a histogram and
                boxes, which have none.
            y: ``float64[n]``, NaN where there is none.
        """
        held = self._series.get(name)
        if held is None:
            if len(self._series) >= MAX_SERIES:
                self._left_out.add(name)
                return
            held = self._series[name] = self._holder()
        self.rows += len(y)
        self.missing += int(len(y) - np.count_nonzero(np.isfinite(y)))
        if isinstance(held, (Counted, Quartiles)):
            held.add(y)
        elif isinstance(held, Sampled) and x is not None:
            xs = self._placed(x) if self.x_type == "category" else np.asarray(x)
            held.add(np.stack([xs, y], axis=1))
        elif x is not None:
            held.add(x, y)

    def document(self) -> dict[str, Any]:
        """Return what came so far as a chart document."""
        document = {**self.about, "chart": self.kind}
        if self.kind != "pie" and self.x_type != "category":
            document["x_type"] = self.x_type
        notes = [self.about["note"]] if self.about.get("note") else []
        tell = {
            "line": self._lines,
            "scatter": self._points,
            "bar": self._averages,
            "pie": self._shares,
            "hist": self._bins,
            "box": self._boxes,
            "heatmap": self._cells,
        }[self.kind]
        document.update(tell(notes))
        if self._left_out:
            notes.append(f"{len(self._left_out):,} further series left out")
        if self.missing and self.kind not in ("line", "bar", "pie"):
            notes.append(f"{self.missing:,} missing or not finite")
        return {**document, "note": " · ".join(notes)}

    def _holder(self) -> Any:  # noqa: ANN401 - one of many
        if self.kind == "hist":
            return Counted()
        if self.kind == "box":
            return Quartiles()
        if self.kind == "scatter":
            return Sampled(_SCATTERED, 2)
        if self.kind == "pie" or self.x_type == "category":
            return Totals(MAX_BARS)
        if self.kind == "line":
            return Thinned(min(MAX_POINTS, MAX_TOTAL // 8))
        return Means(_COLUMNS if self.kind == "heatmap" else _BARS)

    def _placed(self, words: Any) -> _Array:  # noqa: ANN401 - a list or an array
        """Return the place of each word, NaN for what is beyond the cap."""
        places = self._places
        for word in words:
            if word not in places and len(places) < MAX_BARS:
                places[word] = len(places)
        return np.array([places.get(word, np.nan) for word in words], float)

    # -- documents, by kind ----------------------------------------------------------------

    def _lines(self, notes: list[str]) -> dict[str, Any]:
        if self.x_type == "category":
            return self._averages(notes)
        series = []
        for name, held in self._series.items():
            x, y = held.points()
            series.append({"name": name, "x": x, "y": y})
        drawn = sum(len(one["y"]) for one in series)
        if any(held.is_thinned for held in self._series.values()):
            notes.append(
                f"{self.rows:,} values as {drawn:,} points: least and greatest of each stretch"
            )
        return {"series": series}

    def _points(self, notes: list[str]) -> dict[str, Any]:
        series, drawn = [], 0
        words = list(self._places)
        for name, held in self._series.items():
            rows = held.rows()
            rows = rows[np.isfinite(rows[:, 0])]
            drawn += len(rows)
            x: Any = rows[:, 0]
            if self.x_type == "category":
                x = [words[int(i)] for i in rows[:, 0]]
            series.append({"name": name, "x": x, "y": rows[:, 1]})
        if any(held.is_sampled for held in self._series.values()):
            notes.append(f"{drawn:,} of {self.rows:,} points by chance, extremes included")
        return {"series": series}

    def _averages(self, notes: list[str]) -> dict[str, Any]:
        """Return bars, or a line over words: the mean where several rows share a place."""
        if self.x_type == "category":
            words = list(dict.fromkeys(w for held in self._series.values() for w in held.words))
            if any(held.several for held in self._series.values()):
                notes.append("the mean where a word comes several times")
            self._note_further(notes)
            series = [
                {"name": name, "x": words, "y": held.means(words)}
                for name, held in self._series.items()
            ]
            return {"series": series}
        series = []
        for name, held in self._series.items():
            x, y = held.points()
            series.append({"name": name, "x": x, "y": y})
            if held.width > 1:
                notes.append(f"each bar the mean of {held.width:,} rows")
        return {"series": series}

    def _note_further(self, notes: list[str]) -> None:
        further = sum(held.further for held in self._series.values())
        if further:
            notes.append(f"{further:,} rows of further words left out")

    def _shares(self, notes: list[str]) -> dict[str, Any]:
        self._note_further(notes)
        held = next(iter(self._series.values()), None)
        if held is None:
            return {"x": [], "series": []}
        sums = np.array(held.sums)
        if (sums < 0).any():
            notes.append(f"{np.count_nonzero(sums < 0):,} parts below zero left out")
        keep = sums >= 0
        words = [word for word, kept in zip(held.words, keep, strict=True) if kept]
        return {"x": words, "series": [{"name": next(iter(self._series)), "y": sums[keep]}]}

    def _bins(self, notes: list[str]) -> dict[str, Any]:  # noqa: ARG002 - as the others
        series = []
        for name, held in self._series.items():
            edges, counts = held.histogram(self.bins)
            series.append({"name": name, "edges": edges, "counts": counts})
        return {"series": series}

    def _boxes(self, notes: list[str]) -> dict[str, Any]:
        series = [{"name": name, **held.box()} for name, held in self._series.items()]
        if any(held.is_sampled for held in self._series.values()):
            notes.append("quartiles of a random 200,000, ends exact")
        beyond = sum(one.pop("beyond", 0) for one in series)
        if beyond:
            notes.append(f"{beyond:,} further outliers not drawn")
        return {"series": series}

    def _cells(self, notes: list[str]) -> dict[str, Any]:
        names = list(self._series)
        if self.x_type == "category":
            words = list(dict.fromkeys(w for held in self._series.values() for w in held.words))
            words = words[:_COLUMNS]
            z = [held.means(words) for held in self._series.values()]
            return {"x": words, "rows": names, "z": z}
        width = max((held.width for held in self._series.values()), default=1)
        lines = [held.widened(width) for held in self._series.values()]
        count = max((len(y) for _, y in lines), default=0)
        z = [np.pad(y, (0, count - len(y)), constant_values=np.nan) for _, y in lines]
        longest = next((x for x, y in lines if len(y) == count), np.empty(0))
        if width > 1:
            notes.append(f"each cell the mean of {width:,} rows")
        return {"x": _labels(longest, self.x_type), "rows": names, "z": z}


def _labels(x: _Array, x_type: XType) -> list[str]:
    if x_type == "datetime":
        times = [str(one) for one in np.nan_to_num(x).astype("datetime64[s]")]
        days = all(one.endswith("T00:00:00") for one in times)
        return [one[:10] if days else one[:16].replace("T", " ") for one in times]
    return [f"{one:.6g}" for one in x]
