"""One file of TensorBoard's events, as far as it is written: the records, checked, one by one.

A record is its length, the length's checksum, its bytes, their checksum; the layout is TensorFlow's
own and has not changed since 2015. Checksums and messages are those of the ``tensorboard`` package.

Law: a damaged record is passed over and counted where its length can be trusted; where it cannot,
the rest of the file is given up and said. Nothing half written is taken for damage.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from streamviz.files.events import Event, checksum, parse_event
from streamviz.files.portions import Account, unreadable

__all__ = ["EventFile"]

_HEAD = struct.Struct("<QI")
_TAIL = struct.Struct("<I")
_BLOCK = 1 << 20
_MOST = 1 << 30
"""Bytes of a record; what says it has more is damaged."""


class EventFile:
    """One file, to be read again as it grows.

    Attributes:
        path: Where it is.
        waiting: Bytes at the end that are no whole record.
    """

    def __init__(self, path: Path, account: Account) -> None:
        self.path = path
        self.waiting = 0
        self._account = account
        self._at = 0
        self._is_lost = False

    def events(self) -> Iterator[Event]:
        """Yield the events that came since the last call.

        Raises:
            ConfigError: The file cannot be read.
        """
        if self._is_lost:
            return
        try:
            if self.path.stat().st_size <= self._at:
                return
            with self.path.open("rb") as file:
                file.seek(self._at)
                buffer, start = b"", 0
                while True:
                    needed = self._needed(buffer, start)
                    if needed is None:
                        return
                    if needed:
                        block = file.read(max(_BLOCK, needed))
                        if not block:
                            break
                        buffer, start = buffer[start:] + block, 0
                        continue
                    event, start = self._record(buffer, start)
                    if event is not None:
                        yield event
        except OSError as error:
            raise unreadable(self.path, error) from None
        self.waiting = len(buffer) - start

    def _needed(self, buffer: bytes, start: int) -> int | None:
        """Return how many more bytes the next record needs, ``None``: nobody can tell."""
        have = len(buffer) - start
        if have < _HEAD.size:
            return _HEAD.size - have
        length, check = _HEAD.unpack_from(buffer, start)
        if length > _MOST or _length_checksum(length) != check:
            self._is_lost = True
            left = self.path.stat().st_size - self._at
            self._account.refuse(
                "rest of an event file behind a damaged place",
                f"{self.path}, byte {self._at:,}: {left:,} bytes are given up",
            )
            return None
        return max(int(length) + _HEAD.size + _TAIL.size - have, 0)

    def _record(self, buffer: bytes, start: int) -> tuple[Event | None, int]:
        length, _ = _HEAD.unpack_from(buffer, start)
        begin = start + _HEAD.size
        data = buffer[begin : begin + length]
        (check,) = _TAIL.unpack_from(buffer, begin + length)
        place = f"{self.path}, byte {self._at:,}"
        end = begin + length + _TAIL.size
        self._at += end - start
        if checksum(data) != check:
            self._account.refuse("damaged record of an event file", place)
            return None, end
        event = parse_event(data)
        if event is None:
            self._account.refuse("record that is no event", place)
        return event, end


@lru_cache(maxsize=4096)
def _length_checksum(length: int) -> int:
    return checksum(struct.pack("<Q", length))
