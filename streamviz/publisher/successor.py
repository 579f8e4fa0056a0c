"""A publisher that goes on where a closed one of the same process has ended.

Law: both draw one line, whatever their steps, as a process and its forked children do.
"""

from __future__ import annotations

from typing import Any

from streamviz.publisher.publisher import Publisher

__all__ = ["Successor"]


class Successor(Publisher):
    """Sends as the same rank of the same run as another did until it was closed.

    A framework closes its logger when the training is over, and evaluates afterwards. To begin
    anew, and be drawn apart, make a :class:`~streamviz.publisher.publisher.Publisher`.
    """

    def __init__(self, former: Publisher, **settings: Any) -> None:
        """Connect in the background.

        Args:
            former: The one that is closed.
            **settings: As the former was given them.

        Raises:
            ConfigError: A setting cannot be used.
        """
        self._line = former._parent or former._stream.name  # noqa: SLF001 - of its own kind
        own = {"run": former.run, "rank": former.rank, "world_size": former.world_size}
        super().__init__(**{**settings, **own})

    def _open(self) -> None:
        self._parent = self._parent or self._line
        super()._open()
