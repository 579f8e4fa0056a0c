"""Which leaves and blocks answer a question: the coarsest that are fine enough.

Law: the chosen nodes hold each row of the range once; where what is finer is gone, its block stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

from streamviz.journal.nodes import WINDOW, Node, find

__all__ = ["Range", "children", "cover", "leaves_of", "refine"]

Range = tuple[int, int]
"""First and last step wanted, the last included."""
_EDGE_LEAVES = 64
"""Leaves that may overlap the ends of a range: where steps ascend there are two."""


def cover(connection: Connection, table: int, worker: int, end: int) -> list[Node]:
    """Return the fewest nodes that stand for the rows before an ordinal, in order.

    Args:
        connection: Inside a transaction, so that all nodes are of one moment.
        table: Number of the table.
        worker: Index of the worker.
        end: The ordinal; how many rows are chunked, for all of them.

    Raises:
        BadRow: A node cannot be read; so with the functions below.
    """
    found: list[Node] = []

    def fill(level: int, begin: int, end: int) -> None:
        if begin >= end:
            return
        for node in find(connection, table, worker, level, begin, end):
            if level and node.stop > end:
                continue
            if level:
                fill(level - 1, begin, node.first)
            found.append(node)
            begin = node.stop
        if level:
            fill(level - 1, begin, end)

    (level,) = connection.execute(
        "SELECT max(level) FROM chunk WHERE metric_set = ? AND worker = ?", (table, worker)
    ).fetchone()
    if level is not None:
        fill(level, 0, end)
    return found


def children(connection: Connection, node: Node) -> list[Node]:
    """Return what a block stands for, nothing if not all of it is there any more."""
    found = find(connection, node.table, node.worker, node.level - 1, node.first, node.stop)
    return found if sum(child.rows for child in found) == node.rows else []


def refine(
    connection: Connection, nodes: Sequence[Node], steps: Range, shift: int
) -> tuple[list[Node], bool]:
    """Descend to nodes whose buckets are at most ``1 << shift`` steps wide.

    Returns:
        The nodes that hold steps of the range, and whether all are that fine.
    """
    found, fine = [], True
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node.high < steps[0] or node.low > steps[1]:
            continue
        if node.shift > shift:
            below = children(connection, node)
            if below:
                stack += below
                continue
            fine = False
        found.append(node)
    return found, fine


def leaves_of(
    connection: Connection, nodes: Sequence[Node], steps: Range, limit: int
) -> list[Node] | None:
    """Return the leaves of a range, ``None`` when they have more rows than ``limit``, or are gone.

    The leaves at the ends of the range may hold a few rows too many.
    """
    found, rows = [], 0
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node.high < steps[0] or node.low > steps[1]:
            continue
        if node.level:
            below = children(connection, node)
            if not below or (steps[0] <= node.low and node.high <= steps[1] and node.rows > limit):
                return None
            stack += below
        else:
            found.append(node)
            rows += node.rows
            if rows > limit + _EDGE_LEAVES * WINDOW:
                return None
    return sorted(found, key=lambda node: node.first)
