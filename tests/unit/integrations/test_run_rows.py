"""The rows, summaries and settings of a run that ``streamviz.init`` hands out."""

from __future__ import annotations

import math
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.integrations.flat import flat
from streamviz.integrations.media import Histogram, Image, Table, send_values
from streamviz.integrations.run import Run, Settings
from streamviz.publisher.publisher import Publisher


class Noted:
    """Writes down what a publisher is asked to send."""

    def __init__(self, rank: int = 0) -> None:
        self.run, self.rank = "noted", rank
        self.rows: list[tuple[int | None, dict[str, Any]]] = []
        self.calls: list[tuple[Any, ...]] = []

    def send(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Note a row."""
        self.rows.append((step, dict(metrics)))

    def __getattr__(self, name: str) -> Any:
        def note(*args: Any, **how: Any) -> None:
            self.calls.append((name, *args, how) if how else (name, *args))

        return note


def noted_run(**about: Any) -> tuple[Run, Noted]:
    """Return a run and what notes its rows."""
    publisher = Noted()
    return Run(cast("Publisher", publisher), **about), publisher


def test_rows_count_up_and_gather() -> None:
    """Without a step rows count up; what is not committed goes out with the next row."""
    run, noted = noted_run()

    run.log({"a": 1})
    run.log({"a": 2}, commit=False)
    run.log({"b": {"c": 3, "d": {"e": 4}}})
    run.log({"a": 5}, step=10)
    run.log({"b": 6})
    run.log({"a": 7}, step=20, commit=True)
    run.log({"a": 8})

    assert noted.rows == [
        (0, {"a": 1}),
        (1, {"a": 2, "b.c": 3, "b.d.e": 4}),
        (10, {"a": 5}),
        (10, {"b": 6}),
        (20, {"a": 7}),
        (21, {"a": 8}),
    ]


def test_an_earlier_step_is_sent_too() -> None:
    """A late evaluation of an earlier step arrives at that step, and the count goes on."""
    run, noted = noted_run()

    run.log({"loss": 1.0}, step=100, commit=True)
    run.log({"eval": 2.0}, step=50)
    run.log({"loss": 3.0})

    assert noted.rows == [(100, {"loss": 1.0}), (50, {"eval": 2.0}), (101, {"loss": 3.0})]


CALLS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abc"), st.floats(allow_nan=False), min_size=1),
        st.none() | st.integers(0, 9),
        st.sampled_from([None, True, False]),
    ),
    max_size=30,
)


@given(CALLS)
def test_nothing_that_is_logged_is_discarded(
    calls: list[tuple[dict[str, float], int | None, bool | None]],
) -> None:
    """Whatever the steps and commits, each value goes out once, at its step if it had one.

    Within one row that gathers, the last value of a name counts.
    """
    run, noted = noted_run()
    for place, (values, step, commit) in enumerate(calls):
        run.log({f"{name}{place}": value for name, value in values.items()}, step, commit)
    run.finish()

    sent = Counter(name for _, row in noted.rows for name in row)
    logged = [f"{name}{place}" for place, (values, _, _) in enumerate(calls) for name in values]
    assert sent == Counter(logged)
    where = {name: step for step, row in noted.rows for name in row}
    for place, (values, step, _) in enumerate(calls):
        if step is not None:
            assert {where[f"{name}{place}"] for name in values} == {step}


def test_summaries_follow_their_rules() -> None:
    """The last value, or what define_metric asks for, by name or pattern; NaN is overtaken."""
    run, noted = noted_run(config={"lr": 0.1})
    run.define_metric("val/*", summary="max")
    run.define_metric("val/loss", summary="best", goal="minimize")
    run.define_metric("mean", summary="mean")
    run.define_metric("quiet", summary="none")

    for value in (math.nan, 3.0, 1.0, 2.0):
        run.log(dict.fromkeys(("val/loss", "val/acc", "mean", "quiet", "last"), value))
    run.log({"mean": 4.0})
    run.summary["best_epoch"] = 7
    run.finish()

    assert run.summary["val/loss"] == 1.0
    assert run.summary["val/acc"] == 3.0
    assert math.isnan(run.summary["mean"])
    assert run.summary["last"] == 2.0
    assert "quiet" not in run.summary
    [first, last] = [call for call in noted.calls if call[0] == "hparams"]
    assert first == ("hparams", {"lr": 0.1})
    assert last[1] == {"lr": 0.1}
    assert last[2]["best_epoch"] == 7


def test_a_step_metric_goes_along() -> None:
    """A metric that is drawn over another gets that one's last value in its row."""
    run, noted = noted_run()
    run.define_metric("val/*", step_metric="epoch")

    run.log({"epoch": 3, "loss": 1.0})
    run.log({"val/acc": 0.5})
    run.log({"loss": 2.0})

    assert [row for _, row in noted.rows] == [
        {"epoch": 3, "loss": 1.0}, {"val/acc": 0.5, "epoch": 3}, {"loss": 2.0},
    ]  # fmt: skip


def test_settings_are_items_and_attributes() -> None:
    """A configuration takes mappings and namespaces, and is sent again when it has changed."""
    run, noted = noted_run(config={"lr": 0.1, "model": {"depth": 2}})
    run.log({"a": 1})
    run.config.epochs = 3
    run.config.update(Namespace(seed=1), {"lr": 0.2}, batch=32)
    run.log({"a": 2})
    run.log({"a": 3})

    assert run.config.lr == run.config["lr"] == 0.2
    assert run.config.get("nothing", 5) == 5
    with pytest.raises(AttributeError, match="there is no 'nothing' in it"):
        _ = run.config.nothing
    sent = [call[1] for call in noted.calls if call[0] == "hparams"]
    assert sent == [
        {"lr": 0.1, "model": {"depth": 2}},
        {"lr": 0.2, "model": {"depth": 2}, "epochs": 3, "seed": 1, "batch": 32},
    ]
    assert Settings({"a": 1}).as_dict() == {"a": 1}


def test_an_alert_is_said_once_in_a_while() -> None:
    """The same title is not said again before its time; levels have wandb's names."""
    run, noted = noted_run()
    for _ in range(3):
        run.alert("high loss", "look", level="WARN")
    run.alert("high loss", level="ERROR", wait_duration=0)

    assert noted.calls == [
        ("alert", "high loss", "look", "warning"), ("alert", "high loss", "", "error"),
    ]  # fmt: skip


def test_each_kind_of_value_goes_its_way(tmp_path: Any) -> None:
    """Numbers make one row; images, lists, histograms, tables and texts go as what they are."""
    picture = np.zeros((4, 6, 3), np.uint8)
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG...")
    noted = Noted()

    send_values(
        cast("Publisher", noted),
        {
            "loss": 1.0,
            "one": np.array([2.0]),
            "text": "a <b>text</b>",
            "spread": np.arange(10),
            "numbers": [1, 2, 3],
            "words": ["a", "b"],
            "picture": Image(picture, caption="it"),
            "two": [Image(picture), Image(file)],
            "counted": Histogram(np_histogram=([1, 2], [0.0, 1.0, 2.0])),
            "rows": Table(columns=["a", "b"], data=[[1, "x"]]),
            "gone": Image(tmp_path / "nothing.png"),
        },
        7,
    )

    assert [(call[0], call[1]) for call in noted.calls] == [
        ("text", "text"), ("histogram", "spread"), ("histogram", "numbers"), ("text", "words"),
        ("image", "picture"),
        ("image", "two/0"), ("image", "two/1"), ("histogram_raw", "counted"), ("table", "rows"),
    ]  # fmt: skip
    assert noted.calls[6][2] == b"\x89PNG..."
    [(step, row)] = noted.rows
    assert step == 7
    assert set(row) == {"loss", "one", "gone"}  # the publisher counts the last one


def test_a_table_knows_its_columns() -> None:
    """Rows may be added; without names columns are numbered; a data frame brings its own."""
    table = Table(data=[[1, 2], [3, 4]])
    table.add_data(5, 6)

    assert table.columns == ["0", "1"]
    assert table.data == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(ValueError, match="one of them"):
        Histogram()


def test_nested_names_are_joined() -> None:
    """Leaves by their joined names; a value that contains itself ends too."""
    endless: dict[str, Any] = {"a": 1}
    endless["again"] = endless

    assert flat({"a": {"b": 1, "c": {}}, 2: 3}) == {"a/b": 1, "a/c": {}, "2": 3}
    assert len(flat(endless)) < 20


def test_boxes_as_wandb_describes_them() -> None:
    """Shares of the image or pixels, by corners or by the middle, become corners in pixels."""
    noted = Noted()
    data = [
        {"position": {"minX": 0.1, "maxX": 0.5, "minY": 0.25, "maxY": 0.5}, "class_id": 1},
        {
            "position": {"middle": [10, 6], "width": 4, "height": 2},
            "domain": "pixel",
            "box_caption": "dog",
        },
        {"position": {"odd": 1}},
    ]
    boxes = {"predictions": {"box_data": data, "class_labels": {1: "cat"}}}

    Image(np.zeros((8, 20, 3)), boxes=boxes).send_to(cast("Publisher", noted), "seen", 1)

    [call] = noted.calls
    assert call[-1]["boxes"] == [[2.0, 2.0, 10.0, 4.0], [8.0, 5.0, 12.0, 7.0]]
    assert call[-1]["labels"] == ["cat", "dog"]
