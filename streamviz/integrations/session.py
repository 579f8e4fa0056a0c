"""``streamviz.init``, ``log`` and ``finish``: the calls that hands trained on wandb make.

Law: of one process at most one run is the current one, and ``log`` never raises.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from streamviz.clock import wall_time
from streamviz.config import environment, setting
from streamviz.errors import ConfigError
from streamviz.integrations.opening import place_in_group
from streamviz.integrations.run import Run
from streamviz.publisher.identity import find_identity, find_run
from streamviz.publisher.publisher import Publisher

__all__ = [
    "alert", "current", "define_metric", "finish", "init", "log", "unwatch", "watch",
]  # fmt: skip

_log = logging.getLogger("streamviz.integrations")

_MODES = {"online": "online", "shared": "online", "offline": "file", "disabled": "off"}
"""wandb's words, and ours for the same; ours may be used too."""
_PUBLISHER = frozenset(
    name for name in Publisher.__init__.__annotations__ if name not in ("return", "config", "mode")
)

_current: Run | None = None


def init(
    project: str | None = None,
    name: str | None = None,
    id: str | None = None,  # noqa: A002 - wandb's
    config: Any = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] | None = None,
    notes: str | None = None,
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - wandb's
    mode: str | None = None,
    resume: Any = None,
    reinit: Any = None,
    settings: Any = None,
    **more: Any,
) -> Run:
    """Begin a run, or return the one that this process has begun; call it on every rank.

    Args:
        project: Stands before the name of the run, with a ``/``.
        name: Name of the run; default: ``id``, else as :class:`streamviz.Publisher` finds it, the
            same on all ranks.
        id: The same; there is one name for both. A run that is begun again goes on where its steps
            do, and is another attempt where they overlap, so ``resume`` has nothing to decide.
        config: Hyperparameters: a mapping, or an object with attributes such as a ``Namespace``.
        group: Shown in the configuration, where runs and lines can be grouped by it.
        job_type: Likewise.
        tags: Likewise.
        notes: Likewise.
        dir: With ``mode="offline"``, where the files go, for ``streamviz sync`` to deliver.
        mode: ``online``; ``offline``, to files; ``disabled``, where every call does nothing.
        resume: Has no effect, see ``id``.
        reinit: When this process has a run already: ``True`` or ``"finish_previous"`` ends it and
            begins another; ``"create_new"`` begins another beside it; by default it is returned.
        settings: Arguments of :class:`streamviz.Publisher`, as a mapping.
        **more: Likewise, such as ``endpoint`` or ``total_steps``; what it does not know is ignored,
            and said so once.

    Raises:
        ConfigError: A setting cannot be used.
    """
    del resume
    global _current
    if _current is not None and not _current.is_finished:
        if reinit in (True, "finish_previous"):
            _current.finish()
        elif reinit != "create_new":
            if config is not None:
                _current.config.update(config)
            return _current
    given = {**(settings if isinstance(settings, Mapping) else {}), **more}
    known = {key: value for key, value in given.items() if key in _PUBLISHER and key != "run"}
    if len(known) < len(given):
        _log.warning("streamviz: init has no use for %s", ", ".join(sorted({*given} - {*known})))
    if dir is not None:
        known.setdefault("spill_dir", dir)
    known = {**place_in_group(), **known}
    values = _plain_config(config)
    about = {"project": project, "group": group, "job_type": job_type, "notes": notes}
    shown: dict[str, Any] = {key: value for key, value in about.items() if value is not None}
    if tags:
        shown["tags"] = list(tags)
    publisher = Publisher(
        run=_run_name(project, name or id, known.get("world_size")),
        config={**shown, **values},
        mode=None if mode is None else _MODES.get(mode, mode),
        **known,
    )
    run = Run(publisher, config=values, tags=tags or (), **about)
    if reinit != "create_new" or _current is None or _current.is_finished:
        _current = run
    return run


def current() -> Run | None:
    """Return the run that this process has begun and not finished."""
    return None if _current is None or _current.is_finished else _current


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """Log values into the current run, as :meth:`Run.log` does.

    Before any ``init`` it begins a run with no more than defaults; after ``finish`` the values are
    counted and left out, with one warning.
    """
    _any_run().log(data, step=step, commit=commit)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the current run, if there is one, as :meth:`Run.finish` does."""
    run = current()
    if run is not None:
        run.finish(exit_code=exit_code, quiet=quiet)


def define_metric(name: str, **how: Any) -> None:
    """Say how a metric is summed up, as :meth:`Run.define_metric` does."""
    _any_run().define_metric(name, **how)


def alert(title: str, text: str = "", level: Any = "INFO", wait_duration: Any = None) -> None:
    """Say something that a person is to see, as :meth:`Run.alert` does."""
    _any_run().alert(title, text, level, wait_duration)


def watch(models: Any, criterion: Any = None, log: str | None = "gradients", **how: Any) -> None:
    """Send what goes on inside a model, as :meth:`Run.watch` does."""
    _any_run().watch(models, criterion, log, **how)


def unwatch(models: Any = None) -> None:
    """Stop it, as :meth:`Run.unwatch` does."""
    _any_run().unwatch(models)


def _any_run() -> Run:
    return init() if _current is None else _current


def _plain_config(config: Any) -> dict[str, Any]:
    if config is None:
        return {}
    if hasattr(config, "keys"):
        return {str(key): config[key] for key in config.keys()}  # noqa: SIM118 - it may be no dict
    if hasattr(config, "__dict__"):
        return dict(vars(config))
    raise ConfigError("config", type(config).__name__, "a mapping of names to values")


def _run_name(project: str | None, name: str | None, ranks: int | None) -> str | None:
    """Return a run's name that all ranks come to; ``None`` to leave it to the publisher."""
    if not project:
        return name
    if name is None:
        ranks = ranks or find_identity(environment()).world_size
        name = setting("run", None, "", str) or find_run(
            environment(), parent_pid=os.getppid(), now=wall_time(), ranks=ranks
        )
    return f"{project}/{name}"
