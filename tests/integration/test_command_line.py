"""What the ``streamviz`` command says to wrong and to curious calls."""

from __future__ import annotations

import subprocess
import sys

import pytest


def streamviz_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "streamviz", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "flag", "value", "allowed"),
    [
        (("serve", "--port", "70000"), "--port", "70000", "0 to 65535"),
        (("serve", "--port", "http"), "--port", "http", "0 to 65535"),
        (("serve", "--memory", "lots"), "--memory", "lots", "512MiB"),
        (("serve", "--memory", "1KiB", "--port", "0"), "memory", "1024", "bytes"),
        (("serve", "--ingest", "localhost"), "--ingest", "localhost", "tcp://HOST:PORT"),
        (("serve", "--ingest", "tcp://127.0.0.1:99999"), "--ingest", "99999", "65535"),
        (("serve", "--prefix", "a b"), "prefix", "a b", "path"),
        (("serve", "--host", "0.0.0.0"), "0.0.0.0", "page address", "--insecure"),
        (("serve", "--host", "no-such-host.invalid", "--insecure"), "--host", "no-such", "address"),
        (("serve", "--tls-cert", "x.pem"), "--tls-key", "None", "a file"),
        (
            ("serve", "--tls-cert", "/no/x", "--tls-key", "/no/y"),
            "--tls-cert",
            "/no/x",
            "two files",
        ),
        (("serve", "--host", "0.0.0.0", "--no-token"), "0.0.0.0", "--no-token", "--tls-cert"),
        (("serve", "--host", "0.0.0.0"), "0.0.0.0", "--behind-proxy", "--tls-cert"),
        (("keys", "add", "../x"), "NAME", "../x", "A-Z a-z"),
        (("share", "--hours", "0"), "--hours", "0", "at most"),
        (("share", "--run", "a\nb"), "--run", "a\\nb", "legal name"),
        (("serve", "--token", ""), "--token", "''", "--no-token"),
        (("demo", "--ranks", "0"), "--ranks", "'0'", "1 to"),
        (("demo", "--seconds", "-3"), "--seconds", "-3", "above 0"),
        (("serve", "--colour"), "--colour", "unrecognized", "--help"),
        (("show",), "show", "invalid choice", "serve"),
        ((), "COMMAND", "required", "--help"),
    ],
)
def test_a_wrong_call_is_one_line_that_helps(
    arguments: tuple[str, ...], flag: str, value: str, allowed: str
) -> None:
    """A wrong value ends with code 2 and one line: the flag, the value, what is allowed."""
    ended = streamviz_command(*arguments)

    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    for part in (flag, value, allowed):
        assert part in line


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_help_teaches(command: str) -> None:
    """``--help`` says what a command does and names its defaults."""
    ended = streamviz_command(command, "--help")

    assert ended.returncode == 0
    assert "6166" in ended.stdout
    assert all(len(line) < 100 for line in ended.stdout.splitlines())


def test_version() -> None:
    """``--version`` prints one."""
    import streamviz

    assert streamviz_command("--version").stdout == f"streamviz {streamviz.__version__}\n"


def test_a_setting_from_the_environment_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bad STREAMVIZ_INGEST is an error that names the variable."""
    monkeypatch.setenv("STREAMVIZ_INGEST", "udp://x")

    ended = streamviz_command("serve", "--port", "0")

    assert ended.returncode == 2
    assert "STREAMVIZ_INGEST: found 'udp://x', expected tcp://HOST:PORT" in ended.stderr
