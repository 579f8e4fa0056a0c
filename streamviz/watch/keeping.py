"""The alerts of a run in a file beside its journal, so that they outlast the server.

Law: a file is replaced whole or not at all; one that cannot be read is no alerts, never an error.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from streamviz.journal.directory import run_path

__all__ = ["MOST_ALERTS_BYTES", "AlertFiles"]

log = logging.getLogger(__name__)

MOST_ALERTS_BYTES = 4 << 20
"""Bytes of a file that is read: several times what the most alerts of a run take."""
_NAME = "alerts.json"
_VERSION = 1


class AlertFiles:
    """The files of all runs below a data directory. Owner: the watch.

    Args:
        directory: The data directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, run: str) -> list[Mapping[str, object]] | None:
        """Return the rows of a run's file; ``None`` if there is no file that can be read."""
        path = self._path(run)
        try:
            if path.stat().st_size > MOST_ALERTS_BYTES:
                log.warning("%s is larger than %d bytes and not read", path, MOST_ALERTS_BYTES)
                return None
            said = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            log.warning("%s cannot be read, earlier alerts are not shown: %s", path, error)
            return None
        if not isinstance(said, dict) or said.get("version") != _VERSION:
            return None
        rows = said.get("alerts")
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None

    def write(self, run: str, rows: Sequence[Mapping[str, object]]) -> bool:
        """Put rows in place of a run's former ones; say whether that is done.

        A run whose folder is not there yet is not recorded: that is no failure, and not done.

        Raises:
            OSError: The disk does not take it.
        """
        path = self._path(run)
        if not path.parent.is_dir():
            return False
        draft = path.with_name(_NAME + ".new")
        text = json.dumps({"version": _VERSION, "alerts": list(rows)}, ensure_ascii=False)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
        return True

    def _path(self, run: str) -> Path:
        return run_path(self._directory, run).with_name(_NAME)
