"""``SummaryWriter`` by itself: PyTorch's signatures, its habits, ``tee``, and no exception ever."""

from __future__ import annotations

import inspect
import logging
import re
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from payloads_caught import Caught

import streamviz
from streamviz.integrations.habits import as_text, bins_of
from streamviz.integrations.tensorboard import SummaryWriter


@pytest.fixture
def caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caught]:
    """A publisher whose items are caught, and an empty directory to be in."""
    monkeypatch.chdir(tmp_path)
    found = Caught()
    yield found
    found.close()


def theirs() -> Any:
    """Return PyTorch's class."""
    pytest.importorskip("torch")
    pytest.importorskip("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's own
        from torch.utils.tensorboard import SummaryWriter as Theirs
    return Theirs


def public(one: type) -> set[str]:
    """Return the names of a class's public methods, and of those that Python calls."""
    names = {name for name, _ in inspect.getmembers(one, inspect.isfunction)}
    return {name for name in names if name[0] != "_"} | {"__init__", "__enter__", "__exit__"}


@pytest.mark.torch
def test_every_method_has_pytorchs_parameters() -> None:
    """Names, order, kinds and defaults are those of the real class; ours come after, by name."""
    real = theirs()

    assert public(real) <= public(SummaryWriter)
    for name in public(real):
        expected = list(inspect.signature(getattr(real, name)).parameters.values())
        found = list(inspect.signature(getattr(SummaryWriter, name)).parameters.values())
        for one, other in zip(expected, found, strict=False):
            assert (one.name, one.kind, one.default) == (other.name, other.kind, other.default)
        more = found[len(expected) :]
        assert len(found) >= len(expected), name
        assert {one.kind for one in more} <= {inspect.Parameter.KEYWORD_ONLY}, name
    assert streamviz.SummaryWriter is SummaryWriter


@pytest.mark.torch
def test_its_attributes_are_there(caught: Caught, tmp_path: Path) -> None:
    """Also the bins, edge by edge, and the writers of files, which are gone after ``close``."""
    with theirs()(str(tmp_path / "real")) as real:
        ours = SummaryWriter(tmp_path / "ours", publisher=caught.publisher)
        for name in ("purge_step", "max_queue", "flush_secs", "filename_suffix", "default_bins"):
            assert getattr(ours, name) == getattr(real, name), name
        public_ones = {name for name in vars(real) if name[0] != "_"}
        assert public_ones <= set(vars(ours))
    assert ours.get_logdir() == ours.log_dir == str(tmp_path / "ours")
    assert ours.all_writers == {ours.log_dir: ours.file_writer}
    assert Path(ours.log_dir).is_dir()
    ours.close()
    ours.close()
    assert [ours.file_writer, ours.all_writers].count(None) == 2
    ours.add_scalar("a", 1.0, 0)
    ours.add_text("a", "b", 0)
    assert ours.all_writers is not None
    assert caught.rows == [{"a": 1.0}]


def test_a_run_is_named_as_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default as TensorBoard's; of several ranks a name that all come to; ``logdir`` too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMVIZ_MODE", "off")
    writer = SummaryWriter(comment="_lr0.1")
    host = re.escape(socket.gethostname())
    assert re.fullmatch(rf"runs/[A-Z]\w\w\d\d_\d\d-\d\d-\d\d_{host}_lr0\.1", writer.log_dir)
    assert writer.publisher.run == writer.log_dir
    assert SummaryWriter("exp", comment="ignored").publisher.run == "exp"
    assert SummaryWriter(logdir="exp2").publisher.run == "exp2"
    assert SummaryWriter("exp3", run="mine").publisher.run == "mine"
    assert SummaryWriter("bad\nname").publisher.run == "bad name"
    with monkeypatch.context() as patch:
        for name, value in {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "a"}.items():
            patch.setenv(name, value)
        writers = [SummaryWriter(), SummaryWriter()]
        assert len({one.publisher.run for one in writers}) == 1
        assert (writers[0].publisher.rank, writers[0].publisher.world_size) == (1, 4)
    monkeypatch.setenv("STREAMVIZ_RUN", "told")
    assert SummaryWriter().publisher.run == "told"
    assert SummaryWriter(rank=2, world_size=3).publisher.rank == 2


def test_steps_of_every_kind(caught: Caught) -> None:
    """``None`` counts by tag; what ``int`` takes is taken; what it does not is counted."""
    writer = SummaryWriter("x", publisher=caught.publisher)
    for tag in ("a", "a", "b"):
        writer.add_text(tag, "")
    for step in (np.int64(7), 8.0, np.array(9)):
        writer.add_text("c", "", step)
        writer.add_scalar("c", 1, step)
    writer.add_text("c", "", "x")
    writer.add_scalar("c", 1, "x")
    writer.add_scalar([], 1, 1)

    assert [step for step, _, _ in caught.notes] == [0, 1, 0, 7, 8, 9]
    assert len(caught.rows) == 3
    assert sum(caught.refused.values()) == 3


def test_layouts_are_told_as_a_whole(caught: Caught) -> None:
    """Charts of several tags add up, however they are told of."""
    writer = SummaryWriter("x", publisher=caught.publisher)
    writer.add_scalars("loss/all", {"train": 1, "val": 2}, 0)
    writer.add_scalars("loss/all", {"train": 1, "val": 2}, 1)
    writer.add_custom_scalars_multilinechart(["a", "b"])
    writer.add_custom_scalars_marginchart(["a", "b", "c"], "band", "b")
    writer.add_custom_scalars({"Taiwan": {"twse": ["Multiline", ["0050", "2330"]]}})

    told = {(one["category"], one["title"]): one for one in caught.document()["charts"]}
    assert {place: (one["kind"], one["metrics"]) for place, one in told.items()} == {
        ("loss", "loss/all"): ("multiline", ["loss/all/train", "loss/all/val"]),
        ("default", "untitled"): ("multiline", ["a", "b"]),
        ("band", "b"): ("margin", ["a", "b", "c"]),
        ("Taiwan", "twse"): ("multiline", ["0050", "2330"]),
    }
    assert len(caught.notes) == 4, "one for each change"
    assert caught.rows == [{"loss/all/train": 1, "loss/all/val": 2}] * 2


class Recorder:
    """A writer that remembers its calls, and raises in one of them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> None:
            self.calls.append((name, args, kwargs))
            if name == "add_mesh":
                raise ValueError("no mesh")

        return call


def test_tee_gets_every_call(caught: Caught, caplog: pytest.LogCaptureFixture) -> None:
    """With the same arguments, also what is not shown; its exceptions are warned of once."""
    recorder = Recorder()
    writer = SummaryWriter("x", publisher=caught.publisher, tee=[recorder])
    with caplog.at_level(logging.WARNING):
        writer.add_scalar("a", 1.0, 0)
        writer.add_histogram("h", [1, 2], bins=4)
        writer.add_audio("s", [0.0], 1, sample_rate=8000)
        for _ in range(2):
            writer.add_mesh("m", [])
        writer.flush()
        writer.close()

    assert recorder.calls == [
        ("add_scalar", ("a", 1.0, 0, None, False, False), {}),
        ("add_histogram", ("h", [1, 2]), {"bins": 4}),
        ("add_audio", ("s", [0.0], 1), {"sample_rate": 8000}),
        ("add_mesh", ("m", []), {}),
        ("add_mesh", ("m", []), {}),
        ("flush", (), {}),
        ("close", (), {}),
    ]
    [record] = caplog.records
    assert "add_mesh of a Recorder in tee raised: ValueError('no mesh')" in record.getMessage()


def test_what_is_not_shown_is_said_once(caught: Caught, caplog: pytest.LogCaptureFixture) -> None:
    """Audio, video, meshes, embeddings and ONNX are taken without a word but the first."""
    writer = SummaryWriter("x", publisher=caught.publisher)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            writer.add_video("v", None)
            writer.add_audio("a", None)
            writer.add_mesh("m", None)
            writer.add_embedding(None)
            writer.add_onnx_graph(None)

    assert [record.getMessage().split(" ")[1] for record in caplog.records] == [
        f"SummaryWriter.{name}"
        for name in ("add_video", "add_audio", "add_mesh", "add_embedding", "add_onnx_graph")
    ]
    assert caught.notes == []


def test_bad_values_are_counted(caught: Caught) -> None:
    """Every method takes what makes no sense, and counts it."""
    writer: Any = SummaryWriter("x", publisher=caught.publisher)
    bad = object()
    for name, arguments in {
        "add_scalar": ("a", bad, 0),
        "add_scalars": ("a", bad),
        "add_hparams": (bad, bad),
        "add_tensor": ("a", bad),
        "add_histogram": ("a", bad),
        "add_histogram_raw": ("a", *[bad] * 7),
        "add_pr_curve": ("a", bad, bad),
        "add_pr_curve_raw": ("a", *[bad] * 6),
        "add_image": ("a", bad),
        "add_images": ("a", bad),
        "add_image_with_boxes": ("a", bad, bad),
        "add_figure": ("a", bad),
        "add_text": (bad, "x"),
        "add_custom_scalars": (bad,),
        "add_custom_scalars_marginchart": (["a"],),
        "add_custom_scalars_multilinechart": (bad,),
    }.items():
        before = sum(caught.refused.values())
        getattr(writer, name)(*arguments)
        assert sum(caught.refused.values()) > before, name
    assert caught.notes == []


def test_protocol_buffers_are_read(caught: Caught) -> None:
    """A ``Summary`` written by hand has its scalars, histograms and pictures sent."""
    pytest.importorskip("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
    writer = SummaryWriter("x", publisher=caught.publisher)
    histogram = HistogramProto(
        min=0, max=2, num=3, sum=3, sum_squares=5, bucket_limit=[1, 2], bucket=[1, 2]
    )
    png = b"\x89PNG\r\n\x1a\n" + bytes(16)
    values = [
        Summary.Value(tag="s", simple_value=2),
        Summary.Value(tag="h", histo=histogram),
        Summary.Value(tag="i", image=Summary.Image(encoded_image_string=png)),
    ]
    files = writer._get_file_writer()
    files.add_event(Event(summary=Summary(value=values)), 4, 99.0)

    assert caught.rows == [{"s": 2.0}]
    assert [(note.kind, note.name, step, time) for step, time, note in caught.notes] == [
        ("histogram", "h", 4, 99.0),
        ("image", "i", 4, 99.0),
    ]
    assert files.get_logdir() == "x"
    files.flush()
    files.close()
    files.reopen()


def test_buckets_are_told_by_their_upper_limits() -> None:
    """An empty first bucket says where the next begins, and infinity is the highest value."""
    assert bins_of(-5, 5, [0, 1, 2], [0, 3, 4]) == ([0, 1, 2], [3, 4])
    assert bins_of(-5, 5, [0, 1], [3, 4]) == ([-5, 0, 1], [3, 4])
    assert bins_of(-5, 5, [0, 1.7976931348623157e308], [3, 4]) == ([-5, 0, 5], [3, 4])


def test_lists_and_mappings_are_texts() -> None:
    """A list is one, a mapping is a table, and cells cannot break it."""
    assert as_text(["a", 1]) == "- a\n- 1"
    assert as_text({"a|b": "c\nd"}) == "| key | value |\n|---|---|\n| a\\|b | c d |"


def test_a_crash_goes_on_as_another_attempt(
    caught: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher that is there already is told so."""
    told: list[str] = []
    monkeypatch.setattr(caught.publisher, "new_attempt", lambda: told.append("new"))
    assert SummaryWriter("x", purge_step=5, publisher=caught.publisher).purge_step is None
    assert told == ["new"]


def test_flush_waits_for_nobody_twice(caught: Caught, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no server answers, only the first of many waits."""
    waited: list[float] = []
    heard = iter([False, False, True, True])

    def flush(timeout: float) -> bool:
        waited.append(timeout)
        return next(heard)

    monkeypatch.setattr(caught.publisher, "flush", flush)
    writer = SummaryWriter("x", publisher=caught.publisher)
    for _ in range(4):
        writer.flush()
    assert waited == [2.0, 0.0, 0.0, 2.0]


def test_a_graph_is_the_publishers(caught: Caught, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model goes to ``Publisher.graph`` with its example input."""
    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        type(caught.publisher), "graph", lambda _, *args: seen.append(args), raising=False
    )
    model = SimpleNamespace()
    SummaryWriter("x", publisher=caught.publisher).add_graph(model, (1,), verbose=True)
    assert seen == [(model, (1,))]
