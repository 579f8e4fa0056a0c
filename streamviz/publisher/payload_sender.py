"""How a payload is made of arrays and sent: at the call, or when those on a device are here.

Law: nothing here raises; arrays that are not copied are not looked at after the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsIndex

from streamviz.publisher.arrivals import Arrival, Arrivals, taken
from streamviz.publisher.items import ItemSender, seconds
from streamviz.publisher.notes import Note, legal_name, make_note
from streamviz.wire.kinds import IMAGE

__all__ = ["PayloadSender", "what"]

_MOST_TAKEN = 1 << 24
"""Elements of a tensor on a device that are worth copying."""


class PayloadSender(ItemSender):
    """What a publisher needs for :class:`~streamviz.publisher.payloads.Payloads`."""

    _arrivals: Arrivals

    def _draw(
        self,
        kind: str,
        name: str,
        step: SupportsIndex | None,
        time: float | None,
        make: Callable[..., Mapping[str, object]],
        *sources: object,
    ) -> None:
        """Send what is made of some arrays: now, or when those on a device are here."""
        if self._is_off:
            return
        called = what(kind, name)
        try:
            place, when = self._place(step), seconds(time)
            found: list[Any] = [taken(source, _MOST_TAKEN) for source in sources]
            named = legal_name(name) if isinstance(name, str) else name
            coming = [one.nbytes for one in found if isinstance(one, Arrival)]
            if not coming:
                self._put_at(place, when, self._made(kind, named, make, found))
                return
            # The others must stay as they are now until those have come.
            found = [_kept(one) for one in found]
        except Exception as error:  # noqa: BLE001 - promise 1: a picture must not end a training
            self._refusals.refuse_item(error, called)
            return

        def work() -> None:
            try:
                arrays = [one.get() if isinstance(one, Arrival) else one for one in found]
                self._put_at(place, when, self._made(kind, named, make, arrays))
            except Exception as error:  # noqa: BLE001 - promise 1: nor end the thread
                self._refusals.refuse_item(error, called)

        try:
            self._arrivals.add(sum(coming), work)
        except Exception as error:  # noqa: BLE001 - promise 1: as above
            self._refusals.refuse_item(error, called)

    def _made(
        self,
        kind: str,
        name: str,
        make: Callable[..., Mapping[str, object]],
        arrays: Sequence[object],
    ) -> Note:
        return make_note(kind, name, make(*arrays), self._note_room, self._most(kind))

    def _not_finite(self, kind: str, name: str, values: int) -> None:
        if values:
            self._refusals.count("values that are not finite", values)
            self._refusals.warn(
                f"not finite {kind}",
                f"{what(kind, name)} had {values} values that are not finite; they are "
                f"{'drawn as 0' if kind == IMAGE else 'left out'}, and counted",
            )

    @property
    def _is_off(self) -> bool:
        """Whether every call is to do nothing; the publisher's."""
        raise NotImplementedError


def _kept(value: Any) -> object:
    """Return a value that the caller can no longer change, if it is an array."""
    if isinstance(value, Arrival):
        return value
    copy = getattr(value, "clone", None) or getattr(value, "copy", None)
    return copy() if callable(copy) else value


def what(kind: str, name: object) -> str:
    """Return what a payload is called in a message."""
    return f"{kind} {name[:80]!r}" if isinstance(name, str) else f"a {kind}"
