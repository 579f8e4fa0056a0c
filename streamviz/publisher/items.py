"""``mark``, ``alert`` and whatever else is no number: put among the rows, in its place.

Law: nothing here raises or waits; what cannot be sent is counted, and said once per cause.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import SupportsFloat, SupportsIndex

from streamviz.clock import wall_time
from streamviz.publisher.notes import Note, NoteRoom, alert_note, make_note, mark_note
from streamviz.publisher.outbox import Outbox, Row
from streamviz.publisher.refusals import Refusals
from streamviz.publisher.values import Unusable, whole_step
from streamviz.wire.frames import MAX_STEP
from streamviz.wire.kinds import limit_of

__all__ = ["ItemSender"]


class ItemSender:
    """What a publisher says besides numbers.

    Its state is the publisher's, which sets it.
    """

    _refusals: Refusals
    _note_room: NoteRoom
    _last_step: int
    _payload_bytes: int
    _outbox: Outbox
    _rows: deque[Row]
    _append: Callable[[Row], object]
    _crowded: Callable[[], None]

    def mark(self, name: str, step: SupportsIndex | None = None, text: str = "") -> None:
        """Name a moment of the training, which is drawn on its charts; never raises or waits.

        Args:
            name: Such as ``checkpoint``.
            step: Default: the last step sent, or, before any, the first that will be.
            text: More to be read about it.
        """
        self._put(step, lambda: mark_note(name, text, self._note_room))

    def alert(
        self,
        title: str,
        text: str = "",
        level: str = "warning",
        step: SupportsIndex | None = None,
    ) -> None:
        """Say something that a person is to see; never raises or waits.

        Args:
            title: In a few words.
            text: In more.
            level: ``info``, ``warning`` or ``error``.
            step: As with :meth:`mark`.
        """
        self._put(step, lambda: alert_note(title, text, level, self._note_room))

    def _item(
        self,
        kind: str,
        name: str,
        step: SupportsIndex | None,
        body: Mapping[str, object],
        time: float | None = None,
    ) -> None:
        """Send an item of any kind; its body is plain data."""
        self._put(
            step, lambda: make_note(kind, name, body, self._note_room, self._most(kind)), time
        )

    def _most(self, kind: str) -> int:
        """Return how many bytes a body of a kind may have."""
        return min(limit_of(kind).body, self._payload_bytes)

    def _put(
        self,
        step: SupportsIndex | None,
        make: Callable[[], Note],
        time: float | None = None,
        what: str = "",
    ) -> None:
        """Put an item among the rows, with the wall time of this call unless another is given."""
        try:
            self._put_at(self._place(step), seconds(time), make())
        except Exception as error:  # noqa: BLE001 - promise 1: an item must not end a training
            self._refusals.refuse_item(error, what)

    def _put_at(self, place: int, time: float, note: Note) -> None:
        self._append((place, time, {}, note))
        if len(self._rows) >= self._outbox.crowd:
            self._crowded()

    def _place(self, step: SupportsIndex | None) -> int:
        """Return a step that can be sent, -1 for one that the first row will tell.

        Raises:
            Unusable: It cannot be used.
        """
        if step is None:
            return self._last_step
        place = whole_step(step)
        if not 0 <= place <= MAX_STEP:
            raise Unusable("a step outside 0 to 2**53")
        return place

    def _send_at(
        self,
        metrics: Mapping[str, SupportsFloat],
        step: SupportsIndex | None,
        time: float | None,
    ) -> None:
        """Send metrics as :meth:`send` does, of a wall time that is given."""
        try:
            place = self._last_step + 1 if step is None else self._place(step)
            when = seconds(time)
            self._last_step = place
            self._send_any(place, when, metrics)
            if len(self._rows) >= self._outbox.crowd:
                self._crowded()
        except Exception as error:  # noqa: BLE001 - promise 1: a metric must not end a training
            self._refusals.refuse_call(metrics, error)

    def _send_any(self, step: int, now: float, metrics: Mapping[str, object]) -> None:
        """Send metrics of any type; the publisher's."""
        raise NotImplementedError


def seconds(time: float | None) -> float:
    """Return a wall time in seconds since the epoch, now unless one is given.

    Raises:
        Unusable: It is none.
    """
    if time is None:
        return wall_time()
    when = float(time)
    if not math.isfinite(when):
        raise Unusable("a wall time that is not finite")
    return when
