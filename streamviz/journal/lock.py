"""One server a data directory: an exclusive lock, and who holds it.

Law: the lock is the kernel's and ends with its process, however that ends; what stands in the file
is only for the words of the refusal.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path

from streamviz.clock import wall_time
from streamviz.errors import DirectoryInUse, DiskError

__all__ = ["DirectoryLock"]

_NAME = "server.lock"
_MOST_BYTES = 4096


class DirectoryLock:
    """Holds a data directory for this process until :meth:`release`."""

    def __init__(self, directory: Path) -> None:
        """Take the lock, making the directory if there is none.

        Raises:
            DirectoryInUse: Another server holds it.
            DiskError: The directory cannot be made or written to.
        """
        self.directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(
                directory / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644
            )
        except OSError as error:
            raise DiskError(
                "failing",
                f"the data directory cannot be written ({error.strerror}): {directory}; choose "
                "another with --data-dir, or record nothing with --no-record",
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder()
            os.close(self._descriptor)
            raise DirectoryInUse(
                f"{holder} records to {directory}; end it, or choose another directory with "
                "--data-dir"
            ) from None
        self._sign()

    def check(self) -> None:
        """Make sure that the directory is still the one that was locked.

        Raises:
            DiskError: It was removed or replaced.
        """
        held = os.fstat(self._descriptor)
        try:
            found = (self.directory / _NAME).stat()
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino):
            raise DiskError(
                "failing",
                f"the data directory was removed or replaced: {self.directory}; put it back, or "
                "restart the server to begin anew",
            )

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)

    def _sign(self) -> None:
        told = {"pid": os.getpid(), "host": socket.gethostname(), "since": wall_time()}
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(told).encode(), 0)
        except OSError:
            # A full disk: the lock holds all the same, without a name on it.
            return

    def _holder(self) -> str:
        try:
            told = json.loads(os.pread(self._descriptor, _MOST_BYTES, 0))
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(told["since"])))
            return f"process {int(told['pid'])} on {str(told['host'])[:256]} (since {since})"
        except (ValueError, TypeError, KeyError, OverflowError, OSError):
            return "another server"
