"""``streamviz top`` in a real terminal, beside a real server."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from serving import ServerProcess, wait_until

from streamviz import Publisher

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A program in a terminal of its own."""

    def __init__(
        self, *arguments: str, size: tuple[int, int] = (30, 100), term: str = "xterm"
    ) -> None:
        self.end, child = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(child)
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamviz", "top", *arguments],
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
            env={**environment, "TERM": term},
        )
        self._child = child
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(self.end, 65536):
                self.said += data.decode(errors="replace")

    def resize(self, rows: int, columns: int) -> None:
        """Give the window another size."""
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.end, text.encode())

    @property
    def frame(self) -> list[str]:
        """The lines of the newest whole picture."""
        pictures = self.said.split("\x1b[H")
        whole = [one for one in pictures[1:] if "\x1b[J" in one]
        return re.split(r"\r+\n", _ESCAPE.sub("", whole[-1])) if whole else []

    @property
    def mode(self) -> list[object]:
        """How the terminal is set."""
        return list(termios.tcgetattr(self._child))

    def ended(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait(10)
        os.close(self._child)
        self._reader.join(10)
        return code


@contextmanager
def terminal(*arguments: str, **how: object) -> Iterator[Terminal]:
    """Run it, and end it in any case."""
    shown = Terminal(*arguments, **how)  # type: ignore[arg-type]
    try:
        yield shown
    finally:
        if shown.process.poll() is None:
            shown.process.kill()
            shown.process.wait()


@pytest.fixture
def publish(server: ServerProcess) -> Iterator[Callable[[str], Publisher]]:
    """Let ranks of runs send to the server."""
    open_ones: list[Publisher] = []

    def start(run: str) -> Publisher:
        publisher = Publisher(server.ingest, run=run, rank=0, world_size=2)
        publisher.send({"train/loss": 2.5}, step=7)
        open_ones.append(publisher)
        return publisher

    yield start
    for publisher in open_ones:
        publisher.close()


def test_a_run_is_followed_and_the_terminal_given_back(
    server: ServerProcess, publish: Callable[[str], Publisher]
) -> None:
    """It needs no token here, follows the run and the window, and `q` gives the terminal back."""
    publisher = publish("first")
    wait_until(lambda: server.workers("first") or None, "the run")
    address = server.page.partition("?")[0]
    with terminal("--server", address, "--every", "0.2") as shown:
        wait_until(lambda: "step 7" in "".join(shown.frame) or None, "the first step")
        assert "train/loss 2.5" in "".join(shown.frame)
        assert "ranks 1 of 2" in shown.frame[0]
        assert len(shown.frame) == 30

        publisher.send({"train/loss": 1.5}, step=8)
        wait_until(lambda: "train/loss 1.5" in "".join(shown.frame) or None, "the next value")

        shown.resize(12, 40)
        wait_until(lambda: len(shown.frame) == 12 or None, "a picture of twelve lines")
        assert max(map(len, shown.frame)) <= 40

        mode = shown.mode
        shown.type("q")
        wait_until(lambda: "\x1b[?1049l" in shown.said or None, "the screen given back")
        wait_until(lambda: shown.process.poll() is not None or None, "its end")
        assert mode != shown.before
        assert shown.mode == shown.before
        assert shown.ended() == 0


def test_a_signal_and_a_lost_server_leave_a_clean_terminal(
    server: ServerProcess, publish: Callable[[str], Publisher]
) -> None:
    """A killed server is told on the screen; SIGTERM ends it in order."""
    publish("first")
    with terminal("--server", server.page, "--every", "0.2") as shown:
        wait_until(lambda: "step 7" in "".join(shown.frame) or None, "the first step")
        server.kill()
        wait_until(lambda: "no connection to" in "".join(shown.frame) or None, "that it is gone")
        assert "step 7" in shown.frame[0]
        assert "token" not in "".join(shown.frame)

        shown.process.send_signal(signal.SIGTERM)
        wait_until(lambda: shown.process.poll() is not None or None, "its end")
        assert shown.mode == shown.before
        assert "\x1b[?1049l" in shown.said
        assert shown.ended() == 0


def test_a_dumb_terminal_gets_lines(
    server: ServerProcess, publish: Callable[[str], Publisher]
) -> None:
    """Nothing but plain lines is printed; Ctrl-C ends it."""
    publish("first")
    with terminal("--server", server.page, "--every", "0.2", term="dumb") as shown:
        wait_until(lambda: shown.said.count("step 7") >= 2 or None, "two lines")
        assert "\x1b" not in shown.said
        shown.process.send_signal(signal.SIGINT)
        assert shown.ended() == 130


def test_a_reader_that_has_enough_ends_it(
    server: ServerProcess, publish: Callable[[str], Publisher]
) -> None:
    """As `head` does: in silence, without an error."""
    publish("first")
    lines = subprocess.Popen(
        [sys.executable, "-m", "streamviz", "top", "--server", server.page, "--every", "0.2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert lines.stdout is not None
    assert lines.stderr is not None
    assert lines.stdout.readline()
    lines.stdout.close()
    assert lines.wait(20) == 0
    assert lines.stderr.read() == b""
    lines.stderr.close()


def test_one_picture_for_scripts(server: ServerProcess) -> None:
    """`--once` prints and ends; who is not let in is told so in one line, without the token."""
    once = [sys.executable, "-m", "streamviz", "top", "--once", "--server"]

    def told(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*once, *arguments], capture_output=True, text=True, check=False, timeout=30
        )

    seen = told(server.page)
    assert seen.returncode == 0
    assert "no run yet" in seen.stdout
    refused = told(server.page.partition("?")[0], "--token", "not-the-token")
    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert "does not know this token" in line
    assert "not-the-token" not in line
    nowhere = told("ftp://x?token=secret")
    assert nowhere.returncode == 2
    assert "secret" not in nowhere.stderr


def test_of_a_thousand_ranks_the_worst_are_shown(server: ServerProcess) -> None:
    """Who hangs stands on top, by name; who has no line is counted; the window may be any size."""
    simulation = subprocess.Popen(
        [
            *(sys.executable, "-m", "streamviz", "demo", "--simulate", "1024"),
            *("--endpoint", server.ingest, "--rate", "5", "--run", "many"),
            *("--fault", "dead:rank=417@step=3"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with terminal("--server", server.page, "--every", "0.5", size=(24, 100)) as shown:
            wait_until(lambda: "417" in "".join(_table(shown)[:1]) or None, "the worst", 40.0)
            assert _table(shown)[0].split()[1] == "node-52"
            assert "ranks 1,02" in shown.frame[0]
            assert " of 1,024" in shown.frame[0]
            lines = len(_table(shown))
            assert len(shown.frame) == 24
            assert f"and {1024 - lines:,} more: {1024 - lines:,} live" in shown.frame[-2]

            shown.resize(4, 20)
            wait_until(lambda: len(shown.frame) == 4 or None, "a picture of four lines")
            shown.type("q")
            assert shown.ended() == 0
    finally:
        simulation.kill()
        simulation.wait()


def _table(shown: Terminal) -> list[str]:
    """Return the lines of ranks."""
    starts = [n for n, line in enumerate(shown.frame) if line.lstrip().startswith("RANK")]
    lines = shown.frame[starts[0] + 1 : -1] if starts else []
    return [line for line in lines if not line.startswith("and ")]
