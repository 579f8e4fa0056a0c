"""What reading a file gives: pieces of somebody's run, and an account of what could not be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from streamviz.errors import ConfigError
from streamviz.publisher.past import Piece
from streamviz.publisher.pour import Who

__all__ = ["Account", "Options", "Portion", "Source", "unreadable"]

_CAUSES = 200
"""Different causes that are told apart; a hostile file may have any number."""
_SHOWN = 160


class Portion(NamedTuple):
    """Pieces of one worker, in order."""

    who: Who
    pieces: list[Piece]


class Source(Protocol):
    """A file, or a set of files, to be read once or as it grows."""

    def read(self, *, last: bool) -> Iterator[Portion]:
        """Yield what there is since the last call.

        Args:
            last: Nothing more will be written: what is at the end counts as whole.
        """

    def close(self) -> None:
        """Let go of what is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the person at the command line said about the files."""

    run: str | None = None
    step: str | None = None
    time: str | None = None
    rank: str | None = None
    encoding: str | None = None


@dataclass(slots=True)
class Account:
    """What became of what was read, besides what was sent."""

    refused: dict[str, int] = field(default_factory=dict)
    """What could not be used, by cause; each cause with its first place."""
    passed: dict[str, int] = field(default_factory=dict)
    """What is there for other programs, or said twice, by cause: nothing is wrong with it."""
    notes: list[str] = field(default_factory=list)
    """How files were understood, a sentence each."""
    _first: dict[str, str] = field(default_factory=dict)

    def refuse(self, cause: str, place: str, count: int = 1) -> None:
        """Count what could not be used.

        Args:
            cause: What is wrong, in words that do not differ from row to row.
            place: Where, and what was found.
            count: How many.
        """
        if cause not in self.refused and len(self.refused) >= _CAUSES:
            cause = "other faults"
        self._first.setdefault(cause, place[:_SHOWN])
        self.refused[cause] = self.refused.get(cause, 0) + count

    def skip(self, cause: str, count: int = 1) -> None:
        """Count what is not meant for us."""
        if cause not in self.passed and len(self.passed) >= _CAUSES:
            cause = "other things"
        self.passed[cause] = self.passed.get(cause, 0) + count

    def note(self, sentence: str) -> None:
        """Say how a file was understood, once."""
        if sentence not in self.notes and len(self.notes) < _CAUSES:
            self.notes.append(sentence)

    def sentences(self) -> Iterator[str]:
        """Yield what could not be used, a sentence each."""
        for cause, count in self.refused.items():
            yield f"{cause}: {count:,} left out, first at {self._first[cause]}"


def unreadable(path: Path, error: OSError) -> ConfigError:
    """Return the error for a path that the system does not give."""
    return ConfigError("PATH", str(path), f"a file to read ({error.strerror})")
