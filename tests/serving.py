"""A real server in a process of its own, and a client for what it answers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from streamviz.clock import monotonic_time

__all__ = ["Connect", "ServerProcess", "wait_until"]

T = TypeVar("T")
Connect = Callable[[tuple[str, int], float], socket.socket]
"""Opens a connection to a host and port, within so many seconds."""

DEADLINE_S = 20.0
_POLL_S = 0.02


def wait_until(answer: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Return the first truthy answer; fail with ``what`` when none came in time."""
    end = monotonic_time() + deadline_s
    pause = threading.Event()
    while True:
        found = answer()
        if found:
            return found
        assert monotonic_time() < end, f"not within {deadline_s} s: {what}"
        pause.wait(_POLL_S)


class ServerProcess:
    """``streamviz serve`` on free ports of loopback, in memory only unless told otherwise."""

    _connect: Connect | None = None

    def __init__(
        self,
        *arguments: str,
        ingest: str = "tcp://127.0.0.1:0",
        port: int = 0,
        data_dir: Path | None = None,
    ) -> None:
        recording = ["--no-record"] if data_dir is None else ["--data-dir", str(data_dir)]
        self._listen(
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "streamviz", "serve"),
                    *("--port", str(port), "--ingest", ingest, *recording, *arguments),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        )

    @classmethod
    def of(cls, process: subprocess.Popen[str], connect: Connect | None = None) -> ServerProcess:
        """Take over a process that says where its page is, as ``serve`` does.

        Args:
            process: It.
            connect: Opens connections to it, if its loopback is not this process's.
        """
        server = cls.__new__(cls)
        server._connect = connect
        server._listen(process)
        return server

    def _listen(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        facts: dict[str, str] = {}
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip())
            name, _, value = line.strip().partition(": ")
            facts[name] = value
            if name == "ingest":
                break
        assert "page" in facts, f"the server said: {self.lines}"
        self.page = facts["page"]
        self.ingest = facts["ingest"]
        # Keep reading, so that the server never blocks on what it says.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            self.lines.extend(line.rstrip() for line in stdout)

    @property
    def token(self) -> str | None:
        """The token in the page's address."""
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.page).query)
        return query["token"][0] if "token" in query else None

    @property
    def port(self) -> int:
        """The page's port."""
        port = urllib.parse.urlsplit(self.page).port
        assert port is not None
        return port

    def get(self, path: str, **query: object) -> Any:
        """Return the JSON that a path answers, whatever the status."""
        prefix = urllib.parse.urlsplit(self.page).path.rstrip("/")
        target = f"{prefix}{path}?{urllib.parse.urlencode(query)}"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        # Closed also when the server is taken away in the middle of its answer.
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            if self._connect is not None:
                connection.sock = self._connect(("127.0.0.1", self.port), 10)
            connection.request("GET", target, headers=headers)
            return json.loads(connection.getresponse().read())

    def workers(self, run: str) -> list[dict[str, Any]]:
        """Return a run's workers, none if there is no such run yet."""
        for entry in self.get("/api/v1/runs"):
            if entry["run"] == run:
                return list(entry["workers"])
        return []

    def series(self, run: str, metric: str, **query: object) -> list[dict[str, Any]]:
        """Return the series of a metric, none if there is no such metric yet."""
        answer = self.get("/api/v1/query", run=run, metric=metric, **{"points": 100_000, **query})
        return list(answer.get("series", []))

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.wait()

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end, and return its exit code."""
        code = self.process.wait(10)
        self._reader.join(10)
        return code

    def count(self, counter: str) -> int:
        """Return a counter of the server, over all reasons."""
        return sum(self.get("/api/v1/status")["counters"][counter].values())
