"""Every exception that streamviz raises, in one tree.

::

    StreamvizError
    ├── ConfigError(ValueError)      a setting that cannot be used
    ├── WireError
    │   ├── EncodeError(ValueError)  what we were about to send breaks the protocol: ours to mend
    │   └── DecodeError(ValueError)  what a peer sent breaks the protocol: theirs, counted by reason
    ├── StoreError
    │   ├── StoreFull                a cap on runs or workers is reached
    │   │   └── BudgetSpent          no memory is left for another run or worker
    │   └── UnknownSeries(KeyError)  no such run or metric
    ├── JournalError
    │   ├── DiskError(OSError)       the disk is full, read-only or failing: try again later
    │   ├── DirectoryInUse           a data directory that another server writes to
    │   ├── UnfitDisk                a file system that cannot hold a journal
    │   ├── DamagedFile              a run's file of which nothing can be read
    │   └── NewerFile                a run's file that a later version of the program wrote
    ├── BadPayload                   a picture, text or chart that cannot be drawn
    │   └── BadChart(ValueError)     a chart document, with the place in it that is wrong
    ├── UnusableSpill                a file that is no spill file, or a later version's
    ├── AddressInUse(OSError)        a port that another process holds
    ├── ExposedAddress               an address others can reach, asked for without protection
    ├── BadKey                       a key file that is damaged, or that others can read
    └── MissingExtra(ImportError)    a command needs packages of an extra

Law: the training side raises only while a publisher is being built (``ConfigError``); afterwards
it counts and warns.
"""

from __future__ import annotations

__all__ = [
    "AddressInUse",
    "BadChart",
    "BadKey",
    "BadPayload",
    "BudgetSpent",
    "ConfigError",
    "DamagedFile",
    "DecodeError",
    "DirectoryInUse",
    "DiskError",
    "EncodeError",
    "ExposedAddress",
    "JournalError",
    "MissingExtra",
    "NewerFile",
    "StoreError",
    "StoreFull",
    "StreamvizError",
    "UnfitDisk",
    "UnknownSeries",
    "UnusableSpill",
    "WireError",
]


class StreamvizError(Exception):
    """Root of the tree."""


class ConfigError(StreamvizError, ValueError):
    """A setting cannot be used.

    Attributes:
        setting: Name as the user wrote it: an argument, a flag or an environment variable.
        value: What was found.
        expected: What is allowed, in words.
    """

    def __init__(self, setting: str, value: object, expected: str) -> None:
        super().__init__(f"{setting}: found {value!r}, expected {expected}")
        self.setting = setting
        self.value = value
        self.expected = expected


class WireError(StreamvizError):
    """Something about a frame is wrong."""


class EncodeError(WireError, ValueError):
    """A frame that we were about to send breaks the protocol's limits."""


class DecodeError(WireError, ValueError):
    """Bytes from a peer are not a frame.

    Attributes:
        reason: One of :data:`streamviz.wire.codec.REASONS`, the label they are counted under.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class StoreError(StreamvizError):
    """The store cannot do what was asked."""


class StoreFull(StoreError):
    """A cap of the store is reached.

    Attributes:
        what: What there are too many of (``runs``, ``workers``).
        limit: The cap.
    """

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(self._words(what, limit))
        self.what = what
        self.limit = limit

    @staticmethod
    def _words(what: str, limit: int) -> str:
        return f"{what}: the cap of {limit} is reached; raise max_{what} to admit more"


class BudgetSpent(StoreFull):
    """The memory budget has no room left for another run or worker.

    Attributes:
        what: What could not be admitted.
        limit: The budget in bytes.
    """

    @staticmethod
    def _words(what: str, limit: int) -> str:
        return f"{what}: the memory budget of {limit} bytes is spent; raise --memory to admit more"


class UnknownSeries(StoreError, KeyError):
    """No such run or metric is held."""

    def __init__(self, run: str, metric: str | None = None) -> None:
        name = f"run {run!r}" if metric is None else f"metric {metric!r} in run {run!r}"
        super().__init__(f"no {name}")
        self.run = run
        self.metric = metric

    def __str__(self) -> str:
        return str(self.args[0])


class JournalError(StreamvizError):
    """Something about the files of runs is wrong."""


class DiskError(JournalError, OSError):
    """The disk did not take what was written; the same call may succeed later.

    Attributes:
        kind: ``"full"`` when there was no room, ``"failing"`` for anything else.
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


class DirectoryInUse(JournalError):
    """Another server writes to a data directory; the words name it."""


class UnfitDisk(JournalError):
    """A directory lies on a file system that cannot hold a journal."""


class DamagedFile(JournalError):
    """Nothing can be read of a run's file."""


class NewerFile(JournalError):
    """A later version of the program wrote a run's file; it is left as it is."""


class UnusableSpill(StreamvizError):
    """A file of which nothing can be delivered."""

    def __init__(self, path: object, fault: str) -> None:
        super().__init__(f"{path} cannot be delivered: {fault}")


class AddressInUse(StreamvizError, OSError):
    """A port is held by another process."""


class ExposedAddress(StreamvizError):
    """An address that other machines can reach was asked for without protection."""


class BadKey(StreamvizError):
    """A key cannot be used; the words name its file and never quote it."""


class BadPayload(StreamvizError):
    """A payload is not what its kind says; the argument says what was found."""


class BadChart(BadPayload, ValueError):
    """A chart document cannot be drawn.

    Attributes:
        where: The place in the document, as ``series[0].y``.
    """

    def __init__(self, where: str, found: str, expected: str) -> None:
        super().__init__(f"{where}: found {found}, expected {expected}")
        self.where = where


class MissingExtra(StreamvizError, ImportError):
    """A command needs packages that the base install does not bring.

    Attributes:
        extra: The extra to install.
    """

    def __init__(self, command: str, extra: str, missing: str) -> None:
        super().__init__(
            f'{command} needs {missing}: pip install "streamviz[{extra}]"',
        )
        self.extra = extra
