"""Series as a chart: lines, bars, points, slices, bins, boxes and cells of a matrix.

Law: a chart has at most :data:`MOST_POINTS` points. Lines that have more keep the lowest and the
highest of every stretch, and the document says of how many they were.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from streamviz.publisher.arrays import as_array, described
from streamviz.publisher.documents import cell
from streamviz.publisher.histograms import common_bins
from streamviz.publisher.values import Unusable

__all__ = ["MOST_POINTS", "MOST_SERIES", "chart_document"]

MOST_POINTS = 20_000
"""Points of a chart over all its series: more than a screen has pixels for."""
MOST_SERIES = 200
"""Series of a chart."""
_MOST_OUTLIERS = 1000


def chart_document(
    kind: str,
    x: object,
    y: object,
    title: str,
    labels: object,
    bins: int,
) -> dict[str, object]:
    """Return a chart; see ``Publisher.chart``.

    Raises:
        Unusable: It is none.
    """
    make = _KINDS.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise Unusable(
            "a chart of unknown kind", f"found {str(kind)[:40]!r}, expected {', '.join(_KINDS)}"
        )
    if y is None and kind not in ("heatmap", "confusion"):
        x, y = None, x
    if y is None:
        raise Unusable("a chart of nothing", "y has the values: chart(name, kind, x=..., y=...)")
    document: dict[str, object] = {
        "chart": kind,
        "title": str(cell(title)),
        "labels": _labels(labels),
    }
    document.update(make(x, y, bins))
    return document


def _labels(labels: Any) -> dict[str, str]:
    if labels is None:
        return {"x": "", "y": ""}
    if isinstance(labels, Mapping):
        return {axis: str(cell(labels.get(axis, ""))) for axis in ("x", "y")}
    if isinstance(labels, (list, tuple)) and len(labels) == 2:
        return {"x": str(cell(labels[0])), "y": str(cell(labels[1]))}
    raise Unusable("labels that are none", 'send {"x": "epoch", "y": "loss"}')


# -- series ------------------------------------------------------------------------------------


def _named(y: Any, x: object) -> tuple[dict[str, Any], object]:
    """Return series by name, and what lies along x if it is known."""
    if isinstance(y, Mapping):
        found = {str(cell(name)): values for name, values in y.items()}
    elif hasattr(y, "columns") and hasattr(y, "index") and hasattr(y, "items"):
        found = {
            str(cell(name)): values
            for name, values in y.items()
            if getattr(values.dtype, "kind", "O") in "biuf"
        }
        x = y.index if x is None else x
    elif hasattr(y, "index") and hasattr(y, "name") and hasattr(y, "dtype"):
        found = {str(cell(y.name)) if y.name is not None else "": y}
        x = y.index if x is None else x
    else:
        found = {"": y}
    if not 1 <= len(found) <= MOST_SERIES:
        raise Unusable("a chart of too few or many series", f"{len(found)}; 1 to {MOST_SERIES}")
    return found, x


def _values(values: object, name: str) -> np.ndarray:
    array = as_array(values)
    if array.dtype.kind not in "biuf" or array.ndim > 1:
        found = f"series {name[:40]!r} is {described(array)}"
        raise Unusable("a series that is no row of numbers", f"{found}; a flat list is expected")
    return array.reshape(-1).astype(np.float64)


def _along(x: Any) -> tuple[list[Any] | np.ndarray, str | None]:
    """Return what lies along x, as float64 or as words, and whether these are dates."""
    if hasattr(x, "dtype") and getattr(x.dtype, "kind", "O") in "biufM":
        array = np.asarray(as_array(x))
    else:
        words = list(itertools.islice(x, 4_000_000)) if isinstance(x, Iterable) else None
        if words is None or isinstance(x, (str, bytes, Mapping)):
            raise Unusable("x that is no list", f"found {type(x).__name__}")
        dates = [_date(word) for word in words]
        if words and None not in dates:
            return np.array(dates, dtype=np.float64), "datetime"
        if not all(_is_number(word) for word in words):
            return [str(cell(word)) for word in words], None
        array = np.array([float(word) for word in words], dtype=np.float64)
    if array.ndim != 1:
        raise Unusable("x that is no flat list", f"found {described(array)}")
    if array.dtype.kind == "M":
        times = array.astype("datetime64[us]").astype(np.int64) / 1e6
        return np.where(np.isnat(array), np.nan, times), "datetime"
    return array.astype(np.float64), None


def _is_number(value: Any) -> bool:
    if isinstance(value, (str, bytes)) or value is None:
        return False
    return hasattr(value, "__float__") and getattr(value, "ndim", 0) == 0


def _date(value: object) -> float | None:
    """Return a date as seconds since the epoch, one without a zone as UTC."""
    if isinstance(value, np.datetime64):
        return float(value.astype("datetime64[us]").astype(np.int64)) / 1e6
    if isinstance(value, str) and len(value) >= 10 and value[4:5] == "-" == value[7:8]:
        try:
            value = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.timezone.utc)
    if not isinstance(value, dt.datetime):
        return None
    zoned = value if value.tzinfo is not None else value.replace(tzinfo=dt.timezone.utc)
    return zoned.timestamp()


def _plain(values: list[Any] | np.ndarray) -> list[Any]:
    return values if isinstance(values, list) else values.tolist()


def _xy(x: object, y: object, thin: Callable[[np.ndarray, int], np.ndarray]) -> dict[str, object]:
    named, x = _named(y, x)
    series = {name: _values(values, name) for name, values in named.items()}
    along: list[Any] | np.ndarray | None = None
    document: dict[str, object] = {"x": None}
    if x is not None:
        along, x_type = _along(x)
        for name, values in series.items():
            if len(values) != len(along):
                raise Unusable(
                    "x and y that do not fit",
                    f"x has {len(along)}, series {name[:40]!r} has {len(values)} values",
                )
        if x_type is not None:
            document["x_type"] = x_type
    whole = sum(len(values) for values in series.values())
    if whole <= MOST_POINTS:
        document["x"] = None if along is None else _plain(along)
        document["series"] = [
            {"name": name, "y": values.tolist()} for name, values in series.items()
        ]
        return document
    told = []
    for name, values in series.items():
        kept = thin(values, MOST_POINTS // len(series))
        left: list[Any] = kept.tolist()
        if along is not None:
            left = [along[at] for at in left] if isinstance(along, list) else along[kept].tolist()
        told.append({"name": name, "x": left, "y": values[kept].tolist()})
    document["series"] = told
    document["reduced_from"] = whole
    return document


def _extremes(values: np.ndarray, most: int) -> np.ndarray:
    """Return the places of the lowest and the highest of each of as many stretches, in order."""
    if len(values) <= most:
        return np.arange(len(values))
    stretches = max(most // 2, 1)
    bounds = np.linspace(0, len(values), stretches + 1).astype(np.intp)
    size = int(np.diff(bounds).max())
    # Every stretch as a row of equal length: the shorter repeat their last.
    places = np.minimum(bounds[:-1, None] + np.arange(size), bounds[1:, None] - 1)
    rows = values[places]
    lowest = np.where(np.isnan(rows), np.inf, rows).argmin(axis=1)
    highest = np.where(np.isnan(rows), -np.inf, rows).argmax(axis=1)
    at = np.arange(stretches)
    return np.unique(np.concatenate((places[at, lowest], places[at, highest])))


def _strided(values: np.ndarray, most: int) -> np.ndarray:
    return np.arange(0, len(values), max(-(-len(values) // most), 1))


def _line(x: object, y: object, _: int) -> dict[str, object]:
    return _xy(x, y, _extremes)


def _scatter(x: object, y: object, _: int) -> dict[str, object]:
    return _xy(x, y, _strided)


def _bar(x: object, y: object, _: int) -> dict[str, object]:
    return _xy(x, y, _all)


def _all(values: np.ndarray, most: int) -> np.ndarray:
    raise Unusable("a chart of too many bars", f"{len(values)} in a series, at most {most} fit")


def _pie(x: object, y: object, _: int) -> dict[str, object]:
    if x is None and isinstance(y, Mapping) and all(_is_number(size) for size in y.values()):
        x, y = list(y), list(y.values())
    document = _xy(x, y, _all)
    series: Any = document["series"]
    if not all(0 <= size < float("inf") for one in series for size in one["y"]):
        raise Unusable("a pie with slices below zero or not finite", "sizes are 0 or more")
    words: Any = document["x"] or range(1, len(series[0]["y"]) + 1)
    document["x"] = [str(word) for word in words]
    return document


# -- distributions -----------------------------------------------------------------------------


def _samples(y: object) -> dict[str, np.ndarray]:
    """Return the finite values of each series."""
    named, _ = _named(y, None)
    return {name: _finite(values, name) for name, values in named.items()}


def _finite(values: object, name: str) -> np.ndarray:
    array = as_array(values)
    if array.dtype.kind not in "biuf":
        raise Unusable("a series that is no numbers", f"series {name[:40]!r}: {described(array)}")
    flat = array.reshape(-1).astype(np.float64)
    return flat[np.isfinite(flat)]


def _hist(_: object, y: object, bins: int) -> dict[str, object]:
    samples = _samples(y)
    edges, counts = common_bins(list(samples.values()), bins)
    return {
        "x": None,
        "series": [
            {"name": name, "edges": edges.tolist(), "counts": one.tolist()}
            for name, one in zip(samples, counts, strict=True)
        ],
    }


def _box(x: object, y: object, _: int) -> dict[str, object]:
    names = None if x is None else [str(cell(word)) for word in _along(x)[0]]
    if not isinstance(y, Mapping) and not hasattr(y, "columns"):
        if isinstance(y, (list, tuple)) and y and hasattr(y[0], "__len__"):
            rows: list[Any] = list(y)
        else:
            array = as_array(y)
            rows = [array] if array.ndim < 2 else list(array.T)
        default = [str(index + 1) for index in range(len(rows))]
        names = default if names is None else names
        if len(names) != len(rows):
            raise Unusable("x and y that do not fit", f"{len(names)} words, {len(rows)} boxes")
        y = dict(zip(names, rows, strict=True))
    samples = _samples(y)
    each = max(_MOST_OUTLIERS // len(samples), 1)
    return {
        "x": None,
        "series": [_one_box(name, values, each) for name, values in samples.items()],
    }


def _one_box(name: str, values: np.ndarray, most: int) -> dict[str, object]:
    if not values.size:
        raise Unusable("a box of no values", f"series {name[:40]!r} has no finite value")
    q1, median, q3 = (float(one) for one in np.percentile(values, (25, 50, 75)))
    reach = 1.5 * (q3 - q1)
    inside = values[(values >= q1 - reach) & (values <= q3 + reach)]
    # Between few values a quarter may lie where there is none.
    low, high = min(float(inside.min()), q1), max(float(inside.max()), q3)
    outside = np.sort(values[(values < low) | (values > high)])
    if outside.size > most:
        outside = outside[np.linspace(0, outside.size - 1, most).astype(int)]
    return {
        "name": name,
        "low": low,
        "q1": q1,
        "median": median,
        "q3": q3,
        "high": high,
        "outliers": outside.tolist(),
    }


# -- matrices ----------------------------------------------------------------------------------


def _matrix(x: object, y: Any, _: int) -> dict[str, object]:
    rows: list[str] | None = None
    columns = None if x is None else [str(cell(word)) for word in _along(x)[0]]
    if hasattr(y, "columns") and hasattr(y, "index"):
        rows = [str(cell(word)) for word in y.index]
        columns = [str(cell(word)) for word in y.columns] if columns is None else columns
    z = as_array(y)
    if z.ndim != 2 or z.dtype.kind not in "biuf" or not z.size:
        raise Unusable("a matrix that is none", f"found {described(z)}; two axes are expected")
    z = z.astype(np.float64)
    if columns is None:
        columns = [str(index) for index in range(z.shape[1])]
    if len(columns) != z.shape[1]:
        raise Unusable("x and y that do not fit", f"{len(columns)} words for {z.shape[1]} columns")
    if rows is None:
        square = z.shape[0] == z.shape[1]
        rows = columns if square else [str(index) for index in range(z.shape[0])]
    document: dict[str, object] = {}
    if z.size > MOST_POINTS:
        document["reduced_from"] = int(z.size)
        z, rows, columns = _fewer_cells(z, rows, columns)
    return {**document, "x": columns, "rows": rows, "z": z.tolist(), "series": []}


def _fewer_cells(
    z: np.ndarray, rows: list[str], columns: list[str]
) -> tuple[np.ndarray, list[str], list[str]]:
    """Return the means of blocks of cells, each called by its first row and column."""
    every = int(np.ceil((z.size / MOST_POINTS) ** 0.5))
    while -(-z.shape[0] // every) * -(-z.shape[1] // every) > MOST_POINTS:
        every += 1
    down, across = np.arange(0, z.shape[0], every), np.arange(0, z.shape[1], every)
    with np.errstate(all="ignore"):
        sums = np.add.reduceat(np.add.reduceat(z, down, axis=0), across, axis=1)
    sizes = np.outer(np.diff(np.append(down, z.shape[0])), np.diff(np.append(across, z.shape[1])))
    return sums / sizes, [rows[at] for at in down], [columns[at] for at in across]


_KINDS: dict[str, Callable[[Any, Any, int], dict[str, object]]] = {
    "line": _line,
    "bar": _bar,
    "scatter": _scatter,
    "hist": _hist,
    "pie": _pie,
    "heatmap": _matrix,
    "box": _box,
    "confusion": _matrix,
}
