"""Layout files: what is read of them; whatever else stands in one is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.errors import ConfigError
from streamviz.views.layouts import (
    MAX_LAYOUT_BYTES,
    MAX_LAYOUT_CHARTS,
    MAX_LAYOUT_DEPTH,
    MAX_LAYOUT_SERIES,
    BadLayout,
    parse_layout,
    read_layout,
)

WHOLE = """\
version: 1
size: l
rest: false
sections:
  - title: learning
    columns: 2
    charts:
      - train/loss
      - title: both
        metrics: [train/loss, val/loss]
        expressions: ["ratio(val/loss, train/loss)"]
        x_label: step
        y_label: nats
        scale: log
        kind: bar
        size: wide
"""


def chart(*lines: str) -> str:
    """Return a layout of one chart; its first key stands in line 3."""
    return "sections:\n  - charts:\n      - " + "\n        ".join(lines) + "\n"


def test_a_whole_layout_is_read() -> None:
    """Every key arrives; a name alone is a chart of that metric."""
    assert parse_layout(WHOLE) == {
        "size": "l",
        "rest": False,
        "sections": [
            {
                "title": "learning",
                "columns": 2,
                "charts": [
                    {"metrics": ["train/loss"]},
                    {
                        "title": "both",
                        "metrics": ["train/loss", "val/loss"],
                        "expressions": ["ratio(val/loss, train/loss)"],
                        "x_label": "step",
                        "y_label": "nats",
                        "scale": "log",
                        "kind": "bar",
                        "size": "wide",
                    },
                ],
            }
        ],
    }
    plain = parse_layout(chart("metrics: [1e-3]"))
    assert (plain["size"], plain["rest"]) == (None, True)
    # A name that looks like a number is a name.
    assert plain["sections"] == [{"title": "", "columns": None, "charts": [{"metrics": ["1e-3"]}]}]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("sectoins: []", 1, "did you mean 'sections'?"),
        (chart("title: a", "metrcs: [b]"), 4, "did you mean 'metrics'?"),
        (chart("metrics: [a]", "scale: lgo"), 4, "did you mean 'log'?"),
        (chart("metrics: [a]", "metrics: [b]"), 4, "metrics stands twice"),
        (chart("metrics: a"), 3, "expected a list"),
        (chart("title: no lines"), 3, "0 metrics and expressions"),
        (chart(f"metrics: [{', '.join('a' * 17)}]"), 3, f"at most {MAX_LAYOUT_SERIES}"),
        (chart("metrics: [a]", f"title: {'t' * 501}"), 4, "at most 500 characters"),
        (chart("metrics: [a]", "title: {b: c}"), 4, "found mapping"),
        ("sections:\n  - columns: 7\n    charts: [a]", 2, "from 1 to 6"),
        ("sections:\n  - title: none", 2, "no charts in it"),
        ("rest: maybe", 1, "true or false"),
        ("version: 2", 1, "from 1 to 1"),
        ("", 1, "empty"),
        ("sections: []", 1, "there are none"),
        ("sections: [\n  a", 2, "not YAML"),
        ("a: &x [1]\nb: *x", 1, "anchors"),
        ("[" * 9 + "]" * 9, 1, f"more than {MAX_LAYOUT_DEPTH} deep"),
        ("# " + "x" * MAX_LAYOUT_BYTES, 1, f"at most {MAX_LAYOUT_BYTES}"),
        (f"sections:\n  - charts: [{'a, ' * (MAX_LAYOUT_CHARTS + 1)}]", 2, "at most 256"),
        ("sections:\n" + f"  - charts: [{'a, ' * 129}]\n" * 2, 1, "258 charts"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, words: str) -> None:
    """And an unknown word with the nearest known one."""
    with pytest.raises(BadLayout) as caught:
        parse_layout(text)
    assert words in str(caught.value)
    assert caught.value.line == line


def test_a_tag_builds_nothing(tmp_path: Path) -> None:
    """What other readers of YAML would run is a text or is refused."""
    made = tmp_path / "made"
    text = chart(f"title: !!python/object/apply:os.mkdir ['{made}']", "metrics: [a]")
    with pytest.raises(BadLayout):
        parse_layout(text)
    assert not made.exists()


@given(
    st.text(
        st.sampled_from("sections:charts metrics-[]{},&*!|>\n\t '\"a1#%@\x00\ufeff"), max_size=80
    )
)
def test_any_text_is_read_or_refused(text: str) -> None:
    """There is no third outcome, and a refusal names a line of the text."""
    line = None
    try:
        layout = parse_layout(text)
    except BadLayout as error:
        line = error.line
    if line is None:
        assert layout["sections"]
    else:
        assert 1 <= line <= text.count("\n") + 2


def test_a_file_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    """With the option's name, what was found and why."""
    path = tmp_path / "layout.yaml"
    with pytest.raises(ConfigError, match="--layout"):
        read_layout(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_layout(path)
    path.write_text("sizes: m")
    with pytest.raises(ConfigError, match="did you mean 'size'"):
        read_layout(path)
    path.write_text(WHOLE)
    assert read_layout(path) == parse_layout(WHOLE)
