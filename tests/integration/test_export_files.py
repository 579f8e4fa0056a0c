"""``streamviz export --tfevents`` and ``--html``: what TensorBoard and a browser read of a run."""

from __future__ import annotations

import json
import math
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from recorded import EPOCH, RunMaker, table_rows

from streamviz.cli import run as run_command
from streamviz.journal.entries import ItemRow
from streamviz.wire.bodies import pack_body
from streamviz.wire.payloads import document_body

STEPS = 3000


def items() -> list[ItemRow]:
    """Return one item of each kind that is written."""
    edges, counts = np.array([-1.0, 0.0, 2.0]), np.array([3.0, 5.0])
    weights = {"edges": edges.tobytes(), "counts": counts.tobytes(), "min": -1.0, "max": 2.0}
    pixels = zlib.compress(bytes(range(27)))
    bodies: list[tuple[str, str, dict[str, object]]] = [
        ("histogram", "weights", {**weights, "count": 8.0, "total": 3.5, "squares": 9.0}),
        ("image", "sample", {"width": 3, "height": 3, "channels": 3, "pixels": pixels}),
        ("text", "words", document_body({"text": "**bold** <b>x</b>", "markdown": True})),
        ("table", "rows", document_body({"columns": ["a|b"], "rows": [[1.5], ["</script>"]]})),
        ("hparams", "hparams", document_body({"hparams": {"lr": 0.1}, "metrics": {}})),
        ("mark", "checkpoint", {"text": "saved"}),
        ("graph", "model", document_body({"modules": []})),
    ]
    return [
        ItemRow(0, i, kind, name, 10 * i, EPOCH + i, pack_body(body))
        for i, (kind, name, body) in enumerate(bodies)
    ]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The data directory of a run of two ranks, one of them started again."""
    made = RunMaker(tmp_path / "data")
    made.worker(0, 0, rows=STEPS)
    made.worker(1, 1, rows=STEPS)
    made.worker(2, 1, attempt=1, rows=STEPS)
    rows = table_rows(0, range(STEPS))
    rows.values[5, 0] = math.nan
    rows.values[1234, 0] = 1e6
    made.chunk(rows)
    made.chunk(table_rows(1, range(STEPS)))
    made.journal(table_rows(2, range(100, 200)))
    made.items(*items())
    made.close()
    return tmp_path / "data"


def export(folder: Path, *arguments: str | Path) -> int:
    """Export the run, and return the exit code."""
    return run_command(["export", "made", *map(str, arguments), "--data-dir", str(folder)])


def test_tensorboard_reads_what_was_exported(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """TensorBoard's own reader finds scalars, histograms, images and texts as they were."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    target = tmp_path / "logs"

    assert export(made, "--tfevents", target) == 0

    assert "left out: 1 graphs, which event files do not have" in capsys.readouterr().err
    assert sorted(path.name for path in target.iterdir()) == [
        "rank_0",
        "rank_1",
        "rank_1.attempt_1",
    ]
    everything = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}
    read = accumulators.EventAccumulator(str(target / "rank_0"), everything).Reload()
    scalars = read.Scalars("train/loss")
    assert [event.step for event in scalars] == list(range(STEPS))
    assert [event.wall_time for event in scalars[:3]] == [EPOCH, EPOCH + 0.1, EPOCH + 0.2]
    assert math.isnan(scalars[5].value)
    assert scalars[7].value == np.float32(7 / 3)
    [histogram] = read.Histograms("weights")
    value = histogram.histogram_value
    assert (value.num, value.sum, value.bucket) == (8.0, 3.5, [0.0, 3.0, 5.0])
    [image] = read.Images("sample")
    assert (image.width, image.height) == (3, 3)
    assert image.encoded_image_string.startswith(b"\x89PNG")
    tags = set(read.Tags()["tensors"])
    assert {"words", "rows", "marks/checkpoint"} <= tags
    [text] = read.Tensors("words")
    assert text.tensor_proto.string_val[0] == b"**bold** <b>x</b>"
    again = accumulators.EventAccumulator(str(target / "rank_1.attempt_1"), everything).Reload()
    assert [event.step for event in again.Scalars("train/lr")] == list(range(100, 200))


def test_nothing_is_written_over(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory with something in it is refused, and stays as it is."""
    pytest.importorskip("tensorboard.summary")
    target = tmp_path / "full"
    target.mkdir()
    (target / "mine").touch()

    assert export(made, "--tfevents", target) == 2

    assert "expected a directory that is empty, or not there yet" in capsys.readouterr().err
    assert [path.name for path in target.iterdir()] == ["mine"]
    assert list(tmp_path.glob("*.part")) == []


def test_a_page_has_the_extremes_and_says_what_is_thinned(made: Path, tmp_path: Path) -> None:
    """A value that one of thousands has is on the page; so is what is drawn, and how."""
    target = tmp_path / "run.html"

    assert export(made, "--html", target) == 0

    page = target.read_text()
    assert "Thinned out: 12,200 values are drawn in buckets of up to 4 steps" in page
    assert "left off: 1 graphs" in page
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page, re.S)
    assert found is not None
    assert len(json.loads(found[1])) == 3
    for words in ("<h3>loss</h3>", "<h3>weights</h3>", "<strong>bold</strong>", "checkpoint"):
        assert words in page
    assert "&lt;/script&gt;" in page
    assert "<td></script></td>" not in page


def test_a_page_of_some_metrics_and_ranks(made: Path, tmp_path: Path) -> None:
    """What is chosen is there, and nothing else that was sent."""
    target = tmp_path / "part.html"

    assert export(made, "--html", target, "--metric", "train/lr", "--rank", "0") == 0

    page = target.read_text()
    assert "<h3>lr</h3>" in page
    assert "<h3>loss</h3>" not in page
    assert "checkpoint" not in page
    assert "rank 1" not in page
