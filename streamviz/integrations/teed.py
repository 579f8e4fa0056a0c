"""Calls that never raise, and that other writers get too.

Law: an exception of a writer in ``tee`` is warned of once and goes no further, whatever it is.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

from streamviz.publisher import Publisher

__all__ = ["Teed", "sent"]

_log = logging.getLogger("streamviz.integrations")

_MOST_SAID = 100
"""Causes that are warned of."""

_P = ParamSpec("_P")
_W = TypeVar("_W", bound="Teed")


def sent(method: Callable[Concatenate[_W, _P], None]) -> Callable[Concatenate[_W, _P], None]:
    """Make a method one that never raises, and passes its call on to the writers of ``tee``."""

    @functools.wraps(method)
    def call(self: _W, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - promise 1: a writer must not end a training
            self._refuse(method.__name__, error)
        if self._tee:
            self._also(method.__name__, args, kwargs)

    return call


class Teed:
    """A writer beside which others may stand."""

    publisher: Publisher

    def __init__(self, tee: Sequence[Any]) -> None:
        self._tee = list(tee)
        self._warned: set[str] = set()

    def _refuse(self, name: str, error: Exception) -> None:
        self.publisher._refusals.refuse_item(error, f"a call of {name}")

    def _also(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Call the writers of ``tee``."""
        for writer in self._tee:
            try:
                getattr(writer, name)(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - promise 1: nor may another's writer
                kind = type(writer).__name__
                self._say(
                    f"tee {id(writer)} {name}", f"{name} of a {kind} in tee raised: {error!r:.200}"
                )

    def warn_once(self, name: str, what: str = "") -> None:
        """Say of a method that streamviz does not show what it is given."""
        if not self._tee:
            shown = what or "give SummaryWriter a tee=[...] that keeps it"
            self._say(name, f"SummaryWriter.{name} is taken, and not shown: {shown}")

    def _say(self, cause: str, message: str) -> None:
        if cause not in self._warned and len(self._warned) < _MOST_SAID:
            self._warned.add(cause)
            with suppress(Exception):  # a user's log handler may raise, and must not in here
                _log.warning("streamviz: %s", message)
