"""Phases of a step where a framework has hooks between them, not blocks around them.

Law: at most one phase is under way; entering the next leaves the one before.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from streamviz.publisher.publisher import Publisher

__all__ = ["HookedPhases"]


class HookedPhases:
    """The phase that the last hook began.

    Attributes:
        name: It, empty between steps.
    """

    def __init__(self) -> None:
        self.name = ""
        self._block: AbstractContextManager[None] | None = None

    def enter(self, publisher: Publisher, name: str) -> None:
        """Begin a phase; to begin the one that is under way changes nothing."""
        if name == self.name:
            return
        self.leave()
        self.name, self._block = name, publisher.phase(name)
        self._block.__enter__()

    def leave(self) -> None:
        """End what is under way."""
        self.name, block, self._block = "", self._block, None
        if block is not None:
            block.__exit__(None, None, None)

    def __getstate__(self) -> dict[str, Any]:
        return {"name": "", "_block": None}
