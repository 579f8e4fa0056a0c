"""The spill file of a stream: where held frames lie that memory has no room for.

Law: whatever the disk does, nothing raises; what it does not take is refused, and said once. No
memory is held for what lies in the file.
"""

from __future__ import annotations

import fcntl
import os
import re
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from streamviz.clock import monotonic_time, wall_time
from streamviz.errors import DecodeError
from streamviz.publisher.spillformat import HEADER, parcel_of, read_record, record
from streamviz.wire.codec import decode, encode
from streamviz.wire.frames import Bye, Gap, Heartbeat, Hello, Item, Samples, Schema, Span
from streamviz.wire.parcels import Parcel

__all__ = ["SUFFIX", "LockedFile", "SpillFile", "file_prefix"]

SUFFIX = ".spill"

_SLUG_CHARACTERS = 80
"""Characters of a run's name in a file's: with rank and stream it stays below every file system's
limit of 255."""

_RESERVE_BYTES = 16 * 1024
"""Kept free for how the stream ends: one gap, the last heartbeat and the goodbye."""

_RETRY_S = 5.0
"""How long a disk that failed is left alone: a try may take long, and frames come every 40 ms."""


def file_prefix(run: str, rank: int) -> str:
    """Return how the names of a rank's spill files start.

    Other runs' may start so too; the hello inside tells.
    """
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", run)[:_SLUG_CHARACTERS]
    return f"{slug}.{rank}."


class LockedFile:
    """An open file that is this process's alone, until it closes it or ends.

    A forked child lets go of what it inherited, so that the lock ends with this process.

    Attributes:
        path: Where it lies.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        _inherited.add(self)

    @classmethod
    def create(cls, path: Path) -> LockedFile:
        """Make a new file for its owner only.

        Raises:
            OSError: It exists, or cannot be made.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        file = cls(path, os.open(path, flags, 0o600))
        # Where there are no locks, others find the file only after this process has ended.
        with suppress(OSError):
            fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    @classmethod
    def claim(cls, path: Path) -> LockedFile | None:
        """Open a file that another process left, ``None`` if it is still another's.

        Raises:
            OSError: It is gone or cannot be opened.
        """
        flags = os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(path, os.O_RDWR | flags)
        except OSError:
            # On a medium that cannot be written.
            descriptor = os.open(path, os.O_RDONLY | flags)
        file = cls(path, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        if not file.is_linked:
            # Delivered and removed by another, between the opening and the lock.
            file.close()
            return None
        return file

    @property
    def descriptor(self) -> int:
        """The open file.

        Raises:
            OSError: It is closed.
        """
        if self._descriptor < 0:
            raise OSError(f"{self.path} is closed")
        return self._descriptor

    @property
    def is_linked(self) -> bool:
        """Whether it still lies where it was made; nobody finds a removed one."""
        try:
            return os.fstat(self.descriptor).st_nlink > 0
        except OSError:
            return False

    def remove(self) -> None:
        """Delete and close it; one that cannot be deleted stays."""
        with suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Let go of it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


class SpillFile:
    """A shelf (see :class:`~streamviz.wire.parcels.Shelf`) that is a file, made when first needed.

    Owner: the sender thread.

    Attributes:
        path: Where it lies, or would.
        schemas: The stream's schemas so far, by id; whoever numbers them puts their list here.
    """

    def __init__(
        self,
        directory: Path,
        limit_bytes: int,
        hello: Callable[[int, int, Span | None], Hello],
        warn: Callable[[str, str], None],
    ) -> None:
        """Touch no disk yet.

        Args:
            directory: Where the file is to lie; made if it is not there.
            limit_bytes: Bytes it may have.
            hello: Gives the stream's hello for what was acknowledged so far.
            warn: Called with a cause and a sentence.
        """
        first = hello(0, 0, None)
        self._stream = first.stream
        name = f"{file_prefix(first.run, first.rank)}{first.stream.hex()}{SUFFIX}"
        self.path = directory / name
        self.schemas: Sequence[tuple[str, ...]] = ()
        self._limit = limit_bytes
        self._hello = hello
        self._warn = warn
        self._file: LockedFile | None = None
        self._base: tuple[int, int, Span | None] = (0, 0, None)
        self._end = 0
        self._next = 0
        self._schemas_written = 0
        self._retry_at = 0.0
        self._is_ending = False

    # -- the shelf -------------------------------------------------------------------------

    def begin(self, base_seq: int, base_row: int, base_span: Span | None) -> None:
        """Remember what the file's hello is to say."""
        self._base = (base_seq, base_row, base_span)

    def put(self, parcel: Parcel) -> bool:
        """Write a frame, and before it what its reader must know; false if that cannot be."""
        if monotonic_time() < self._retry_at:
            return False
        data = self._gap(parcel) if parcel.data is None else parcel.data
        new = b"".join([*self._introduction(), record(data)])
        is_end = self._is_ending and parcel.data is None
        if self._end + len(new) + (0 if is_end else _RESERVE_BYTES) > self._limit:
            self._warn(
                "spill full",
                f"the spill file {self.path} has reached its {self._limit} bytes; what memory has "
                "no room for is dropped. Raise STREAMVIZ_SPILL_BYTES to keep more",
            )
            return False
        return self._append(new)

    def skip(self) -> None:
        """Go on at the end."""
        self._next = self._end

    def take(self) -> Parcel | None:
        """Read the next frame, ``None`` if it is damaged or cannot be read."""
        try:
            while self._next < self._end:
                data = self._read()
                if data is None:
                    break
                frame = decode(data)
                if isinstance(frame, Samples | Item | Gap):
                    return parcel_of(frame, data)
        except (OSError, DecodeError) as error:
            self._failed("cannot be read", error)
            return None
        self._failed("cannot be read", "it is damaged")
        return None

    def clear(self) -> None:
        """Empty the file."""
        self._end = self._next = self._schemas_written = 0
        if self._file is not None:
            self._truncate()
            if not self._file.is_linked:
                # Somebody has tidied up; what is written from now on is to be found again.
                self._file.close()
                self._file = None

    # -- its ends --------------------------------------------------------------------------

    def open(self) -> bool:
        """Make the file now, while there are descriptors; say whether there is one."""
        try:
            self._opened()
        except OSError as error:
            self._failed("cannot be written", error)
        return self._file is not None

    def prepare_end(self) -> None:
        """Try again now, whatever failed before, and let a gap have the room kept for the end."""
        self._retry_at = 0.0
        self._is_ending = True

    def finish(self, beat: Heartbeat, bye: Bye) -> bool:
        """Write how the stream ended, and close the file for others to deliver.

        Returns:
            Whether they will find it: it may have been removed by somebody.
        """
        # Without its end, should the disk not take that, what lies in it can be delivered too.
        self._append(record(encode(beat)) + record(encode(bye)))
        is_there = self._file is not None and self._file.is_linked
        self.leave()
        return is_there

    def leave(self) -> None:
        """Close the file as it is, for others to deliver."""
        if self._file is not None:
            self._file.close()

    def remove(self) -> None:
        """Delete the file: everything in it is acknowledged, or of no use."""
        if self._file is not None:
            self._file.remove()

    # -- behind ----------------------------------------------------------------------------

    def _introduction(self) -> list[bytes]:
        """Return what must be written before the next frame: what starts a file, new schemas."""
        parts: list[bytes] = []
        if not self._end:
            parts = [HEADER, record(encode(self._hello(*self._base)))]
        for schema in range(self._schemas_written, len(self.schemas)):
            frame = Schema(
                self._stream, wall_time(), monotonic_time(), schema, self.schemas[schema]
            )
            parts.append(record(encode(frame)))
        return parts

    def _gap(self, parcel: Parcel) -> bytes:
        rows = parcel.row, parcel.end_row
        times = wall_time(), monotonic_time()
        return encode(
            Gap(
                self._stream,
                parcel.seq,
                *times,
                parcel.last_seq,
                *rows,
                parcel.span,
                parcel.reason,
            )
        )

    def _append(self, new: bytes) -> bool:
        schemas = len(self.schemas)
        try:
            file = self._opened()
            written = 0
            while written < len(new):
                # A disk that is nearly full takes a part first, and says so at the next.
                written += os.pwrite(file.descriptor, new[written:], self._end + written)
        except OSError as error:
            self._failed("cannot be written", error)
            # Half a record would be cut off by whoever reads it; its room is given back now.
            self._truncate()
            return False
        if not self._end:
            self._next = len(HEADER)
        self._end += len(new)
        self._schemas_written = schemas
        return True

    def _opened(self) -> LockedFile:
        if self._file is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = LockedFile.create(self.path)
        return self._file

    def _truncate(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.ftruncate(self._file.descriptor, self._end)

    def _read(self) -> bytes | None:
        assert self._file is not None  # noqa: S101 - something was written
        descriptor = self._file.descriptor

        def read(size: int) -> bytes:
            data = os.pread(descriptor, min(size, self._end - self._next), self._next)
            self._next += len(data)
            return data

        return read_record(read)

    def _failed(self, what: str, error: object) -> None:
        self._retry_at = monotonic_time() + _RETRY_S
        self._warn(
            f"spill {what}",
            f"the spill file {self.path} {what} ({error}); what memory has no room for is dropped",
        )


_inherited: weakref.WeakSet[LockedFile] = weakref.WeakSet()


def _let_go_in_child() -> None:
    for file in list(_inherited):
        file.close()


os.register_at_fork(after_in_child=_let_go_in_child)
