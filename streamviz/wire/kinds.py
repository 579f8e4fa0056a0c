"""The kinds of items, and what each may take: the same on both ends of the wire.

Law: a kind that is not known here is kept and told like any other, under the limits of
:data:`OTHER`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ALERT",
    "CHART",
    "FIGURE",
    "GRAPH",
    "HISTOGRAM",
    "HPARAMS",
    "IMAGE",
    "KINDS",
    "LAYOUT",
    "MARK",
    "OTHER",
    "PROFILE",
    "PR_CURVE",
    "TABLE",
    "TENSOR",
    "TEXT",
    "Limit",
    "is_payload",
    "limit_of",
]

MARK, ALERT = "mark", "alert"
"""A moment that somebody named, and a sentence to be read: what is said on a chart."""
CHART, FIGURE, GRAPH, HISTOGRAM, HPARAMS = "chart", "figure", "graph", "histogram", "hparams"
IMAGE, LAYOUT, PROFILE, PR_CURVE = "image", "layout", "profile", "pr_curve"
TABLE, TENSOR, TEXT = "table", "tensor", "text"

_MOST_BYTES = (1 << 20) - 1024
"""A frame has a megabyte."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one kind may take.

    Attributes:
        body: Bytes of one body; a larger one is refused by the publisher, and counted.
        kept: Items of one name and rank that memory holds, the newest unless they are thinned.
        share: Share of the bytes for a run's items that all of the kind may take.
        thinned: Whether it is looked at over the whole run, so that not the oldest make room but
            every second one.
    """

    body: int
    kept: int
    share: float
    thinned: bool = False


OTHER = Limit(_MOST_BYTES, 16, 0.125)
KINDS: dict[str, Limit] = {
    MARK: Limit(1 << 16, 256, 0.125),
    ALERT: Limit(1 << 16, 256, 0.125),
    HISTOGRAM: Limit(1 << 14, 256, 0.25, thinned=True),
    IMAGE: Limit(_MOST_BYTES, 16, 0.25),
    FIGURE: Limit(_MOST_BYTES, 16, 0.125),
    CHART: Limit(_MOST_BYTES, 16, 0.125),
    TEXT: Limit(1 << 17, 32, 0.0625),
    TABLE: Limit(1 << 19, 16, 0.125),
    GRAPH: Limit(_MOST_BYTES, 4, 0.125),
    PROFILE: Limit(1 << 19, 8, 0.0625),
    HPARAMS: Limit(1 << 17, 4, 0.0625),
    PR_CURVE: Limit(1 << 17, 64, 0.0625, thinned=True),
    LAYOUT: Limit(1 << 17, 1, 0.0625),
    TENSOR: Limit(1 << 17, 16, 0.0625),
}
"""The kinds that the page draws, each with its limits."""


def limit_of(kind: str) -> Limit:
    """Return what a kind may take."""
    return KINDS.get(kind, OTHER)


def is_payload(kind: str) -> bool:
    """Say whether a kind is more than a word on a chart."""
    return kind not in (MARK, ALERT)
