"""How much the runs take on the disk, and which gives way when it is too much.

Law: the oldest run's full resolution goes first; what was deleted is counted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from streamviz.counters import Counters
from streamviz.errors import JournalError
from streamviz.journal.directory import run_files
from streamviz.journal.runfile import RunFile
from streamviz.journal.runwriter import RunWriter

__all__ = ["Allowance"]

_AT_ONCE_BYTES = 32 << 20
"""What is deleted in one go, so that a commit does not wait for longer."""
_SLACK = 64
"""When it is too much, a 64th more than needed goes, so that not every commit finds it full."""
_IDLE_S = 60.0
"""How long to leave it when nothing more can be deleted."""
_BESIDE = ("", "-wal", "-shm")


class Allowance:
    """Owner: the writer thread."""

    def __init__(self, directory: Path, allowed: int, counters: Counters) -> None:
        """Keep a data directory within a number of bytes.

        Args:
            directory: The data directory.
            allowed: Bytes that its runs may take.
            counters: Where deleted bytes are counted.
        """
        self._directory = directory
        self._allowed = allowed
        self._counters = counters
        self._idle_until = 0.0

    def measure(self) -> int:
        """Return the bytes that all runs take."""
        return sum(size for _, size, _ in self._sizes())

    def keep(self, writers: Mapping[str, RunWriter], now: float) -> int:
        """Delete a piece of the oldest if there is too much; return the bytes taken now.

        Args:
            writers: Who has which file in hand, by run.
            now: Monotonic time, seconds.

        Raises:
            JournalError: It could not be deleted.
        """
        sizes = self._sizes()
        used = sum(size for _, size, _ in sizes)
        if used <= self._allowed or now < self._idle_until:
            return used
        excess = min(used - self._allowed + self._allowed // _SLACK, _AT_ONCE_BYTES)
        by_path = {writer.path: writer for writer in writers.values()}
        for written, _, path in sorted(sizes):
            freed = self._shrink(path, by_path.get(path), excess)
            if path not in by_path:
                # Shortening it has not made it newer.
                with suppress(OSError):  # gone meanwhile
                    os.utime(path, (written, written))
            if freed:
                self._counters.add("journal_shed_bytes_total", freed)
                return self.measure()
        self._idle_until = now + _IDLE_S
        return used

    def _sizes(self) -> list[tuple[float, int, Path]]:
        """Return time of the last write, bytes and path of every run's file."""
        found = []
        for path in run_files(self._directory):
            size, written = 0, 0.0
            for suffix in _BESIDE:
                try:
                    told = path.with_name(path.name + suffix).stat()
                except OSError:  # not there, or gone meanwhile
                    continue
                size += told.st_blocks * 512
                written = max(written, told.st_mtime)
            found.append((written, size, path))
        return found

    def _shrink(self, path: Path, writer: RunWriter | None, amount: int) -> int:
        if writer is not None:
            return writer.shrink(amount)
        try:
            file = RunFile.open(path)
        except JournalError:
            # Damaged, or a later version's: told of when it was found, and not ours to shorten.
            return 0
        try:
            freed = file.shrink(amount)
            self._counters.add("items_shed_total", file.items_shed)
            return freed
        finally:
            file.close()
