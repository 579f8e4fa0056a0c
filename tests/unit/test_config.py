"""Settings: argument, environment, default; and what is said when one cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamviz.config import (
    DEFAULT_ENDPOINT,
    DEFAULT_SPILL_DIR,
    PublisherConfig,
    environment,
    parse_bytes,
    parse_endpoint,
    setting,
)
from streamviz.errors import ConfigError

NAMES = (
    *("ENDPOINT", "MODE", "FLUSH_MS", "BUFFER_BYTES", "OUTBOX_ROWS"),
    *("SPILL_DIR", "SPILL_BYTES", "SYSTEM"),
)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"STREAMVIZ_{name}", raising=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4096", 4096),
        ("0", 0),
        ("64MiB", 64 << 20),
        ("64mib", 64 << 20),
        ("64M", 64 << 20),
        ("64Mi", 64 << 20),
        ("1.5 GB", 1_500_000_000),
        ("  1 GiB ", 1 << 30),
        ("2kB", 2000),
        ("2K", 2048),
        ("17 B", 17),
    ],
)
def test_a_size_is_read(text: str, expected: int) -> None:
    """Sizes come in decimal and binary units, in any case, a bare letter being binary."""
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1e9", "1TB", "1..5", "1 2", "nan", "9" * 400])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    """What is no size names what was found and what is allowed."""
    with pytest.raises(ConfigError, match="512MiB") as caught:
        parse_bytes(text)

    assert caught.value.value == text


@pytest.mark.parametrize(
    "text",
    [
        "tcp://127.0.0.1:6167",
        "tcp://*:0",
        "tcp://node-01.cluster_a.example:65535",
        "tcp://[::1]:6167",
    ],
)
def test_an_endpoint_is_read(text: str) -> None:
    """Names, IPv4 and bracketed IPv6 addresses are endpoints."""
    assert parse_endpoint(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6167",
        "localhost:6167",
        "http://localhost:6167",
        "ipc:///tmp/socket",
        "tcp://localhost",
        "tcp://localhost:",
        "tcp://localhost:65536",
        "tcp://localhost:\uff16\uff11\uff16\uff17",
        "tcp://local host:6167",
        "tcp://localhost:6167\n",
        "tcp://::1:6167",
    ],
)
def test_an_endpoint_that_is_none_is_refused(text: str) -> None:
    """ZeroMQ would connect to nonsense without a word; here it is refused."""
    with pytest.raises(ConfigError, match="tcp://HOST:PORT"):
        parse_endpoint(text)


def test_defaults_hold_where_nothing_is_said() -> None:
    """Without arguments and environment the defaults hold."""
    assert PublisherConfig.resolve() == PublisherConfig()
    assert PublisherConfig().endpoint == DEFAULT_ENDPOINT


def test_the_environment_beats_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting is read from its variable."""
    monkeypatch.setenv("STREAMVIZ_ENDPOINT", "tcp://head:7000")
    monkeypatch.setenv("STREAMVIZ_MODE", "off")
    monkeypatch.setenv("STREAMVIZ_FLUSH_MS", "50")
    monkeypatch.setenv("STREAMVIZ_BUFFER_BYTES", "1MiB")
    monkeypatch.setenv("STREAMVIZ_OUTBOX_ROWS", "100")

    assert PublisherConfig.resolve() == PublisherConfig(
        endpoint="tcp://head:7000", mode="off", flush_ms=50, buffer_bytes=1 << 20, outbox_rows=100
    )


def test_files_are_written_only_where_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no spill directory unless one is named, or everything is to go to a file."""
    assert PublisherConfig.resolve(mode="online").spill_dir is None
    assert PublisherConfig.resolve(mode="file").spill_dir == DEFAULT_SPILL_DIR
    assert PublisherConfig.resolve(mode="file", spill_dir=Path("/x")).spill_dir == "/x"
    monkeypatch.setenv("STREAMVIZ_SPILL_DIR", "/scratch")
    monkeypatch.setenv("STREAMVIZ_SPILL_BYTES", "1GiB")
    config = PublisherConfig.resolve()
    assert (config.spill_dir, config.spill_bytes) == ("/scratch", 1 << 30)


def test_an_argument_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument is taken although the variable is there, even one that could not be read."""
    monkeypatch.setenv("STREAMVIZ_FLUSH_MS", "soon")

    assert PublisherConfig.resolve(flush_ms=7).flush_ms == 7


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable set to nothing counts as not set."""
    monkeypatch.setenv("STREAMVIZ_MODE", "")

    assert PublisherConfig.resolve().mode == "online"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("STREAMVIZ_ENDPOINT", "localhost"),
        ("STREAMVIZ_MODE", "of"),
        ("STREAMVIZ_FLUSH_MS", "0"),
        ("STREAMVIZ_FLUSH_MS", "-5"),
        ("STREAMVIZ_FLUSH_MS", "1.5"),
        ("STREAMVIZ_FLUSH_MS", "9999999"),
        ("STREAMVIZ_BUFFER_BYTES", "much"),
        ("STREAMVIZ_BUFFER_BYTES", "0"),
        ("STREAMVIZ_OUTBOX_ROWS", "0"),
        ("STREAMVIZ_SPILL_BYTES", "1KiB"),
    ],
)
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, text: str) -> None:
    """The error names the variable as the user wrote it, and what it found."""
    monkeypatch.setenv(variable, text)

    with pytest.raises(ConfigError) as caught:
        PublisherConfig.resolve()

    assert str(caught.value).startswith(f"{variable}: found {text!r}, expected ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("endpoint", "localhost"),
        ("endpoint", 6167),
        ("mode", "offline"),
        ("flush_ms", 0),
        ("flush_ms", -20),
        ("flush_ms", 2.5),
        ("flush_ms", True),
        ("flush_ms", 10_000_000),
        ("buffer_bytes", 0),
        ("buffer_bytes", "64MiB"),
        ("outbox_rows", 0),
        ("outbox_rows", -1),
        ("spill_dir", ""),
        ("spill_dir", 7),
        ("spill_dir", "a\0b"),
        ("spill_bytes", 1024),
    ],
)
def test_a_bad_argument_is_named(name: str, value: object) -> None:
    """An argument is checked as a variable is, and the error names it."""
    with pytest.raises(ConfigError) as caught:
        PublisherConfig.resolve(**{name: value})  # type: ignore[arg-type] # the point of the test

    assert str(caught.value).startswith(f"{name}: found {value!r}, expected ")


def test_a_parser_may_say_what_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser's ValueError becomes an error that names the variable."""
    monkeypatch.setenv("STREAMVIZ_DEPTH", "deep")

    with pytest.raises(ConfigError, match="STREAMVIZ_DEPTH: found 'deep'"):
        setting("depth", None, 1, int)


def test_the_environment_is_the_process_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Launchers' variables are read as they are now, not as they were at import."""
    monkeypatch.setenv("STREAMVIZ_TEST_ONLY", "now")

    assert environment()["STREAMVIZ_TEST_ONLY"] == "now"
