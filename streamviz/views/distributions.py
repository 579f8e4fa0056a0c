"""``/api/v1/distribution``: one name's histograms over steps, of a rank or of several merged.

Law: an answer is bounded, whatever was sent; a histogram that cannot be read is left out and
counted, and the others are told.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streamviz.errors import BadPayload
from streamviz.insight.distributions import PERCENTILES, Histogram, distribution, is_usable
from streamviz.views.access import Refusal
from streamviz.views.payload_bodies import histogram_of
from streamviz.views.payloads import RunItemsHandler
from streamviz.views.ranks import parse_ranks
from streamviz.wire.kinds import HISTOGRAM

if TYPE_CHECKING:
    from streamviz.store import Item

__all__ = ["BINS", "LEAST_BINS", "MOST_BINS", "MOST_STEPS", "DistributionHandler", "told"]

MOST_STEPS = 256
"""Steps of one answer; of more every so many, the first and the last among them."""
MOST_BINS = 128
LEAST_BINS = 4
BINS = 64
_DIGITS = 6
_MAX_ATTEMPT = 2**31 - 1


class DistributionHandler(RunItemsHandler):
    """``/api/v1/distribution``: what the page draws of one name."""

    parameters = ("run", "name", "rank", "attempt", "bins")

    async def get(self) -> None:
        """Answer.

        Raises:
            Refusal: 400 for a parameter that cannot be used, 404 for a run or name that has no
                histogram of these ranks, 422 where none can be read.
        """
        name = self._name("name")
        ranks = self._parsed("rank", lambda text: parse_ranks(text, setting="rank"))
        attempt = self._integer("attempt", 0, _MAX_ATTEMPT)
        bins = self._integer("bins", LEAST_BINS, MOST_BINS) or BINS

        def made(items: list[Item]) -> dict[str, object]:
            wanted = [
                item
                for item in items
                if (ranks is None or item.rank in ranks) and attempt in (None, item.attempt)
            ]
            if not wanted:
                raise Refusal(
                    404,
                    f"no histogram named {name[:80]!r} of these ranks; /api/v1/payloads lists them",
                )
            return told(wanted, bins)

        self.write_json(await self._answered(made, HISTOGRAM, name))

    head = get


@dataclass(frozen=True, slots=True)
class _Read:
    """One rank's histogram at a step."""

    rank: int
    time: float
    histogram: Histogram


def told(items: Iterable[Item], bins: int) -> dict[str, object]:
    """Return the histograms of one name as the page draws them.

    Of a rank that was started again, an attempt is told up to where the next one begins.

    Args:
        items: At least one, oldest first.
        bins: At most so many.

    Raises:
        BadPayload: None of them can be read.
    """
    read: dict[int, list[_Read]] = {}
    unreadable: list[str] = []
    chosen = _current(items)
    steps = sorted({item.step for item in chosen})
    kept = set(_spread(steps))
    for item in chosen:
        if item.step not in kept:
            continue
        try:
            edges, counts, _ = histogram_of(item.body)
            if not is_usable(edges, counts):
                raise BadPayload("a histogram of numbers that are too large to be summed")
        except BadPayload as error:
            unreadable.append(str(error))
            continue
        one = _Read(item.rank, item.time, Histogram(edges, counts))
        read.setdefault(item.step, []).append(one)
    if not read:
        raise BadPayload(unreadable[0])
    told_steps = sorted(read)
    found = distribution([[one.histogram for one in read[step]] for step in told_steps], bins)
    ranks = sorted({one.rank for ones in read.values() for one in ones})
    return {
        "steps": told_steps,
        "times": [max(one.time for one in read[step]) for step in told_steps],
        "edges": found.edges.tolist(),
        "counts": [[_short(count) for count in row] for row in found.counts.tolist()],
        "percentiles": {
            "p": list(PERCENTILES),
            "values": [
                [None if math.isnan(value) else value for value in row]
                for row in found.values.tolist()
            ],
        },
        "tails": list(found.tails),
        "ranks": ranks,
        "merged": len(ranks) > 1,
        "left_off": len(steps) - len(kept),
        "unreadable": len(unreadable),
    }


def _current(items: Iterable[Item]) -> list[Item]:
    """Return of each rank and step the newest, of attempts what no later one has begun again."""
    newest: dict[tuple[int, int, int], Item] = {}
    begun: dict[tuple[int, int], int] = {}
    for item in items:
        newest[item.rank, item.attempt, item.step] = item
        key = (item.rank, item.attempt)
        begun[key] = min(begun.get(key, item.step), item.step)
    ends: dict[tuple[int, int], float] = {}
    following: dict[int, float] = {}
    for rank, attempt in sorted(begun, reverse=True):
        ends[rank, attempt] = following.get(rank, math.inf)
        following[rank] = min(following.get(rank, math.inf), begun[rank, attempt])
    return [item for (rank, attempt, step), item in newest.items() if step < ends[rank, attempt]]


def _spread(steps: list[int]) -> list[int]:
    """Return at most :data:`MOST_STEPS` of some steps."""
    if len(steps) <= MOST_STEPS:
        return steps
    return [steps[at] for at in np.linspace(0, len(steps) - 1, MOST_STEPS).round().astype(int)]


def _short(count: float) -> float:
    """Return a count in as many digits as anybody sees, which makes an answer half as long."""
    return 0 if count == 0 else float(f"{count:.{_DIGITS}g}")
