"""A chart document, read: what somebody sent becomes a chart or a sentence on what is wrong.

Law: whatever the document is, reading it gives a bounded chart or raises :class:`BadChart`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamviz.errors import BadChart
from streamviz.views.charts.chart import (
    KINDS,
    MAX_BARS,
    MAX_BINS,
    MAX_CELLS,
    MAX_SERIES,
    Box,
    Cells,
    Chart,
    Hist,
    Series,
)
from streamviz.views.charts.thinning import MAX_POINTS

__all__ = ["epoch_of", "read_chart"]

_MOST_TAKEN = 5_000_000
"""Values of a series that are looked at, for charts built in this process."""
_LONGEST = 200
"""Characters of a text that are shown."""
_GREATEST = 1e250
"""Larger values are no numbers to a plot: the span of its axis would have no end."""
_LAST_SECOND = 8.64e12
"""The last second since the epoch that a browser's calendar knows."""
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_Array = NDArray[np.float64]


_Entries: TypeAlias = "Sequence[Any] | NDArray[Any]"


def read_chart(document: Mapping[str, Any]) -> Chart:
    """Return the chart that a document describes.

    Args:
        document: ``chart`` (a kind), ``title``, ``labels``, ``x``, ``x_type``, ``series``,
            ``rows``, ``z``, as JSON or with NumPy arrays; and, if wanted, ``axes``
            (``{"y": "log"}``) and ``note``, a sentence below the title.

    Raises:
        BadChart: It describes none; the words say what was found and what is allowed.
    """
    if not isinstance(document, Mapping):
        raise BadChart("the document", _in_short(document), "an object with chart, x and series")
    kind = document.get("chart")
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadChart("chart", _in_short(kind), f"one of {', '.join(KINDS)}")
    labels = {} if document.get("labels") is None else document["labels"]
    if not isinstance(labels, Mapping):
        raise BadChart("labels", _in_short(labels), "an object with x and y")
    chart = Chart(
        kind=kind,
        title=_text(document.get("title"), "title"),
        x_label=_text(labels.get("x"), "labels.x"),
        y_label=_text(labels.get("y"), "labels.y"),
        log=_log_axes(document.get("axes"), kind),
    )
    if note := _text(document.get("note"), "note"):
        chart.notes.append(note)
    whole = document.get("reduced_from")
    if isinstance(whole, int) and 0 < whole < 1 << 53:
        chart.notes.append(f"fewer than the {whole:,} that there were")
    if kind in ("heatmap", "confusion"):
        chart.cells = _cells(document)
        return chart
    series = _several(document.get("series"))
    if kind == "hist":
        chart.hists = [_hist(*one) for one in series]
    elif kind == "box":
        chart.boxes = [_box(*one) for one in series]
    elif kind == "pie":
        _read_pie(chart, document, series)
    else:
        _read_points(chart, document, series)
    return chart


def epoch_of(text: str) -> float | None:
    """Return the seconds since the epoch of an ISO date, ``None`` if it is none.

    A date without a zone is taken as UTC, so that it is shown as it was written.
    """
    try:
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


# -- parts ----------------------------------------------------------------------------------


def _text(value: object, where: str) -> str:
    """Return a text as it can be shown: bounded, without what is not seen, valid Unicode."""
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            value = str(value)
        except ValueError:  # an integer of more digits than Python writes
            value = "?"
    if not isinstance(value, str):
        raise BadChart(where, _in_short(value), "text")
    text = _UNSEEN.sub(" ", value[: 2 * _LONGEST]).encode("utf-8", "replace").decode().strip()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_one(value: object, *words: str) -> bool:
    return isinstance(value, str) and value in words


def _log_axes(value: object, kind: str) -> frozenset[str]:
    if value is None:
        return frozenset()
    expected = 'an object such as {"y": "log"}, of linear and log'
    if not isinstance(value, Mapping):
        raise BadChart("axes", _in_short(value), expected)
    for axis, scale in value.items():
        if not _is_one(axis, "x", "y") or not _is_one(scale, "linear", "log"):
            raise BadChart("axes", f"{_in_short(axis)}: {_in_short(scale)}", expected)
    axes = frozenset(str(axis) for axis, scale in value.items() if scale == "log")
    allowed = {"line": "xy", "scatter": "xy", "bar": "y", "hist": "y", "box": "y"}.get(kind, "")
    for axis in sorted(axes):
        if axis not in allowed:
            raise BadChart(f"axes.{axis}", "log", f"linear: a {kind} has no logarithmic {axis}")
    return axes


def _list(value: object, where: str, most: int) -> _Entries:
    """Return a bounded list, tuple or array of one dimension."""
    if isinstance(value, np.ndarray):
        if value.ndim != 1:
            raise BadChart(where, f"an array of shape {value.shape}", "one dimension")
    elif not isinstance(value, (list, tuple)):
        raise BadChart(where, _in_short(value), "a list")
    if len(value) > most:
        raise BadChart(where, f"{len(value):,} entries", f"at most {most:,}")
    return value


def _numbers(value: object, where: str, most: int = _MOST_TAKEN) -> _Array:
    """Return ``float64[n]`` of a list of numbers; None and what is not finite are NaN."""
    entries = _list(value, where, most)
    if isinstance(entries, np.ndarray) and entries.dtype.kind in "fiub":
        numbers = entries.astype(np.float64)
    else:
        numbers = np.array([_number(entry, where, i) for i, entry in enumerate(entries)], float)
    with np.errstate(invalid="ignore"):
        numbers[~(np.abs(numbers) <= _GREATEST)] = np.nan
    return numbers


def _number(entry: object, where: str, place: int) -> float:
    if entry is None:
        return np.nan
    if isinstance(entry, (int, float, np.integer, np.floating, np.bool_)):
        try:
            return float(entry)
        except OverflowError:
            return np.inf
    if isinstance(entry, str) and entry in ("NaN", "Infinity", "-Infinity"):
        return np.nan
    raise BadChart(f"{where}[{place}]", _in_short(entry), "a number, or null for none")


def _words(value: object, where: str, most: int) -> list[str]:
    entries = _list(value, where, most)
    return [_text(entry, f"{where}[{i}]") for i, entry in enumerate(entries)]


def _several(value: object) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return each series with its place in the document and its name."""
    entries = _list(value, "series", MAX_SERIES)
    found = []
    for i, entry in enumerate(entries):
        where = f"series[{i}]"
        if not isinstance(entry, Mapping):
            raise BadChart(where, _in_short(entry), "an object with name and y")
        found.append((where, _text(entry.get("name"), f"{where}.name") or f"series {i + 1}", entry))
    return found


def _read_points(
    chart: Chart, document: Mapping[str, Any], series: list[tuple[str, str, Mapping[str, Any]]]
) -> None:
    """Fill in the series of a line, a scatter or bars."""
    most = MAX_BARS if chart.kind == "bar" else _MOST_TAKEN
    shared = document.get("x")
    found: list[tuple[str, _Entries | None, str, _Array]] = []
    for where, name, entry in series:
        y = _numbers(entry.get("y"), f"{where}.y", most)
        own = entry.get("x")
        x, at = (own, f"{where}.x") if own is not None else (shared, "x")
        if x is not None:
            x = _list(x, at, most)
            if len(x) != len(y):
                raise BadChart(f"{where}.y", f"{len(y):,} values", f"{len(x):,}, as many as {at}")
        found.append((name, x, at, y))
    x_type = _x_type(document.get("x_type"), [x for _, x, _, _ in found if x is not None])
    chart.x_type = x_type
    if x_type != "number" and "x" in chart.log:
        raise BadChart("axes.x", "log", f"linear: x is a {x_type}")
    places: dict[object, int] = {}
    words: list[str] = []
    lost = 0
    for name, x, at, y in found:
        if x is None:
            xs = np.arange(len(y), dtype=np.float64)
        elif x_type == "category":
            xs = _places(_words(x, at, most), places, words, apart=chart.kind != "scatter")
        else:
            xs = _dates(x, at) if x_type == "datetime" else _numbers(x, at)
        lost += int(np.count_nonzero(np.isnan(xs)))
        chart.series.append(Series(name, xs, y))
    chart.categories = tuple(words)
    if len(words) > MAX_BARS:
        raise BadChart("x", f"{len(words):,} different words", f"at most {MAX_BARS:,}")
    if lost:
        chart.notes.append(f"{lost:,} without an x left out")


def _x_type(value: object, columns: list[_Entries]) -> Literal["number", "datetime", "category"]:
    if value is not None and not _is_one(value, "number", "datetime", "category"):
        raise BadChart("x_type", _in_short(value), "number, datetime or category")
    if value is not None:
        return value  # type: ignore[return-value]
    texts = any(
        isinstance(entry, str) and entry not in ("NaN", "Infinity", "-Infinity")
        for column in columns
        if not (isinstance(column, np.ndarray) and column.dtype.kind in "fiub")
        for entry in column
    )
    return "category" if texts else "number"


def _places(
    entries: list[str], places: dict[object, int], words: list[str], *, apart: bool
) -> _Array:
    """Return the place of each word; ``apart``: a word that comes again has a place of its own."""
    seen: dict[str, int] = {}
    found = np.empty(len(entries))
    for i, word in enumerate(entries):
        turn = seen[word] = seen.get(word, -1) + 1
        key = (word, turn if apart else 0)
        if key not in places:
            places[key] = len(words)
            words.append(word)
        found[i] = places[key]
    return found


def _dates(value: object, where: str) -> _Array:
    entries = _list(value, where, _MOST_TAKEN)
    if isinstance(entries, np.ndarray) and entries.dtype.kind in "fiu":
        seconds = entries.astype(np.float64)
    else:
        seconds = np.empty(len(entries))
        for i, entry in enumerate(entries):
            moment = epoch_of(entry) if isinstance(entry, str) else _number(entry, where, i)
            if moment is None and entry not in ("NaN", "Infinity", "-Infinity"):
                raise BadChart(
                    f"{where}[{i}]", _in_short(entry), "seconds since the epoch, or an ISO date"
                )
            seconds[i] = np.nan if moment is None else moment
    with np.errstate(invalid="ignore"):
        seconds[~(np.abs(seconds) <= _LAST_SECOND)] = np.nan
    return seconds


def _read_pie(
    chart: Chart, document: Mapping[str, Any], series: list[tuple[str, str, Mapping[str, Any]]]
) -> None:
    if len(series) > 1:
        raise BadChart("series", f"{len(series)} series", "one: a pie shows the parts of a whole")
    for where, name, entry in series:
        sizes = _numbers(entry.get("y"), f"{where}.y", MAX_BARS)
        if (sizes < 0).any():
            raise BadChart(f"{where}.y", str(np.nanmin(sizes)), "sizes of 0 or more")
        given = entry.get("x") if entry.get("x") is not None else document.get("x")
        if given is None:
            given = [f"part {i + 1}" for i in range(len(sizes))]
        words = _words(given, "x", MAX_BARS)
        if len(words) != len(sizes):
            found = f"{len(sizes):,} values"
            raise BadChart(f"{where}.y", found, f"{len(words):,}, as many as x has words")
        chart.categories = tuple(words)
        chart.series.append(Series(name, np.arange(len(sizes), dtype=np.float64), sizes))


def _hist(where: str, name: str, entry: Mapping[str, Any]) -> Hist:
    counts = _numbers(entry.get("counts"), f"{where}.counts", MAX_BINS)
    edges = _numbers(entry.get("edges"), f"{where}.edges", MAX_BINS + 1)
    if len(edges) != len(counts) + 1 and len(counts) + len(edges) > 0:
        expected = f"{len(counts) + 1:,}, one more than counts"
        raise BadChart(f"{where}.edges", f"{len(edges):,} edges", expected)
    if not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        raise BadChart(f"{where}.edges", "edges that do not increase", "finite, increasing numbers")
    if not (counts >= 0).all():
        raise BadChart(f"{where}.counts", "counts below zero or no number", "counts of 0 or more")
    return Hist(name, edges, counts)


def _box(where: str, name: str, entry: Mapping[str, Any]) -> Box:
    names = ("low", "q1", "median", "q3", "high")
    values = [_number(entry.get(part), f"{where}.{part}", 0) for part in names]
    values = [value if abs(value) <= _GREATEST else np.nan for value in values]
    known = [value for value in values if np.isfinite(value)]
    if known and (len(known) < len(names) or known != sorted(known)):
        raise BadChart(
            where, str(values), "low, q1, median, q3 and high, each no less than the former"
        )
    outliers = entry.get("outliers")
    beyond = _numbers([] if outliers is None else outliers, f"{where}.outliers", MAX_POINTS)
    low, q1, median, q3, high = values
    return Box(name, low, q1, median, q3, high, beyond[np.isfinite(beyond)])


def _cells(document: Mapping[str, Any]) -> Cells:
    z = document.get("z")
    if isinstance(z, np.ndarray) and z.ndim == 2:
        z = list(z)
    lines = [_numbers(row, f"z[{i}]", MAX_CELLS) for i, row in enumerate(_list(z, "z", MAX_CELLS))]
    width = len(lines[0]) if lines else 0
    for i, row in enumerate(lines):
        if len(row) != width:
            raise BadChart(f"z[{i}]", f"{len(row):,} values", f"{width:,}, as many as z[0]")
    if len(lines) * width > MAX_CELLS:
        raise BadChart("z", f"{len(lines):,} x {width:,} cells", f"at most {MAX_CELLS:,}")
    names = []
    for key, count in (("x", width), ("rows", len(lines))):
        given = document.get(key)
        words = [str(i) for i in range(count)] if given is None else _words(given, key, MAX_CELLS)
        if len(words) != count:
            of = "columns" if key == "x" else "rows"
            raise BadChart(key, f"{len(words):,} words", f"{count:,}, as many as z has {of}")
        names.append(tuple(words))
    return Cells(names[0], names[1], np.array(lines, float).reshape(len(lines), width))


def _in_short(value: object) -> str:
    """Return a few words on a value of any kind and size."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:59]}…")
    if value is None or isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "an integer of more than 20 digits"
    if isinstance(value, (list, tuple, dict)):
        kind = {list: "list", tuple: "tuple", dict: "object"}.get(type(value), "collection")
        return f"{'an' if kind == 'object' else 'a'} {kind} of {len(value):,}"
    return f"a value of type {type(value).__name__[:40]}"
