"""A run, as ``streamviz.init`` hands it out: rows that gather, settings that change, a summary.

Law: a row may have any step; none is discarded because another went before it.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from datetime import timedelta
from typing import Any

from streamviz.clock import monotonic_time
from streamviz.integrations.flat import flat
from streamviz.integrations.media import send_values
from streamviz.integrations.opening import say_goodbye
from streamviz.publisher.publisher import Publisher

__all__ = ["Run", "Settings"]

_MOST_TITLES = 1000
"""Titles of alerts whose last time is remembered."""
_MOST_SUMMARY = 10_000
"""Names that a summary follows."""

_LEVELS = {"INFO": "info", "WARN": "warning", "WARNING": "warning", "ERROR": "error"}


class Settings(MutableMapping[str, Any]):
    """Names to values, as items or as attributes; changes go out with the next log call."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self.__dict__["_values"] = dict(values or {})
        self.__dict__["_changed"] = bool(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[str(name)] = value
        self.__dict__["_changed"] = True

    def __delitem__(self, name: str) -> None:
        del self._values[name]
        self.__dict__["_changed"] = True

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"there is no {name!r} in it") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __repr__(self) -> str:
        return repr(self._values)

    def update(self, *others: Any, **values: Any) -> None:
        """Take over the values of mappings, or of objects with attributes such as a Namespace."""
        for other in others:
            super().update(
                other if hasattr(other, "keys") or isinstance(other, list) else vars(other)
            )
        super().update(values)

    def as_dict(self) -> dict[str, Any]:
        """Return a copy as a plain dict."""
        return dict(self._values)

    def take_change(self) -> bool:
        """Return whether something changed since this was asked last."""
        changed = bool(self.__dict__["_changed"])
        self.__dict__["_changed"] = False
        return changed


class _Rule:
    """What ``define_metric`` said of some names."""

    def __init__(self, pattern: str, step_metric: str | None, summary: str | None) -> None:
        self.pattern = pattern
        self.step_metric = step_metric
        self.summary = summary


class Run:
    """One rank's part of a run.

    >>> with streamviz.init(project="vision", config={"lr": 0.1}) as run:  # doctest: +SKIP
    ...     run.log({"train/loss": loss})

    Attributes:
        publisher: What it sends through; also for ``phase``, ``mark`` and the like.
        project: As given.
        group: As given.
        job_type: As given.
        tags: As given.
        notes: As given.
        config: Hyperparameters; may be changed.
        summary: The last value of each metric, or what ``define_metric`` asks for; may be changed.
        step: The step of the next row that is logged without one.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        config: Mapping[str, Any] | None = None,
        project: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
    ) -> None:
        self.publisher = publisher
        self.project, self.group, self.job_type = project, group, job_type
        self.tags, self.notes = tuple(tags), notes
        self.config = Settings(config)
        self.summary = Settings()
        self.step = 0
        self.is_finished = False
        self._gathered: dict[str, Any] = {}
        self._rules: list[_Rule] = []
        self._alerted: dict[str, float] = {}
        self._means: dict[str, tuple[float, int]] = {}
        self._axes: dict[str, float] = {}

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.publisher.run

    @property
    def id(self) -> str:
        """The same: a run that is begun again under its name goes on, or is another attempt."""
        return self.publisher.run

    # -- rows ------------------------------------------------------------------------------

    def log(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None
    ) -> None:
        """Log values; never raises, and never waits.

        Args:
            data: Names to numbers, texts, images and the like; nested names are joined by ``.``.
                What kinds there are: :func:`streamviz.integrations.media.send_values`.
            step: Their step, also one that lies before others; default: one more than the last.
            commit: ``False`` gathers the values until a call without it; they go out as one row.
                With a ``step`` the next call without one still belongs to it, as with wandb.
        """
        try:
            values = flat(data, ".")
            if step is not None:
                step = int(step)
                if self._gathered and step != self.step:
                    self._send({}, self.step)
                if step < self.step:
                    self._send(values, step)
                    return
                self.step = step
            if commit is False:
                self._gathered.update(values)
                return
            self._send(values, self.step)
            if commit or step is None:
                self.step += 1
        except Exception:  # noqa: BLE001 - promise 1: a log call must not end a training
            self.publisher.send(data, step=step)  # which counts what is wrong with it

    def _send(self, values: dict[str, Any], step: int) -> None:
        values = {**self._gathered, **values}
        self._gathered = {}
        self._add_axes(values)
        self._summarise(values)
        if self.config.take_change() and self.publisher.rank == 0:
            self.publisher.hparams(self.config.as_dict())
        send_values(self.publisher, values, step)

    def define_metric(
        self,
        name: str,
        step_metric: str | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> None:
        """Say how a metric is summed up, and which other one it is drawn over.

        Args:
            name: A name, or a pattern such as ``val/*``.
            step_metric: A metric whose last value is added to each row that has ``name`` and not
                this; on the page, choose it as the chart's x.
            step_sync: ``False``: it is not added.
            hidden: Has no effect.
            summary: ``min``, ``max``, ``mean``, ``last`` (the default), ``first``, ``best`` or
                ``none``.
            goal: For ``best``: ``minimize`` (the default) or ``maximize``.
            overwrite: Whether earlier rules for the same name are forgotten.
        """
        if summary == "best":
            summary = "max" if str(goal).startswith("max") else "min"
        if overwrite:
            self._rules = [rule for rule in self._rules if rule.pattern != name]
        axis = None if step_sync is False else step_metric
        self._rules.append(_Rule(str(name), axis, summary))

    # -- beside rows -----------------------------------------------------------------------

    def alert(
        self,
        title: str,
        text: str = "",
        level: Any = "INFO",
        wait_duration: float | timedelta | None = None,
    ) -> None:
        """Say something that a person is to see.

        Args:
            title: In a few words.
            text: In more.
            level: ``INFO``, ``WARN`` or ``ERROR``.
            wait_duration: Seconds in which the same title is not said again; default: 60.
        """
        pause = 60.0 if wait_duration is None else wait_duration
        seconds = pause.total_seconds() if isinstance(pause, timedelta) else float(pause)
        now, last = monotonic_time(), self._alerted.get(title)
        if last is not None and now - last < seconds:
            return
        if len(self._alerted) < _MOST_TITLES or title in self._alerted:
            self._alerted[title] = now
        said = str(getattr(level, "value", level)).upper()
        self.publisher.alert(title, text, _LEVELS.get(said, "warning"))

    def watch(
        self,
        models: Any,
        criterion: Any = None,
        log: str | None = "gradients",
        log_freq: int = 1000,
        idx: int | None = None,
        log_graph: bool = False,  # noqa: FBT002 - wandb's
    ) -> None:
        """Send what goes on inside a model, without a synchronisation.

        Args:
            models: One or several.
            criterion: Has no effect.
            log: ``gradients`` or ``parameters``: histograms of both; ``all``: activations too;
                ``norms``: numbers only; ``None``: nothing.
            log_freq: Every how many steps.
            idx: Has no effect.
            log_graph: Whether rank 0 also sends the modules.
        """
        kind = {"gradients": "histograms", "parameters": "histograms"}.get(str(log), log)
        for model in models if isinstance(models, (list, tuple)) else (models,):
            if kind is not None:
                self.publisher.watch(model, every=log_freq, log=kind)
            if log_graph and self.publisher.rank == 0:
                self.publisher.graph(model)

    def unwatch(self, models: Any = None) -> None:
        """Stop it, for some models or for all."""
        for model in models if isinstance(models, (list, tuple)) else (models,):
            self.publisher.unwatch(model)

    def mark(self, name: str, step: int | None = None, text: str = "") -> None:
        """Name a moment, which is drawn on the charts."""
        self.publisher.mark(name, step=step, text=text)

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """Send what was gathered, and the summary; deliver what is left, and close.

        Args:
            exit_code: 0 or nothing: it ended well; else it is shown as failed.
            quiet: Has no effect.
        """
        self._finish("ok" if not exit_code else f"exit code {exit_code}")

    def _finish(self, how: str) -> None:
        if self.is_finished:
            return
        self.is_finished = True
        if self._gathered:
            self._send({}, self.step)
        if self.publisher.rank == 0:
            metrics = {
                name: value
                for name, value in self.summary.items()
                if isinstance(value, (int, float)) and not isinstance(value, bool)
            }
            if self.config or metrics:
                self.publisher.hparams(self.config.as_dict(), metrics)
        say_goodbye(self.publisher, how)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._finish("ok" if kind is None else kind.__name__)

    # -- behind ----------------------------------------------------------------------------

    def _rule(self, name: str, what: str) -> str | None:
        """Return what the newest rule for a name says of something."""
        for rule in reversed(self._rules):
            said: str | None = getattr(rule, what)
            if said is not None and (
                rule.pattern == name or fnmatch.fnmatchcase(name, rule.pattern)
            ):
                return said
        return None

    def _add_axes(self, values: dict[str, Any]) -> None:
        """Add to a row the last value of what its metrics are drawn over."""
        if not self._rules:
            return
        axes = {axis for name in values if (axis := self._rule(name, "step_metric")) is not None}
        for axis in {rule.step_metric for rule in self._rules if rule.step_metric}:
            if isinstance(values.get(axis), (int, float)):
                self._axes[axis] = values[axis]
        for axis in axes:
            if axis not in values and axis in self._axes:
                values[axis] = self._axes[axis]

    def _summarise(self, values: Mapping[str, Any]) -> None:
        """Follow plain numbers; a tensor is left alone, as it may be on a device."""
        for name, value in values.items():
            if not isinstance(value, (int, float)):
                continue
            kind = self._rule(name, "summary") if self._rules else None
            if name not in self.summary and len(self.summary) >= _MOST_SUMMARY:
                continue
            self._fold(name, value, kind)

    def _fold(self, name: str, value: float, kind: str | None) -> None:
        old = self.summary.get(name)
        if kind == "mean":
            total, count = self._means.get(name, (0.0, 0))
            self._means[name] = total + value, count + 1
            self.summary[name] = (total + value) / (count + 1)
        elif kind in ("min", "max") and isinstance(old, (int, float)) and not math.isnan(old):
            if value < old if kind == "min" else value > old:
                self.summary[name] = value
        elif kind == "first":
            self.summary.setdefault(name, value)
        elif kind != "none":
            self.summary[name] = value
