"""JSON lines: one object a line, as training scripts, Weights & Biases and our own export write.

Nested objects are flattened with ``/``. A line with ``metric`` and ``value`` is one value, one with
``kind`` and ``body`` one item, as ``streamviz export --jsonl`` writes both; any other is a row.

Law: a line that cannot be read is counted with its number, and the others are read.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from streamviz.errors import ConfigError
from streamviz.files.attempts import Attempts
from streamviz.files.cells import seconds
from streamviz.files.headings import ATTEMPTS, RANKS, RUNS, STEPS, TIMES, run_of
from streamviz.files.legal import kept, legal_name
from streamviz.files.portions import Account, Options, Portion
from streamviz.files.sorting import WIDEST
from streamviz.files.tail import Tail
from streamviz.publisher.past import Piece, Rows
from streamviz.publisher.pour import Who
from streamviz.wire.frames import MAX_STEP, MAX_TIME_S

__all__ = ["JsonLinesSource"]

BATCH_LINES = 8192
_DEPTH = 16
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_MAX_SMALL = (1 << 24) - 1

_Buffer = tuple[list[int], list[float], list[list[float]]]


class _BadLine(Exception):
    """A line that is no row; the arguments are a cause and what was found."""


class JsonLinesSource:
    """One file of JSON lines."""

    def __init__(self, path: Path, options: Options, account: Account, attempts: Attempts) -> None:
        """Open it.

        Raises:
            ConfigError: It cannot be read.
        """
        self.path = path
        self._options = options
        self._account = account
        self._attempts = attempts
        self._tail = Tail(path, options.encoding)
        self._run = options.run or run_of(path)
        self._seen_run: str | None = None
        self._counted: dict[tuple[str, int, int], int] = {}
        self._legal: dict[str, str | None] = {}
        self._steps = (options.step,) if options.step else STEPS
        self._times = (options.time,) if options.time else TIMES
        self._ranks = (options.rank,) if options.rank else RANKS

    def read(self, *, last: bool) -> Iterator[Portion]:
        """Yield what there is since the last call.

        Raises:
            ConfigError: Its text cannot be decoded, or it has several runs and is to be one.
        """
        self._tail.last = last
        while True:
            before = self._tail.lines
            lines = list(islice(self._tail, BATCH_LINES))
            if not lines:
                return
            yield from self._portions(lines, before)

    def close(self) -> None:
        """Let go of the file."""
        self._tail.close()

    def _portions(self, lines: list[str], before: int) -> Iterator[Portion]:
        written = self.path.stat().st_mtime
        rows: dict[Who, dict[tuple[str, ...], _Buffer]] = {}
        items: dict[Who, list[Piece]] = {}
        for number, line in enumerate(lines, before + 1):
            if not line.strip():
                continue
            try:
                self._line(_parsed(line), number, written, rows, items)
            except _BadLine as error:
                cause, found = error.args
                self._account.refuse(cause, f"{self.path}, line {number}: {found}")
        for who in {**rows, **items}:
            pieces: list[Piece] = [
                piece for names, one in rows.get(who, {}).items() for piece in _pieces(names, one)
            ]
            pieces += items.get(who, [])
            yield Portion(self._attempts.place(self, who, pieces), pieces)

    def _line(
        self,
        found: dict[str, object],
        number: int,
        written: float,
        rows: dict[Who, dict[tuple[str, ...], _Buffer]],
        items: dict[Who, list[Piece]],
    ) -> None:
        is_item = isinstance(found.get("kind"), str) and isinstance(found.get("body"), dict)
        body = found.pop("body") if is_item else {}
        flat = _flat(found)
        who = self._who(flat)
        step_name = next((name for name in self._steps if name in flat), None)
        step = _step(flat.pop(step_name)) if step_name is not None else None
        time_name = next((name for name in self._times if name in flat), None)
        time = _time(flat, time_name, by_hand=self._options.time is not None)
        time = written if time is None else time
        if is_item and isinstance(body, dict):
            place = f"{self.path}, line {number}"
            plain = {key: _binary(value) for key, value in body.items()}
            about = (str(flat["kind"]), str(flat.get("name", "")), step or 0, time)
            item = kept(*about, plain, self._account, place)
            if item is not None:
                items.setdefault(who, []).append(item)
            return
        if isinstance(flat.get("metric"), str) and "value" in flat:
            flat = {str(flat["metric"]): flat["value"]}
        values = self._values(flat, number)
        if step is None:
            key = (who.run, who.rank, who.attempt)
            step = self._counted.get(key, 0)
            self._counted[key] = step + 1
            self._account.note(f"{self.path}: lines without a step are counted from 0")
        if values:
            steps, times, cells = rows.setdefault(who, {}).setdefault(tuple(values), ([], [], []))
            steps.append(step)
            times.append(time)
            cells.append(list(values.values()))

    def _who(self, flat: dict[str, object]) -> Who:
        """Take out whose a line is."""
        small = []
        for names in (self._ranks, ATTEMPTS):
            name = next((name for name in names if name in flat), None)
            value = flat.pop(name) if name is not None else 0
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if type(value) is not int or not 0 <= value <= _MAX_SMALL:
                raise _BadLine(
                    f"what is no rank or attempt, from 0 to {_MAX_SMALL}", f"{name}: {value!r}"
                )
            small.append(value)
        name = next((name for name in RUNS if isinstance(flat.get(name), str)), None)
        return Who(self._named(str(flat.pop(name)) if name is not None else ""), small[0], small[1])

    def _named(self, said: str) -> str:
        if not said:
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

    def _values(self, flat: Mapping[str, object], number: int) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, value in flat.items():
            if value is None:
                continue
            if isinstance(value, str):
                special = _SPECIAL.get(value)
                if special is None:
                    self._account.skip("texts among the numbers of JSON lines")
                    continue
                value = special
            if not isinstance(value, (int, float)):
                self._account.skip("lists among the numbers of JSON lines")
                continue
            legal = self._legal_name(name, number)
            if legal is not None:
                try:
                    values[legal] = float(value)
                except OverflowError:
                    values[legal] = math.inf if value > 0 else -math.inf
        return values

    def _legal_name(self, name: str, number: int) -> str | None:
        if name not in self._legal:
            if len(self._legal) > BATCH_LINES:
                self._legal.clear()
            place = f"{self.path}, line {number}"
            self._legal[name] = legal_name(name, self._account, place)
        return self._legal[name]


def _parsed(line: str) -> dict[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _BadLine("a line that is no JSON", str(error)) from None
    if not isinstance(found, dict):
        raise _BadLine("a line that is no JSON object", line[:40])
    return found


def _flat(found: Mapping[str, object]) -> dict[str, object]:
    """Return nested objects as one, keys joined by ``/``."""
    if not any(isinstance(value, dict) for value in found.values()):
        return dict(found)
    flat: dict[str, object] = {}

    def add(prefix: str, value: object, depth: int) -> None:
        if isinstance(value, dict) and depth:
            for key, inner in value.items():
                add(f"{prefix}/{key}", inner, depth - 1)
        else:
            flat[prefix] = value

    for key, value in found.items():
        add(key, value, _DEPTH)
    return flat


def _step(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_STEP:
        raise _BadLine("a row without a step, which is a whole number from 0", repr(value))
    return value


def _time(flat: dict[str, object], name: str | None, *, by_hand: bool) -> float | None:
    """Take out the wall time, ``None`` if there is none."""
    if name is None or flat[name] is None:
        return None
    value = flat[name]
    if isinstance(value, float) and 1e8 <= value <= 1e11:
        del flat[name]
        return value
    text = value if isinstance(value, str) else repr(value)
    found = float(seconds([text]).values[0])
    if math.isnan(found) or not 0 <= found < MAX_TIME_S:
        raise _BadLine("a row without a time", f"{name}: {value!r}")
    if found < 1e8 and not by_hand:
        return None
    del flat[name]
    return found


def _pieces(names: tuple[str, ...], buffer: _Buffer) -> list[Piece]:
    steps, times = np.array(buffer[0], np.int64), np.array(buffer[1], np.float64)
    values = np.array(buffer[2], np.float64)
    return [
        Rows(names[i : i + WIDEST], steps, times, values[:, i : i + WIDEST])
        for i in range(0, len(names), WIDEST)
    ]


def _binary(value: object) -> object:
    """Return what our export says as ``{"base64": text}`` as its bytes."""
    if isinstance(value, dict):
        if list(value) == ["base64"] and isinstance(value["base64"], str):
            try:
                return base64.b64decode(value["base64"], validate=True)
            except (binascii.Error, ValueError):
                return value
        return {key: _binary(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_binary(inner) for inner in value]
    return value
