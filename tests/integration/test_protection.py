"""What a user does about keys, links, certificates and trouble, from the command line."""

from __future__ import annotations

import http.client
import shutil
import ssl
import stat
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from serving import ServerProcess

import streamviz
from streamviz.security.private import home


def streamviz_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "streamviz", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def page_of(server: ServerProcess) -> str:
    """Return the page's address without its token."""
    return server.page.partition("?")[0]


def test_a_colleague_is_given_a_key_and_loses_it(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``keys add`` prints one line that lets another user send; ``list`` and ``revoke`` do so."""
    added = streamviz_command("keys", "add", "colleague")
    assert added.returncode == 0, added.stderr
    [line] = added.stdout.splitlines()
    assert "STREAMVIZ_JOIN" in added.stderr
    listed = streamviz_command("keys", "list").stdout
    assert "allowed: colleague " in listed
    assert "allowed: this-user " in listed
    assert line.partition(".")[2][:43] not in listed
    with monkeypatch.context() as patch:
        patch.setenv("STREAMVIZ_HOME", str(tmp_path / "another-user"))
        patch.setenv("STREAMVIZ_JOIN", line)
        with streamviz.Publisher(server.ingest, run="theirs") as publisher:
            publisher.send({"m": 1.0}, step=0)
            assert publisher.flush(10)
    assert streamviz_command("keys", "revoke", "colleague").returncode == 0
    assert "colleague" not in streamviz_command("keys", "list").stdout
    again = streamviz_command("keys", "revoke", "colleague")
    assert (again.returncode, again.stdout) == (1, "")
    assert "no key has the name 'colleague'" in again.stderr


def test_a_link_opens_the_page(server: ServerProcess) -> None:
    """``share`` prints a link that the running server takes, until all are ended."""
    made = streamviz_command("share", "--run", "a run", "--hours", "1", "--page", page_of(server))
    link = made.stdout.removeprefix("link: ").strip()
    parts = urllib.parse.urlsplit(link)
    assert urllib.parse.parse_qs(parts.query)["run"] == ["a run"]
    assert ask(parts)[0] == 302
    assert streamviz_command("share", "--revoke-all").returncode == 0
    assert ask(parts)[0] == 403


def ask(
    parts: urllib.parse.SplitResult, trust: Path | None = None, **headers: str
) -> tuple[int, dict[str, str]]:
    """Ask for an address; return the status and the headers."""
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    if trust is not None:
        context = ssl.create_default_context(cafile=str(trust))
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=10, context=context
        )
    connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, dict(answer.headers)


def test_the_page_over_tls(tmp_path: Path) -> None:
    """With a certificate the page is at https, its cookie is Secure, and plain http gets nothing.

    An address that others reach may then be bound.
    """
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    server = ServerProcess(
        "--tls-cert", str(certificate), "--tls-key", str(key), "--host", "0.0.0.0"
    )
    try:
        assert server.page.startswith("https://127.0.0.1:")
        parts = urllib.parse.urlsplit(server.page)
        status, headers = ask(parts, certificate)
        assert status == 302
        cookie = headers["Set-Cookie"]
        assert {"Secure", "HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
        bare = parts._replace(query="")
        status, headers = ask(
            bare,
            certificate,
            Cookie=cookie.partition(";")[0],
            Origin=f"https://127.0.0.1:{parts.port}",
        )
        assert status == 200
        assert f"wss://127.0.0.1:{parts.port};" in headers["Content-Security-Policy"]
        foreign = {"Cookie": cookie.partition(";")[0], "Origin": f"http://127.0.0.1:{parts.port}"}
        assert ask(bare, certificate, **foreign)[0] == 403
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(bare)
    finally:
        server.stop()


def test_recorded_runs_are_for_their_owner(tmp_path: Path) -> None:
    """A data directory that the server makes is closed to others on the same machine."""
    data = tmp_path / "data"
    server = ServerProcess(data_dir=data)
    server.stop()

    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_the_doctor_finds_nothing_wrong(server: ServerProcess) -> None:
    """It looks at all of the way, and leaves no trace of itself on the server."""
    ended = streamviz_command("doctor", "--endpoint", server.ingest, "--page", page_of(server))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "wrong:" not in ended.stdout
    for found in ("versions: libzmq", "keys: ", "wants keys (CURVE), held by process", "clocks: "):
        assert found in ended.stdout
    assert f"held by process {server.process.pid} " in ended.stdout
    assert "frame there and back: " in ended.stdout
    assert server.get("/api/v1/runs") == []
    assert server.count("streams_opened_total") == 0
    assert server.count("frames_bad_total") == 0


def test_the_doctor_names_what_is_wrong(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key, a key that others can read, nobody there: each in a sentence, with exit code 1."""
    keys = home() / "join.key"
    monkeypatch.setenv("STREAMVIZ_HOME", str(tmp_path))
    lost = streamviz_command("doctor", "--endpoint", server.ingest, "--page", page_of(server))
    assert lost.returncode == 1
    assert "wrong: frame there and back: the server at" in lost.stdout
    assert "takes nobody without a key" in lost.stdout
    shutil.copy(keys, tmp_path / "join.key")
    (tmp_path / "join.key").chmod(0o644)
    nowhere = "tcp://127.0.0.1:9"
    alone = streamviz_command("doctor", "--endpoint", nowhere, "--page", "http://127.0.0.1:9/")
    assert alone.returncode == 1
    assert "wrong: keys: " in alone.stdout
    assert "others can read this secret" in alone.stdout
    assert "no streamviz server answers at tcp://127.0.0.1:9" in alone.stdout
    assert "wrong: page: " in alone.stdout
