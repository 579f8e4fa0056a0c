"""Columns of a CSV file as numbers, dates and words; what is none of them is named by its line.

Law: a cell that cannot be used is counted, and the first one of a column is told with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

    from streamviz.cli.csvfile import Part

__all__ = ["Bad", "date_format_of", "dates", "is_date", "is_number", "numbers", "words"]

_Array = NDArray[np.float64]

_DAYS = (
    "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%y",
    "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%B %d, %Y", "%d %B %Y",
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_EMPTY = "(empty)"


@dataclass
class Bad:
    """Cells of a column that could not be used.

    Attributes:
        count: How many.
        first: The first one: ``train.csv line 17, column 'Date': found 'soon', expected a date``.
        seen: Cells that were looked at, empty ones excepted.
    """

    count: int = 0
    first: str = ""
    seen: int = 0

    def tell(self, part: Part, row: int, words: Callable[[int], str]) -> None:
        """Count a cell, and keep its place if it is the first."""
        self.count += 1
        if not self.first:
            self.first = words(part.line_of(row))


def is_number(part: Part, name: str) -> bool:
    """Say whether a column is of numbers, but for a few cells, or empty."""
    column = part.table.column(name)
    if _has_numbers(column):
        return True
    known = [text for text in _texts(column) or () if text is not None and text.strip()]
    return sum(_float(text, part.decimal) is not None for text in known) > len(known) / 2


def _has_numbers(column: pa.ChunkedArray) -> bool:
    """Say whether a column was read as numbers throughout."""
    from pyarrow import types

    kind = column.type
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def is_date(column: pa.ChunkedArray) -> bool:
    """Say whether a column is of ISO dates."""
    from pyarrow import types

    return bool(types.is_timestamp(column.type) or types.is_date(column.type))


def date_format_of(column: pa.ChunkedArray) -> str | None:
    """Return the format by which nearly all texts of a column are dates, ``None`` if there is none.

    Where the day and the month could change places, the month is taken to be first.
    """
    texts = _texts(column)
    if texts is None:
        return None
    known = [text for text in texts if text is not None]
    if not known:
        return None
    best, most = None, 0.5 * len(known)
    for day, time in product(_DAYS, _TIMES):
        count = sum(one is not None for one in _parsed(known, day + time))
        if count > most:
            best, most = day + time, count
    return best


def numbers(part: Part, column: str, file: str, bad: Bad) -> _Array:
    """Return a column's values, ``float64[n]``; what is empty or none is NaN."""
    found = part.table.column(column)
    if _has_numbers(found):
        values = _as_float(found)
        bad.seen += len(values) - found.null_count
        return values
    texts = _texts(found) or [str(one) for one in found.to_pylist()]
    values = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        if text is None or not text.strip():
            continue
        bad.seen += 1
        value = _float(text, part.decimal)
        if value is None:
            bad.tell(part, row, _sentence(file, column, text, "a number"))
        else:
            values[row] = value
    return values


def dates(part: Part, column: str, file: str, pattern: str | None, bad: Bad) -> _Array:
    """Return a column's dates in seconds since the epoch, ``float64[n]``, NaN where there is none.

    Args:
        part: Where it is.
        column: Its name.
        file: For the words on what is no date.
        pattern: As of :func:`date_format_of`; ``None`` for ISO dates.
        bad: Counts what is none.
    """
    import pyarrow as pa

    found = part.table.column(column)
    if is_date(found):
        zone = getattr(found.type, "tz", None)
        micros = found.cast(pa.timestamp("us", tz=zone)).cast(pa.int64())
        bad.seen += len(found) - found.null_count
        return _as_float(micros) / 1e6
    texts = _texts(found) or [None if one is None else str(one) for one in found.to_pylist()]
    values = np.full(len(texts), np.nan)
    parsed: Iterable[float | None] = _iso(texts) if pattern is None else _parsed(texts, pattern)
    for row, (text, seconds) in enumerate(zip(texts, parsed, strict=True)):
        if text is None or not text.strip():
            continue
        bad.seen += 1
        if seconds is None:
            bad.tell(part, row, _sentence(file, column, text, "a date"))
        else:
            values[row] = seconds
    return values


def words(part: Part, column: str) -> list[str]:
    """Return a column's cells as words."""
    found = part.table.column(column)
    texts = _texts(found)
    if texts is None:
        texts = [None if one is None else _plain(one) for one in found.to_pylist()]
    return [text.strip() or _EMPTY if text is not None else _EMPTY for text in texts]


def _float(text: str, decimal: str) -> float | None:
    # Python's own reads 1_000 as a number, which nobody means in a table.
    try:
        return None if "_" in text else float(text.replace(decimal, "."))
    except ValueError:
        return None


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _texts(column: pa.ChunkedArray) -> list[str | None] | None:
    """Return a text column as texts, ``None`` if it is none."""
    from pyarrow import types

    if types.is_string(column.type):
        texts: list[str | None] = column.to_pylist()
        return texts
    if types.is_binary(column.type):
        return [
            None if one is None else one.decode("utf-8", "replace") for one in column.to_pylist()
        ]
    return None


def _as_float(column: pa.ChunkedArray) -> _Array:
    import pyarrow as pa

    plain = column.cast(pa.float64(), safe=False) if column.type != pa.float64() else column
    values: _Array = plain.to_numpy()
    return values.astype(np.float64)


def _parsed(texts: list[Any], pattern: str) -> list[float | None]:
    import pyarrow as pa
    from pyarrow import compute

    stripped = pa.array([None if text is None else text.strip() for text in texts], pa.string())
    moments = compute.strptime(stripped, format=pattern, unit="s", error_is_null=True)
    seconds: list[float | None] = moments.cast(pa.int64()).to_pylist()
    return seconds


def _iso(texts: list[str | None]) -> list[float | None]:
    from streamviz.views.charts.document import epoch_of

    return [None if text is None else epoch_of(text) for text in texts]


def _sentence(file: str, column: str, text: str, expected: str) -> Callable[[int], str]:
    shown = text if len(text) <= 40 else f"{text[:39]}…"
    return lambda line: (
        f"{file} line {line:,}, column {column!r}: found {shown!r}, expected {expected}"
    )
