"""Pictures, distributions, texts, charts and the like: what a training shows besides numbers.

Law: no method here raises, or waits for a device, network or disk. Values are taken as they are at
the call; what cannot be sent is counted, and said once with what was found and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsIndex

from streamviz.publisher.payload_sender import PayloadSender, what
from streamviz.wire.kinds import (
    CHART,
    FIGURE,
    HISTOGRAM,
    HPARAMS,
    IMAGE,
    LAYOUT,
    PR_CURVE,
    TABLE,
    TENSOR,
    TEXT,
)
from streamviz.wire.payloads import document_body

__all__ = ["Payloads"]


class Payloads(PayloadSender):
    """What a publisher sends besides metrics, marks and alerts.

    NumPy arrays, tensors, lists and pandas objects are taken alike. A tensor on a CUDA device is
    copied in stream order without a synchronisation, and sent when it is there. Every method takes
    a ``step``, by default the last one sent, and a wall ``time`` in seconds since the epoch, by
    default now.
    """

    def histogram(
        self,
        name: str,
        values: object,
        step: SupportsIndex | None = None,
        *,
        bins: int | str | Sequence[float] = 64,
        max_bins: int = 512,
        time: float | None = None,
    ) -> None:
        """Send how values are distributed; they are binned here, so that only counts travel.

        Of more than a million values a part is binned and scaled up; lowest and highest are of all.

        Args:
            name: As a metric's.
            values: Real numbers of any shape; those that are not finite are left out, and counted.
            step: Default: the last step sent.
            bins: How many of equal width, at most 512; or their edges; or one of NumPy's estimators
                such as ``auto``; or ``tensorflow`` for TensorBoard's.
            max_bins: How many are left at most, by merging the emptiest; 512 at most.
            time: Default: now.
        """

        def make(array: object) -> Mapping[str, object]:
            from streamviz.publisher.histograms import binned

            found = binned(array, bins, max_bins)
            self._not_finite(HISTOGRAM, name, found.not_finite)
            return found.body()

        self._draw(HISTOGRAM, name, step, time, make, values)

    def histogram_raw(
        self,
        name: str,
        edges: object,
        counts: object,
        step: SupportsIndex | None = None,
        *,
        low: float | None = None,
        high: float | None = None,
        total: float | None = None,
        squares: float | None = None,
        time: float | None = None,
    ) -> None:
        """Send a distribution that was counted elsewhere.

        Args:
            name: As a metric's.
            edges: float[n + 1], increasing and finite; of more than 512 bins neighbours are merged.
            counts: float[n], 0 or more.
            step: Default: the last step sent.
            low: Lowest value; default: where the first bin with any begins.
            high: Highest value; likewise.
            total: Sum of the values; default: as if all lay in the middle of their bins.
            squares: Sum of their squares; likewise.
            time: Default: now.
        """

        def make(sides: object, heights: object) -> Mapping[str, object]:
            from streamviz.publisher.histograms import given_bins

            return given_bins(sides, heights, low, high, total, squares).body()

        self._draw(HISTOGRAM, name, step, time, make, edges, counts)

    def image(
        self,
        name: str,
        image: object,
        step: SupportsIndex | None = None,
        *,
        layout: str = "HWC",
        caption: str = "",
        boxes: object = None,
        labels: Sequence[object] | None = None,
        rescale: float = 1.0,
        time: float | None = None,
    ) -> None:
        """Send a picture.

        One that is too large is thinned out by a whole number until it fits; its caption says so.

        Args:
            name: As a metric's.
            image: uint8, or floats from 0 to 1, of 1, 3 or 4 channels; values that are not finite
                are drawn as 0, and counted. Or the bytes of a PNG, JPEG, GIF, WebP or SVG file, or
                a PIL image, or a matplotlib figure.
            step: Default: the last step sent.
            layout: The array's axes, such as ``HWC``, ``CHW``, ``HW``, ``NHWC`` or ``NCHW``; a
                batch becomes a grid of eight columns.
            caption: To be read below it.
            boxes: float[n, 4], x0, y0, x1, y1 in pixels of the array; at most 1,000.
            labels: A text for each box.
            rescale: Pixels of the picture for each of the array's.
            time: Default: now.
        """

        def make(array: Any, corners: object) -> Mapping[str, object]:
            from streamviz.publisher.pictures import media_body, picture_body

            said, most = str(caption), self._most(IMAGE)
            if hasattr(array, "savefig"):
                from streamviz.publisher.drawings import png_of

                return media_body(png_of(array, most), said, most)
            if isinstance(array, (bytes, bytearray, memoryview)):
                return media_body(bytes(array), said, most)
            body, bad = picture_body(array, layout, said, corners, labels, most, float(rescale))
            self._not_finite(IMAGE, name, bad)
            return body

        self._draw(IMAGE, name, step, time, make, image, boxes)

    def text(
        self,
        name: str,
        text: str,
        step: SupportsIndex | None = None,
        *,
        markdown: bool = True,
        time: float | None = None,
    ) -> None:
        """Send a text; one of more than 128 KiB is cut, and says so.

        Args:
            name: As a metric's.
            text: Markdown, of which the page draws what is harmless; or plain.
            step: Default: the last step sent.
            markdown: Whether it is Markdown.
            time: Default: now.
        """

        def make() -> Mapping[str, object]:
            from streamviz.publisher.documents import text_document

            return document_body(text_document(text, self._most(TEXT), markdown=markdown))

        self._draw(TEXT, name, step, time, make)

    def table(
        self,
        name: str,
        columns: object,
        rows: object = None,
        step: SupportsIndex | None = None,
        *,
        time: float | None = None,
    ) -> None:
        """Send a table; rows past 512 KiB are left off, and their number is said.

        Args:
            name: As a metric's.
            columns: Their names; or a pandas table, which has rows too.
            rows: Lists of cells or mappings by column: numbers, text, truth values, ``None``;
                whatever else is shown as its text.
            step: Default: the last step sent.
            time: Default: now.
        """

        def make() -> Mapping[str, object]:
            from streamviz.publisher.documents import table_document

            return document_body(table_document(columns, rows, self._most(TABLE)))

        self._draw(TABLE, name, step, time, make)

    def chart(
        self,
        name: str,
        kind: str = "line",
        *,
        x: object = None,
        y: object = None,
        title: str = "",
        labels: Mapping[str, str] | None = None,
        step: SupportsIndex | None = None,
        bins: int = 30,
        time: float | None = None,
    ) -> None:
        """Send a chart; the page draws it.

        Lines of more than 20,000 points keep the lowest and highest of every stretch.

        Args:
            name: As a metric's.
            kind: ``line``, ``bar``, ``scatter``, ``hist``, ``pie``, ``heatmap``, ``box`` or
                ``confusion``.
            x: Numbers, dates or words; default: the place in the list, or a pandas index.
            y: Numbers, or a mapping from the names of series to them, or a pandas table. For
                ``heatmap`` and ``confusion`` float[rows, columns]; for ``box`` the values of each.
            title: Above it.
            labels: ``{"x": ..., "y": ...}``, at its axes.
            step: Default: the last step sent.
            bins: Of a ``hist``, which all its series share.
            time: Default: now.
        """

        def make(across: object, up: object) -> Mapping[str, object]:
            from streamviz.publisher.charts import chart_document

            return document_body(chart_document(kind, across, up, title, labels, bins))

        self._draw(CHART, name, step, time, make, x, y)

    def figure(
        self,
        name: str,
        figure: object,
        step: SupportsIndex | None = None,
        *,
        time: float | None = None,
    ) -> None:
        """Send a figure of matplotlib, as a picture, or of Plotly or Bokeh, which stay alive.

        Drawing it takes the time that its library needs, on this thread.

        Args:
            name: As a metric's.
            figure: A figure of one of these, or what is drawn on one, such as axes; or Plotly's
                JSON as a mapping.
            step: Default: the last step sent.
            time: Default: now.
        """
        try:
            from streamviz.publisher.drawings import drawn

            png, body = drawn(figure, self._most(FIGURE))
        except Exception as error:  # noqa: BLE001 - promise 1: a figure must not end a training
            self._refusals.refuse_item(error, what(FIGURE, name))
            return
        if png is None:
            self._draw(FIGURE, name, step, time, lambda: body)
        else:
            self.image(name, png, step, time=time)

    def pr_curve(
        self,
        name: str,
        labels: object,
        predictions: object,
        step: SupportsIndex | None = None,
        *,
        thresholds: int = 127,
        weights: object = None,
        time: float | None = None,
    ) -> None:
        """Send the precision-recall curve of a two-class classifier.

        Args:
            name: As a metric's.
            labels: 0 or 1 for each sample, any shape.
            predictions: Probability of 1 for each.
            step: Default: the last step sent.
            thresholds: Points of the curve, evenly from 0 to 1; 2 to 500.
            weights: Of each sample; default: 1.
            time: Default: now.
        """

        def make(truth: object, guesses: object, weight: object) -> Mapping[str, object]:
            from streamviz.publisher.documents import pr_document

            return document_body(pr_document(truth, guesses, thresholds, weight))

        self._draw(PR_CURVE, name, step, time, make, labels, predictions, weights)

    def pr_curve_raw(
        self,
        name: str,
        counts: Mapping[str, object],
        step: SupportsIndex | None = None,
        *,
        thresholds: int = 127,
        time: float | None = None,
    ) -> None:
        """Send a precision-recall curve that was counted elsewhere.

        Args:
            name: As a metric's.
            counts: ``tp``, ``fp``, ``tn``, ``fn``, ``precision`` and ``recall``, float[thresholds].
            step: Default: the last step sent.
            thresholds: Points of the curve, evenly from 0 to 1; 2 to 500.
            time: Default: now.
        """

        def make(*columns: object) -> Mapping[str, object]:
            from streamviz.publisher.documents import pr_raw_document

            return document_body(pr_raw_document(columns, thresholds))

        names = ("tp", "fp", "tn", "fn", "precision", "recall")
        try:
            columns = [counts[column] for column in names]
        except Exception as error:  # noqa: BLE001 - promise 1: a curve must not end a training
            self._refusals.refuse_item(error, what(PR_CURVE, name))
            return
        self._draw(PR_CURVE, name, step, time, make, *columns)

    def hparams(
        self,
        params: object,
        metrics: object = None,
        *,
        step: SupportsIndex | None = None,
        time: float | None = None,
    ) -> None:
        """Send hyperparameters, and what they came to; the newest are shown.

        Args:
            params: A mapping of names to values, nested ones become paths; or an object with
                attributes, such as argparse's.
            metrics: A mapping of names to numbers.
            step: Default: the last step sent.
            time: Default: now.
        """

        def make() -> Mapping[str, object]:
            from streamviz.publisher.documents import hparams_document

            return document_body(hparams_document(params, metrics))

        self._draw(HPARAMS, HPARAMS, step, time, make)

    def layout(self, charts: Iterable[Mapping[str, object]]) -> None:
        """Say which metrics are to be drawn together; the newest layout holds.

        Args:
            charts: Each with ``category``, ``title``, ``metrics`` and ``kind``: ``multiline``, or
                ``margin`` for a value, its lower and its upper bound.
        """

        def make() -> Mapping[str, object]:
            from streamviz.publisher.documents import layout_document

            return document_body(layout_document(charts))

        self._draw(LAYOUT, "custom_scalars", None, None, make)

    def tensor(
        self,
        name: str,
        tensor: object,
        step: SupportsIndex | None = None,
        *,
        time: float | None = None,
    ) -> None:
        """Send a tensor's dtype and shape, and the first 1,000 of its values.

        Args:
            name: As a metric's.
            tensor: Of any shape.
            step: Default: the last step sent.
            time: Default: now.
        """

        def make(array: object) -> Mapping[str, object]:
            from streamviz.publisher.documents import tensor_document

            return document_body(tensor_document(array))

        self._draw(TENSOR, name, step, time, make, tensor)
