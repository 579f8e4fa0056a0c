"""Texts, tables, hyperparameters, layouts, tensors and precision-recall curves as documents.

Law: what comes out is JSON, and fits what its kind may have; what was cut off is said in it.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np

from streamviz.publisher.arrays import as_array, described, numbers
from streamviz.publisher.values import Unusable

__all__ = [
    "MOST_CELL",
    "MOST_ROWS",
    "MOST_THRESHOLDS",
    "cell",
    "hparams_document",
    "layout_document",
    "pr_document",
    "pr_raw_document",
    "table_document",
    "tensor_document",
    "text_document",
]

MOST_CELL = 4096
"""Characters of one text in a table or among the hyperparameters; a longer one is cut."""
MOST_ROWS = 20_000
"""Rows of a table, if they have so few bytes."""
MOST_THRESHOLDS = 500
"""Points of a precision-recall curve."""
_MOST_COLUMNS = 500
_MOST_ENTRIES = 2000
_MOST_CHARTS = 500
_MOST_TENSOR = 1000
_LEAST_COUNT = 1e-7


def cell(value: Any) -> object:
    """Return a value as JSON has it: a number, text, a truth value or nothing."""
    if value is None or type(value) in (bool, float):
        return value
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value) if -(2**63) <= int(value) < 2**63 else _cut(str(value))
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        where = getattr(getattr(value, "device", None), "type", "cpu")
        if where != "cpu":
            return f"a tensor on {where}"
        return cell(value.item())
    if hasattr(value, "device") and hasattr(value, "detach"):
        return described(value)  # its text would be read from the device
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CELL else f"{text[: MOST_CELL - 1]}…"


def text_document(text: object, most: int, *, markdown: bool) -> dict[str, object]:
    """Return a text, cut where it is too long."""
    said = text if isinstance(text, str) else str(text)
    room = most - 256
    if len(said) > room or _size(said) > room:
        end = f"\n\n… (cut, of {len(said)} characters)"
        least, kept = 0, min(len(said), room)
        while least < kept:
            middle = (least + kept + 1) // 2
            if _size(said[:middle] + end) <= room:
                least = middle
            else:
                kept = middle - 1
        said = said[:kept] + end
    return {"text": said, "markdown": bool(markdown)}


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def table_document(columns: object, rows: object, most: int) -> dict[str, object]:
    """Return a table; rows that do not fit are left off, and how many is said.

    Raises:
        Unusable: It is none.
    """
    if rows is None and hasattr(columns, "itertuples") and hasattr(columns, "columns"):
        frame: Any = columns
        columns, rows = list(frame.columns), _Rows(frame)
    if rows is None or isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise Unusable("a table whose rows are none", f"found {type(rows).__name__}; send lists")
    if isinstance(columns, (str, bytes)) or not isinstance(columns, Iterable):
        raise Unusable(
            "a table without columns", f"found {type(columns).__name__}; send their names"
        )
    names = [str(cell(name)) for name in columns]
    if not 1 <= len(names) <= _MOST_COLUMNS:
        raise Unusable("a table of too few or many columns", f"{len(names)}; 1 to {_MOST_COLUMNS}")
    kept: list[list[object]] = []
    room = most - 256 - _size(names)
    is_cut = False
    for row in itertools.islice(rows, MOST_ROWS + 1):
        values = [row.get(name) for name in names] if isinstance(row, Mapping) else row
        cells = [cell(value) for value in values]
        if len(cells) != len(names):
            raise Unusable(
                "a table whose rows do not fit its columns",
                f"row {len(kept)} has {len(cells)} cells, there are {len(names)} columns",
            )
        room -= _size(cells) + 1
        is_cut = room < 0 or len(kept) >= MOST_ROWS
        if is_cut:
            break
        kept.append(cells)
    document: dict[str, object] = {"columns": names, "rows": kept}
    if is_cut:
        # Of what has no length, such as a generator, one more is known of and no end.
        whole = len(rows) if isinstance(rows, Sized) else len(kept) + 1
        document["left_off"] = whole - len(kept)
    return document


class _Rows:
    """The rows of a pandas table."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def __len__(self) -> int:
        return len(self._frame)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._frame.itertuples(index=False, name=None))


def hparams_document(params: object, metrics: object) -> dict[str, object]:
    """Return hyperparameters, nested ones with their path as name, and what they came to.

    Raises:
        Unusable: They are none.
    """
    told = dict(_flat(_mapping(params, "hyperparameters"), "", 8))
    numbers_told: dict[str, object] = {}
    for name, value in _mapping(metrics or {}, "metrics of hyperparameters").items():
        number = cell(value)
        if isinstance(number, str) or number is None:
            raise Unusable(
                "metrics of hyperparameters that are no numbers",
                f"{str(name)[:80]} is {type(value).__name__}",
            )
        numbers_told[str(cell(name))] = float(number)  # type: ignore[arg-type]
    if len(told) + len(numbers_told) > _MOST_ENTRIES:
        raise Unusable("too many hyperparameters", f"{len(told)}, at most {_MOST_ENTRIES}")
    return {"hparams": told, "metrics": numbers_told}


def _mapping(value: Any, what: str) -> Mapping[object, object]:
    if isinstance(value, Mapping):
        return value
    try:
        return dict(vars(value))
    except TypeError:
        raise Unusable(f"{what} that are no mapping", f"found {type(value).__name__}") from None


def _flat(params: Mapping[object, object], before: str, depth: int) -> Iterable[tuple[str, object]]:
    for key, value in params.items():
        name = f"{before}{cell(key)}"
        if isinstance(value, Mapping) and depth and value:
            yield from _flat(value, f"{name}/", depth - 1)
        else:
            yield name, cell(value)


def layout_document(charts: object) -> dict[str, object]:
    """Return charts of several metrics.

    Raises:
        Unusable: They are none.
    """
    told = []
    if isinstance(charts, (str, bytes, Mapping)) or not isinstance(charts, Iterable):
        raise Unusable("a layout that is no list of charts", f"found {type(charts).__name__}")
    for chart in charts:
        if not isinstance(chart, Mapping):
            raise Unusable("a chart of a layout that is no mapping", f"{type(chart).__name__}")
        kind = str(chart.get("kind", "multiline")).lower()
        if kind not in ("multiline", "margin"):
            raise Unusable(
                "a chart of a layout of unknown kind", f"{kind[:40]!r}: multiline, margin"
            )
        metrics = chart.get("metrics")
        if isinstance(metrics, (str, bytes)) or not isinstance(metrics, Iterable):
            raise Unusable("a chart of a layout without metrics", "send a list of their names")
        names = [str(cell(name)) for name in metrics]
        if not names or (kind == "margin" and len(names) != 3):
            raise Unusable(
                "a chart of a layout with too few metrics",
                f"{len(names)} of a {kind} chart; margin takes value, lower and upper",
            )
        told.append(
            {
                "category": str(cell(chart.get("category", "default"))),
                "title": str(cell(chart.get("title", "untitled"))),
                "kind": kind,
                "metrics": names,
            }
        )
    if len(told) > _MOST_CHARTS:
        raise Unusable("a layout of too many charts", f"{len(told)}, at most {_MOST_CHARTS}")
    return {"charts": told}


def tensor_document(value: object) -> dict[str, object]:
    """Return a tensor's type and shape, and its first values.

    Raises:
        Unusable: It is none.
    """
    array = as_array(value)
    dtype = str(getattr(value, "dtype", array.dtype)).removeprefix("torch.")
    flat = array.reshape(-1)[:_MOST_TENSOR]
    if array.dtype.kind == "c":
        values: list[object] = [str(one) for one in flat.tolist()]
    else:
        values = [cell(one) for one in flat.tolist()]
    return {
        "dtype": dtype,
        "shape": list(array.shape),
        "values": values,
        "truncated": array.size > _MOST_TENSOR,
    }


def pr_document(
    labels: object, predictions: object, thresholds: int, weights: object
) -> dict[str, object]:
    """Return a precision-recall curve of a two-class classifier.

    Args:
        labels: 0 or 1 for each sample, or truth values; any shape.
        predictions: Of as many samples, 0 to 1.
        thresholds: Points of the curve, evenly from 0 to 1.
        weights: Of each sample, or one for all, 0 or more; ``None`` for 1.

    Raises:
        Unusable: They are not that.
    """
    truth = numbers(labels, "labels").reshape(-1).astype(np.float64)
    guesses = numbers(predictions, "predictions").reshape(-1).astype(np.float64)
    count = _thresholds(thresholds)
    if not truth.size or truth.size != guesses.size:
        raise Unusable(
            "labels and predictions that do not fit",
            f"found {truth.size} labels and {guesses.size} predictions; as many are expected",
        )
    if not ((truth >= 0) & (truth <= 1)).all():
        raise Unusable("labels that are not 0 or 1", "a curve is of two classes: send labels == c")
    if not ((guesses >= 0) & (guesses <= 1)).all():
        raise Unusable("predictions outside 0 to 1", "send probabilities, such as torch.sigmoid's")
    weight: np.ndarray | float = 1.0
    if weights is not None:
        weight = numbers(weights, "weights").reshape(-1).astype(np.float64)
        if weight.size not in (1, truth.size) or not (np.isfinite(weight) & (weight >= 0)).all():
            raise Unusable(
                "weights that do not fit", f"found {weight.size} for {truth.size} labels"
            )
    place = np.floor(guesses * (count - 1)).astype(np.intp)
    right = np.bincount(place, weights=truth * weight, minlength=count)
    wrong = np.bincount(place, weights=(1.0 - truth) * weight, minlength=count)
    tp, fp = (np.cumsum(one[::-1])[::-1] for one in (right, wrong))
    tn, fn = fp[0] - fp, tp[0] - tp
    precision = tp / np.maximum(_LEAST_COUNT, tp + fp)
    recall = tp / np.maximum(_LEAST_COUNT, tp + fn)
    return _curve(count, precision, recall, tp, fp, tn, fn)


def pr_raw_document(columns: Sequence[object], thresholds: int) -> dict[str, object]:
    """Return a precision-recall curve that somebody else has counted.

    Args:
        columns: True and false positives, true and false negatives, precision and recall.
        thresholds: Their length.

    Raises:
        Unusable: Its arrays are not of one length.
    """
    tp, fp, tn, fn, precision, recall = columns
    given = [numbers(one, "counts").reshape(-1) for one in (precision, recall, tp, fp, tn, fn)]
    count = _thresholds(min(thresholds, given[0].size))
    given = [one[:count].astype(np.float64) for one in given]
    if {one.size for one in given} != {count}:
        raise Unusable(
            "counts of a curve that do not fit",
            f"found {[one.size for one in given]}; one for each of {count} thresholds is expected",
        )
    return _curve(count, *given)


def _thresholds(count: Any) -> int:
    if not hasattr(count, "__index__") or not 2 <= int(count) <= MOST_THRESHOLDS:
        raise Unusable(
            "a number of thresholds that cannot be",
            f"found {str(count)[:40]}; 2 to {MOST_THRESHOLDS} can",
        )
    return int(count)


def _curve(count: int, *columns: np.ndarray) -> dict[str, object]:
    names = ("precision", "recall", "tp", "fp", "tn", "fn")
    document: dict[str, object] = {"thresholds": (np.arange(count) / (count - 1)).tolist()}
    for name, column in zip(names, columns, strict=True):
        # Ten digits are more than a curve shows, and half the bytes.
        document[name] = [float(f"{value:.10g}") for value in column.tolist()]
    return document
