"""The lines of a text file, as far as it is written; asked again, those that came since.

Law: a line is given once and whole; memory holds one block of the file.
"""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from streamviz.errors import ConfigError
from streamviz.files.portions import unreadable

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
        """Open the file, which may be compressed by gzip.

        Args:
            path: The file.
            encoding: How its text is encoded; what its first bytes say, else UTF-8.

        Raises:
            ConfigError: It cannot be read.
        """
        self.path = path
        self.last = True
        self.lines = 0
        try:
            self._file: IO[bytes] = (
                cast("IO[bytes]", gzip.GzipFile(path)) if path.suffix == ".gz" else path.open("rb")
            )
            head = self._file.read(4)
            self._file.seek(0)
        except OSError as error:
            raise unreadable(path, error) from None
        guessed = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
        self.encoding = encoding or guessed
        try:
            self._decoder = codecs.getincrementaldecoder(self.encoding)()
        except LookupError:
            raise ConfigError("--encoding", encoding, "one that Python knows, as latin-1") from None
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
        while True:
            try:
                block = self._file.read(_BLOCK)
            except (OSError, EOFError) as error:
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
                if self.last and self._rest:
                    self._ready, self._rest = [self._rest], ""
                    return True
                return False
            if len(self._rest) > _LONGEST:
                raise ConfigError(
                    "PATH", str(self.path), f"lines of at most {_LONGEST:,} characters"
                )

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
