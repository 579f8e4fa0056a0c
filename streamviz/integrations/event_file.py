"""What a TensorBoard event file's writer looks like to those who write protocol buffers by hand.

Law: nothing is written to a file, and protocol buffers are read without importing their library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["FileWriter", "Writer"]


class Writer(Protocol):
    """What is needed of a ``SummaryWriter``."""

    def get_logdir(self) -> str:
        """Return the directory that it was given."""

    def add_scalar(
        self, tag: Any, scalar_value: Any, global_step: Any = None, walltime: Any = None
    ) -> None:
        """Send a number."""

    def add_file(
        self, tag: Any, data: bytes, global_step: Any = None, walltime: Any = None
    ) -> None:
        """Send the bytes of a picture's file."""

    @property
    def add_histogram_raw(self) -> Callable[..., None]:
        """Send a distribution that was counted already."""

    @property
    def flush(self) -> Callable[[], None]:
        """Wait until all is acknowledged."""

    @property
    def close(self) -> Callable[[], None]:
        """Deliver what is left."""

    def warn_once(self, name: str, what: str = "") -> None:
        """Say of a method that what it is given is not shown."""


class FileWriter:
    """The ``file_writer`` of a :class:`~streamviz.integrations.tensorboard.SummaryWriter`.

    Scalars, histograms and pictures in a ``Summary`` are sent; what else it holds is warned of
    once.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def get_logdir(self) -> str:
        """Return the directory that the writer was given."""
        return str(self._writer.get_logdir())

    def add_event(self, event: Any, step: Any = None, walltime: float | None = None) -> None:
        """Send what an ``Event`` has of a summary."""
        if _has(event, "summary"):
            self.add_summary(event.summary, step, walltime)

    def add_summary(
        self, summary: Any, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Send the scalars, histograms and pictures of a ``Summary``."""
        writer = self._writer
        for value in getattr(summary, "value", ()):
            tag = str(getattr(value, "tag", ""))
            if _has(value, "simple_value"):
                writer.add_scalar(tag, value.simple_value, global_step, walltime)
            elif _has(value, "histo"):
                told = value.histo
                writer.add_histogram_raw(
                    *(tag, told.min, told.max, told.num, told.sum, told.sum_squares),
                    *(list(told.bucket_limit), list(told.bucket), global_step, walltime),
                )
            elif _has(value, "image"):
                writer.add_file(tag, value.image.encoded_image_string, global_step, walltime)
            elif not tag.startswith("_hparams_/"):  # which add_hparams sends in its own way
                writer.warn_once("add_summary", "what it holds besides scalars, histograms, images")

    def add_graph(self, graph_profile: Any, walltime: float | None = None) -> None:
        """Do nothing: ``SummaryWriter.add_graph`` is shown."""
        del graph_profile, walltime
        self._writer.warn_once("file_writer.add_graph", "use SummaryWriter.add_graph, which is")

    def add_onnx_graph(self, graph: Any, walltime: float | None = None) -> None:
        """Do nothing."""
        del graph, walltime
        self._writer.warn_once("add_onnx_graph")

    def flush(self) -> None:
        """Do as the writer does."""
        self._writer.flush()

    def close(self) -> None:
        """Do as the writer does."""
        self._writer.close()

    def reopen(self) -> None:
        """Do nothing: the next call reopens it."""


def _has(message: Any, name: str) -> bool:
    try:
        return bool(message.HasField(name))
    except (AttributeError, ValueError):
        return False
