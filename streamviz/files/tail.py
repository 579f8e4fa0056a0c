"""The lines of a text file, as far as it is written; asked again, those that came since.

Law: a line is given once and whole; memory holds one block of the file.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from streamviz.errors import ConfigError

__all__ = ["Tail"]

_BLOCK = 1 << 20
_LONGEST = 64 << 20
"""Characters of a line; a longer one is no line of a table."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Tail(Iterator[str]):
    """Iterates over lines; ended, it may be iterated again when the file has grown.

    Attributes:
        last: Nothing more will be written: what is at the end counts as a line.
        lines: Lines given so far.
    """

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        """Open nothing yet.

        Args:
            path: The file, which may be compressed by gzip.
            encoding: How its text is encoded; what its first bytes say, else UTF-8.

        Raises:
            ConfigError: There is no such encoding.
        """
        self.path = path
        self.last = True
        self.lines = 0
        self.encoding = encoding
        try:
            codecs.lookup(encoding or "utf-8")
        except LookupError:
            raise ConfigError("--encoding", encoding, "one that Python knows, as latin-1") from None
        self._file: IO[bytes] | None = None
        self._is_read = False
        self._ready: list[str] = []
        self._at = 0
        self._rest = ""

    def __next__(self) -> str:
        if self._at >= len(self._ready) and not self._fill():
            raise StopIteration
        line = self._ready[self._at]
        self._at += 1
        self.lines += 1
        return line

    def _fill(self) -> bool:
        """Read until there is a line."""
        if self._is_read:
            return False
        while True:
            try:
                file = self._file if self._file is not None else self._open()
                block = file.read(_BLOCK)
            except (OSError, EOFError, zlib.error) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise ConfigError("PATH", str(self.path), f"a whole file ({reason})") from None
            try:
                text = self._rest + self._decoder.decode(block, final=self.last and not block)
            except UnicodeDecodeError as error:
                raise ConfigError(
                    "PATH",
                    str(self.path),
                    f"text in {self.encoding} (near line {self.lines + 1}: {error.reason}); "
                    "name another with --encoding, as latin-1 or utf-16",
                ) from None
            # Only these end a line: other separators that Unicode knows may stand in a cell.
            self._ready = text.replace("\r\n", "\n").split("\n") if text else []
            self._at = 0
            self._rest = self._ready.pop() if self._ready else ""
            if self._ready:
                self._ready = [f"{line}\n" for line in self._ready]
                return True
            if not block:
                if self.last:
                    self.close()
                    self._ready, self._rest = [self._rest] if self._rest else [], ""
                return bool(self._ready)
            if len(self._rest) > _LONGEST:
                raise ConfigError(
                    "PATH", str(self.path), f"lines of at most {_LONGEST:,} characters"
                )

    def _open(self) -> IO[bytes]:
        """Open the file; its first bytes may say how it is encoded."""
        file: IO[bytes] = (
            cast("IO[bytes]", gzip.GzipFile(self.path))
            if self.path.suffix == ".gz"
            else self.path.open("rb")
        )
        self._file = file
        head = file.read(4)
        file.seek(0)
        guessed = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
        self.encoding = self.encoding or guessed
        self._decoder = codecs.getincrementaldecoder(self.encoding)()
        return file

    def close(self) -> None:
        """Let go of the file; there are no more lines."""
        self._is_read = True
        if self._file is not None:
            self._file.close()
            self._file = None
