"""Where the files of runs lie below a data directory.

``DATA_DIR/runs/<slug>-<10 hex digits>/run.db``: the slug is what of the name is safe anywhere, the
digits are of a hash of the name, so that names that look alike stay apart.

Law: whatever a run is called, its file lies inside the data directory, in a folder of its own.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from streamviz.errors import DiskError, UnfitDisk

__all__ = [
    "FILE_NAME",
    "make_folder",
    "mended_path",
    "refuse_network_disk",
    "run_files",
    "run_path",
    "set_aside",
    "sync_folder",
]

FILE_NAME = "run.db"
SLUG_MAX = 80
"""Letters: with hash and suffixes a folder's name stays far below the 255 bytes of file systems."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NETWORK = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs"),
        *("glusterfs", "ocfs2", "gfs2", "davfs"),
    )
)
_LOCAL_FUSE = frozenset(("fuseblk", "fuse.fuse-overlayfs"))
_MOUNTS = Path("/proc/self/mounts")


def run_path(directory: Path, run: str) -> Path:
    """Return where the file of a run lies, whether it is there or not."""
    slug = _UNSAFE.sub("-", run)[:SLUG_MAX].lstrip(".-") or "run"
    digits = hashlib.blake2b(run.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
    return directory / "runs" / f"{slug}-{digits}" / FILE_NAME


def run_files(directory: Path) -> list[Path]:
    """Return the files of all runs, by name."""
    folders = (directory / "runs").glob("*/")
    return sorted(
        path
        for path in (folder / FILE_NAME for folder in folders)
        if path.exists() or mended_path(path).exists()
    )


def mended_path(path: Path) -> Path:
    """Return where a run's file is made anew before it takes the place of a damaged one."""
    return path.with_name(path.name + ".mended")


def make_folder(path: Path) -> None:
    """Make the folder of a run's file, so that it survives a power cut.

    Raises:
        DiskError: The disk does not take it.
    """
    folder = path.parent
    missing = [folder, *folder.parents]
    missing = missing[: next(i for i, parent in enumerate(missing) if parent.exists())]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for made in missing:
            sync_folder(made.parent)
    except OSError as error:
        raise DiskError("failing", f"cannot make {folder}: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, with what SQLite keeps beside it, and return its new path."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    path.rename(aside)
    return aside


def refuse_network_disk(directory: Path, mounts: Path = _MOUNTS) -> None:
    """Refuse a directory on a network file system.

    The write-ahead log needs memory that all its readers share, which is that of one host.

    Args:
        directory: The data directory; it need not exist.
        mounts: The kernel's table of mounts; where there is none nothing is refused.

    Raises:
        UnfitDisk: It lies on such a file system.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    place = directory.resolve()
    best, kind = Path("/"), ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        mount = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))
        if place.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, fields[2]
    if kind in _NETWORK or (kind.startswith("fuse") and kind not in _LOCAL_FUSE):
        raise UnfitDisk(
            f"{directory} lies on {best}, a network file system ({kind}), which cannot hold a "
            "journal safely: name a local disk with --data-dir, or serve --no-record"
        )
