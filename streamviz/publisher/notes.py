"""Items before they are framed: what ``mark`` and ``alert`` put into the outbox, among the rows.

Law: what is put there is bytes already, and of all that wait there are at most so many.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Mapping

from streamviz.publisher.values import Unusable
from streamviz.wire.bodies import ALERT, LEVELS, MARK, pack_body
from streamviz.wire.codec import MAX_ITEM_BYTES
from streamviz.wire.names import MAX_NAME_BYTES, name_fault

__all__ = [
    "MAX_TEXT",
    "WAITING_BYTES",
    "Note",
    "NoteRoom",
    "alert_note",
    "legal_name",
    "make_note",
    "mark_note",
]

WAITING_BYTES = 8 << 20
"""Bytes of bodies that may wait to be framed: eight of the largest, and what a loop may send in the
few hundredths of a second until the sender comes."""
MAX_TEXT = 16_384
"""Characters of a text in a mark or an alert: a long traceback."""
_NOTE_BYTES = 256
"""What an item is reckoned at besides its body."""


class Note:
    """One item on its way to its frame."""

    __slots__ = ("_room", "body", "kind", "name", "nbytes")

    def __init__(self, kind: str, name: str, body: bytes, room: NoteRoom) -> None:
        self.kind = kind
        self.name = name
        self.body = body
        self.nbytes = _NOTE_BYTES + len(body)
        self._room: NoteRoom | None = room

    def release(self) -> None:
        """Give its room back, once: it is framed, or fell out of the outbox."""
        room, self._room = self._room, None
        if room is not None:
            room.give(self.nbytes)


class NoteRoom:
    """Bytes of the items that wait to be framed; for any thread."""

    def __init__(self, allowed: int = WAITING_BYTES) -> None:
        self._lock = threading.Lock()
        self._allowed = allowed
        self._taken = 0

    def take(self, size: int) -> bool:
        """Take bytes, if there are as many."""
        with self._lock:
            if self._taken + size > self._allowed:
                return False
            self._taken += size
            return True

    def give(self, size: int) -> None:
        """Give bytes back."""
        with self._lock:
            self._taken -= size


def make_note(
    kind: str,
    name: str,
    body: Mapping[str, object],
    room: NoteRoom,
    most: int = MAX_ITEM_BYTES,
) -> Note:
    """Return an item, with its room taken.

    Args:
        kind: Of the item.
        name: Of the item.
        body: Plain data.
        room: For what waits to be framed.
        most: Bytes that its body may have.

    Raises:
        Unusable: It cannot be sent; the argument says why.
    """
    for what in (kind, name):
        fault = name_fault(what)
        if fault is not None:
            raise Unusable(f"an item without a legal name: {fault}"[:200])
    try:
        data = pack_body(body)
    except Exception:  # noqa: BLE001 - promise 1: whatever a user's object raises stays here
        raise Unusable("an item that is no plain data") from None
    most = min(most, MAX_ITEM_BYTES)
    if len(data) > most:
        raise Unusable(
            f"an item of more than {most} bytes", f"a body of {len(data)}: send less at a time"
        )
    note = Note(kind, name, data, room)
    if not room.take(note.nbytes):
        raise Unusable("items dropped: more of them wait than there is room for")
    return note


def mark_note(name: object, text: object, room: NoteRoom) -> Note:
    """Return a mark.

    Raises:
        Unusable: It cannot be sent.
    """
    said = _text(text)
    return make_note(MARK, legal_name(name), {"text": said} if said else {}, room)


def alert_note(title: object, text: object, level: object, room: NoteRoom) -> Note:
    """Return an alert; one whose level is none of :data:`LEVELS` is a warning.

    Raises:
        Unusable: It cannot be sent.
    """
    body = {
        "title": _text(title),
        "text": _text(text),
        "level": level if level in LEVELS else "warning",
    }
    return make_note(ALERT, legal_name(title), body, room)


def legal_name(name: object) -> str:
    """Return a user's text as a legal name: an alert is not lost for a line break in its title."""
    text = unicodedata.normalize("NFC", _text(name))
    if name_fault(text) is None:
        return text
    kept = "".join(c if name_fault(c) is None else " " for c in text).strip()
    cut = kept.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore").strip()
    return cut if name_fault(cut) is None else "unnamed"


def _text(text: object) -> str:
    """Return a text as it can travel, cut where it is too long."""
    shown = text if isinstance(text, str) else str(text)
    if len(shown) > MAX_TEXT:
        shown = shown[: MAX_TEXT - 1] + "…"
    return shown.encode("utf-8", "replace").decode()
