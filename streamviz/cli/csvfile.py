"""A CSV file, read in parts: how it is written is found out, and what cannot be read is named.

Law: the memory taken does not grow with the file, and no row is left out without being counted.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamviz.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CsvFile", "Part"]

_BLOCK = 8 << 20
"""Bytes that are read and parsed at a time."""
_LONGEST = 64 << 20
"""Bytes of a record at most."""
_SAMPLE = 256 << 10
"""Bytes from which it is found out how the file is written."""
_SAMPLE_LINES = 200
_DELIMITERS = ",;\t|"
_NUMBER = re.compile(
    r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*|\s*(nan|[-+]?inf(inity)?)\s*", re.I
)
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")


@dataclass(frozen=True)
class Part:
    """Some consecutive rows.

    Attributes:
        table: Their columns.
        data: The bytes that they were read from.
        line: Of the file, before the first of these bytes.
        delimiter: Between fields.
        decimal: What stands before the decimals of a number.
        width: Fields of a row.
    """

    table: pa.Table
    data: bytes
    line: int
    delimiter: str
    decimal: str
    width: int

    def line_of(self, row: int) -> int:
        """Return the line of the file on which a row begins."""
        reader = csv.reader(
            io.StringIO(self.data.decode("utf-8", "replace"), newline=""), delimiter=self.delimiter
        )
        before, seen = 0, -1
        with suppress(csv.Error):
            for fields in reader:
                seen += bool(fields) and len(fields) == self.width
                if seen == row:
                    break
                before = reader.line_num
        return self.line + before + 1


@dataclass
class CsvFile:
    """A file of rows.

    Raises:
        ConfigError: There is no such file, or it is no CSV.

    Attributes:
        path: Where it is.
        columns: The names of its columns, each once.
        sample: Its first rows.
        remarks: What somebody should know of how it was read, a sentence each.
        rows: Rows read so far.
    """

    path: Path
    columns: list[str] = field(init=False)
    sample: Part = field(init=False)
    remarks: list[str] = field(default_factory=list)
    rows: int = 0
    delimiter: str = ","
    _decimal: str = "."
    _encoding: str = "utf-8"
    _offset: int = 0
    """Of the file, behind what was read."""
    _start: int = 0
    """Lines before the first row: comments and the header."""
    _line: int = 0
    _waiting: bytes = b""
    _node: int = 0
    _old_ends: bool = False
    """Whether lines end with a carriage return alone."""
    _bad_rows: int = 0
    _first_bad: str = ""

    def __post_init__(self) -> None:
        try:
            self._node = self.path.stat().st_ino
            with self.path.open("rb") as file:
                head = file.read(_SAMPLE)
                self._encoding = self._find_encoding(head, file)
        except OSError as error:
            why = error.strerror or "unreadable"
            raise ConfigError(
                "FILE", str(self.path), f"a CSV file that can be read ({why})"
            ) from None
        self._decoder = codecs.getincrementaldecoder(self._encoding)("replace")
        text = codecs.getincrementaldecoder(self._encoding)("replace").decode(head)
        self._old_ends = "\n" not in text and "\r" in text
        lines = [f"{line}\n" for line in self._newlined(text).split("\n")]
        if len(lines) > 1 and (len(head) == _SAMPLE or lines[-1] == "\n"):
            lines.pop()  # it may be cut off, or is what stands behind the last line's end
        if "\0" in text:
            raise ConfigError("FILE", str(self.path), "a CSV file; this one has binary data")
        self._find_header(lines[:_SAMPLE_LINES])
        if not self.columns:
            raise ConfigError("FILE", str(self.path), "a CSV file with a header; this one is empty")
        body = "".join(lines[self._start :]).encode()
        self.sample = self._parse(body, self._start)
        self._bad_rows = 0

    def parts(self, columns: Sequence[str], *, to_end: bool = True) -> Iterator[Part]:
        """Yield the rows that were not read yet.

        Args:
            columns: The ones that are wanted, each one of :attr:`columns`.
            to_end: Whether a last line without its end is a row; one that is being written is not.

        Raises:
            ConfigError: A record is longer than 64 MiB.
        """
        chosen = list(dict.fromkeys(columns))
        for data, line in self._pieces(to_end=to_end):
            part = self._parse(data, line, chosen)
            self.rows += part.table.num_rows
            yield part
        if self._bad_rows:
            self.remarks[:] = [one for one in self.remarks if "fields:" not in one]
            self.remarks.append(
                f"{self.path.name}: {self._bad_rows:,} lines left out for their number of fields: "
                f"{self._first_bad}"
            )

    def has_more(self) -> bool:
        """Say whether the file has grown."""
        return self._size() > self._offset

    def was_replaced(self) -> bool:
        """Say whether it is another file by now, or has been cut off."""
        try:
            found = self.path.stat()
        except OSError:
            return False  # between the old and the new one
        return found.st_ino != self._node or found.st_size < self._offset

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    # -- how it is written -----------------------------------------------------------------

    def _find_encoding(self, head: bytes, file: io.BufferedReader) -> str:
        """Return the codec of the file, told by its first bytes or by all of them."""
        if head.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        zeros = [head[i::2].count(0) for i in range(2)]
        if max(zeros) > len(head) // 4 and min(zeros) < len(head) // 16:
            return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
        checked = codecs.getincrementaldecoder("utf-8")("strict")
        data, place = head, 0
        try:
            while data:
                checked.decode(data)
                place += len(data)
                data = file.read(_BLOCK)
            checked.decode(b"", final=True)
        except UnicodeDecodeError as error:
            at = place + error.start
            self.remarks.append(
                f"{self.path.name}: not UTF-8 (byte {at:,} is no part of it), read as Latin-1"
            )
            return "latin-1"
        return "utf-8"

    def _find_header(self, lines: list[str]) -> None:
        """Find the delimiter, the names of the columns and the line on which rows begin."""
        comments = 0
        while comments < len(lines) and (
            lines[comments].lstrip().startswith("#") or not lines[comments].strip()
        ):
            comments += 1
        body = [line for line in lines[comments:] if line.strip() and not line.startswith("#")]
        self.delimiter = _delimiter_of(body)
        rows = list(_rows(body, self.delimiter))
        first = rows[0] if rows else []
        self._start = comments + (1 if rows else 0)
        if first and all(_NUMBER.fullmatch(entry) or not entry.strip() for entry in first):
            self._start = comments
            first = self._names_in_comment(lines[:comments], len(first)) or [
                f"column {i + 1}" for i in range(len(first))
            ]
        elif not rows and comments:
            last = lines[comments - 1].lstrip(" #")
            first = next(_rows([last], self.delimiter), [])
        self.columns = _once([name.strip() for name in first])
        cells = [cell for row in rows[1:] for cell in row if cell]
        commas = sum(_DECIMAL_COMMA.fullmatch(cell) is not None for cell in cells)
        dots = sum("." in cell and _NUMBER.fullmatch(cell) is not None for cell in cells)
        if self.delimiter != "," and commas > dots:
            self._decimal = ","

    def _names_in_comment(self, comments: list[str], count: int) -> list[str]:
        """Return the names that a last comment before bare numbers has, as NumPy writes them."""
        for line in reversed(comments):
            if line.strip():
                text = line.lstrip(" #")
                names = next(_rows([text], self.delimiter), [])
                return names if len(names) == count else []
        return []

    def _newlined(self, text: str) -> str:
        """Return a text with the ends of lines that everything else here knows."""
        return text.replace("\r", "\n") if self._old_ends else text

    # -- reading ---------------------------------------------------------------------------

    def _pieces(self, *, to_end: bool) -> Iterator[tuple[bytes, int]]:
        """Yield whole lines as UTF-8, with the number of lines before them."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            while data := file.read(_BLOCK):
                self._offset += len(data)
                if self._encoding == "utf-8" and not self._old_ends:
                    self._waiting += data
                else:
                    self._waiting += self._newlined(self._decoder.decode(data)).encode()
                cut = _end_of_records(self._waiting)
                if cut == 0 and len(self._waiting) > _LONGEST:
                    found = f"a line of more than {_LONGEST >> 20} MiB at line {self._line + 1:,}"
                    raise ConfigError("FILE", str(self.path), f"a CSV file; this one has {found}")
                if cut:
                    piece, self._waiting = self._waiting[:cut], self._waiting[cut:]
                    yield from self._without_header(piece)
        if to_end and self._waiting:
            piece, self._waiting = self._waiting, b""
            yield from self._without_header(piece)

    def _without_header(self, piece: bytes) -> Iterator[tuple[bytes, int]]:
        while piece and self._line < self._start:
            _, _, piece = piece.partition(b"\n")
            self._line += 1
        if piece:
            before = self._line
            self._line += piece.count(b"\n")
            yield piece, before

    def _parse(self, data: bytes, line: int, columns: list[str] | None = None) -> Part:
        from pyarrow import csv as arrow

        def refuse(row: Any) -> str:  # noqa: ANN401 - pyarrow's own
            if not row.text.lstrip().startswith("#"):
                self._bad_rows += 1
                if self._bad_rows == 1:
                    self._first_bad = (
                        f"near line {line + (row.number or 1):,} there are {row.actual_columns}, "
                        f"expected {row.expected_columns}"
                    )
            return "skip"

        table = arrow.read_csv(
            io.BytesIO(data or b"\n"),
            read_options=arrow.ReadOptions(
                column_names=self.columns, use_threads=False, block_size=max(len(data), 1) + 1
            ),
            parse_options=arrow.ParseOptions(
                delimiter=self.delimiter,
                newlines_in_values=b'"' in data,
                invalid_row_handler=refuse,
            ),
            convert_options=arrow.ConvertOptions(
                include_columns=columns,
                decimal_point=self._decimal,
                strings_can_be_null=True,
                check_utf8=True,
            ),
        )
        return Part(table, data, line, self.delimiter, self._decimal, len(self.columns))


def _rows(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """Yield the fields of lines, up to one that cannot be split."""
    with suppress(csv.Error):
        yield from csv.reader(lines, delimiter=delimiter, skipinitialspace=True)


def _delimiter_of(lines: list[str]) -> str:
    """Return the delimiter by which most lines have the same number of fields, more than one."""
    best, most = ",", (0, 0)
    for delimiter in _DELIMITERS:
        counts = Counter(len(row) for row in _rows(lines, delimiter) if row)
        if not counts:
            continue
        fields, often = counts.most_common(1)[0]
        if fields > 1 and (often, fields) > most:
            best, most = delimiter, (often, fields)
    return best


def _once(names: list[str]) -> list[str]:
    """Return names of which each comes once and none is empty."""
    found: list[str] = []
    for i, name in enumerate(names):
        plain = unique = name or f"column {i + 1}"
        turn = 2
        while unique in found:
            unique, turn = f"{plain} ({turn})", turn + 1
        found.append(unique)
    return found


def _end_of_records(data: bytes) -> int:
    """Return where the last whole record ends: behind a line's end that is not within quotes."""
    cut = data.rfind(b"\n") + 1
    while cut and data.count(b'"', 0, cut) % 2:
        cut = data.rfind(b"\n", 0, data.rfind(b'"', 0, cut)) + 1
    if not cut and len(data) > _LONGEST // 2:
        # A quote that is no quoting: rather a torn record than none at all.
        cut = data.rfind(b"\n") + 1
    return cut
