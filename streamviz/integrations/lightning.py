"""Lightning: a logger that hears every rank, and a callback that sees each rank's own loss.

Law: no hook takes part in a collective, waits for a device, or asks for ``Trainer.log_dir``, which
is a broadcast. The classes are made for ``lightning``, ``pytorch_lightning`` or both, whichever a
training has imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from streamviz.integrations.hooked import HookedPhases
from streamviz.integrations.opening import LazyPublisher, place_in_group
from streamviz.publisher.publisher import Publisher

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback
    from lightning.pytorch.loggers import Logger

__all__ = ["StreamvizCallback", "StreamvizLogger"]

DEFAULT_SAVE_DIR = "streamviz-logs"
"""Where Lightning puts checkpoints if nothing else says so, below the directory of the start."""


class LoggerParts:
    """A Lightning logger that sends from every rank, each its own values.

    >>> trainer = Trainer(logger=StreamvizLogger("resnet50"))  # doctest: +SKIP
    """

    def __init__(
        self,
        run: str | None = None,
        *,
        save_dir: str | PurePath = DEFAULT_SAVE_DIR,
        version: int | str = 0,
        prefix: str = "",
        log_graph: bool = False,
        **settings: Any,
    ) -> None:
        """Connect nowhere yet; that happens in each rank when the trainer asks for ``experiment``.

        Args:
            run: Name of the run, and ``name`` to Lightning. Give one where a script asks for
                ``name``, ``log_dir`` or ``experiment`` before it calls the trainer; by default it
                is found as by :class:`streamviz.Publisher`.
            save_dir: Where Lightning may put checkpoints: in ``save_dir/name/version_0``.
            version: A number or a text for the last part of that, the same on all ranks.
            prefix: Goes before every metric's name, with a ``/``.
            log_graph: Whether rank 0 sends the model's modules.
            **settings: As :class:`streamviz.Publisher` takes them.
        """
        super().__init__()
        self._lazy = LazyPublisher(run, **settings)
        self._save_dir = str(save_dir)
        self._version = version
        self._prefix = f"{prefix}{self.group_separator}" if prefix else ""
        self._graph = log_graph
        self._furthest = -1

    # -- what Lightning asks ---------------------------------------------------------------

    @property
    def experiment(self) -> Publisher:
        """This rank's publisher: a real one on every rank."""
        return self._lazy.get(**_rank_before_group(self._lazy))

    @property
    def name(self) -> str:
        """Name of the run."""
        return self._lazy.run

    @property
    def version(self) -> int | str:
        """What it was given."""
        return self._version

    @property
    def save_dir(self) -> str:
        """What it was given."""
        return self._save_dir

    @property
    def root_dir(self) -> str:
        """Directory of all versions of the run; nothing is made there."""
        return str(PurePath(self._save_dir, self.name))

    @property
    def log_dir(self) -> str:
        """Directory of this version; nothing is made there."""
        version = self._version
        last = version if isinstance(version, str) else f"version_{version}"
        return str(PurePath(self.root_dir, last))

    @property
    def group_separator(self) -> str:
        """What stands between a metric's group and its name."""
        return "/"

    # -- what Lightning tells --------------------------------------------------------------

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Send this rank's metrics; Lightning calls it on all ranks."""
        if step is not None:
            self._furthest = max(self._furthest, step)
        if self._prefix:
            metrics = {f"{self._prefix}{name}": value for name, value in metrics.items()}
        self.experiment.send(metrics, step=step)

    def log_hyperparams(
        self, params: Mapping[str, Any] | Namespace | None, *args: Any, **kwargs: Any
    ) -> None:
        """Send hyperparameters, nested ones by names with ``/``; from rank 0, as all are alike."""
        publisher = self.experiment
        if params and publisher.rank == 0:
            metrics = args[0] if args else kwargs.get("metrics")
            publisher.hparams(params, metrics)

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Send the model's modules from rank 0, if the logger was told to.

        Shapes and times need a forward pass of the model's ``example_input_array``. There is one
        only where this is the only rank: a layer may gather over all ranks in it.
        """
        publisher = self.experiment
        if not self._graph or publisher.rank != 0:
            return
        if input_array is None:
            input_array = getattr(model, "example_input_array", None)
        publisher.graph(model, input_array if publisher.world_size == 1 else None)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Mark the checkpoint, with its path; Lightning calls it on rank 0."""
        path = getattr(checkpoint_callback, "_last_checkpoint_saved", "")
        path = path or getattr(checkpoint_callback, "best_model_path", "")
        self.experiment.mark("checkpoint", text=str(path or ""))

    def save(self) -> None:
        """Do nothing: what was sent is on its way."""

    def finalize(self, status: str) -> None:
        """Close this rank's publisher, if it ever was opened; it reopens with the next metric.

        Args:
            status: ``success`` and ``finished`` end it well, else the exception that is being
                handled, or this word, is what the page shows it failed with.
        """
        if status in ("success", "finished"):
            # After an evaluation that came before any step, the training is still to come.
            if self._furthest > 0 or status == "finished":
                self._lazy.close()
        else:
            kind = sys.exc_info()[0]
            self._lazy.close(status if kind is None else kind.__name__)


class CallbackParts:
    """A Lightning callback that sends each rank's own loss, and the phases of its steps.

    >>> trainer = Trainer(logger=StreamvizLogger(), callbacks=StreamvizCallback())  # doctest: +SKIP
    """

    def __init__(
        self,
        run: str | None = None,
        *,
        loss: str = "rank/loss",
        phases: bool = True,
        **settings: Any,
    ) -> None:
        """Send through the trainer's :class:`StreamvizLogger`, or open a publisher of its own.

        Args:
            run: Without such a logger, the name of the run.
            loss: What each rank's own loss is called.
            phases: Whether to time ``data``, ``forward``, ``backward``, ``optimizer``,
                ``validation`` and ``checkpoint``. With manual optimisation, where hooks do not tell
                them apart, what is not ``data`` is ``step``.
            **settings: Without such a logger, as :class:`streamviz.Publisher` takes them.
        """
        super().__init__()
        self._lazy = LazyPublisher(run, **settings)
        self._loss = loss
        self._times = phases
        self._phases = HookedPhases()
        self._publisher: Publisher | None = None
        self._in_epoch = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Find out where to send."""
        self._find(trainer)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to wait for data."""
        self._in_epoch = True
        self._enter("data")

    def on_train_batch_start(
        self,
        trainer: Any,
        pl_module: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Begin the step."""
        self._enter("forward" if pl_module.automatic_optimization else "step")

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """Leave the forward pass."""
        if pl_module.automatic_optimization:
            self._enter("backward")

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        """Leave the backward pass."""
        if pl_module.automatic_optimization:
            self._enter("optimizer")

    def on_train_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Send this rank's own loss, as the tensor that it is."""
        self._enter("data")
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if self._publisher is None or loss is None:
            return
        parts = getattr(trainer, "accumulate_grad_batches", 1)
        if parts != 1 and pl_module.automatic_optimization and hasattr(loss, "detach"):
            # Lightning has divided it, so that the parts of a step add up to their mean.
            loss = loss.detach() * parts
        self._publisher.send({self._loss: loss}, step=_step_of(trainer))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop the clock: what comes is no step."""
        self._in_epoch = False
        self._phases.leave()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin a validation, in the midst of an epoch or by itself."""
        self._enter("validation")

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Go back to the step."""
        self._resume()

    def on_save_checkpoint(
        self,
        trainer: Any,
        pl_module: Any,
        checkpoint: Any,
    ) -> None:
        """Begin to save; the next hook of a step ends it."""
        self._enter("checkpoint")

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop the clock."""
        self._in_epoch = False
        self._phases.leave()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close a publisher of its own, saying what ended the training."""
        self._phases.leave()
        self._lazy.close(type(exception).__name__)
        self._publisher = None

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Close a publisher of its own."""
        self._phases.leave()
        self._lazy.close()
        self._publisher = None

    def _find(self, trainer: Any) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, LoggerParts):
                self._publisher = logger.experiment
                return
        if trainer.fast_dev_run:
            return  # Lightning takes all loggers away from such a trial, so it shall leave no trace
        steps = trainer.estimated_stepping_batches
        known: dict[str, Any] = {"total_steps": int(steps)} if 0 < steps < float("inf") else {}
        self._publisher = self._lazy.get(**known)

    def _enter(self, phase: str) -> None:
        if self._times and self._publisher is not None:
            self._phases.enter(self._publisher, phase)

    def _resume(self) -> None:
        if self._in_epoch:
            self._enter("data")
        else:
            self._phases.leave()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_publisher": None}


def _step_of(trainer: Any) -> int:
    """Return the step that Lightning logs this batch under."""
    loop = getattr(trainer.fit_loop, "epoch_loop", None)
    step = getattr(loop, "_batches_that_stepped", None)
    return int(max(trainer.global_step - 1, 0) if step is None else step)


def _rank_before_group(lazy: LazyPublisher) -> dict[str, Any]:
    """Return the rank as Lightning knows it, where neither group nor launcher tell it yet."""
    if lazy.current is not None or place_in_group():
        return {}
    for package in ("lightning.fabric", "lightning_fabric"):
        module = sys.modules.get(f"{package}.utilities.rank_zero")
        rank = getattr(getattr(module, "rank_zero_only", None), "rank", None)
        if rank:
            return {"rank": int(rank)}
    return {}


# -- classes of the package in use ---------------------------------------------------------

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")
_made: dict[tuple[str, tuple[str, ...]], type] = {}


def _packages() -> tuple[str, ...]:
    """Return the packages that a training has imported, else the first that is installed."""
    loaded = tuple(name for name in _PACKAGES if name in sys.modules)
    if loaded:
        return loaded
    for name in _PACKAGES:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            return (name,)
    raise ImportError(
        "streamviz.integrations.lightning needs the package lightning or pytorch_lightning, "
        "and found neither; pip install lightning"
    )


def _make(name: str, parts: type, module: str, base: str) -> type:
    """Return the class with the bases that the imported packages have, the same at each call."""
    packages = _packages()
    if (name, packages) not in _made:
        bases = (getattr(importlib.import_module(f"{one}.{module}"), base) for one in packages)
        about = {"__module__": __name__, "__qualname__": name, "__doc__": parts.__doc__}
        _made[name, packages] = type(name, (parts, *bases), about)
    return _made[name, packages]


if TYPE_CHECKING:

    class StreamvizLogger(LoggerParts, Logger):
        """A logger for ``Trainer(logger=...)`` that sends from every rank."""

    class StreamvizCallback(CallbackParts, Callback):
        """A callback that sends each rank's own loss and the phases of its steps."""

else:

    def __getattr__(name: str) -> object:
        """Make a class when it is first asked for."""
        if name == "StreamvizLogger":
            return _make(name, LoggerParts, "loggers", "Logger")
        if name == "StreamvizCallback":
            return _make(name, CallbackParts, "callbacks", "Callback")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
