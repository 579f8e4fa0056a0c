"""The items of a run: what was sent that is no row of numbers, newest kept.

Law: of each kind and name the newest stay, and all of a run's within a number of bytes; what gave
way is counted, and the version grows with each that came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["ITEMS_BYTES", "ITEMS_PER_NAME", "ITEM_NAMES", "Item", "Items"]

ITEMS_PER_NAME = 256
"""Items of one kind and name that are held: more marks than a chart has room for."""
ITEMS_BYTES = 16 << 20
"""Bytes of a run's items, which are part of ``--memory``."""
ITEM_NAMES = 1000
"""Pairs of kind and name of a run; the one that was sent longest ago goes first."""
_ITEM_BYTES = 512
"""What an item costs besides its text and body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item, as it was sent."""

    worker: int
    """The worker's index in the store."""
    rank: int
    attempt: int
    kind: str
    name: str
    step: int
    time: float
    """Wall time at its sender, seconds since the epoch."""
    body: bytes
    """A MessagePack map, see :mod:`streamviz.wire.bodies`."""
    number: int
    """How many items the run had before it, as this server counts."""

    @property
    def nbytes(self) -> int:
        """Bytes it is reckoned at."""
        return _ITEM_BYTES + len(self.kind) + len(self.name) + len(self.body)


class Items:
    """Owner: the store, under its lock.

    Attributes:
        version: How many items the run has had.
        nbytes: Bytes of those that are held.
    """

    def __init__(self, take: Callable[[int], bool], give: Callable[[int], None]) -> None:
        """Hold nothing.

        Args:
            take: Grants bytes of the memory budget, or not.
            give: Takes them back.
        """
        self.version = 0
        self.nbytes = 0
        self._take = take
        self._give = give
        self._held: dict[tuple[str, str], deque[Item]] = {}

    def add(
        self,
        worker: int,
        rank: int,
        attempt: int,
        kind: str,
        name: str,
        step: int,
        time: float,
        body: bytes,
    ) -> int:
        """Add an item; return how many gave way, itself among them where memory is spent."""
        item = Item(
            worker=worker,
            rank=rank,
            attempt=attempt,
            kind=kind,
            name=name,
            step=step,
            time=time,
            body=body,
            number=self.version,
        )
        self.version += 1
        key = (kind, name)
        gone = 0
        while self._held and self.nbytes + item.nbytes > ITEMS_BYTES:
            gone += self._drop_oldest()
        while not self._take(item.nbytes):
            if not self._held:
                return gone + 1
            gone += self._drop_oldest()
        self.nbytes += item.nbytes
        # The one that was added to last comes last.
        held = self._held.pop(key, None)
        if held is None:
            held = deque()
            if len(self._held) >= ITEM_NAMES:
                gone += self._drop_name()
        self._held[key] = held
        held.append(item)
        if len(held) > ITEMS_PER_NAME:
            self._let_go(held.popleft())
            gone += 1
        return gone

    def _drop_oldest(self) -> int:
        key = min(self._held, key=lambda key: self._held[key][0].number)
        held = self._held[key]
        self._let_go(held.popleft())
        if not held:
            del self._held[key]
        return 1

    def _drop_name(self) -> int:
        held = self._held.pop(next(iter(self._held)))
        for item in held:
            self._let_go(item)
        return len(held)

    def _let_go(self, item: Item) -> None:
        self.nbytes -= item.nbytes
        self._give(item.nbytes)

    def chosen(self, kind: str | None, name: str | None) -> list[Item]:
        """Return those of a kind and a name, ``None`` for any, in the order in which they came."""
        if kind is not None and name is not None:
            return list(self._held.get((kind, name), ()))
        return sorted(self._matching(kind, name), key=lambda item: item.number)

    def _matching(self, kind: str | None, name: str | None) -> Iterator[Item]:
        for (held_kind, held_name), items in self._held.items():
            if kind in (None, held_kind) and name in (None, held_name):
                yield from items
