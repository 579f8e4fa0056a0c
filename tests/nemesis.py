"""Kills, stops and restarts a server on one port, by a schedule that a seed decides.

Law: the same seed does the same things in the same order; how long a server needs to start is
the machine's.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from serving import Connect, ServerProcess

__all__ = ["Nemesis"]


class Nemesis:
    """The enemy of one server, which it starts again each time.

    Attributes:
        endpoint: Where the server listens, whichever it is.
        kills: How often it was killed.
        stops: How often it was stopped.
    """

    def __init__(
        self,
        data: Path | None,
        *arguments: str,
        seed: int = 0,
        ingest: str = "tcp://127.0.0.1:0",
        prefix: Sequence[str] = (),
        connect: Connect | None = None,
    ) -> None:
        """Start the first server.

        Args:
            data: Its data directory; ``None`` for one that records nothing.
            arguments: More for ``serve``.
            seed: Decides what happens when.
            ingest: Where the server listens; port 0 picks one for all time.
            prefix: What to start it through, such as ``ip netns exec NAME``.
            connect: Opens connections to it, if its loopback is not this process's.
        """
        self._prefix, self._connect = prefix, connect
        kept = ("--no-record",) if data is None else ("--data-dir", str(data))
        self._arguments = (*kept, *arguments)
        self._chance = random.Random(seed)
        self._clock = threading.Event()
        self.kills = self.stops = 0
        self.endpoint = ingest
        self._process = self._start()
        self.server = ServerProcess.of(self._process, self._connect)
        self.endpoint = self.server.ingest

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *(*self._prefix, sys.executable, "-m", "streamviz", "serve", "--port", "0"),
                *("--ingest", self.endpoint, *self._arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def storm(self, *, kills: int, stops: int, longest_stop_s: float = 2.0) -> None:
        """Kill and stop the server so often, in any order, and leave a new one running.

        Now and then a server is killed before it has said that it listens.
        """
        events = ["kill"] * kills + ["stop"] * stops
        self._chance.shuffle(events)
        for event in events:
            self._wait(self._chance.uniform(0.1, 1.2))
            if event == "stop":
                self.stop(self._chance.uniform(0.3, longest_stop_s))
            else:
                self.kill()
                self.start(at_once=self._chance.random() < 0.25)
        if self.server.process is not self._process:
            self.server = ServerProcess.of(self._process, self._connect)

    def stop(self, seconds: float) -> None:
        """Let the server stand still for so long."""
        self.stops += 1
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            self._wait(seconds)
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the server as a power cut would."""
        self.kills += 1
        self._process.kill()
        self._process.wait(10)
        if self.server.process is self._process:
            self.server.wait()
        elif self._process.stdout is not None:
            self._process.stdout.close()

    def start(self, *, at_once: bool = False) -> None:
        """Start the next server, and wait until it listens, or let what follows come sooner."""
        self._process = self._start()
        if not at_once:
            self.server = ServerProcess.of(self._process, self._connect)

    def end(self) -> None:
        """Let the server end."""
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGCONT)
            self._process.kill()
        self.server.wait() if self.server.process is self._process else self._process.communicate()

    def _wait(self, seconds: float) -> None:
        """Let a drawn time pass: it is the schedule itself, and nothing is waited for."""
        self._clock.wait(seconds)
