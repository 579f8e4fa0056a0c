"""Read the rows of an SQLite file page by page, without its trees.

Which table a row belongs to, and whether it is what was written, the row's own checksum tells. So
a file whose header, schema or inner pages are gone still gives all rows of its sound pages.

Law: any bytes give rows or nothing; no length found in them is believed beyond the file's own.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from streamviz.journal.schema import COLUMNS, Cell, Row, checksum
from streamviz.journal.wal import PAGE, Wal

__all__ = ["rows_of"]

_LEAF = 0x0D
_LOCAL_MAX = PAGE - 35
_LOCAL_MIN = (PAGE - 12) * 32 // 255 - 23
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_TABLES: dict[int, list[str]] = {}
"""The tables that have rows of so many cells, id and checksum included."""
for _table, _columns in COLUMNS.items():
    _TABLES.setdefault(len(_columns) + 2, []).append(_table)


def rows_of(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield every sound row that lies in a file, and the table it is of, in no order.

    Among them may be rows that were deleted or replaced, and the same row twice.

    Args:
        path: The file; its write-ahead log, if there is one, lies beside it.

    Raises:
        OSError: The disk does not give it.
    """
    wal = Wal(path)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        try:
            yield from _rows(_Pages(data, wal))
        finally:
            if isinstance(data, mmap.mmap):
                data.close()


class _Pages:
    """The newest committed copy of each page."""

    def __init__(self, data: bytes | mmap.mmap, wal: Wal) -> None:
        self._data, self._wal = data, wal
        # The last page of a file that was cut may be there in part.
        self.count = max(-(-len(data) // PAGE), *wal.pages, 0)

    def __getitem__(self, number: int) -> bytes:
        """Return page ``number``, counted from 1; bytes that are not there are zero."""
        at = self._wal.pages.get(number)
        if at is not None:
            return self._wal.data[at : at + PAGE]
        at = (number - 1) * PAGE
        return bytes(self._data[at : at + PAGE]).ljust(PAGE, b"\0")


def _rows(pages: _Pages) -> Iterator[tuple[str, Row]]:
    for number in range(1, pages.count + 1):
        page = pages[number]
        at = 100 if number == 1 else 0
        # The kind of a page, and the number of its rows, may be what is damaged: the list of rows
        # is followed as far as it makes sense, whatever they say.
        for place in range(at + 8, PAGE - 1, 2):
            (begin,) = struct.unpack_from(">H", page, place)
            if not at + 8 <= begin < PAGE:
                break
            row = _row(pages, page, begin)
            if row is not None:
                yield row
            elif page[at] != _LEAF:
                break


def _row(pages: _Pages, page: bytes, at: int) -> tuple[str, Row] | None:
    """Return the row that begins at a place of a page, if one does."""
    try:
        size, at = _varint(page, at)
        number, at = _varint(page, at)
        if size > PAGE * pages.count:
            return None
        payload = _payload(pages, page, at, size)
        cells = _cells(payload)
    except (IndexError, struct.error, UnicodeDecodeError, ValueError):
        return None
    if len(cells) < 2 or cells[0] is not None:
        return None
    for table in _TABLES.get(len(cells), ()):
        row = [number, *cells[1:-1]]
        for i, column in enumerate(COLUMNS[table], 1):
            cell = row[i]
            if column.endswith("REAL") and isinstance(cell, int):
                row[i] = float(cell)  # SQLite keeps whole numbers as integers
        if checksum(table, row) == cells[-1]:
            return table, tuple(row)
    return None


def _payload(pages: _Pages, page: bytes, at: int, size: int) -> bytes:
    """Return the bytes of a row: those on its page, and those it has elsewhere."""
    if size <= _LOCAL_MAX:
        return page[at : at + size]
    local = _LOCAL_MIN + (size - _LOCAL_MIN) % (PAGE - 4)
    if local > _LOCAL_MAX:
        local = _LOCAL_MIN
    pieces, missing = [page[at : at + local]], size - local
    (following,) = struct.unpack_from(">I", page, at + local)
    while missing > 0:
        if not 1 <= following <= pages.count:
            raise ValueError("a row goes on on a page that there is not")
        page = pages[following]
        pieces.append(page[4 : 4 + min(missing, PAGE - 4)])
        missing -= PAGE - 4
        (following,) = struct.unpack_from(">I", page)
    return b"".join(pieces)


def _cells(payload: bytes) -> list[Cell]:
    """Return the cells of a row."""
    end, at = _varint(payload, 0)
    kinds = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    cells: list[Cell] = []
    for kind in kinds:
        if kind in _INTEGER_BYTES:
            size = _INTEGER_BYTES[kind]
            cells.append(int.from_bytes(payload[at : at + size], "big", signed=True))
        elif kind == 7:
            size = 8
            cells.append(struct.unpack_from(">d", payload, at)[0])
        elif kind >= 12:
            size = (kind - 12) // 2
            piece = payload[at : at + size]
            cells.append(piece.decode() if kind % 2 else piece)
        else:
            size = 0
            cells.append({0: None, 8: 0, 9: 1}[kind] if kind in (0, 8, 9) else None)
        at += size
    return cells


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return SQLite's integer of 1 to 9 bytes, and where it ends."""
    value = 0
    for i in range(8):
        byte = data[at + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + i + 1
    return value << 8 | data[at + 8], at + 9
