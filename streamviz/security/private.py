"""Files that hold secrets: where they lie, and that nobody else can read them.

Law: a secret is written whole or not at all, for its owner alone, and one that others could have
read or replaced is refused.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamviz.config import environment
from streamviz.errors import BadKey

__all__ = ["home", "locked", "make_folder", "read_private", "write_private"]

_LOCK = ".lock"
_MOST_BYTES = 65_536
"""Longest file that is read; a key is some 200 bytes."""


def home() -> Path:
    """Return the folder of this user's keys.

    ``STREAMVIZ_HOME``, else ``$XDG_CONFIG_HOME/streamviz``, else ``~/.config/streamviz``.

    Raises:
        BadKey: None of them is set and this user has no home directory.
    """
    variables = environment()
    named = variables.get("STREAMVIZ_HOME", "")
    if named:
        return Path(named)
    above = variables.get("XDG_CONFIG_HOME", "")
    try:
        return (Path(above) if above else Path.home() / ".config") / "streamviz"
    except RuntimeError:
        raise BadKey("this user has no home directory; set STREAMVIZ_HOME to a folder") from None


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner enters, unless there is one.

    Raises:
        BadKey: It cannot be made, or others may put files into it.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        mode = folder.stat().st_mode
    except OSError as error:
        raise BadKey(f"the folder of keys {folder} cannot be used: {error.strerror}") from None
    if mode & 0o022:
        raise BadKey(
            f"the folder of keys {folder} has mode {stat.S_IMODE(mode):04o}: others could replace "
            f"what is in it; run: chmod 700 {folder}"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, made if there is none, against other processes that change it.

    Raises:
        BadKey: It cannot be used.
    """
    make_folder(folder)
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadKey(f"the folder of keys {folder} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_private(path: Path) -> str:
    """Return the text of a file that only its owner can read.

    Raises:
        BadKey: Others can read or change it, it is no text, or too long; the words name the file
            and never quote it.
        FileNotFoundError: There is none.
    """
    try:
        with path.open("rb") as file:
            # Of the open file: another one may lie under the name a moment later.
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise BadKey(
                    f"{path} has mode {stat.S_IMODE(mode):04o}: others can read this secret; run: "
                    f"chmod 600 {path} (and make new keys if others may have read it)"
                )
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadKey(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES or not data.isascii():
        raise BadKey(f"{path} is no streamviz key")
    return data.decode("ascii")


def write_private(path: Path, text: str) -> None:
    """Write a file for its owner alone; whoever reads it meanwhile finds the old or the new one.

    The caller holds the folder.

    Raises:
        BadKey: It cannot be written.
    """
    # One writer at a time: the folder is locked. A file left behind by one that died is in nobody's
    # way, and a link somebody put there is not followed.
    temporary = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise BadKey(f"{path} cannot be written: {error.strerror}") from None
