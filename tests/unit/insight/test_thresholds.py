"""Rules of the command line: what they say is what is meant, and a wrong one is pointed at."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.errors import ConfigError
from streamviz.insight.thresholds import Streaks, parse_threshold


def test_a_rule_in_full() -> None:
    """Metric, comparison, bound, from which step on, and how many in a row."""
    rule = parse_threshold("val/acc <= 1e-1 @step>1000 @for=3")

    assert (rule.metric, rule.compare, rule.bound) == ("val/acc", "<=", 0.1)
    assert (rule.steps, rule.in_a_row) == (((">", 1000.0),), 3)


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("", 0, "a metric's name"),
        ("loss", 4, "one of < <= > >= == !="),
        ("loss<", 5, "a number"),
        ("loss<x", 5, "a number"),
        ("loss<nan", 5, "a number"),
        ("loss<1@", 7, "step or for"),
        ("loss<1@step", 11, "one of"),
        ("loss<1@for=0", 11, "points from 1"),
        ("loss<1 2", 7, "@ or the end"),
        ('"loss<1', 7, 'a closing "'),
        ('""<1', 1, "a name between"),
        ("__import__('os')>1;x", 18, "@ or the end"),
    ],
)
def test_a_fault_is_pointed_at(text: str, at: int, expected: str) -> None:
    """With a caret under the place, and what belongs there."""
    with pytest.raises(ConfigError) as caught:
        parse_threshold(text)

    lines = str(caught.value).splitlines()
    assert expected in lines[0]
    assert lines[2].index("^") - 2 == at


@given(
    metric=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    compare=st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    bound=st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_name_can_be_quoted(metric: str, compare: str, bound: float) -> None:
    """Names hold what they like, also the signs of the rule."""
    quoted = metric.replace("\\", "\\\\").replace('"', '\\"')
    rule = parse_threshold(f'"{quoted}"{compare}{bound!r}')

    assert (rule.metric, rule.compare, rule.bound) == (metric, compare, bound)


@given(st.text(max_size=40))
def test_any_text_is_a_rule_or_one_clear_error(text: str) -> None:
    """Nothing else is raised, and nothing is evaluated."""
    try:
        rule = parse_threshold(text)
    except ConfigError:
        return
    assert math.isfinite(rule.bound) or math.isinf(rule.bound)


def test_points_in_a_row_are_counted_by_rank_over_portions() -> None:
    """A row that does not satisfy the rule begins anew; NaN satisfies nothing."""
    streaks = Streaks(parse_threshold("m>1@step>=10@for=3"))
    workers = np.array([0, 1, 0, 1, 0, 1])

    def take(values: list[float], first: int) -> list[int]:
        steps = np.repeat(np.arange(first, first + 3), 2)
        return [int(row) for row in streaks.step(np.array(values), steps, workers)]

    assert take([2, 2, 2, 0, 2, 2], 8) == [], "two of them are before step 10"
    assert take([2, 2, 2, 2, 2, np.nan], 11) == [2, 3, 4]
