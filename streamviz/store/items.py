"""The items of a run: what was sent that is no row of numbers, newest kept.

Law: of each kind, name and worker the newest stay, each kind within its share of a run's bytes, so
that no kind pushes another out; of a kind that is looked at over the whole run the first stays too,
and those between are thinned out evenly. What gave way is counted, and the version grows with each
that came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streamviz.wire.kinds import is_payload, limit_of

__all__ = ["ITEMS_BYTES", "ITEM_NAMES", "NO_ITEMS", "Item", "Items"]

ITEMS_BYTES = 64 << 20
"""Bytes of a run's items, which are part of ``--memory``; each kind has a share of them."""
ITEM_NAMES = 4000
"""Names and workers of one kind; the one that was sent longest ago goes first."""
_ENDS = 2
"""Items of a name that thinning leaves: its first and its newest."""
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
        payloads_version: The version as of the last that is neither a mark nor an alert.
        nbytes: Bytes of those that are held.
    """

    def __init__(self, take: Callable[[int], bool], give: Callable[[int], None]) -> None:
        """Hold nothing.

        Args:
            take: Grants bytes of the memory budget, or not.
            give: Takes them back.
        """
        self.version = 0
        self.payloads_version = 0
        self.nbytes = 0
        self._take = take
        self._give = give
        self._held: dict[str, _OfKind] = {}

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
        if is_payload(kind):
            self.payloads_version = self.version
        limit = limit_of(kind)
        held = self._held.setdefault(kind, _OfKind())
        gone = 0
        while held.items and held.nbytes + item.nbytes > ITEMS_BYTES * limit.share:
            gone += self._make_room(held, thinned=limit.thinned)
        while not self._take(item.nbytes):
            if not self.nbytes:
                return gone + 1
            gone += self._drop_oldest()
        self.nbytes += item.nbytes
        held.nbytes += item.nbytes
        key = (name, worker)
        # The one that was added to last comes last.
        ring = held.items.pop(key, None)
        if ring is None:
            ring = deque()
            if len(held.items) >= ITEM_NAMES:
                first = next(iter(held.items))
                gone += sum(self._let_go(held, first) for _ in range(len(held.items[first])))
        held.items[key] = ring
        ring.append(item)
        if len(ring) > limit.kept:
            gone += self._let_go(held, key, held.next_of(key) if limit.thinned else 0)
        return gone

    def _make_room(self, held: _OfKind, *, thinned: bool) -> int:
        """Let one of a kind go."""
        if thinned:
            key = held.longest()
            if len(held.items[key]) > _ENDS:
                return self._let_go(held, key, held.next_of(key))
        return self._let_go(held, held.oldest())

    def _drop_oldest(self) -> int:
        """Let the oldest of all go."""
        found = [(held, held.oldest()) for held in self._held.values() if held.items]
        held, key = min(found, key=lambda one: one[0].items[one[1]][0].number)
        return self._let_go(held, key)

    def _let_go(self, held: _OfKind, key: tuple[str, int], at: int = 0) -> int:
        ring = held.items[key]
        size = ring[at].nbytes
        del ring[at]
        held.gone[key] = held.gone.get(key, 0) + 1
        if not ring:
            del held.items[key], held.gone[key]
        held.nbytes -= size
        self.nbytes -= size
        self._give(size)
        return 1

    def chosen(self, kind: str | None, name: str | None) -> list[Item]:
        """Return those of a kind and a name, ``None`` for any, in the order in which they came."""
        return sorted(self._matching(kind, name), key=lambda item: item.number)

    def gone(self) -> dict[tuple[str, str, int], int]:
        """Return by kind, name and worker how many gave way, where some are held."""
        return {
            (kind, *key): count
            for kind, held in self._held.items()
            for key, count in held.gone.items()
        }

    def _matching(self, kind: str | None, name: str | None) -> Iterator[Item]:
        kinds = self._held if kind is None else (kind,)
        for one in kinds:
            held = self._held.get(one)
            for (held_name, _), items in held.items.items() if held else ():
                if name in (None, held_name):
                    yield from items


class _OfKind:
    """The items of one kind, by name and worker."""

    __slots__ = ("gone", "items", "nbytes")

    def __init__(self) -> None:
        self.items: dict[tuple[str, int], deque[Item]] = {}
        self.gone: dict[tuple[str, int], int] = {}
        self.nbytes = 0

    def oldest(self) -> tuple[str, int]:
        """Return the key whose first item came before all others."""
        return min(self.items, key=lambda key: self.items[key][0].number)

    def longest(self) -> tuple[str, int]:
        """Return the key that has most items, of several the one that was added to first."""
        return max(self.items, key=lambda key: len(self.items[key]))

    def next_of(self, key: tuple[str, int]) -> int:
        """Return which of a key's items is missed least: neither end, the narrowest gap left."""
        steps = [item.step for item in self.items[key]]
        gaps = [abs(after - before) for before, after in zip(steps, steps[2:], strict=False)]
        return 1 + gaps.index(min(gaps)) if gaps else 0


NO_ITEMS = Items(lambda _: False, lambda _: None)
"""What a run has that sent none; nothing is ever added to it."""
