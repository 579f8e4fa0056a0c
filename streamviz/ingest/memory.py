"""How much of what this process may take it has taken, so that it gives way before it is ended.

Law: it only measures; what is given up is the collector's and the store's.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Memory", "allowed_by_system"]

_STATM = Path("/proc/self/statm")
_GROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_NO_LIMIT = 1 << 60
"""What the older kind of control group says where there is no limit is just below 2**63."""


class Memory:
    """Reads this process's resident size."""

    def __init__(self, limit: int | None) -> None:
        """Measure against a limit.

        Args:
            limit: Bytes; ``None`` is what the system sets, if it sets any.
        """
        self.limit = allowed_by_system() if limit is None else limit

    def share(self) -> float:
        """Return the resident size as a part of the limit, 0 where there is none."""
        if self.limit is None:
            return 0.0
        try:
            pages = int(_STATM.read_text().split()[1])
        except (OSError, ValueError, IndexError):  # not Linux, or its /proc is not there
            return 0.0
        return pages * _PAGE_BYTES / self.limit


def allowed_by_system(groups: Path = _GROUPS, mount: Path = _MOUNT) -> int | None:
    """Return the least memory limit of this process's control groups, ``None`` without any.

    Args:
        groups: The kernel's table of the process's groups.
        mount: Where control groups are mounted.
    """
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            root, name = mount, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container the path may be that of the host, and the limit at the root.
        folder = root / path.strip("/")
        for place in (folder, *folder.parents):
            limits += _limit(place / name)
            if place == root:
                break
    return min(limits, default=None)


def _limit(file: Path) -> list[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        return []
    return [int(text)] if text.isdecimal() and 0 < int(text) < _NO_LIMIT else []
