"""Accelerate: a tracker, by hand or by its name ``streamviz``.

Law: Accelerate logs from the main process only; what the other ranks have to say goes through a
publisher of their own, which this tracker shares where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accelerate import tracking

from streamviz.integrations import session
from streamviz.integrations.flat import flat
from streamviz.integrations.media import Image, Table, send_values
from streamviz.integrations.opening import LazyPublisher
from streamviz.publisher.publisher import Publisher

__all__ = ["StreamvizTracker"]


class StreamvizTracker(tracking.GeneralTracker):  # type: ignore[misc] # accelerate ships no types
    """Sends what an ``Accelerator`` logs.

    >>> accelerator = Accelerator(log_with=StreamvizTracker("resnet50"))  # doctest: +SKIP

    If :func:`streamviz.init` was called before, it sends through that run, and leaves it open.
    """

    name = "streamviz"
    requires_logging_directory = False
    main_process_only = False

    def __init__(self, run_name: str | None = None, **settings: Any) -> None:
        """Connect nowhere yet; that happens with ``init_trackers`` or with the first value.

        Args:
            run_name: Name of the run; default: as :class:`streamviz.Publisher` finds it.
            **settings: As :class:`streamviz.Publisher` takes them.
        """
        super().__init__()
        self.run_name = run_name
        self._lazy = LazyPublisher(run_name, **settings)

    @property
    def tracker(self) -> Publisher:
        """This process's publisher."""
        run = session.current()
        return self._lazy.get() if run is None else run.publisher

    def start(self) -> None:
        """Connect in the background."""
        _ = self.tracker

    def store_init_configuration(self, values: Mapping[Any, Any]) -> None:
        """Send hyperparameters; from rank 0, as all are alike."""
        publisher = self.tracker
        if publisher.rank == 0:
            publisher.hparams(values)

    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Send values: numbers as metrics, texts as texts, nested names joined by ``/``."""
        send_values(self.tracker, flat(dict(values)), step)

    def log_images(
        self, values: Mapping[str, Sequence[Any]], step: int | None = None, **kwargs: Any
    ) -> None:
        """Send images.

        Args:
            values: Names to a sequence of images, each an array of height by width (by channels) or
                a PIL image.
            step: Their step.
            **kwargs: ``caption``, for each of them.
        """
        caption = str(kwargs.get("caption") or "")
        for name, images in values.items():
            named = {name: [Image(one, caption=caption) for one in images]}
            send_values(self.tracker, named, step)

    def log_table(
        self,
        table_name: str,
        columns: Sequence[str] | None = None,
        data: Sequence[Sequence[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Send a table, from columns and rows or from a pandas ``DataFrame``."""
        table = Table(columns=columns, data=data, dataframe=dataframe)
        send_values(self.tracker, {table_name: table}, step)

    def finish(self) -> None:
        """Close the publisher, if it is the tracker's own."""
        self._lazy.close()


if hasattr(tracking, "register_tracker_class"):
    tracking.register_tracker_class(StreamvizTracker)
