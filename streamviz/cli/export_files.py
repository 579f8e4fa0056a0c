"""What ``streamviz export`` writes for people and for TensorBoard: a log directory, or one page.

Law: nothing that is there is written over; what has no place in the format is said.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from streamviz.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from streamviz.journal.history import History
    from streamviz.journal.scan import StoredRows
    from streamviz.views.ranks import RankSet

__all__ = ["write_log_directory", "write_page"]


def write_log_directory(
    history: History,
    run: str,
    rows: Iterator[StoredRows],
    ranks: RankSet | None,
    target: Path,
    *,
    items: bool,
) -> list[str]:
    """Write a run as TensorBoard's event files.

    Args:
        history: Where the run is.
        run: Its name.
        rows: Those to be written.
        ranks: Of these ranks; ``None``: of all.
        target: A directory that is not there, or empty.
        items: Write pictures, texts and the like too.

    Returns:
        What was left out, a sentence each.

    Raises:
        ConfigError: There is something at ``target``.
        MissingExtra: The package that knows the format is not there.
        OSError: It cannot be written.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtra("streamviz export --tfevents", "tensorboard", "tensorboard")
    from streamviz.files.event_writer import EventWriter
    from streamviz.journal.items import DISK_ITEMS_BYTES
    from streamviz.views.payload_bodies import media_of
    from streamviz.wire.names import name_fault

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError("--tfevents", str(target), "a directory that is empty, or not there yet")
    head = history.head(run)
    if head is None:
        return []
    hosts = {row.host for row in head.workers.values()}
    host = hosts.pop() if len(hosts) == 1 else "streamviz"
    host = host if name_fault(host) is None and "/" not in host else "streamviz"
    # A directory that is there as a whole or not at all.
    draft = target.with_name(target.name + ".part")
    try:
        writer = EventWriter(draft, host, head.started, media_of)
        try:
            draft.mkdir(parents=True)
            for some in rows:
                writer.rows(
                    some.rank, some.attempt, some.names, some.steps, some.times, some.values
                )
            for item in (history.items(run, 2 * DISK_ITEMS_BYTES) or ()) if items else ():
                if ranks is None or item.rank in ranks:
                    writer.item(item)
        finally:
            writer.close()
        if target.exists():
            target.rmdir()
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(draft)
        raise
    return [f"left out: {count:,} {what}" for what, count in writer.left_out.items()]


def write_page(
    history: History,
    run: str,
    metrics: Sequence[str] | None,
    ranks: RankSet | None,
    target: Path,
) -> list[str]:
    """Write a run as one page.

    Args:
        history: Where the run is.
        run: Its name.
        metrics: Only these; ``None``: everything that was sent.
        ranks: Of these ranks; ``None``: of all.
        target: The file; one that is there is replaced.

    Returns:
        What was left off, a sentence each.

    Raises:
        OSError: It cannot be written.
    """
    from streamviz.views.report import report_of

    report = report_of(history, run, metrics=metrics, ranks=ranks)
    if report is None:
        return []
    draft = target.with_name(target.name + ".part")
    try:
        draft.write_text(report.html, encoding="utf-8")
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    return report.left_off
