"""Who holds a port, in words, for the error that says it is taken."""

from __future__ import annotations

from pathlib import Path

__all__ = ["holder_of"]

_LISTEN = "0A"


def holder_of(port: int) -> str:
    """Return ``process 1234 (python)``, or ``another process`` where that cannot be seen.

    Reads Linux's ``/proc``; other users' processes show there without their files.
    """
    inodes = _listening_inodes(port)
    processes = Path("/proc").iterdir() if inodes else iter(())
    for process in processes:
        if not process.name.isdecimal():
            continue
        try:
            if any(_target(entry) in inodes for entry in (process / "fd").iterdir()):
                name = (process / "comm").read_text(errors="replace").strip()
                return f"process {process.name} ({name})"
        except OSError:
            # Ended meanwhile, or another user's.
            continue
    return "another process"


def _target(descriptor: Path) -> str:
    try:
        return descriptor.readlink().name
    except OSError:  # closed meanwhile
        return ""


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return inodes
