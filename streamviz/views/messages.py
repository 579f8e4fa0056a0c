"""What a page may say on the live channel, and the text of what is said to it.

Law: whatever comes in becomes one of these values or one :class:`BadMessage`, nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from streamviz.errors import ConfigError
from streamviz.views.heat_rows import CELLS
from streamviz.views.heat_view import MAX_HEAT_POINTS, MAX_HEAT_ROWS, HeatKey
from streamviz.views.models import MODES, ViewKey
from streamviz.views.ranks import RankSet, parse_ranks

__all__ = [
    "MAX_ALSO",
    "MAX_MESSAGE",
    "MAX_POINTS",
    "MIN_POINTS",
    "POINTS",
    "Ack",
    "BadMessage",
    "Board",
    "Close",
    "Message",
    "Open",
    "Ping",
    "Watch",
    "parse_message",
    "text_of",
]

MAX_MESSAGE = 16 * 1024
"""Longest message from a page, bytes."""

MIN_POINTS, POINTS, MAX_POINTS = 8, 1_024, 4_096
"""Buckets a view may ask for: least, without asking, most."""

MAX_ALSO = 7
"""Runs that a page may compare with the one it watches."""

_T = TypeVar("_T")

_MAX_NAME = 256
_MAX_ID = 2**31 - 1
_MAX_STEP = 2**53


class BadMessage(ValueError):
    """A message cannot be used.

    Attributes:
        view: The page's id of the view it was about, if it got as far as naming one.
        reason: A short label to count it under.
    """

    def __init__(self, reason: str, sentence: str, view: int | None = None) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.view = view


@dataclass(frozen=True, slots=True)
class Watch:
    """Say how this run is."""

    run: str | None
    """``None``: the newest that is active."""
    also: tuple[str, ...] = ()
    """Runs it is compared with, whose structure is told too."""


@dataclass(frozen=True, slots=True)
class Open:
    """Open a view, or put another in its place."""

    view: int
    key: ViewKey | HeatKey


@dataclass(frozen=True, slots=True)
class Close:
    """Close a view."""

    view: int


@dataclass(frozen=True, slots=True)
class Board:
    """Say how every worker of a run is, or no longer."""

    run: str
    on: bool


@dataclass(frozen=True, slots=True)
class Ack:
    """A frame is painted."""

    frame: int


@dataclass(frozen=True, slots=True)
class Ping:
    """What time is it there?"""

    t: float


Message = Watch | Board | Open | Close | Ack | Ping


class _Fields:
    """Reads one field after the other, or says which is wrong."""

    def __init__(self, fields: Mapping[str, object], view: int | None = None) -> None:
        self._fields = fields
        self.view = view

    def wrong(self, name: str, expected: str) -> BadMessage:
        found = repr(self._fields.get(name))[:80]
        return BadMessage("field", f"{name}: found {found}, expected {expected}", self.view)

    def integer(self, name: str, low: int, high: int) -> int:
        value = self._fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(name, f"a whole number from {low} to {high}")
        return value

    def step(self, name: str) -> int | None:
        return None if self._fields.get(name) is None else self.integer(name, 0, _MAX_STEP)

    def range(self) -> tuple[int | None, int | None]:
        start, stop = self.step("start"), self.step("stop")
        if start is not None and stop is not None and stop < start:
            raise self.wrong("stop", f"a step not before start, {start}")
        return start, stop

    def choice(self, name: str, choices: tuple[_T, ...]) -> _T:
        value = self._fields.get(name)
        for choice in choices:
            # True is 1, but who sends 1 has not read the protocol.
            if value == choice and type(value) is type(choice):
                return choice
        raise self.wrong(name, " or ".join(map(repr, choices)))

    def number(self, name: str) -> float:
        value = self._fields.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong(name, "a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.wrong(name, "a finite number")
        return number

    def name(self, name: str) -> str:
        value = self._fields.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME or not _is_text(value):
            raise self.wrong(name, f"a name of 1 to {_MAX_NAME} characters")
        return value

    def names(self, name: str, most: int) -> tuple[str, ...]:
        values = self._fields.get(name)
        if values is None:
            return ()
        if not isinstance(values, list) or len(values) > most:
            raise self.wrong(name, f"a list of at most {most} names")
        for value in values:
            if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME or not _is_text(value):
                raise self.wrong(name, f"names of 1 to {_MAX_NAME} characters")
        return tuple(dict.fromkeys(values))

    def ranks(self, name: str) -> RankSet | None:
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.wrong(name, "null or ranks and ranges such as '0,8-15'")
        try:
            return parse_ranks(value, setting=name)
        except ConfigError as error:
            raise BadMessage("field", str(error), self.view) from None


def _is_text(value: str) -> bool:
    """Say whether a string can be written back as UTF-8: JSON lets lone surrogates in."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_message(data: str | bytes) -> Message:
    """Read a message from a page.

    Raises:
        BadMessage: It is too long, not JSON, not known, or one of its fields is wrong.
    """
    if isinstance(data, bytes):
        raise BadMessage("binary", "found a binary message, expected JSON text")
    if len(data) > MAX_MESSAGE or len(data.encode("utf-8", "replace")) > MAX_MESSAGE:
        raise BadMessage("too long", f"a message has at most {MAX_MESSAGE} bytes")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        raise BadMessage("not JSON", "the message is not JSON") from None
    if not isinstance(fields, dict):
        raise BadMessage("not JSON", "the message is not a JSON object")
    return _parse_fields(_Fields(fields), fields)


def _parse_fields(read: _Fields, fields: Mapping[str, object]) -> Message:
    op = fields.get("op")
    if op == "ack":
        return Ack(read.integer("frame", 0, 2**32 - 1))
    if op == "view":
        read.view = view = read.integer("id", 0, _MAX_ID)
        kind = fields.get("kind", "chart")
        if kind not in ("chart", "heat"):
            raise read.wrong("kind", "'chart' or 'heat'")
        return Open(view, _parse_heat(read) if kind == "heat" else _parse_view(read, fields))
    if op == "close":
        return Close(read.integer("id", 0, _MAX_ID))
    if op == "watch":
        return Watch(
            None if fields.get("run") is None else read.name("run"), read.names("also", MAX_ALSO)
        )
    if op == "board":
        return Board(read.name("run"), read.choice("on", (True, False)))
    if op == "ping":
        return Ping(read.number("t"))
    raise BadMessage("unknown", str(read.wrong("op", "watch, view, close, board, ack or ping")))


def _parse_view(read: _Fields, fields: Mapping[str, object]) -> ViewKey:
    wanted = fields.get("mode", "band")
    mode = next((mode for mode in MODES if mode == wanted), None)
    if mode is None:
        raise read.wrong("mode", " or ".join(repr(mode) for mode in MODES))
    start, stop = read.range()
    return ViewKey(
        run=read.name("run"),
        metric=read.name("metric"),
        mode=mode,
        ranks=read.ranks("ranks"),
        start=start,
        stop=stop,
        points=read.integer("points", MIN_POINTS, MAX_POINTS) if "points" in fields else POINTS,
    )


def _parse_heat(read: _Fields) -> HeatKey:
    start, stop = read.range()
    return HeatKey(
        run=read.name("run"),
        metric=read.name("metric"),
        ranks=read.ranks("ranks"),
        start=start,
        stop=stop,
        points=read.integer("points", MIN_POINTS, MAX_HEAT_POINTS),
        rows=read.integer("rows", MIN_POINTS, MAX_HEAT_ROWS),
        cells=read.choice("cells", CELLS),
        relative=read.choice("relative", (True, False)),
    )


def text_of(op: str, **fields: object) -> str:
    """Return the text of a message to a page; a float in it is finite."""
    return json.dumps(
        {"op": op, **fields}, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
