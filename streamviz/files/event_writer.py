"""A run as TensorBoard's event files: one directory for each rank, and for each later attempt.

Scalars are ``simple_value`` as PyTorch's ``SummaryWriter`` writes them, which every reader of event
files takes, and which has 32 bits.

Law: what has no place in an event file is counted by its kind and said.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2 as hparams_pb2
from tensorboard.plugins.pr_curve.plugin_data_pb2 import PrCurvePluginData
from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData
from tensorboard.summary.writer.record_writer import RecordWriter

from streamviz.errors import BadPayload, WireError
from streamviz.publisher.past import FloatArray, IntArray
from streamviz.store.items import Item
from streamviz.wire.bodies import read_body
from streamviz.wire.kinds import (
    ALERT,
    HISTOGRAM,
    HPARAMS,
    IMAGE,
    LAYOUT,
    MARK,
    PR_CURVE,
    TABLE,
    TEXT,
)
from streamviz.wire.payloads import read_document

__all__ = ["EventWriter", "directory_of"]

OPEN_FILES = 64
"""Files that are open at a time, however many ranks there are."""
_PICTURES = ("image/png", "image/jpeg", "image/gif")
_CURVES = ("tp", "fp", "tn", "fn", "precision", "recall")
_FLOAT, _STRING = 1, 7
"""``DT_FLOAT`` and ``DT_STRING``."""

Picture = Callable[[Item], tuple[str, bytes]]
"""Returns the type and bytes of an image."""


def directory_of(rank: int, attempt: int) -> str:
    """Return the name of the directory of an attempt of a rank; ``import`` reads it again."""
    return f"rank_{rank}" if not attempt else f"rank_{rank}.attempt_{attempt}"


class EventWriter:
    """Writes into one log directory.

    Attributes:
        left_out: What was not written, by kind.
    """

    def __init__(self, directory: Path, host: str, started: float, picture: Picture) -> None:
        """Write nothing yet.

        Args:
            directory: Where the ranks' directories are made.
            host: Named in the files, as TensorFlow does.
            started: Wall time of the run's beginning, seconds since the epoch.
            picture: Returns a picture of an image item.
        """
        self._directory = directory
        self._file_name = f"events.out.tfevents.{int(started):010d}.{host}.0.streamviz"
        self._started = started
        self._picture = picture
        self._open: OrderedDict[tuple[int, int], tuple[IO[bytes], RecordWriter]] = OrderedDict()
        self._begun: set[tuple[int, int]] = set()
        self.left_out: Counter[str] = Counter()

    def rows(
        self,
        rank: int,
        attempt: int,
        names: Sequence[str],
        steps: IntArray,
        times: FloatArray,
        values: FloatArray,
    ) -> None:
        """Write rows.

        Args:
            rank: Whose.
            attempt: Of which attempt.
            names: K metric names.
            steps: ``int64[S]``.
            times: ``float64[S]``, seconds since the epoch.
            values: ``float64[S, K]``.
        """
        write = self._writer(rank, attempt).write
        with np.errstate(over="ignore"):
            # What is too large for 32 bits is infinite, as PyTorch's writer has it.
            narrow = values.astype(np.float32).tolist()
        for step, time, row in zip(steps.tolist(), times.tolist(), narrow, strict=True):
            summary = Summary(
                value=[
                    Summary.Value(tag=name, simple_value=value)
                    for name, value in zip(names, row, strict=True)
                ]
            )
            write(Event(wall_time=time, step=step, summary=summary).SerializeToString())

    def item(self, item: Item) -> None:
        """Write an item, or count it where event files have no place for it."""
        try:
            value = self._value(item)
        except (WireError, BadPayload, ValueError, TypeError, KeyError, AttributeError):
            self.left_out[f"{item.kind}s that cannot be read"] += 1
            return
        if value is None:
            self.left_out[f"{item.kind}s, which event files do not have"] += 1
            return
        event = Event(wall_time=item.time, step=item.step, summary=Summary(value=[value]))
        self._writer(item.rank, item.attempt).write(event.SerializeToString())

    def close(self) -> None:
        """Close all files."""
        for file, _ in self._open.values():
            file.close()
        self._open.clear()

    def _writer(self, rank: int, attempt: int) -> RecordWriter:
        key = (rank, attempt)
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key][1]
        while len(self._open) >= OPEN_FILES:
            self._open.popitem(last=False)[1][0].close()
        directory = self._directory / directory_of(rank, attempt)
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / self._file_name).open("ab")
        writer = RecordWriter(file)
        self._open[key] = (file, writer)
        if key not in self._begun:
            self._begun.add(key)
            head = Event(wall_time=self._started, file_version="brain.Event:2")
            writer.write(head.SerializeToString())
        return writer

    def _value(self, item: Item) -> Summary.Value | None:
        """Return what stands for an item, ``None`` if nothing does."""
        kind, name, data = item.kind, item.name, item.body
        if kind == IMAGE:
            media, picture = self._picture(item)
            if media not in _PICTURES:
                return None
            about = read_body(data)
            width, height = (_whole(about.get(side)) for side in ("width", "height"))
            return Summary.Value(
                tag=name,
                image=Summary.Image(
                    width=width, height=height, colorspace=3, encoded_image_string=picture
                ),
            )
        body = read_body(data)
        if kind == HISTOGRAM:
            return Summary.Value(tag=name, histo=_histogram(body))
        if kind in (MARK, ALERT):
            words = (str(body.get(key, "")) for key in ("title", "text"))
            return _text(f"{kind}s/{name}", "\n\n".join(filter(None, words)) or name)
        made = _DOCUMENTS.get(kind)
        return None if made is None else made(name, read_document(body))


def _whole(value: object) -> int:
    return value if type(value) is int and 0 < value < 1 << 24 else 0


def _histogram(body: Mapping[str, object]) -> HistogramProto:
    edges, counts = (np.frombuffer(_bytes(body[name]), "<f8") for name in ("edges", "counts"))
    if len(edges) != len(counts) + 1:
        raise ValueError("edges and counts do not fit")
    middles = (edges[1:] + edges[:-1]) / 2

    def known(name: str, otherwise: float) -> float:
        value = body.get(name)
        return float(value) if isinstance(value, (int, float)) else otherwise

    return HistogramProto(
        min=known("min", float(edges[0])),
        max=known("max", float(edges[-1])),
        num=known("count", float(counts.sum())),
        sum=known("total", float((middles * counts).sum())),
        sum_squares=known("squares", float((middles**2 * counts).sum())),
        # The first limit ends an empty bucket that says where the next begins.
        bucket_limit=edges.tolist(),
        bucket=[0.0, *counts.tolist()],
    )


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("it is to be binary")
    return value


def _metadata(plugin: str, content: bytes = b"") -> SummaryMetadata:
    data = SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    return SummaryMetadata(plugin_data=data)


def _strings(values: Iterable[bytes], *shape: int) -> TensorProto:
    dims = [TensorShapeProto.Dim(size=size) for size in shape]
    return TensorProto(
        dtype=_STRING, string_val=list(values), tensor_shape=TensorShapeProto(dim=dims)
    )


def _text(name: str, text: str) -> Summary.Value:
    metadata = _metadata("text", TextPluginData(version=0).SerializeToString())
    tensor = _strings([text.encode("utf-8", "replace")], 1)
    return Summary.Value(tag=name, metadata=metadata, tensor=tensor)


def _text_document(name: str, document: Mapping[str, object]) -> Summary.Value:
    return _text(name, str(document["text"]))


def _table(name: str, document: Mapping[str, object]) -> Summary.Value:
    """Return a table as the Markdown that TensorBoard draws."""
    columns, rows = document["columns"], document["rows"]
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise TypeError("a table has columns and rows")
    lines = [columns, ["---"] * len(columns), *rows]
    return _text(name, "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _hparams(_: str, document: Mapping[str, object]) -> Summary.Value:
    start = hparams_pb2.SessionStartInfo()
    held = document["hparams"]
    for key, value in held.items() if isinstance(held, dict) else ():
        if isinstance(value, bool):
            start.hparams[key].bool_value = value
        elif isinstance(value, (int, float)):
            start.hparams[key].number_value = value
        else:
            start.hparams[key].string_value = "" if value is None else str(value)
    data = hparams_pb2.HParamsPluginData(version=0, session_start_info=start)
    metadata = _metadata("hparams", data.SerializeToString())
    return Summary.Value(tag="_hparams_/session_start_info", metadata=metadata)


def _pr_curve(name: str, document: Mapping[str, object]) -> Summary.Value:
    lines = np.array([document[curve] for curve in _CURVES], np.float32)
    size = lines.shape[1]
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in lines.shape])
    tensor = TensorProto(dtype=_FLOAT, float_val=lines.ravel().tolist(), tensor_shape=shape)
    content = PrCurvePluginData(version=0, num_thresholds=size).SerializeToString()
    return Summary.Value(tag=name, metadata=_metadata("pr_curves", content), tensor=tensor)


def _layout(_: str, document: Mapping[str, object]) -> Summary.Value:
    categories: dict[str, list[layout_pb2.Chart]] = {}
    charts = document["charts"]
    for chart in charts if isinstance(charts, list) else ():
        metrics = [str(one) for one in chart["metrics"]]
        made = layout_pb2.Chart(title=str(chart["title"]))
        if chart["kind"] == "margin":
            for i in range(0, len(metrics) - 2, 3):
                value, lower, upper = metrics[i : i + 3]
                made.margin.series.add(value=value, lower=lower, upper=upper)
        else:
            made.multiline.tag.extend(metrics)
        categories.setdefault(str(chart["category"]), []).append(made)
    layout = layout_pb2.Layout(
        category=[layout_pb2.Category(title=t, chart=c) for t, c in categories.items()]
    )
    return Summary.Value(
        tag="custom_scalars__config__",
        metadata=_metadata("custom_scalars"),
        tensor=_strings([layout.SerializeToString()]),
    )


_DOCUMENTS: dict[str, Callable[[str, Mapping[str, object]], Summary.Value]] = {
    TEXT: _text_document,
    TABLE: _table,
    HPARAMS: _hparams,
    PR_CURVE: _pr_curve,
    LAYOUT: _layout,
}
