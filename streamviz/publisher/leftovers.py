"""Spill files that a process left behind: finding them, claiming them, reading what is whole.

Law: a file is one process's at a time, and never changed here; whatever lies in it, reading ends
at the last good record, and holds one frame at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from streamviz.errors import DecodeError, UnusableSpill
from streamviz.publisher.spill import SUFFIX, LockedFile, file_prefix
from streamviz.publisher.spillformat import HEADER, MAGIC, parcel_of, read_record
from streamviz.wire.codec import decode
from streamviz.wire.frames import Bye, Gap, Heartbeat, Hello, Item, Samples, Schema, Span
from streamviz.wire.parcels import Parcel

__all__ = ["LeftOver", "find_left_overs"]

_READ_BYTES = 1 << 18
"""Bytes read from the disk at once: several frames."""

_BREATH_FRAMES = 64
"""Frames after which somebody who reads beside a training lets it have its turn."""


def find_left_overs(directory: Path, run: str | None = None, rank: int | None = None) -> list[Path]:
    """Return a directory's spill files, by age, all of them or those of one rank of a run.

    Other runs may be among them; :class:`LeftOver` tells.

    Raises:
        OSError: It cannot be listed.
    """
    prefix = file_prefix(run, rank) if run is not None and rank is not None else ""
    with os.scandir(directory) as entries:
        found = [
            (entry.stat(follow_symlinks=False).st_mtime, entry.path)
            for entry in entries
            if entry.name.startswith(prefix)
            and entry.name.endswith(SUFFIX)
            and entry.is_file(follow_symlinks=False)
        ]
    return [Path(path) for _, path in sorted(found)]


class LeftOver:
    """A claimed spill file, looked through once, as a shelf to take its frames from.

    Attributes:
        path: Where it lies.
        hello: The hello of its stream, ``None`` if not even that is whole.
        frames: Numbered frames in it.
        end_seq: The number after the last frame's.
        end_row: Likewise, rows.
        bye: How the stream ended; ``None`` if its process was killed.
        torn_bytes: What was cut off or damaged at the end.
    """

    def __init__(self, file: LockedFile, breathe: Callable[[], None] = lambda: None) -> None:
        """Look through it.

        Args:
            file: A file that is ours.
            breathe: Called every now and then.

        Raises:
            UnusableSpill: It is no spill file, or of another version.
            OSError: It cannot be read.
        """
        self.path = file.path
        self.hello: Hello | None = None
        self.frames = self.end_seq = self.end_row = 0
        self.bye: bytes | None = None
        self._beat: bytes | None = None
        self._schemas: dict[int, bytes] = {}
        self._file = file
        # Closed with the file, whose descriptor a forked child must be able to close.
        self._bytes = open(file.descriptor, "rb", buffering=_READ_BYTES, closefd=False)  # noqa: SIM115
        try:
            self._scan(breathe)
        except BaseException:
            self.close()
            raise

    @classmethod
    def claim(cls, path: Path, breathe: Callable[[], None] = lambda: None) -> LeftOver | None:
        """Take a file over, ``None`` if its process, or another that delivers it, is alive.

        Raises:
            UnusableSpill: It is no spill file, or of another version.
            OSError: It is gone or cannot be read.
        """
        file = LockedFile.claim(path)
        return None if file is None else cls(file, breathe)

    @property
    def rows(self) -> int:
        """Rows that its frames stand for."""
        return 0 if self.hello is None else self.end_row - self.hello.base_row

    @property
    def announcements(self) -> list[bytes]:
        """What must be said after each hello: the schemas of all frames."""
        return list(self._schemas.values())

    @property
    def farewell(self) -> list[bytes]:
        """What is said at the end: the last heartbeat and the goodbye, as far as there are any."""
        return [frame for frame in (self._beat, self.bye) if frame is not None]

    def _scan(self, breathe: Callable[[], None]) -> None:
        size = os.fstat(self._bytes.fileno()).st_size
        header = self._bytes.read(len(HEADER))
        if header != HEADER[: len(header)]:
            if header.startswith(MAGIC):
                raise UnusableSpill(self.path, f"it is of version {header[-1]}, this is 1")
            raise UnusableSpill(self.path, "it is no spill file")
        end = len(header)
        while (data := read_record(self._bytes.read)) is not None and self._take_in(data):
            end = self._bytes.tell()
            if self.frames % _BREATH_FRAMES == 0:
                breathe()
        self.torn_bytes = size - end
        self._bytes.seek(len(HEADER))

    def _take_in(self, data: bytes) -> bool:
        """Note a record; false if nothing from here on is of use."""
        try:
            frame = decode(data)
        except DecodeError:
            return False
        if self.hello is None:
            if not isinstance(frame, Hello):
                return False
            self.hello = frame
            self.end_seq, self.end_row = frame.base_seq, frame.base_row
            return True
        if frame.stream != self.hello.stream or isinstance(frame, Hello):
            return False
        if isinstance(frame, Samples | Item | Gap):
            return self._take_in_parcel(parcel_of(frame, data))
        if isinstance(frame, Schema):
            self._schemas[frame.schema] = data
        elif isinstance(frame, Heartbeat):
            self._beat = data
        elif isinstance(frame, Bye):
            self.bye = data
        return True

    def _take_in_parcel(self, parcel: Parcel) -> bool:
        if (parcel.seq, parcel.row) != (self.end_seq, self.end_row):
            return False
        self.end_seq, self.end_row = parcel.last_seq + 1, parcel.end_row
        self.frames += 1
        return True

    # -- the shelf, which is only taken from -------------------------------------------------

    def begin(self, base_seq: int, base_row: int, base_span: Span | None) -> None:
        """Do nothing: nothing is put here."""

    def put(self, parcel: Parcel) -> bool:  # noqa: ARG002 - a shelf's
        """Refuse."""
        return False

    def skip(self) -> None:
        """Do nothing: nothing was put here."""

    def clear(self) -> None:
        """Do nothing: the file is removed when all of it is delivered."""

    def take(self) -> Parcel | None:
        """Return the next frame, ``None`` if it cannot be read any more."""
        try:
            while (data := read_record(self._bytes.read)) is not None:
                frame = decode(data)
                if isinstance(frame, Samples | Item | Gap):
                    return parcel_of(frame, data)
        except (OSError, DecodeError):
            return None
        return None

    # -- its end ---------------------------------------------------------------------------

    def remove(self) -> None:
        """Delete it: all of it is delivered."""
        self._file.remove()
        self.close()

    def close(self) -> None:
        """Let go of it, for others to deliver."""
        self._bytes.close()
        self._file.close()
