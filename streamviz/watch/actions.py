"""Tell the world outside of alerts: a message to a webhook, a program that is run.

Law: it has a thread of its own and a line of bounded length; what fails is counted, said once, and
keeps nobody waiting.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import queue
import signal
import subprocess
import threading
import urllib.parse
from collections.abc import Sequence

from streamviz import __version__
from streamviz.config import environment
from streamviz.counters import Counters
from streamviz.errors import ConfigError
from streamviz.watch.alerts import Alert

__all__ = ["ATTEMPTS", "COMMAND_S", "MOST_MESSAGES", "WEBHOOK_S", "Messenger", "check_webhook"]

log = logging.getLogger(__name__)

MOST_MESSAGES = 256
"""Alerts that may wait to be told; further ones are counted and stay on the page."""
WEBHOOK_S = 5.0
"""Seconds that a webhook has to answer."""
ATTEMPTS = 3
PAUSES_S = (1.0, 5.0)
"""Between the attempts: long enough for a service that restarts behind a proxy."""
COMMAND_S = 60.0
"""Seconds that a command may run before it is killed."""
_ANSWER_BYTES = 64 << 10


def check_webhook(address: str, setting: str = "--alert-webhook") -> str:
    """Return an address that can be posted to.

    Raises:
        ConfigError: It is none.
    """
    try:
        parts = urllib.parse.urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(not " " < letter < "\x7f" for letter in address):
        raise ConfigError(setting, address[:200], "an address such as https://host/path")
    return address


class Messenger:
    """Posts and runs, one alert after the other.

    Attributes:
        waiting: How many alerts wait to be told.
    """

    def __init__(self, webhook: str | None, command: Sequence[str], counters: Counters) -> None:
        """Start nothing before :meth:`start`.

        Args:
            webhook: Address, or ``None``.
            command: Program and arguments, or nothing.
            counters: Where messages and failures are counted.
        """
        self._webhook = webhook
        self._command = tuple(command)
        self._counters = counters
        self._line: queue.Queue[tuple[str, Alert] | None] = queue.Queue(MOST_MESSAGES)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._said: set[str] = set()
        """Which ways have failed and were said to."""

    @property
    def waiting(self) -> int:
        """How many alerts wait to be told."""
        return self._line.qsize()

    def start(self) -> None:
        """Begin to tell, if there is anybody to be told."""
        if self._webhook or self._command:
            self._thread = threading.Thread(target=self._run, name="streamviz-tell", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End it; what waits is not told any more."""
        self._stop.set()
        if self._thread is not None:
            # When it is full the thread looks at the event after the one that it is at.
            with contextlib.suppress(queue.Full):
                self._line.put_nowait(None)
            self._thread.join(1.0)

    def tell(self, run: str, alert: Alert) -> None:
        """Put an alert in line; from any thread, never waits and never raises."""
        if self._thread is None:
            return
        try:
            self._line.put_nowait((run, alert))
        except queue.Full:
            self._counters.add("alert_messages_total", reason="line full")

    def _run(self) -> None:
        while not self._stop.is_set():
            entry = self._line.get()
            if entry is None:
                return
            run, alert = entry
            for way, tell in (("webhook", self._post), ("command", self._execute)):
                try:
                    tell(run, alert)
                except Exception as error:  # noqa: BLE001 - what is outside may fail in any way
                    self._failed(way, error)

    def _failed(self, way: str, error: Exception) -> None:
        self._counters.add("alert_messages_total", reason=f"{way} failed")
        if way not in self._said:
            self._said.add(way)
            log.warning("the %s for alerts failed, further failures are counted: %s", way, error)

    # -- the webhook ---------------------------------------------------------------------------

    def _post(self, run: str, alert: Alert) -> None:
        if self._webhook is None:
            return
        body = json.dumps(_message(run, alert)).encode()
        for attempt in range(ATTEMPTS):
            try:
                self._post_once(self._webhook, body)
            except (OSError, http.client.HTTPException):
                if attempt == ATTEMPTS - 1 or self._stop.wait(PAUSES_S[attempt]):
                    raise
                self._counters.add("alert_messages_total", reason="webhook retried")
            else:
                self._counters.add("alert_messages_total", reason="webhook sent")
                self._said.discard("webhook")
                return

    @staticmethod
    def _post_once(address: str, body: bytes) -> None:
        """Post once; redirects are not followed, so nothing leads elsewhere.

        Raises:
            OSError: It could not be reached, or did not say that it took it.
        """
        parts = urllib.parse.urlsplit(address)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        assert parts.hostname is not None  # noqa: S101 - it was checked
        connection = kind(parts.hostname, parts.port, timeout=WEBHOOK_S)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            headers = {
                "Content-Type": "application/json",
                "User-Agent": f"streamviz/{__version__}",
            }
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            answer.read(_ANSWER_BYTES)
            if not 200 <= answer.status < 300:
                raise OSError(f"{parts.hostname} answered {answer.status} {answer.reason}")
        finally:
            connection.close()

    # -- the command ---------------------------------------------------------------------------

    def _execute(self, run: str, alert: Alert) -> None:
        if not self._command:
            return
        message = _message(run, alert)
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**environment(), **_variables(message)},
            start_new_session=True,
        )
        try:
            process.communicate(json.dumps(message).encode(), timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            _end(process)
            raise OSError(
                f"{self._command[0]} ran for over {COMMAND_S:g} s and was ended"
            ) from None
        except BrokenPipeError:
            process.wait()  # it did not want to read
        if process.returncode:
            raise OSError(f"{self._command[0]} ended with code {process.returncode}")
        self._counters.add("alert_messages_total", reason="command run")
        self._said.discard("command")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command with what it has started: its session is its own."""
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _message(run: str, alert: Alert) -> dict[str, object]:
    """Return what is told: the alert, with a sentence that chat services show as it is."""
    row = {name: value for name, value in alert.row().items() if name != "fold"}
    return {**row, "run": run, "alert": alert.text, "text": f"{run}: {alert.rule}: {alert.text}"}


def _variables(message: dict[str, object]) -> dict[str, str]:
    """Return the environment of a command; an environment holds no zero bytes."""
    named = ("run", "rule", "level", "rank", "host", "metric", "step", "text", "alert")
    return {
        f"STREAMVIZ_ALERT_{name.upper()}": str(message[name]).replace("\0", "")
        for name in named
        if message[name] is not None
    }
