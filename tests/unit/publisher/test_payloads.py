"""Pictures, distributions, texts, charts and the like, as the server reads what was made."""

from __future__ import annotations

import datetime as dt
import io
import logging
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from payloads_caught import Caught
from PIL import Image

from streamviz.config import PublisherConfig
from streamviz.errors import ConfigError
from streamviz.views.charts import figure_of
from streamviz.wire.bodies import read_body
from streamviz.wire.kinds import limit_of
from streamviz.wire.payloads import read_document


@pytest.fixture
def caught() -> Iterator[Caught]:
    """A publisher whose items are caught."""
    found = Caught()
    yield found
    found.close()


def pixels(caught: Caught) -> np.ndarray:
    """Return the newest picture."""
    return np.asarray(Image.open(io.BytesIO(caught.media()[1])))


# -- histograms --------------------------------------------------------------------------------


def test_a_histogram_has_its_values(caught: Caught) -> None:
    """Counts, lowest, highest, sum and squares are those of what was given, of any type."""
    values = np.arange(100, dtype=np.float32).reshape(4, 25)
    caught.publisher.histogram("h", values, 7, bins=10, time=5.0)
    body = caught.body()

    assert body["counts"] == [10.0] * 10
    assert body["edges"] == pytest.approx(np.linspace(0, 99, 11))
    assert (body["min"], body["max"], body["total"], body["count"]) == (0, 99, 4950, 100)
    assert body["squares"] == pytest.approx(float((values.astype(float) ** 2).sum()))
    assert caught.notes[-1][:2] == (7, 5.0)
    assert caught.refused == {}


@pytest.mark.parametrize(
    "values",
    [
        [3.0],
        [1e308, -1e308],
        [1.7e308] * 3,
        [1e16, 1e16 + 2],
        [5e-324, 1e-323],
        [0, 1, 1e300],
        [True, False],
        np.array([1, 2], dtype=np.uint8),
    ],
)
@pytest.mark.parametrize("bins", [1, 512, "auto", "fd", "stone", "tensorflow", [-1.0, 0.0, 5.0]])
def test_a_histogram_of_odd_numbers_can_be_read(caught: Caught, values: Any, bins: Any) -> None:
    """Numbers at the ends of what a float can be, and equal ones, have increasing edges."""
    caught.publisher.histogram("h", values, bins=bins)

    assert caught.refused == {}
    inside = np.asarray(values, dtype=float)
    expected = len(inside) if not isinstance(bins, list) else ((inside >= -1) & (inside <= 5)).sum()
    assert sum(caught.body()["counts"]) == expected


def test_values_that_are_not_finite_are_left_out_and_counted(
    caught: Caught, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are binned; how many were left out is counted and said once."""
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            caught.publisher.histogram("h", [1.0, float("nan"), 2.0, float("inf")])

    assert sum(caught.body()["counts"]) == 2
    assert caught.refused == {"values that are not finite": 6}
    assert len(caplog.records) == 1
    assert "histogram 'h' had 2 values that are not finite" in caplog.text


def test_many_values_are_thinned_out_and_scaled(caught: Caught) -> None:
    """Of 100 MB every so manieth is binned; counts come to all, lowest and highest are exact."""
    values = np.zeros(25_000_000, dtype=np.float32)
    values[12_345_678] = 7.0
    caught.publisher.histogram("h", values)
    body = caught.body()

    assert (body["min"], body["max"], body["count"]) == (0.0, 7.0, 25_000_000)
    assert sum(body["counts"]) == pytest.approx(25_000_000)


def test_a_histogram_has_at_most_512_bins(caught: Caught) -> None:
    """Of more, empty neighbours become one and then the emptiest pairs; nothing is lost."""
    counts = np.zeros(5000)
    counts[::5] = np.arange(1000)
    caught.publisher.histogram_raw("h", np.arange(5001), counts)
    body = caught.body()

    assert len(body["counts"]) <= 512
    assert sum(body["counts"]) == counts.sum()
    assert np.interp(body["edges"], np.arange(5001), np.append(0, counts.cumsum())) == (
        pytest.approx(np.append(0, np.cumsum(body["counts"])))
    )


# -- pictures ----------------------------------------------------------------------------------

RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize(
    ("image", "layout", "expected"),
    [
        (RGB, "HWC", RGB),
        (RGB.transpose(2, 0, 1), "CHW", RGB),
        (RGB.transpose(2, 0, 1)[:, :, :2], "HWC", RGB[:, :2]),  # it can be nothing but CHW
        (RGB[..., 0], "HW", RGB[..., 0]),
        (RGB[..., 0], "HWC", RGB[..., 0]),
        (RGB[..., :1], "HWC", RGB[..., 0]),
        (RGB / 255.0, "HWC", RGB),
        (RGB.astype(np.int64), "HWC", RGB),
        (RGB.tolist(), "HWC", RGB),
        (RGB > 8, "HWC", (RGB > 8) * np.uint8(255)),
        (np.stack([RGB, RGB]), "NHWC", np.concatenate([RGB, RGB], axis=1)),
        (np.stack([RGB, RGB]).transpose(0, 3, 1, 2), "NCHW", np.concatenate([RGB, RGB], axis=1)),
        (Image.fromarray(RGB), "HWC", RGB),
    ],
)
def test_a_picture_has_its_pixels(
    caught: Caught, image: Any, layout: str, expected: np.ndarray
) -> None:
    """In whatever layout and type it comes."""
    caught.publisher.image("i", image, layout=layout)

    assert caught.refused == {}
    assert np.abs(pixels(caught).astype(int) - expected).max() <= (image is not RGB)


def test_a_file_stays_a_file(caught: Caught) -> None:
    """The bytes of a PNG, JPEG, GIF or SVG go as they are."""
    for form in ("png", "jpeg", "gif"):
        file = io.BytesIO()
        Image.fromarray(RGB).save(file, form)
        caught.publisher.image("i", file.getvalue())
        assert caught.media() == (f"image/{form}", file.getvalue())
    svg = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'
    caught.publisher.image("i", svg)
    assert caught.media() == ("image/svg+xml", svg)
    assert caught.refused == {}


def test_a_large_picture_is_thinned_out_and_says_so(caught: Caught) -> None:
    """Noise of 24 MB fits, its boxes lie where they lay, and its caption says what was done."""
    noise = np.random.default_rng(1).integers(0, 256, (2000, 4000, 3), dtype=np.uint8)
    caught.publisher.image("i", noise, caption="noise", boxes=[0, 0, 4000, 2000], labels=["all"])
    body = caught.body()
    every = 4000 // (body["width"] - 1)

    assert len(caught.notes[-1][2].body) <= limit_of("image").body
    assert body["caption"] == f"noise (thinned to 1/{every} of 4000 x 2000)"
    assert body["boxes"] == [[0, 0, 4000 / every, 2000 / every]]
    assert body["box_labels"] == ["all"]
    assert (pixels(caught) == noise[::every, ::every]).all()


def test_what_is_not_finite_in_a_picture_is_black_and_counted(caught: Caught) -> None:
    """And the other pixels are as they were."""
    caught.publisher.image("i", [[float("nan"), 1.0], [float("inf"), 0.5]], layout="HW")

    assert pixels(caught).tolist() == [[0, 255], [0, 127]]
    assert caught.refused == {"values that are not finite": 2}


# -- documents ---------------------------------------------------------------------------------


def test_a_text_is_cut_where_it_is_too_long(caught: Caught) -> None:
    """What was cut is said in it, whatever its characters take on the wire."""
    for character in ("x", "\n", "\u20ac"):
        caught.publisher.text("t", character * 1_000_000, markdown=False)
        text = caught.body()["text"]
        assert text.startswith(character * 10_000)
        assert text.endswith("(cut, of 1000000 characters)")
    assert caught.refused == {}


def test_a_table_keeps_the_rows_that_fit(caught: Caught) -> None:
    """Cells are numbers, texts and nothing; rows past the limit are counted in the document."""
    rows = [[1, "a"], [None, float("nan")], [np.float32(2), dt.date(2024, 1, 2)], {"x": 3, "y": ()}]
    caught.publisher.table("t", ["x", "y"], rows)
    assert caught.document()["rows"] == [[1, "a"], [None, "NaN"], [2.0, "2024-01-02"], [3, "()"]]

    caught.publisher.table("t", ["x"], [["y" * 1000]] * 1000)
    document = caught.document()
    assert len(document["rows"]) + document["left_off"] == 1000
    caught.publisher.table("t", ["x"], ([0] for _ in iter(int, 1)))
    assert caught.document()["left_off"] == 1
    assert caught.refused == {}


def test_pandas_is_taken_as_it_is(caught: Caught) -> None:
    """A table of pandas is a table, and its columns are series along its index."""
    pandas = import_module("pandas")
    frame = pandas.DataFrame(
        {"a": [1, 2], "word": ["x", "y"]}, index=pandas.to_datetime(["2024-01-01", "2024-01-02"])
    )
    caught.publisher.table("t", frame)
    assert caught.document() == {"columns": ["a", "word"], "rows": [[1, "x"], [2, "y"]]}
    caught.publisher.chart("c", y=frame)
    document = caught.document()
    assert (document["x"], document["x_type"]) == ([1704067200.0, 1704153600.0], "datetime")
    assert document["series"] == [{"name": "a", "y": [1.0, 2.0]}]
    caught.publisher.chart("c", y=frame["a"])
    assert caught.document()["series"] == [{"name": "a", "y": [1.0, 2.0]}]


def test_hyperparameters_are_flat(caught: Caught) -> None:
    """Nested ones have a path; an object's attributes are taken; what is no number is refused."""
    caught.publisher.hparams({"opt": {"lr": 0.1, "betas": (0.9, 0.99)}, "amp": True}, {"acc": 1})
    assert caught.document() == {
        "hparams": {"opt/lr": 0.1, "opt/betas": "(0.9, 0.99)", "amp": True},
        "metrics": {"acc": 1.0},
    }
    caught.publisher.hparams(SimpleNamespace(lr=2))
    assert caught.document()["hparams"] == {"lr": 2}
    caught.publisher.hparams({"lr": 1}, {"acc": "high"})
    assert caught.refused == {"metrics of hyperparameters that are no numbers": 1}


def test_a_layout_is_checked(caught: Caught) -> None:
    """A margin chart has three metrics."""
    caught.publisher.layout([{"title": "t", "kind": "Margin", "metrics": ["a", "b", "c"]}])
    assert caught.document() == {
        "charts": [
            {"category": "default", "title": "t", "kind": "margin", "metrics": ["a", "b", "c"]}
        ]
    }
    caught.publisher.layout([{"kind": "margin", "metrics": ["a"]}])
    assert caught.refused == {"a chart of a layout with too few metrics": 1}


# -- charts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"y": [1, 2]}, {"x": None, "series": [{"name": "", "y": [1, 2]}]}),
        (
            {"kind": "bar", "x": ["a", "b"], "y": {"m": [1, float("nan")]}},
            {"x": ["a", "b"], "series": [{"name": "m", "y": [1, "NaN"]}]},
        ),
        (
            {"kind": "scatter", "x": [dt.datetime(1970, 1, 2)], "y": [3]},
            {"x": [86400.0], "x_type": "datetime", "series": [{"name": "", "y": [3]}]},
        ),
        (
            {"x": np.array(["1970-01-01T00:00:01"], "M8[s]"), "y": [3]},
            {"x": [1.0], "x_type": "datetime", "series": [{"name": "", "y": [3]}]},
        ),
        (
            {"kind": "pie", "y": {"a": 1, "b": 3}},
            {"x": ["a", "b"], "series": [{"name": "", "y": [1, 3]}]},
        ),
        (
            {"kind": "hist", "y": {"a": [0, 1], "b": [2, float("nan")]}, "bins": 2},
            {
                "x": None,
                "series": [
                    {"name": "a", "edges": [0, 1, 2], "counts": [1, 1]},
                    {"name": "b", "edges": [0, 1, 2], "counts": [0, 1]},
                ],
            },
        ),
        (
            {"kind": "box", "y": {"a": [1, 2, 3, 4, 100]}},
            {
                "x": None,
                "series": [
                    {
                        "name": "a",
                        "low": 1,
                        "q1": 2,
                        "median": 3,
                        "q3": 4,
                        "high": 4,
                        "outliers": [100],
                    }
                ],
            },
        ),
        (
            {"kind": "confusion", "x": ["cat", "dog"], "y": [[5, 1], [2, 4]]},
            {"x": ["cat", "dog"], "rows": ["cat", "dog"], "z": [[5, 1], [2, 4]], "series": []},
        ),
    ],
)
def test_a_chart_is_what_was_given(
    caught: Caught, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Of every kind: numbers, words and dates along x, one series or several by name."""
    caught.publisher.chart("c", title="T", labels={"x": "epoch"}, **given)

    assert caught.refused == {}
    kind = given.get("kind", "line")
    about = {"chart": kind, "title": "T", "labels": {"x": "epoch", "y": ""}}
    assert caught.document() == {**about, **expected}


def test_the_page_draws_each_kind_of_chart(caught: Caught) -> None:
    """What is made here is what the server makes a figure of."""
    given: dict[str, dict[str, Any]] = {
        "line": {"x": ["2024-01-01", "2024-01-02"], "y": [1, 2]},
        "bar": {"x": ["a", "b"], "y": {"m": [1, float("nan")]}},
        "scatter": {"x": [1, 2], "y": np.arange(2)},
        "pie": {"y": {"a": 1, "b": 3}},
        "hist": {"y": {"a": [0, 1], "b": [2]}},
        "box": {"y": {"a": [1, 2, 3, 99], "b": [5]}},
        "heatmap": {"y": np.eye(300)},
        "confusion": {"x": ["a", "b"], "y": [[1, 2], [3, 4]]},
    }
    for kind, values in given.items():
        caught.publisher.chart("c", kind, **values)
        assert figure_of(read_document(read_body(caught.notes[-1][2].body))) is not None
    caught.publisher.chart("c", y=np.random.default_rng(1).normal(size=100_000))
    assert figure_of(read_document(read_body(caught.notes[-1][2].body))) is not None
    assert caught.refused == {}


def test_a_long_line_keeps_its_extremes(caught: Caught) -> None:
    """A million points become 20,000, with every spike at its place."""
    values = np.random.default_rng(3).normal(size=1_000_000)
    values[[123_456, 777_777]] = 1000, -1000
    values[5] = np.nan
    caught.publisher.chart("c", x=np.arange(1_000_000) * 2, y=values)
    document = caught.document()
    [series] = document["series"]
    told = dict(zip(series["x"], series["y"], strict=True))

    assert document["reduced_from"] == 1_000_000
    assert len(told) <= 20_000
    assert series["x"] == sorted(series["x"])
    assert (told[246_912], told[1_555_554]) == (1000, -1000)
    assert all(values[int(x) // 2] == y for x, y in told.items() if y != "NaN")


def test_a_large_matrix_becomes_means(caught: Caught) -> None:
    """Blocks of equal cells keep their value."""
    caught.publisher.chart(
        "c", "heatmap", y=np.kron(np.arange(4).reshape(2, 2), np.ones((256, 256)))
    )
    document = caught.document()
    z = np.array(document["z"])

    assert document["reduced_from"] == 512 * 512
    assert z.size <= 20_000
    assert (z[0, 0], z[0, -1], z[-1, 0], z[-1, -1]) == (0, 1, 2, 3)
    assert len(document["x"]) == z.shape[1]


# -- what cannot be sent -----------------------------------------------------------------------


class Hostile:
    """An object that raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"not {name}")


@pytest.mark.parametrize(
    ("method", "arguments", "says"),
    [
        ("histogram", ([],), "found an empty array"),
        ("histogram", (["a"],), "dtype <U1"),
        ("histogram", ([1.0], None), None),
        ("histogram", (np.zeros(3, complex),), "complex128"),
        ("histogram", ([float("nan")],), "found 1 values, none finite"),
        ("histogram_raw", ([0, 1], [1, 2]), "found 2 edges and 2 counts"),
        ("histogram_raw", ([0, 0, 1], [1, 2]), "edges do not increase"),
        ("histogram_raw", ([0, 1], [-1]), "counts below zero"),
        ("histogram_raw", (np.arange(12_500_001), np.zeros(12_500_000)), "found 12500000"),
        ("image", (np.zeros((4, 4, 2)),), "found 2 in an array of shape (4, 4, 2)"),
        ("image", (np.zeros((0, 4, 3)),), "without pixels"),
        ("image", (np.zeros(5),), "found an array of shape (5,)"),
        ("image", (b"GARBAGE",), "they begin with b'GARBAGE'"),
        ("image", (b"\x89PNG\r\n\x1a\n" + bytes(1 << 20),), "at most 104"),
        ("image", ([["a"]],), "picture of no numbers"),
        ("chart", ("x", "sunburst"), "found 'sunburst', expected line, bar"),
        ("table", (["a"], [[1, 2]]), "row 0 has 2 cells, there are 1 columns"),
        ("table", (["a"], 5), "found int"),
        ("figure", (object(),), "figures of matplotlib, plotly and bokeh are"),
        ("pr_curve", ([0, 1], [0.5]), "found 2 labels and 1 predictions"),
        ("pr_curve", ([0, 1], [0.5, 7]), "send probabilities"),
        ("pr_curve", ([0, 3], [0.5, 0.5]), "a curve is of two classes"),
        ("layout", (5,), "found int"),
        ("hparams", (5,), "found int"),
    ],
)
def test_a_refusal_says_what_was_found(
    caught: Caught, caplog: pytest.LogCaptureFixture, method: str, arguments: Any, says: str | None
) -> None:
    """It is counted, and one warning names what was found; nothing is raised."""
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            call = getattr(caught.publisher, method)
            if method in ("hparams", "layout"):
                call(*arguments)
            elif method == "chart":
                call(*arguments, y=[1])
            else:
                call("name", *arguments)

    if says is None:
        assert caught.refused == {}
        return
    assert list(caught.refused.values()) == [2]
    assert caught.notes == []
    [record] = caplog.records
    assert says in record.getMessage()
    assert method.removesuffix("_raw") in record.getMessage()


def test_a_hostile_object_harms_nothing(caught: Caught) -> None:
    """Whatever an object raises is counted."""
    for method in ("histogram", "image", "text", "figure", "tensor"):
        getattr(caught.publisher, method)("name", Hostile())
    caught.publisher.table("name", Hostile(), Hostile())
    caught.publisher.chart("name", y=Hostile())
    caught.publisher.pr_curve("name", Hostile(), Hostile())
    caught.publisher.hparams(Hostile())
    caught.publisher.image("name", [[1]], Hostile())

    assert caught.notes == []
    assert sum(caught.refused.values()) == 10


def test_a_setting_lowers_what_a_payload_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is thinned out to it, a text cut, and what can be neither is refused."""
    monkeypatch.setenv("STREAMVIZ_PAYLOAD_BYTES", "8KiB")
    caught = Caught()
    noise = np.random.default_rng(1).integers(0, 256, (200, 200), dtype=np.uint8)
    caught.publisher.image("i", noise, layout="HW")
    caught.publisher.text("t", "x" * 100_000)
    assert [len(note.body) <= 8192 for _, _, note in caught.notes] == [True, True]
    caught.publisher.chart("c", y=noise.reshape(-1)[:5000])
    assert caught.refused == {"an item of more than 8192 bytes": 1}
    caught.close()

    with pytest.raises(ConfigError, match="payload_bytes"):
        PublisherConfig.resolve(payload_bytes=2**20 + 1)
    assert PublisherConfig.resolve().payload_bytes == 8192


def test_off_does_nothing() -> None:
    """With ``mode="off"`` nothing is looked at."""
    caught = Caught(mode="off")
    caught.publisher.histogram("h", Hostile())
    assert (caught.notes, caught.refused) == ([], {})
    caught.close()


def test_a_wall_time_may_be_given(caught: Caught) -> None:
    """To rows too; one that is none is refused."""
    caught.publisher._send_at({"a": 1.0}, 3, 12.5)
    caught.publisher.text("t", "x", time=13.5)
    caught.publisher._send_at({"a": 1.0}, 3, float("nan"))

    assert [(step, time) for step, time, _ in caught.notes] == [(3, 13.5)]
    assert caught.rows == [{"a": 1.0}]
    assert caught.refused == {"a wall time that is not finite": 1}
