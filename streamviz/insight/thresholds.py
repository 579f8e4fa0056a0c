r"""Rules of the command line: ``val/acc<0.1@step>1000``, read by hand and never evaluated.

::

    rule      = metric compare number { "@" condition }
    metric    = name | '"' any text, \" and \\ within '"'
    compare   = "<=" | ">=" | "==" | "!=" | "<" | ">"
    condition = "step" compare number | "for" "=" count

Law: a text is one rule or one :class:`~streamviz.errors.ConfigError` that points at the place.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from streamviz.errors import ConfigError
from streamviz.insight.batch import FloatArray, IntArray

__all__ = ["MOST_POINTS_IN_A_ROW", "MOST_RULE_LETTERS", "Streaks", "Threshold", "parse_threshold"]

MOST_RULE_LETTERS = 1_000
"""Letters of a rule: a metric's name has at most 512."""
MOST_POINTS_IN_A_ROW = 1_000_000
"""What ``@for=`` may ask for."""
_COMPARE: dict[str, Callable[[FloatArray, float], NDArray[np.bool_]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_NAME = re.compile(r'[^<>=!@"]+')
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|nan)\b")
_COUNT = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Threshold:
    """One rule."""

    text: str
    """As it was written."""
    metric: str
    compare: str
    bound: float
    steps: tuple[tuple[str, float], ...] = ()
    """What the step must satisfy, too."""
    in_a_row: int = 1
    """Consecutive points of a rank that must satisfy it."""

    def holds(self, values: FloatArray, steps: IntArray) -> NDArray[np.bool_]:
        """Return which points satisfy it, their number in a row aside.

        Args:
            values: ``float64[S]`` of the metric; NaN satisfies no comparison, ``!=`` neither.
            steps: ``int64[S]``.
        """
        with np.errstate(invalid="ignore"):
            found = _COMPARE[self.compare](values, self.bound) & ~np.isnan(values)
        for compare, bound in self.steps:
            found &= _COMPARE[compare](steps.astype(np.float64), bound)
        return found


class Streaks:
    """How many points in a row of each worker have satisfied a rule. Owner: the watch of a run."""

    def __init__(self, rule: Threshold) -> None:
        self.rule = rule
        self._of: dict[int, int] = {}

    def step(self, values: FloatArray, steps: IntArray, workers: IntArray) -> IntArray:
        """Return the rows at which the rule fires: ``int64[F]``, ascending.

        Args:
            values: ``float64[S]`` of the metric, in order of arrival.
            steps: ``int64[S]``.
            workers: ``int64[S]``.
        """
        holds = self.rule.holds(values, steps)
        if self.rule.in_a_row == 1:
            return np.flatnonzero(holds)
        fires = []
        for row, (worker, is_so) in enumerate(zip(workers.tolist(), holds.tolist(), strict=True)):
            streak = self._of.get(worker, 0) + 1 if is_so else 0
            self._of[worker] = streak
            if streak >= self.rule.in_a_row:
                fires.append(row)
        return np.array(fires, np.int64)


def parse_threshold(text: str, setting: str = "--alert") -> Threshold:
    """Read a rule.

    Args:
        text: As ``val/acc<0.1@step>1000``.
        setting: Where it was written, for the error.

    Raises:
        ConfigError: It is none; the message points at the place.
    """
    if len(text) > MOST_RULE_LETTERS:
        found = f"{text[:40]}…"
        raise ConfigError(setting, found, f"a rule of at most {MOST_RULE_LETTERS} letters")
    return _Reader(text, setting).rule()


class _Reader:
    """Reads one part after the other."""

    def __init__(self, text: str, setting: str) -> None:
        self._text = text
        self._setting = setting
        self._at = 0

    def rule(self) -> Threshold:
        metric = self._metric()
        compare = self._compare()
        bound = self._number()
        steps: list[tuple[str, float]] = []
        in_a_row = 1
        while self._takes("@"):
            if self._takes("step"):
                steps.append((self._compare(), self._number()))
            elif self._takes("for"):
                in_a_row = self._points()
            else:
                self._fail("step or for, as in @step>1000 or @for=3")
        if self._at < len(self._text):
            self._fail("@ or the end")
        return Threshold(self._text.strip(), metric, compare, bound, tuple(steps), in_a_row)

    def _metric(self) -> str:
        self._skip()
        if self._takes('"'):
            return self._quoted()
        found = _NAME.match(self._text, self._at)
        if found is None or not found[0].strip():
            self._fail("a metric's name, as in train/loss>10")
        self._at = found.end()
        return found[0].strip()

    def _quoted(self) -> str:
        letters: list[str] = []
        while self._at < len(self._text):
            letter = self._text[self._at]
            self._at += 1
            if letter == '"' and letters:
                self._skip()
                return "".join(letters)
            if letter == "\\" and self._at < len(self._text):
                letter = self._text[self._at]
                self._at += 1
            elif letter == '"':
                self._at -= 1
                self._fail("a name between the quotes")
            letters.append(letter)
        return self._fail('a closing "')

    def _compare(self) -> str:
        for sign in _COMPARE:
            if self._takes(sign):
                return sign
        return self._fail("one of < <= > >= == !=")

    def _number(self) -> float:
        found = _NUMBER.match(self._text, self._at)
        number = math.nan if found is None else float(found[0])
        if found is None or math.isnan(number):
            self._fail("a number")
        self._at = found.end()
        self._skip()
        return number

    def _points(self) -> int:
        if not self._takes("="):
            self._fail("= and a number of points, as in @for=3")
        found = _COUNT.match(self._text, self._at)
        if found is None or len(found[0]) > 9 or not 1 <= int(found[0]) <= MOST_POINTS_IN_A_ROW:
            self._fail(f"a number of points from 1 to {MOST_POINTS_IN_A_ROW}")
        self._at = found.end()
        self._skip()
        return int(found[0])

    def _takes(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        if sign != '"':
            self._skip()
        return True

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at] == " ":
            self._at += 1

    def _fail(self, expected: str) -> NoReturn:
        shown = "".join(letter if letter.isprintable() else "?" for letter in self._text)
        pointed = f"{expected} at the place marked\n  {shown}\n  {' ' * self._at}^"
        raise ConfigError(self._setting, self._text, pointed)
