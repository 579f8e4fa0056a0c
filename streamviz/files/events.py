"""TensorBoard's events as plain values: the one file that knows its messages.

Reads what ``SummaryWriter`` of PyTorch and TensorFlow 1 write (``simple_value``, ``histo``,
``image``) and what TensorFlow 2 and plugins do (tensors, told apart by the plugin's name).

Law: whatever a message holds, reading it gives values, or a cause that is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util.tensor_util import make_ndarray

from streamviz.files.histograms import histogram_body
from streamviz.files.portions import Account
from streamviz.wire.kinds import HISTOGRAM, HPARAMS, IMAGE, LAYOUT, PR_CURVE, TEXT
from streamviz.wire.payloads import document_body

__all__ = ["Event", "Events", "Scalar", "Thing", "checksum", "parse_event"]

_TEXT_SUFFIX = "/text_summary"
"""What PyTorch's ``add_text`` puts behind a name."""
_SESSION, _EXPERIMENT = "_hparams_/session_start_info", "_hparams_/experiment"
_MEDIA = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8", "image/jpeg"),
    (b"GIF8", "image/gif"),
)
_FLOAT, _DOUBLE = 1, 2
"""``DT_FLOAT`` and ``DT_DOUBLE``."""
_MAX_IMAGES = 64
"""Pictures of one summary."""


class Scalar(NamedTuple):
    """One number."""

    name: str
    step: int
    time: float
    value: float


class Thing(NamedTuple):
    """One payload."""

    kind: str
    name: str
    step: int
    time: float
    body: Mapping[str, object]


def checksum(data: bytes) -> int:
    """Return the checksum that event files have: CRC-32C, masked."""
    return int(masked_crc32c(data))


def parse_event(data: bytes) -> Event | None:
    """Return a record's event, ``None`` if it is none."""
    try:
        return Event.FromString(data)
    except DecodeError:
        return None


@dataclass(slots=True)
class Events:
    """Reads one file's events; tags are described where they come first.

    Attributes:
        account: Where what is not for us is counted.
    """

    account: Account
    _plugins: dict[str, str] = field(default_factory=dict)
    _session: tuple[int, float, dict[str, object]] | None = None
    _results: dict[str, float | None] = field(default_factory=dict)

    def read(self, event: Event, place: str) -> Iterator[Scalar | Thing]:
        """Yield what an event holds."""
        if not event.HasField("summary"):
            what = event.WhichOneof("what")
            if what not in (None, "file_version", "session_log"):
                self.account.skip(f"{what} of an event file")
            return
        step, time = event.step, event.wall_time
        for value in event.summary.value:
            try:
                yield from self._value(value, step, time)
            except (ValueError, TypeError, IndexError, DecodeError) as error:
                cause = f"a summary that cannot be read ({type(error).__name__})"
                self.account.refuse(cause, f"{place}, tag {value.tag!r}: {error}")

    def rest(self) -> Iterator[Thing]:
        """Yield what is known only when the rest has been read: hyperparameters and results."""
        if self._session is not None:
            step, time, hparams = self._session
            self._session = None
            metrics = {name: value for name, value in self._results.items() if value is not None}
            body = document_body({"hparams": hparams, "metrics": metrics})
            yield Thing(HPARAMS, "hparams", step, time, body)

    def _value(self, value: Any, step: int, time: float) -> Iterator[Scalar | Thing]:  # noqa: ANN401 - protobuf has no types
        which = value.WhichOneof("value")
        plugin = value.metadata.plugin_data.plugin_name
        if plugin:
            self._plugins[value.tag] = plugin
        name = value.tag or value.node_name
        if which == "simple_value":
            yield self._scalar(name, step, time, value.simple_value)
        elif which == "tensor":
            plugin = plugin or self._plugins.get(value.tag, "")
            yield from self._tensor(plugin, name, step, time, value)
        elif which == "histo":
            yield Thing(HISTOGRAM, name, step, time, _old_histogram(value.histo))
        elif which == "image":
            image = value.image
            body = _image(image.encoded_image_string, image.width, image.height)
            yield Thing(IMAGE, name, step, time, body)
        elif value.tag == _SESSION or plugin == "hparams":
            self._hparams(value, step, time)
        else:
            self.account.skip(f"{which or plugin or 'summaries without a value'} of an event file")

    def _scalar(self, name: str, step: int, time: float, value: float) -> Scalar:
        if name in self._results:
            self._results[name] = value
        return Scalar(name, step, time, value)

    def _tensor(
        self,
        plugin: str,
        name: str,
        step: int,
        time: float,
        value: Any,  # noqa: ANN401 - protobuf has no types
    ) -> Iterator[Scalar | Thing]:
        tensor = value.tensor
        if plugin == "scalars":
            yield self._scalar(name, step, time, _number(tensor))
        elif plugin == "histograms":
            yield Thing(HISTOGRAM, name, step, time, _histogram(make_ndarray(tensor)))
        elif plugin == "images":
            yield from self._images(name, step, time, tensor)
        elif plugin == "text":
            texts = [_text(one) for one in np.ravel(make_ndarray(tensor)).tolist()]
            short = name.removesuffix(_TEXT_SUFFIX)
            body = document_body({"text": "\n\n".join(texts), "markdown": True})
            yield Thing(TEXT, short, step, time, body)
        elif plugin == "pr_curves":
            yield Thing(PR_CURVE, name, step, time, _pr_curve(make_ndarray(tensor)))
        elif plugin == "custom_scalars":
            layout = Layout.FromString(make_ndarray(tensor).item())
            yield Thing(LAYOUT, "custom_scalars", step, time, _layout(layout))
        elif plugin == "hparams":
            self._hparams(value, step, time)
        elif not plugin and tensor.dtype in (_FLOAT, _DOUBLE) and make_ndarray(tensor).ndim == 0:
            yield self._scalar(name, step, time, _number(tensor))
        else:
            self.account.skip(f"{plugin or 'tensors without a plugin'} of an event file")

    def _images(self, name: str, step: int, time: float, tensor: Any) -> Iterator[Thing]:  # noqa: ANN401 - protobuf has no types
        width, height, *pictures = make_ndarray(tensor).tolist()
        for i, picture in enumerate(pictures[:_MAX_IMAGES]):
            own = name if len(pictures) == 1 else f"{name}/{i}"
            yield Thing(IMAGE, own, step, time, _image(picture, int(width), int(height)))
        if len(pictures) > _MAX_IMAGES:
            left = len(pictures) - _MAX_IMAGES
            self.account.refuse(f"pictures past {_MAX_IMAGES} of a summary", f"tag {name!r}", left)

    def _hparams(self, value: Any, step: int, time: float) -> None:  # noqa: ANN401 - protobuf has no types
        data = HParamsPluginData.FromString(value.metadata.plugin_data.content)
        if data.HasField("session_start_info"):
            held = data.session_start_info.hparams
            self._session = (step, time, {key: _plain(held[key]) for key in held})
        elif data.HasField("experiment"):
            for info in data.experiment.metric_infos:
                self._results.setdefault(info.name.tag, None)


def _number(tensor: Any) -> float:  # noqa: ANN401 - protobuf has no types
    if tensor.dtype == _FLOAT and len(tensor.float_val) == 1:
        return float(tensor.float_val[0])
    if tensor.dtype == _DOUBLE and len(tensor.double_val) == 1:
        return float(tensor.double_val[0])
    return float(make_ndarray(tensor).item())


def _old_histogram(histo: Any) -> Mapping[str, object]:  # noqa: ANN401 - protobuf has no types
    limits, counts = np.array(histo.bucket_limit), np.array(histo.bucket)
    edges = np.concatenate([[-np.inf], limits])
    body = histogram_body(edges, counts, histo.min, histo.max)
    return {**body, "total": histo.sum, "squares": histo.sum_squares, "count": histo.num}


def _histogram(buckets: np.ndarray) -> Mapping[str, object]:
    """Return the body for rows of left edge, right edge and count."""
    kept = buckets[buckets[:, 2] > 0] if buckets.size else np.zeros((0, 3))
    if not len(kept):
        raise ValueError("it has no values")
    edges = np.append(buckets[:, 0], buckets[-1, 1])
    return histogram_body(edges, buckets[:, 2], float(kept[0, 0]), float(kept[-1, 1]))


def _image(data: bytes, width: int, height: int) -> Mapping[str, object]:
    media = next((media for start, media in _MEDIA if data.startswith(start)), None)
    if media is None:
        raise ValueError("a picture that is no PNG, JPEG or GIF")
    return {"media": media, "data": data, "width": width, "height": height}


def _text(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _pr_curve(data: np.ndarray) -> Mapping[str, object]:
    if data.ndim != 2 or data.shape[0] != 6:
        raise ValueError(f"a precision-recall curve of shape {data.shape}")
    names = ("tp", "fp", "tn", "fn", "precision", "recall")
    lines = {name: data[i].astype(float).tolist() for i, name in enumerate(names)}
    return document_body({"thresholds": np.linspace(0, 1, data.shape[1]).tolist(), **lines})


def _layout(layout: Layout) -> Mapping[str, object]:
    charts = []
    for category in layout.category:
        for chart in category.chart:
            margin = chart.WhichOneof("content") == "margin"
            metrics = (
                [name for one in chart.margin.series for name in (one.value, one.lower, one.upper)]
                if margin
                else list(chart.multiline.tag)
            )
            about = {"category": category.title, "title": chart.title, "metrics": metrics}
            charts.append({**about, "kind": "margin" if margin else "multiline"})
    return document_body({"charts": charts})


def _plain(value: Any) -> object:  # noqa: ANN401 - protobuf has no types
    which = value.WhichOneof("kind")
    if which in ("number_value", "string_value", "bool_value"):
        return getattr(value, which)
    return None if which in (None, "null_value") else str(value)
