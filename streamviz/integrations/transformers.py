"""Hugging Face: a callback for ``Trainer`` that hears every rank.

Law: no hook takes part in a collective or waits for a device; what the trainer has already averaged
over the ranks is sent by the first one only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from streamviz.integrations.hooked import HookedPhases
from streamviz.integrations.opening import LazyPublisher
from streamviz.publisher.publisher import Publisher
from streamviz.wire.names import name_fault

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

__all__ = ["StreamvizCallback"]

_log = logging.getLogger("streamviz.integrations")

_GROUPS = {"eval_": "eval/", "test_": "test/", "predict_": "predict/"}
"""What the trainer puts before a name, and the group that it is shown in; else ``train/``."""


class StreamvizCallback(TrainerCallback):
    """Sends what each rank of a ``Trainer`` does.

    >>> trainer = Trainer(..., callbacks=[StreamvizCallback()])  # doctest: +SKIP

    From every rank: its own loss of each step, as the model returned it, NaN included, and the
    phases of the step. From the first rank: what the trainer logs, the arguments and the model's
    configuration, and marks for epochs, evaluations and checkpoints.
    """

    def __init__(
        self,
        run: str | None = None,
        *,
        publisher: Publisher | None = None,
        loss: str = "rank/loss",
        phases: bool = True,
        **settings: Any,
    ) -> None:
        """Connect nowhere yet; that happens when the training begins.

        Args:
            run: Name of the run; default: the ``run_name`` of the training's arguments, else as
                :class:`streamviz.Publisher` finds it.
            publisher: One to send through, which stays open at the end.
            loss: What each rank's own loss is called.
            phases: Whether to time ``data``, ``forward``, ``backward``, ``optimizer``,
                ``logging``, ``evaluation`` and ``checkpoint``. Of a compiled model the end of the
                forward pass is not seen; there, both passes are ``step``.
            **settings: As :class:`streamviz.Publisher` takes them.
        """
        self._given = publisher
        self._run = run
        self._settings = settings
        self._lazy: LazyPublisher | None = None
        self._loss = loss
        self._times = phases
        self._phases = HookedPhases()
        self._publisher: Publisher | None = None
        self._hook: Any = None
        self._own = _OwnLoss()
        self._is_training = False
        self._is_compiled = False

    # -- the training ----------------------------------------------------------------------

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Connect, and listen to the model."""
        self._is_training = True
        self._unhook()
        model = kwargs.get("model")
        publisher = self._open(args, state, model)
        if state.is_world_process_zero:
            publisher.hparams(_config_of(args, model))
        if model is not None and args.n_gpu <= 1:
            self._hook = model.register_forward_hook(self._after_forward, with_kwargs=True)

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Say that it ended well; what is evaluated afterwards is sent all the same."""
        self._is_training = False
        self._phases.leave()
        self._unhook()
        self._let_go()

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Begin to wait for data."""
        self._enter("data")

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Mark the end of an epoch."""
        if state.is_world_process_zero and self._publisher is not None:
            epoch = f"{round(state.epoch or 0, 2):g}"
            self._publisher.mark("epoch", step=state.global_step, text=epoch)
        self._next(control)

    # -- the step --------------------------------------------------------------------------

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Begin the forward pass: the batches are there."""
        self._own = _OwnLoss()
        self._enter("step" if self._is_compiled else "forward")

    def on_substep_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Begin the forward pass of the step's next batch."""
        self._enter("step" if self._is_compiled else "forward")

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Leave the backward pass, to which the clipping of gradients counts."""
        self._enter("optimizer")

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Send this rank's own loss, as the tensor that it is."""
        if self._publisher is None:
            return
        self._next(control)
        loss = self._own.of_step(args.world_size if args.average_tokens_across_devices else 1)
        if loss is not None:
            self._publisher.send({self._loss: loss}, step=state.global_step)
        elif state.global_step == 1 and self._hook is not None:
            _log.warning(
                "streamviz: the model's outputs have no loss (label smoothing and compute_loss_func"
                " compute it elsewhere), so %s of each rank is not sent",
                self._loss,
            )

    # -- beside it -------------------------------------------------------------------------

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Send what the trainer logs, once for all ranks: it has averaged it over them."""
        logs = kwargs.get("logs")
        if logs and state.is_world_process_zero:
            publisher = self._publisher or self._open(args, state, kwargs.get("model"))
            named = {_grouped(name): value for name, value in logs.items()}
            publisher.send(named, step=state.global_step)
        self._next(control)

    def on_prediction_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Be in an evaluation, whoever began it."""
        self._enter("evaluation")

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Mark an evaluation."""
        self._mark(state, "evaluation")
        self._next(control)
        self._let_go_after_training()

    def on_predict(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Any,
        **kwargs: Any,
    ) -> None:
        """Send the metrics of a prediction, which the trainer does not log."""
        if metrics and state.is_world_process_zero:
            publisher = self._publisher or self._open(args, state, kwargs.get("model"))
            named = {_grouped(name): value for name, value in metrics.items()}
            publisher.send(named, step=state.global_step)
        self._next(control)
        self._let_go_after_training()

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Mark a checkpoint."""
        self._mark(state, "checkpoint", f"{args.output_dir}/checkpoint-{state.global_step}")
        self._next(control)

    # -- behind ----------------------------------------------------------------------------

    def _open(self, args: TrainingArguments, state: TrainerState, model: Any) -> Publisher:
        if self._given is not None:
            self._publisher = self._given
            return self._given
        if self._lazy is None:
            self._lazy = LazyPublisher(self._run or _run_of(args), **self._settings)
        config = _config_of(args, model)
        known: dict[str, Any] = {"config": config, **_facts_of(args, state)}
        self._publisher = self._lazy.get(goes_on=not self._is_training, **known)
        return self._publisher

    def _let_go(self) -> None:
        if self._lazy is not None:
            self._lazy.close()
        self._publisher = None

    def _let_go_after_training(self) -> None:
        if not self._is_training:
            self._phases.leave()
            self._let_go()

    def _mark(self, state: TrainerState, name: str, text: str = "") -> None:
        if self._publisher is not None and state.is_world_process_zero:
            self._publisher.mark(name, step=state.global_step, text=text)

    def _enter(self, phase: str) -> None:
        if self._times and self._is_training and self._publisher is not None:
            self._phases.enter(self._publisher, phase)

    def _next(self, control: TrainerControl) -> None:
        """Begin what comes next between two steps, which the trainer does in this order."""
        if control.should_log:
            self._enter("logging")
        elif control.should_evaluate:
            self._enter("evaluation")
        elif control.should_save:
            self._enter("checkpoint")
        else:
            self._enter("data")

    def _after_forward(
        self,
        module: Any,
        args: Any,
        kwargs: Mapping[str, Any],
        output: Any,
    ) -> None:
        is_share = kwargs.get("num_items_in_batch") is not None
        if torch.compiler.is_compiling():
            # Traced into the model's own graph, which holds no clocks and no exceptions.
            self._is_compiled = True
            if module.training:
                self._own.take(output, is_share=is_share)
            return
        with suppress(Exception):  # promise 1: whatever a model returns must not end a training
            if module.training:
                self._own.take(output, is_share=is_share)
                self._enter("backward")

    def _unhook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_publisher": None, "_given": None, "_hook": None}


class _OwnLoss:
    """The loss of one rank in one step, over the batches that it is accumulated from."""

    def __init__(self) -> None:
        self._total: Any = None
        self._parts = 0
        self._is_share = False

    def take(self, output: Any, *, is_share: bool) -> None:
        """Add what the model returned for a batch.

        Args:
            output: Its outputs.
            is_share: Whether it divided by the tokens of the whole step, not of the batch.
        """
        loss = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
        if not isinstance(loss, torch.Tensor):
            return
        loss = loss.detach()
        self._total = loss if self._total is None else self._total + loss
        self._parts += 1
        self._is_share = is_share

    def of_step(self, ranks: int) -> Any:
        """Return it as a tensor, ``None`` if there is none.

        Args:
            ranks: Over how many ranks tokens were counted.
        """
        if self._total is None:
            return None
        if self._is_share:
            return self._total * ranks if ranks > 1 else self._total
        return self._total / self._parts if self._parts > 1 else self._total


def _grouped(name: str) -> str:
    """Return a name of the trainer's with its group."""
    for prefix, group in _GROUPS.items():
        if name.startswith(prefix):
            return group + name[len(prefix) :]
    return f"train/{name}"


def _run_of(args: TrainingArguments) -> str | None:
    """Return the run's name, if the arguments have one that is not just the directory."""
    name = args.run_name
    return None if not name or name == args.output_dir or name_fault(name) else name


def _config_of(args: TrainingArguments, model: Any) -> dict[Any, Any]:
    config = dict(args.to_sanitized_dict())
    described = getattr(getattr(model, "config", None), "to_dict", None)
    if described is not None:
        config["model"] = described()
    return config


def _facts_of(args: TrainingArguments, state: TrainerState) -> dict[str, Any]:
    samples = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    facts: dict[str, Any] = {"samples_per_step": float(samples)}
    if state.max_steps > 0:
        facts["total_steps"] = int(state.max_steps)
    return facts
