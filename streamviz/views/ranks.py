"""Sets of ranks as people write them: ``0,8-15``.

Law: a range is never spelled out, so that ``0-999999999`` costs as much as ``0``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from streamviz.errors import ConfigError

__all__ = ["MAX_TEXT", "RankSet", "parse_ranks"]

MAX_TEXT = 4_096
"""Longest text of a set, characters."""

_MAX_RANK = 2**31 - 1
_PART = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")
_EXPECTED = "ranks and ranges such as '3' or '0,8-15'"


@dataclass(frozen=True, slots=True)
class RankSet:
    """A set of ranks: sorted ranges that neither touch nor overlap, so that equal sets compare."""

    ranges: tuple[tuple[int, int], ...]
    """First and last rank of each."""

    def __contains__(self, rank: int) -> bool:
        return any(first <= rank <= last for first, last in self.ranges)

    def __str__(self) -> str:
        return ",".join(
            str(first) if first == last else f"{first}-{last}" for first, last in self.ranges
        )


def parse_ranks(text: str, *, setting: str = "ranks") -> RankSet:
    """Read a set of ranks.

    Args:
        text: Numbers and ranges, separated by commas; spaces around them do not matter.
        setting: What to call it in the error.

    Raises:
        ConfigError: The text is not such a list, or a range runs backwards.
    """
    if len(text) > MAX_TEXT:
        raise ConfigError(setting, f"{len(text)} characters", f"at most {MAX_TEXT}")
    ranges: list[tuple[int, int]] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ConfigError(setting, text[:80], _EXPECTED)
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if last < first:
            raise ConfigError(setting, part.strip(), "a range whose first rank is the smaller")
        if last > _MAX_RANK:
            raise ConfigError(setting, part.strip(), f"ranks up to {_MAX_RANK}")
        ranges.append((first, last))
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return RankSet(tuple(merged))
