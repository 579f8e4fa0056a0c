"""Faults to be acted out by simulated ranks, as people write them: ``stall:rank=417@step=200``.

Law: text is read by hand, never run; an error says at which character what was expected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from streamviz.errors import ConfigError
from streamviz.wire.frames import MAX_STEP
from streamviz.wire.names import name_fault

__all__ = ["KINDS", "MAX_TEXT", "PHASES", "Fault", "parse_fault"]

MAX_TEXT = 512
"""Longest text of a fault, characters."""

PHASES = ("data", "forward", "backward", "optimizer")
"""Parts of a simulated step, in their order; ``backward`` holds the barrier."""

_MAX_RANK = (1 << 24) - 1
_MAX_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault."""

    kind: str
    step: int
    """The first step with it."""
    ranks: tuple[int, int] | None = None
    """The first and the last rank with it; ``None``: all of them."""
    metric: str = ""
    phase: str = "data"
    seconds: float = math.inf
    """For how long a rank stalls, or how much longer its phase takes."""
    factor: float = 10.0
    """What a value is multiplied by."""
    steps: float = math.inf
    """For how many steps it lasts."""

    def holds(self, step: int) -> bool:
        """Say whether a step has it."""
        return self.step <= step < self.step + self.steps


_REQUIRED: dict[str, tuple[str, ...]] = {
    "stall": ("rank",),
    "dead": ("rank",),
    "straggler": ("rank", "phase", "seconds"),
    "nan": ("rank", "metric"),
    "spike": ("metric",),
    "desync": ("rank", "metric"),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "stall": ("phase", "seconds"),
    "dead": (),
    "straggler": ("steps",),
    "nan": ("steps",),
    "spike": ("rank", "factor", "steps"),
    "desync": (),
}
KINDS = tuple(_REQUIRED)
"""What can be scripted."""

_LASTS = {"spike": 1.0}
"""Steps that a fault lasts unless told; the others stay."""
_WORD = re.compile(r"[A-Za-z_]+")
_NUMBER = re.compile(r"[0-9]{1,16}")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_TEXT = re.compile(r"[^,@]+")


def parse_fault(text: str) -> Fault:
    """Read a fault: ``KIND:key=value,key=value@step=N``.

    Raises:
        ConfigError: It is none; the sentence has the character where reading stopped.
    """
    if len(text) > MAX_TEXT:
        raise ConfigError("--fault", f"{len(text)} characters", f"at most {MAX_TEXT}")
    return _Reading(text).fault()


class _Reading:
    """A text, and how far it is read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found: dict[str, object] = {}

    def fault(self) -> Fault:
        kind = self._word(KINDS)
        keys = (*_REQUIRED[kind], *_OPTIONAL[kind])
        self._found["steps"] = _LASTS.get(kind, math.inf)
        given: set[str] = set()
        self._sign(":")
        while True:
            began = self._at
            key = self._word(keys)
            if key in given:
                self._at = began
                self._fail(f"{key} once")
            given.add(key)
            self._sign("=")
            _VALUES[key](self)
            if self._peek() != ",":
                break
            self._sign(",")
        missing = [key for key in _REQUIRED[kind] if key not in given]
        if missing:
            self._fail(f"',{missing[0]}='")
        for sign in ("@", "step", "="):
            self._sign(sign)
        step = self._whole(MAX_STEP)
        if self._at < len(self._text):
            self._fail("the end")
        return Fault(kind=kind, step=step, **self._found)  # type: ignore[arg-type]

    def rank(self) -> None:
        """Read a rank or a range of them."""
        first = last = self._whole(_MAX_RANK)
        if self._peek() == "-":
            self._sign("-")
            began = self._at
            last = self._whole(_MAX_RANK)
            if last < first:
                self._at = began
                self._fail(f"a rank from {first} on")
        self._found["ranks"] = (first, last)

    def metric(self) -> None:
        """Read a metric's name."""
        began = self._at
        name = self._take(_TEXT, "a metric's name")
        if name_fault(name) is not None:
            self._at = began
            self._fail("a metric's name")
        self._found["metric"] = name

    def phase(self) -> None:
        """Read a phase's name."""
        self._found["phase"] = self._word(PHASES)

    def number(self, key: str, most: float) -> None:
        """Read a number above 0."""
        began = self._at
        value = float(self._take(_DECIMAL, "a number"))
        if not 0 < value <= most:
            self._at = began
            self._fail(f"a number above 0, at most {most:g}")
        self._found[key] = value

    def steps(self) -> None:
        """Read a number of steps."""
        began = self._at
        count = self._whole(MAX_STEP)
        if count < 1:
            self._at = began
            self._fail("at least 1")
        self._found["steps"] = count

    def _whole(self, most: int) -> int:
        began = self._at
        value = int(self._take(_NUMBER, "a whole number"))
        if value > most:
            self._at = began
            self._fail(f"at most {most}")
        return value

    def _word(self, allowed: tuple[str, ...]) -> str:
        began = self._at
        match = _WORD.match(self._text, self._at)
        if match is None or match[0] not in allowed:
            self._at = began
            self._fail(" or ".join(filter(None, (", ".join(allowed[:-1]), allowed[-1]))))
        self._at = match.end()
        return match[0]

    def _take(self, what: re.Pattern[str], expected: str) -> str:
        match = what.match(self._text, self._at)
        if match is None:
            self._fail(expected)
        self._at = match.end()
        return match[0]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _sign(self, sign: str) -> None:
        if not self._text.startswith(sign, self._at):
            self._fail(repr(sign))
        self._at += len(sign)

    def _fail(self, expected: str) -> NoReturn:
        raise ConfigError("--fault", self._text, f"{expected} at character {self._at + 1}")


_VALUES: dict[str, Callable[[_Reading], None]] = {
    "rank": _Reading.rank,
    "metric": _Reading.metric,
    "phase": _Reading.phase,
    "seconds": lambda reading: reading.number("seconds", _MAX_SECONDS),
    "factor": lambda reading: reading.number("factor", 1e9),
    "steps": _Reading.steps,
}
