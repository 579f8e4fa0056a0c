"""``SummaryWriter``: PyTorch's way to write for TensorBoard, whose data go to streamviz instead.

Law: every method and parameter of ``torch.utils.tensorboard.SummaryWriter`` is here with its
default, and none raises or waits; what is not shown goes to ``tee``, or is warned of once.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from streamviz.config import environment, setting
from streamviz.integrations.custom_scalars import CustomScalars
from streamviz.integrations.event_file import FileWriter
from streamviz.integrations.habits import as_text, bins_of, default_bins, default_run
from streamviz.integrations.teed import sent
from streamviz.publisher import Publisher
from streamviz.publisher.drawings import close_figure
from streamviz.publisher.identity import find_identity
from streamviz.publisher.notes import legal_name

__all__ = ["SummaryWriter"]

_FLUSH_S = 2.0
"""How long ``flush`` waits for the server; once it did in vain, it does not until it succeeds."""


class SummaryWriter(CustomScalars):
    """Sends what a training writes for TensorBoard to a streamviz server.

    >>> writer = SummaryWriter()                               # doctest: +SKIP
    >>> writer.add_scalar("train/loss", loss, global_step=i)   # doctest: +SKIP

    Where it differs: every rank may have one, and all of them are one run; a ``global_step`` of
    ``None`` counts per tag; ``add_scalars`` and ``add_hparams`` make no further runs; nothing
    waits for ``flush``. After ``close`` it is opened again by what is written next.

    Attributes:
        log_dir: Where TensorBoard would write: the run's name. The directory is made, empty, as
            scripts put their checkpoints there.
        purge_step, max_queue, flush_secs, filename_suffix: As given.
        file_writer: For those who write protocol buffers; ``None`` while closed.
        all_writers: It, by ``log_dir``; ``None`` while closed.
        default_bins: The edges of the histograms.
        publisher: What sends.
    """

    def __init__(
        self,
        log_dir: Any = None,
        comment: str = "",
        purge_step: Any = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
        *,
        logdir: Any = None,
        endpoint: str | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        run: str | None = None,
        publisher: Publisher | None = None,
        tee: Sequence[Any] = (),
    ) -> None:
        """Connect in the background.

        Args:
            log_dir: Name of the run; default ``runs/<date>_<host><comment>``, or, where several
                ranks or ``STREAMVIZ_RUN`` tell, a name that all ranks agree on.
            comment: End of the default name.
            purge_step: The step from which a training that crashed goes on: what it sends from
                there is another attempt, drawn apart from what was sent before.
            max_queue: Not needed.
            flush_secs: Not needed: what is written is under way within hundredths of a second.
            filename_suffix: Not needed.
            logdir: tensorboardX's name for ``log_dir``.
            endpoint: As :class:`~streamviz.Publisher` takes it.
            rank: Likewise.
            world_size: Likewise.
            run: Name of the run, instead of ``log_dir``.
            publisher: One that is there already; it is not closed by ``close``.
            tee: Writers, such as PyTorch's own, that get every call too. An exception of theirs
                is warned of once, never raised.

        Raises:
            ConfigError: A setting cannot be used. Nothing else is raised, here or later.
        """
        log_dir = log_dir or logdir
        identity = find_identity(environment())
        ranks = world_size or identity.world_size
        if not log_dir:
            log_dir = f"runs/{default_run(ranks)}{comment}"
            run = run or setting("run", None, "", str) or None
        self.log_dir = str(log_dir)
        self.purge_step = purge_step
        self.max_queue = max_queue
        self.flush_secs = flush_secs
        self.filename_suffix = filename_suffix
        self.file_writer: FileWriter | None = None
        self.all_writers: dict[str, FileWriter] | None = None
        super().__init__(tee)
        self._counts: dict[str, int] = {}
        self._is_heard = True
        self._given = publisher
        self._make = functools.partial(
            Publisher,
            endpoint,
            legal_name(self.log_dir) if run is None else run,
            rank=rank,
            world_size=world_size,
        )
        with suppress(OSError, ValueError):  # a training may not be allowed to write there
            Path(self.log_dir).mkdir(parents=True, exist_ok=True)
        self._open()
        if publisher is not None and purge_step is not None:
            # Of a process that starts, the server sees by its steps that they were taken back.
            publisher.new_attempt()
        self.purge_step = None
        self.default_bins = default_bins()

    # -- where it goes ---------------------------------------------------------------------

    def _open(self) -> None:
        self.publisher = self._make() if self._given is None else self._given
        self._send = self.publisher._send_one
        self.file_writer = FileWriter(self)
        self.all_writers = {self.log_dir: self.file_writer}

    def _get_file_writer(self) -> FileWriter:
        if self.file_writer is None:
            self._open()
        return cast("FileWriter", self.file_writer)

    def _out(self) -> Publisher:
        """Return what sends, opened again if it was closed."""
        if self.file_writer is None:
            self._open()
        return self.publisher

    def _send_reopened(self, name: Any, value: Any, step: int) -> None:
        self._out()._send_one(name, value, step)

    def get_logdir(self) -> str:
        """Return where TensorBoard would write."""
        return self.log_dir

    def _step(self, tag: object, step: Any) -> Any:
        """Return a step as a publisher takes it; for ``None`` how many the tag has had."""
        if step is None:
            count = self._counts.get(str(tag), 0)
            self._counts[str(tag)] = count + 1
            return count
        if type(step) is int or getattr(getattr(step, "device", None), "type", "cpu") != "cpu":
            return step
        return int(step)

    # -- numbers ---------------------------------------------------------------------------

    def add_scalar(
        self,
        tag: Any,
        scalar_value: Any,
        global_step: Any = None,
        walltime: Any = None,
        new_style: Any = False,
        double_precision: Any = False,
    ) -> None:
        """Send a number; it stays a float64, whatever the last two say."""
        try:
            if walltime is None and type(global_step) is int:
                self._send(tag, scalar_value, global_step)
            else:
                step = self._step(tag, global_step)
                self._out()._send_at({tag: scalar_value}, step, walltime)
        except Exception as error:  # noqa: BLE001 - promise 1: a writer must not end a training
            self._refuse("add_scalar", error)
        if self._tee:
            given = (tag, scalar_value, global_step, walltime, new_style, double_precision)
            self._also("add_scalar", given, {})

    @sent
    def add_scalars(
        self, main_tag: Any, tag_scalar_dict: Any, global_step: Any = None, walltime: Any = None
    ) -> None:
        """Send numbers that are one chart of several lines: metrics ``main_tag/key``."""
        named = {f"{main_tag}/{key}": value for key, value in tag_scalar_dict.items()}
        self._out()._send_at(named, self._step(main_tag, global_step), walltime)
        tag = str(main_tag)
        self._lay_out(tag.partition("/")[0], tag, "multiline", list(named))

    @sent
    def add_hparams(
        self,
        hparam_dict: Any,
        metric_dict: Any,
        hparam_domain_discrete: Any = None,
        run_name: Any = None,
        global_step: Any = None,
    ) -> None:
        """Send hyperparameters and what they came to, as part of this run."""
        step = self._step("hparams", global_step)
        out = self._out()
        out.hparams(hparam_dict, metric_dict, step=step)
        if metric_dict:
            out.send(dict(metric_dict), step)

    @sent
    def add_tensor(
        self, tag: Any, tensor: Any, global_step: Any = None, walltime: Any = None
    ) -> None:
        """Send a tensor's shape and first values."""
        self._out().tensor(tag, tensor, self._step(tag, global_step), time=walltime)

    @sent
    def add_histogram(
        self,
        tag: Any,
        values: Any,
        global_step: Any = None,
        bins: Any = "tensorflow",
        walltime: Any = None,
        max_bins: Any = None,
    ) -> None:
        """Send how values are distributed."""
        step = self._step(tag, global_step)
        most = 512 if max_bins is None else min(max_bins, 512)
        self._out().histogram(tag, values, step, bins=bins, max_bins=most, time=walltime)

    @sent
    def add_histogram_raw(
        self,
        tag: Any,
        min: Any,  # noqa: A002 - their name
        max: Any,  # noqa: A002 - their name
        num: Any,
        sum: Any,  # noqa: A002 - their name
        sum_squares: Any,
        bucket_limits: Any,
        bucket_counts: Any,
        global_step: Any = None,
        walltime: Any = None,
    ) -> None:
        """Send a distribution that was counted already; a bucket's limit is its upper one."""
        del num  # it is what the counts come to
        edges, counts = bins_of(float(min), float(max), bucket_limits, bucket_counts)
        step = self._step(tag, global_step)
        known = {"low": min, "high": max, "total": sum, "squares": sum_squares}
        self._out().histogram_raw(tag, edges, counts, step, time=walltime, **known)

    @sent
    def add_pr_curve(
        self,
        tag: Any,
        labels: Any,
        predictions: Any,
        global_step: Any = None,
        num_thresholds: Any = 127,
        weights: Any = None,
        walltime: Any = None,
    ) -> None:
        """Send a precision-recall curve; of at most 127 thresholds, as TensorBoard's."""
        step = self._step(tag, global_step)
        count = min(num_thresholds, 127)
        how: dict[str, Any] = {"thresholds": count, "weights": weights, "time": walltime}
        self._out().pr_curve(tag, labels, predictions, step, **how)

    @sent
    def add_pr_curve_raw(
        self,
        tag: Any,
        true_positive_counts: Any,
        false_positive_counts: Any,
        true_negative_counts: Any,
        false_negative_counts: Any,
        precision: Any,
        recall: Any,
        global_step: Any = None,
        num_thresholds: Any = 127,
        weights: Any = None,
        walltime: Any = None,
    ) -> None:
        """Send a precision-recall curve that was counted already."""
        del weights  # they are in the counts
        counts = {
            "tp": true_positive_counts,
            "fp": false_positive_counts,
            "tn": true_negative_counts,
            "fn": false_negative_counts,
            "precision": precision,
            "recall": recall,
        }
        step = self._step(tag, global_step)
        count = min(num_thresholds, 127)
        self._out().pr_curve_raw(tag, counts, step, thresholds=count, time=walltime)

    # -- pictures and texts ----------------------------------------------------------------

    @sent
    def add_image(
        self,
        tag: Any,
        img_tensor: Any,
        global_step: Any = None,
        walltime: Any = None,
        dataformats: Any = "CHW",
    ) -> None:
        """Send a picture."""
        step = self._step(tag, global_step)
        self._out().image(tag, img_tensor, step, layout=dataformats, time=walltime)

    @sent
    def add_images(
        self,
        tag: Any,
        img_tensor: Any,
        global_step: Any = None,
        walltime: Any = None,
        dataformats: Any = "NCHW",
    ) -> None:
        """Send a batch of pictures as a grid of eight columns."""
        step = self._step(tag, global_step)
        self._out().image(tag, img_tensor, step, layout=dataformats, time=walltime)

    @sent
    def add_image_with_boxes(
        self,
        tag: Any,
        img_tensor: Any,
        box_tensor: Any,
        global_step: Any = None,
        walltime: Any = None,
        rescale: Any = 1,
        dataformats: Any = "CHW",
        labels: Any = None,
    ) -> None:
        """Send a picture with boxes, which the page draws over it."""
        words = [labels] if isinstance(labels, str) else labels
        if words is not None and len(words) != len(box_tensor):
            words = None
        self._out().image(
            *(tag, img_tensor, self._step(tag, global_step)),
            layout=dataformats,
            boxes=box_tensor,
            labels=words,
            rescale=rescale,
            time=walltime,
        )

    def add_file(
        self, tag: Any, data: bytes, global_step: Any = None, walltime: Any = None
    ) -> None:
        """Send the bytes of a PNG, JPEG, GIF, WebP or SVG file; streamviz's own."""
        self._out().image(tag, data, self._step(tag, global_step), time=walltime)

    @sent
    def add_figure(
        self,
        tag: Any,
        figure: Any,
        global_step: Any = None,
        close: Any = True,
        walltime: Any = None,
    ) -> None:
        """Send a figure of matplotlib, or a list of them; one of Plotly or Bokeh stays alive."""
        step = self._step(tag, global_step)
        figures = list(figure) if isinstance(figure, (list, tuple)) else [figure]
        for index, one in enumerate(figures):
            name = f"{tag}/{index}" if isinstance(figure, (list, tuple)) else tag
            self._out().figure(name, one, step, time=walltime)
        if close and not self._tee:  # they draw it after us, and close it
            for one in figures:
                close_figure(one)

    @sent
    def add_text(
        self, tag: Any, text_string: Any, global_step: Any = None, walltime: Any = None
    ) -> None:
        """Send Markdown; a list becomes one, and a mapping a table."""
        text = as_text(text_string)
        self._out().text(tag, text, self._step(tag, global_step), time=walltime)

    @sent
    def add_graph(
        self,
        model: Any,
        input_to_model: Any = None,
        verbose: Any = False,
        use_strict_trace: Any = True,
    ) -> None:
        """Send the model's modules with their parameters; it is not traced."""
        self._out().graph(model, input_to_model)

    # -- its end ---------------------------------------------------------------------------

    @sent
    def flush(self) -> None:
        """Wait until all is acknowledged, for 2 s at most; for nobody twice."""
        if self.file_writer is not None:
            self._is_heard = self.publisher.flush(_FLUSH_S if self._is_heard else 0.0)

    @sent
    def close(self) -> None:
        """Deliver what is left, for 2 s at most; a second time it does nothing."""
        if self.file_writer is None:
            return
        self.file_writer = self.all_writers = None
        if self._given is None:
            self._send = self._send_reopened
            self.publisher.close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, exc_type: object, exc_val: object, exc_tb: object) -> None:
        self.close()
