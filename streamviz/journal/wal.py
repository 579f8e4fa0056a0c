"""SQLite's write-ahead log, read to see what SQLite would drop without a word.

On opening SQLite takes the log's frames up to the first that does not fit its checksum, and forgets
the rest: right after a power cut, wrong after a damaged byte. A frame's checksum goes on from the
one stated before it, so the frames after a bad one can be told to be sound.

Law: a page is given only if its frame is sound and its transaction was committed.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

__all__ = ["PAGE", "Wal"]

PAGE = 16384
"""Bytes of a page, set when a file is made: parts have 1 to 8 KiB, of which SQLite puts as many on
a page as fit whole; on pages of 4 KiB that left a third of the file empty."""
_HEADER, _FRAME = 32, 24
_PAIRS = 1 + PAGE // 8
"""Pairs of numbers that a frame's checksum covers."""


def _powers() -> list[tuple[int, int, int, int]]:
    """Return how the sums count on after so many pairs: powers of ``[[1, 1], [1, 2]]``."""
    a, b, c, d = 1, 0, 0, 1
    found = []
    for _ in range(_PAIRS + 1):
        found.append((a, b, c, d))
        a, b, c, d = (a + c) % 2**32, (b + d) % 2**32, (a + 2 * c) % 2**32, (b + 2 * d) % 2**32
    return found


_POWERS = np.array(_powers(), np.uint64)


class Wal:
    """The log beside a file.

    Attributes:
        data: Its bytes; empty where there is none.
        pages: Where in ``data`` the newest committed copy of a page begins.
        damage: What SQLite would drop, in words; ``None``: nothing.
    """

    def __init__(self, path: Path) -> None:
        """Read the log of the file ``path``.

        Raises:
            OSError: The disk does not give it.
        """
        beside = path.with_name(path.name + "-wal")
        self.data = beside.read_bytes() if beside.exists() else b""
        self.pages: dict[int, int] = {}
        self.damage: str | None = None
        if len(self.data) >= _HEADER + _FRAME + PAGE:
            orders = "><" if self.data[3] & 1 else "<>"
            # The second is for a header whose byte that tells the order is damaged.
            self._read(orders[0]) or self._read(orders[1])

    def _read(self, order: str) -> bool:
        """Read the log with its numbers in an order of bytes, and return whether it had commits."""
        data = self.data
        is_sound = _sums(data[:24], (0, 0), order) == struct.unpack_from(">II", data, 24)
        # Behind the frames of this use of the log lie those of an earlier one, of another salt.
        salt = data[16:24] if is_sound else data[_HEADER + 8 : _HEADER + 16]
        state = struct.unpack_from(">II", data, 24)
        transactions: list[tuple[bool, dict[int, int]]] = []
        pages: dict[int, int] = {}
        whole = True
        for at in range(_HEADER, len(data) - _FRAME - PAGE + 1, _FRAME + PAGE):
            page, commit = struct.unpack_from(">II", data, at)
            stated = struct.unpack_from(">II", data, at + 16)
            covered = data[at : at + 8] + data[at + _FRAME : at + _FRAME + PAGE]
            if data[at + 8 : at + 16] == salt and _sums(covered, state, order) == stated:
                pages[page] = at + _FRAME
                if commit:
                    transactions.append((whole, pages))
                    pages, whole = {}, True
            else:
                whole = False
            state = stated
        dropped = 0 if is_sound else len(transactions)
        for i, (complete, _) in enumerate(transactions):
            if not complete:
                dropped = max(dropped, len(transactions) - i)
        if dropped:
            self.damage = f"its write-ahead log is damaged before the last {dropped} commits"
        found = [frames for _, frames in transactions]
        if transactions and not transactions[-1][0]:
            # A power cut may have left it so, before it was acknowledged: then its frames come
            # again, and else the gap is seen.
            found.pop()
        for frames in found:
            self.pages.update(frames)
        return bool(transactions)


def _sums(data: bytes, state: tuple[int, int], order: str) -> tuple[int, int]:
    """Return SQLite's two running sums after some more bytes, at most a frame's."""
    numbers = np.frombuffer(data, f"{order}u4").astype(np.uint64)
    first, second = numbers[0::2], numbers[1::2]
    size = first.size
    powers = _POWERS[size - 1 :: -1] if size else _POWERS[:0]
    both = first + second
    last = _POWERS[size]
    low = int((powers[:, 0] * first + powers[:, 1] * both).sum(dtype=np.uint64))
    high = int((powers[:, 2] * first + powers[:, 3] * both).sum(dtype=np.uint64))
    low += int(last[0]) * state[0] + int(last[1]) * state[1]
    high += int(last[2]) * state[0] + int(last[3]) * state[1]
    return low % 2**32, high % 2**32
