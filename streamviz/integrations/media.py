"""What a log call may hold besides numbers: images, histograms, tables, texts and figures.

Law: what cannot be sent is counted by the publisher and warned of; nothing raises, and of one call
nothing else is lost.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from streamviz.integrations.boxes import corners_and_labels
from streamviz.publisher.publisher import Publisher

__all__ = ["Histogram", "Image", "Payload", "Table", "send_values"]

_log = logging.getLogger("streamviz.integrations")

_MOST_WARNINGS = 100
_warned: set[tuple[str, str]] = set()

_FIGURES = ("matplotlib", "plotly", "bokeh")


@runtime_checkable
class Payload(Protocol):
    """Something that knows how it is sent."""

    def send_to(self, publisher: Publisher, name: str, step: int | None) -> None:
        """Send it under a name."""


class Image:
    """An image to be logged.

    >>> streamviz.log({"samples": streamviz.Image(array, caption="a cat")})  # doctest: +SKIP
    """

    def __init__(
        self,
        data: Any,
        mode: str | None = None,
        caption: str | None = None,
        *,
        boxes: Any = None,
        labels: Sequence[str] | None = None,
        layout: str = "HWC",
    ) -> None:
        """Keep it until it is logged.

        Args:
            data: Array or tensor of height by width (by 1, 3 or 4 channels), ``uint8`` or floats
                from 0 to 1; a PIL image; a matplotlib figure; the bytes of a PNG, JPEG, GIF or
                SVG; or the path of such a file.
            mode: PIL's mode to convert a PIL image into.
            caption: Text beneath it.
            boxes: n by 4 corners, x0, y0, x1, y1 in pixels; or as wandb takes them, see
                :func:`streamviz.integrations.boxes.corners_and_labels`.
            labels: A text for each box.
            layout: Order of an array's axes: ``HWC``, ``CHW`` or ``HW``.
        """
        self._data = data
        self._mode = mode
        self._caption = caption or ""
        self._boxes = boxes
        self._labels = labels
        self._layout = layout

    def send_to(self, publisher: Publisher, name: str, step: int | None) -> None:
        """Send it under a name."""
        data, boxes, labels = self._data, self._boxes, self._labels
        if isinstance(data, (str, Path)):
            data = Path(data).read_bytes()
        elif _is_pil(data):
            data = _pixels(data, self._mode)
        if isinstance(boxes, Mapping):
            boxes, labels = corners_and_labels(boxes, *_width_and_height(data, self._layout))
        publisher.image(
            name,
            data,
            step,
            layout=self._layout,
            caption=self._caption,
            boxes=boxes,
            labels=labels,
        )


class Histogram:
    """A distribution to be logged.

    >>> streamviz.log({"scores": streamviz.Histogram(scores)})  # doctest: +SKIP
    """

    def __init__(self, sequence: Any = None, np_histogram: Any = None, num_bins: int = 64) -> None:
        """Keep it until it is logged.

        Args:
            sequence: Numbers, an array or a tensor, of any shape.
            np_histogram: Instead, counts and edges as ``numpy.histogram`` returns them.
            num_bins: Bins that numbers are counted in.

        Raises:
            ValueError: Neither was given, or both.
        """
        if (sequence is None) == (np_histogram is None):
            raise ValueError("Histogram takes either sequence or np_histogram, one of them")
        self._sequence = sequence
        self._counted = np_histogram
        self._bins = num_bins

    def send_to(self, publisher: Publisher, name: str, step: int | None) -> None:
        """Send it under a name."""
        if self._counted is None:
            publisher.histogram(name, self._sequence, step, bins=self._bins)
        else:
            counts, edges = self._counted
            publisher.histogram_raw(name, edges, counts, step)


class Table:
    """A table to be logged.

    >>> table = streamviz.Table(columns=["text", "score"])  # doctest: +SKIP
    >>> table.add_data("a cat", 0.9)                        # doctest: +SKIP
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        data: Iterable[Sequence[Any]] | None = None,
        *,
        rows: Iterable[Sequence[Any]] | None = None,
        dataframe: Any = None,
    ) -> None:
        """Keep it until it is logged.

        Args:
            columns: Names of the columns; default: their numbers.
            data: Rows, each as long as there are columns.
            rows: The same, by another name.
            dataframe: Instead, a pandas ``DataFrame``.
        """
        if dataframe is not None:
            columns = [str(name) for name in dataframe.columns]
            data = dataframe.to_numpy().tolist()
        given = data if data is not None else rows
        self.data = [list(row) for row in (given if given is not None else ())]
        widest = max((len(row) for row in self.data), default=0)
        self.columns = [str(name) for name in (columns or range(widest))]

    def add_data(self, *values: Any) -> None:
        """Add a row."""
        self.data.append(list(values))

    def send_to(self, publisher: Publisher, name: str, step: int | None) -> None:
        """Send it under a name."""
        publisher.table(name, self.columns, self.data, step)


def send_values(publisher: Publisher, values: Mapping[str, Any], step: int | None) -> None:
    """Send whatever a log call holds, each in the way of its kind.

    Numbers of one element become metrics, all in one row; texts, images, tables, histograms and
    figures of matplotlib, plotly and bokeh what they are; arrays, tensors and lists of numbers a
    histogram; a list of images one image each, as ``name/0``, ``name/1``.

    Args:
        publisher: Who sends.
        values: Names to values.
        step: Their step.
    """
    numbers: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, (float, int)):
            numbers[name] = value
            continue
        try:
            sent = _send_payload(publisher, name, value, step)
        except Exception as error:  # noqa: BLE001 - promise 1: a log call must not end a training
            _warn_once(name, error)
            sent = False  # as it is no number either, the publisher counts it
        if not sent:
            numbers[name] = value
    if numbers:
        publisher.send(numbers, step=step)


def _warn_once(name: str, error: Exception) -> None:
    cause = (name[:80], type(error).__name__)
    if cause not in _warned and len(_warned) < _MOST_WARNINGS:
        _warned.add(cause)
        with suppress(Exception):  # a user's log handler may raise, and must not into a log call
            _log.warning("streamviz: %s was left out: %s: %s", *cause, str(error)[:200])


def _send_payload(publisher: Publisher, name: str, value: Any, step: int | None) -> bool:
    """Send a value that is no metric; return whether it was one."""
    if isinstance(value, Payload):
        value.send_to(publisher, name, step)
    elif isinstance(value, str):
        publisher.text(name, value, step, markdown=False)
    elif _is_figure(value):
        publisher.figure(name, value, step)
    elif _is_pil(value):
        publisher.image(name, _pixels(value), step)
    elif hasattr(value, "to_numpy") and hasattr(value, "columns"):
        Table(dataframe=value).send_to(publisher, name, step)
    elif isinstance(value, (list, tuple)) and value:
        _send_list(publisher, name, value, step)
    elif _size(value) > 1:
        publisher.histogram(name, value, step)
    else:
        return False
    return True


def _send_list(publisher: Publisher, name: str, values: Sequence[Any], step: int | None) -> None:
    if not any(isinstance(one, Payload) or _is_pil(one) or _is_figure(one) for one in values):
        if all(isinstance(one, str) for one in values):
            publisher.text(name, "\n".join(values), step, markdown=False)
        else:
            publisher.histogram(name, values, step)
        return
    for place, one in enumerate(values):
        _send_payload(publisher, f"{name}/{place}" if len(values) > 1 else name, one, step)


def _module(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _is_figure(value: object) -> bool:
    return _module(value) in _FIGURES and not hasattr(value, "__array__")


def _is_pil(value: object) -> bool:
    return any(kind.__module__ == "PIL.Image" for kind in type(value).__mro__)


def _pixels(image: Any, mode: str | None = None) -> Any:
    """Return a PIL image as an array of 1, 3 or 4 channels."""
    import numpy as np

    if mode is not None:
        image = image.convert(mode)
    elif image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    return np.asarray(image)


def _width_and_height(pixels: Any, layout: str) -> tuple[int, int]:
    """Return an array's sides; 1 each, so that boxes in pixels stay right, where there is none."""
    shape = tuple(getattr(pixels, "shape", ()))
    axes = layout if len(shape) == len(layout) else "HW"
    if len(shape) != len(axes):
        return 1, 1
    return shape[axes.index("W")], shape[axes.index("H")]


def _size(value: object) -> int:
    """Return the elements of an array or a tensor, 1 for what is none."""
    count = getattr(value, "numel", None)
    size = count() if callable(count) else getattr(value, "size", 1)
    return size if isinstance(size, int) else 1
