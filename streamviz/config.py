"""Settings: an argument, else the environment, else a default with its reason.

Law: the one door through which the environment comes in; nothing is read while importing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from streamviz.errors import ConfigError

__all__ = [
    "DEFAULT_ENDPOINT",
    "DEFAULT_SPILL_DIR",
    "PublisherConfig",
    "environment",
    "parse_bytes",
    "parse_endpoint",
    "setting",
]

DEFAULT_ENDPOINT = "tcp://127.0.0.1:6167"
"""Where publishers look for a server, and where a server listens."""

DEFAULT_SPILL_DIR = "streamviz-spill"
"""Where mode ``file`` writes, below the directory that the training was started in."""

T = TypeVar("T")

_UNITS = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_BYTES = re.compile(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*([KMG]i?B?|B)?\s*", re.IGNORECASE | re.ASCII)
_ENDPOINT = re.compile(r"tcp://(\*|\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
_MOST_FLUSH_MS = 60_000
_MOST_BUFFER_BYTES = 2**48
_MOST_OUTBOX_ROWS = 2**31
_LEAST_SPILL_BYTES = 2**16
_LEAST_PAYLOAD_BYTES, _MOST_PAYLOAD_BYTES = 2**12, 2**20
_MODES = ("online", "file", "off")


def environment() -> Mapping[str, str]:
    """Return the process's environment, for launchers' variables."""
    return os.environ


def setting(name: str, argument: T | None, default: T, parse: Callable[[str], T]) -> T:
    """Return the argument, else ``STREAMVIZ_<NAME>`` from the environment, else the default.

    Raises:
        ConfigError: The environment's value cannot be parsed.
    """
    if argument is not None:
        return argument
    variable = f"STREAMVIZ_{name.upper()}"
    text = os.environ.get(variable, "")
    if not text:
        return default
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(variable, text, error.expected) from None
    except ValueError as error:
        raise ConfigError(variable, text, str(error)) from None


def parse_bytes(text: str) -> int:
    """Return a number of bytes from text such as ``64MiB``, ``1.5 GB`` or ``4096``.

    Raises:
        ConfigError: It is none.
    """
    match = _BYTES.fullmatch(text)
    if match is None:
        raise ConfigError("bytes", text, "a size such as 512MiB, 1GiB or 2GB")
    unit = (match[2] or "").upper()
    if unit in ("K", "M", "G", "KI", "MI", "GI"):
        unit = f"{unit[0]}IB"
    return int(float(match[1]) * _UNITS["" if unit == "B" else unit])


def parse_endpoint(text: str) -> str:
    """Return a ZeroMQ endpoint that can be meant.

    ZeroMQ itself connects to nonsense without a word, so it is checked here.

    Raises:
        ConfigError: It is not ``tcp://HOST:PORT``.
    """
    match = _ENDPOINT.fullmatch(text) if isinstance(text, str) else None
    if match is None or int(match[2]) > 65535:
        raise ConfigError("endpoint", text, "tcp://HOST:PORT with a port up to 65535")
    return text


def _mode(text: str) -> str:
    if text not in _MODES:
        raise ConfigError("mode", text, "online, file or off")
    return text


def _system(value: object) -> str:
    if value not in ("auto", "off"):
        raise ConfigError("system", value, "auto or off")
    return str(value)


def _spill_dir(value: object) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigError("spill_dir", value, "the path of a directory")
    path = os.fspath(value)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ConfigError("spill_dir", value, "the path of a directory, as text")
    return path


def _whole(name: str, value: object, most: int, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(name, value, f"a whole number from {least} to {most}")
    return value


def _flush_ms(value: object) -> int:
    return _whole("flush_ms", value, _MOST_FLUSH_MS)


def _buffer_bytes(value: object) -> int:
    return _whole("buffer_bytes", value, _MOST_BUFFER_BYTES)


def _spill_bytes(value: object) -> int:
    return _whole("spill_bytes", value, _MOST_BUFFER_BYTES, _LEAST_SPILL_BYTES)


def _payload_bytes(value: object) -> int:
    return _whole("payload_bytes", value, _MOST_PAYLOAD_BYTES, _LEAST_PAYLOAD_BYTES)


def _outbox_rows(value: object) -> int:
    return _whole("outbox_rows", value, _MOST_OUTBOX_ROWS)


def _digits(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherConfig:
    """What a publisher can be told."""

    endpoint: str = DEFAULT_ENDPOINT
    """The server's ingest address."""

    mode: str = "online"
    """``online``; ``file``: everything goes to ``spill_dir`` and nothing to a server; or ``off``:
    every call does nothing."""

    spill_dir: str | None = None
    """Where frames are written that memory has no room for, or that no server had by the end.

    By default nowhere, as nobody asked for files; in mode ``file`` it is ``./streamviz-spill``.
    """

    spill_bytes: int = 256 * 2**20
    """Bytes a stream's spill file may have; past it the oldest in memory become a drawn gap.

    256 MiB is four buffers, and days of a frame of 1 kB a second.
    """

    payload_bytes: int = 2**20
    """Bytes of one picture, text, table or the like, where its kind allows more; it is thinned out,
    cut or refused.

    1 MiB is a frame: the most that any kind has.
    """

    flush_ms: int = 40
    """How long rows are gathered before a frame is sent, until the server names its own pace.

    Longer: fewer, larger frames. Shorter: fresher pictures. A turn of the sender costs the training
    process up to 0.4 ms of a core that was busy with something else, so 25 a second cost a
    hundredth of it at most, and a picture is 20 ms older on average.
    """

    buffer_bytes: int = 64 * 2**20
    """Frames kept until they are acknowledged; past it the oldest become a drawn gap.

    64 MiB is hours of a silent server at a frame of 1 kB a second.
    """

    system: str = "auto"
    """``auto``: what the machine does is sent along, where the extra ``streamviz[system]`` is
    installed; ``off``: it is not."""

    outbox_rows: int = 8192
    """Rows between the training threads and the sender; past it the oldest are dropped, counted.

    Eight milliseconds of a loop that does nothing but send, which is more than the sender ever
    waits for its turn.
    """

    @classmethod
    def resolve(
        cls,
        *,
        endpoint: str | None = None,
        mode: str | None = None,
        flush_ms: int | None = None,
        buffer_bytes: int | None = None,
        outbox_rows: int | None = None,
        spill_dir: str | os.PathLike[str] | None = None,
        spill_bytes: int | None = None,
        payload_bytes: int | None = None,
        system: str | None = None,
    ) -> PublisherConfig:
        """Return settings from arguments, environment and defaults, in that order.

        Raises:
            ConfigError: One of them cannot be used.
        """
        default = cls()
        mode = _mode(setting("mode", mode, default.mode, _mode))
        spill_dir = setting("spill_dir", spill_dir, None, _spill_dir)
        if spill_dir is None and mode == "file":
            spill_dir = DEFAULT_SPILL_DIR
        config = cls(
            endpoint=setting("endpoint", endpoint, default.endpoint, parse_endpoint),
            mode=mode,
            flush_ms=setting(
                "flush_ms", flush_ms, default.flush_ms, lambda text: _flush_ms(_digits(text))
            ),
            buffer_bytes=setting(
                "buffer_bytes",
                buffer_bytes,
                default.buffer_bytes,
                lambda text: _buffer_bytes(parse_bytes(text)),
            ),
            outbox_rows=setting(
                "outbox_rows",
                outbox_rows,
                default.outbox_rows,
                lambda text: _outbox_rows(_digits(text)),
            ),
            spill_dir=None if spill_dir is None else _spill_dir(spill_dir),
            spill_bytes=setting(
                "spill_bytes",
                spill_bytes,
                default.spill_bytes,
                lambda text: _spill_bytes(parse_bytes(text)),
            ),
            payload_bytes=setting(
                "payload_bytes",
                payload_bytes,
                default.payload_bytes,
                lambda text: _payload_bytes(parse_bytes(text)),
            ),
            system=_system(setting("system", system, default.system, _system)),
        )
        # The environment's are checked by now; an argument is not.
        parse_endpoint(config.endpoint)
        _flush_ms(config.flush_ms)
        _buffer_bytes(config.buffer_bytes)
        _outbox_rows(config.outbox_rows)
        _spill_bytes(config.spill_bytes)
        _payload_bytes(config.payload_bytes)
        return config
