"""What a damaged file lacks, in sentences that a person can act on.

Law: each sentence is true of what was found; what cannot be known is not claimed.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from streamviz.journal.entries import Head
from streamviz.journal.nodes import PARTS, Node
from streamviz.journal.records import iterate

__all__ = ["Found", "tell_losses"]

_TOLD_MAX = 20
"""Sentences; the rest is counted."""
_NAMED = 3
"""Metric names in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What could be read of a damaged file."""

    head: Head
    nodes: Sequence[Node]
    parts: AbstractSet[int]
    """Ids of the parts."""
    marks: Mapping[tuple[int, int], int]
    """How many rows of each (table, worker) were chunked."""
    journal: Sequence[bytes]
    """Records, of a journal row each."""
    unreadable: int
    """Journal rows whose records could not be told apart, for want of a table's metric names."""
    journal_ids: Sequence[int]
    items: Iterable[tuple[int, int]]
    """Worker and ordinal of each item, sorted."""


def tell_losses(found: Found, damage: str) -> tuple[str, ...]:
    """Return what is lost, first what was damaged.

    Args:
        found: What could be read.
        damage: What was wrong with the file, in words.
    """
    lines = [*_unknown(found), *_missing_commits(found), *_missing_rows(found)]
    lines += _missing_items(found)
    told = lines[:_TOLD_MAX]
    if len(lines) > len(told):
        told.append(f"and {len(lines) - len(told)} more like these")
    rest = "this is lost:" if told else "no row is known to be lost"
    first = f"the file of run {found.head.run!r} was damaged ({damage}) and has been mended; {rest}"
    return (first, *told)


def _unknown(found: Found) -> list[str]:
    """Tell of workers and tables that rows name and nothing describes."""
    pairs = {(node.table, node.worker) for node in found.nodes} | set(found.marks)
    workers = sorted({worker for _, worker in pairs} - set(found.head.workers))
    tables = sorted({table for table, _ in pairs} - set(found.head.tables))
    lines = [f"which rank worker {i} was is lost: its rows cannot be shown" for i in workers]
    lines += [f"the metric names of table {i} are lost: its rows cannot be shown" for i in tables]
    for what, numbers in (
        ("worker", found.head.workers),
        ("table", found.head.tables),
        ("stream", found.head.streams),
    ):
        gone = sorted(set(range(max(numbers, default=-1))) - set(numbers))
        lines += [f"the entry of {what} {number} is lost" for number in gone]
    return lines


def _missing_commits(found: Found) -> list[str]:
    ids = found.journal_ids
    missing = ids[-1] - ids[0] + 1 - len(ids) if ids else 0
    missing += found.unreadable
    return [f"{missing} commits of the journal are lost"] if missing else []


def _missing_rows(found: Found) -> list[str]:
    """Tell of rows that lie between others, or that the file counted, and are not there."""
    spans: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    blocks: defaultdict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    parts: defaultdict[tuple[int, int], int] = defaultdict(int)
    for node in found.nodes:
        key = node.table, node.worker
        if node.level == 0:
            spans[key].append((node.first, node.stop))
        elif node.level == 1:
            blocks[key][node.first] = node.stop
        width = len(found.head.tables.get(node.table, ()))
        parts[key] += sum(node.id * PARTS + i not in found.parts for i in range(1, width + 1))
    widths = {table: len(names) for table, names in found.head.tables.items()}
    for blob in found.journal:
        for record in iterate(blob, widths):
            key = record.table, record.worker
            spans[key].append((record.first, record.first + record.steps.size))
    lines = []
    for key in sorted({*spans, *found.marks}):
        lost = _holes(spans[key], blocks[key], found.marks.get(key, 0))
        if lost:
            lines.append(f"{_name(found.head, *key)}: {lost:,} rows are lost at full resolution")
        if parts[key]:
            lines.append(f"{_name(found.head, *key)}: {parts[key]} columns of one metric are lost")
    return lines


def _missing_items(found: Found) -> list[str]:
    """Tell of items that lie between others; the oldest may have been deleted to save room."""
    missing = 0
    for (worker, ordinal), (following, next_ordinal) in itertools.pairwise(found.items):
        if worker == following:
            missing += next_ordinal - ordinal - 1
    return [f"{missing} items between others (marks, alerts) are not there"] if missing else []


def _holes(spans: list[tuple[int, int]], blocks: Mapping[int, int], mark: int) -> int:
    """Count the ordinals up to the last that nothing covers.

    What lies before the first leaf, where a block stands for it, was deleted to save room.
    """
    spans.sort()
    first = spans[0][0] if spans else mark
    position = 0
    while blocks.get(position, first + 1) <= first:
        position = blocks[position]
    lost = 0
    for begin, end in [*spans, (mark, mark)]:
        lost += max(0, begin - position)
        position = max(position, end)
    return lost


def _name(head: Head, table: int, worker: int) -> str:
    row = head.workers.get(worker)
    who = f"worker {worker}" if row is None else f"rank {row.rank}, attempt {row.attempt}"
    names = head.tables.get(table, (f"table {table}",))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{who}, {', '.join(names[:_NAMED])}{more}"
