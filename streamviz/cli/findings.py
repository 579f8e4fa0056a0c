"""What ``streamviz doctor`` looks at: everything between a training and its picture.

Law: it changes nothing and leaves nothing behind, on the server either.
"""

from __future__ import annotations

import email.utils
import http.client
import importlib.metadata
import os
import platform
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streamviz import __version__
from streamviz.clock import monotonic_time, wall_time
from streamviz.errors import BadKey, ConfigError, DecodeError, MissingExtra
from streamviz.ingest.holder import holder_of
from streamviz.publisher.greeting import mechanism_of
from streamviz.publisher.transport import NoTransport, ZmqTransport
from streamviz.security.curve import library_fault, library_version
from streamviz.security.exposure import is_loopback
from streamviz.security.join import find_join, fingerprint
from streamviz.security.private import home
from streamviz.wire.codec import decode_ack, encode
from streamviz.wire.frames import PROTOCOL_VERSION, STREAM_ID_BYTES, Heartbeat

__all__ = ["WRONG", "Finding", "look"]

_WAIT_S = 5.0
_POLL_S = 0.02
_CLOCK_S = 2.5
"""How long to watch the server's clock: it tells whole seconds, so one has to be seen to end."""
_WORST_OFFSET_S = 2.0

OK, NOTE, WRONG = "ok", "note", "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: ``ok``, ``note`` for what may be meant so, or ``wrong``.
        subject: What it is about.
        sentence: What was found, and what to do if it is not right.
    """

    level: str
    subject: str
    sentence: str


def look(endpoint: str, page: str | None) -> Iterator[Finding]:
    """Look at one thing after the other.

    Args:
        endpoint: Where the server takes frames in.
        page: The page's address; ``None`` where it cannot be known.
    """
    yield from _versions()
    yield from _keys()
    yield from _ingest(endpoint)
    yield from _page(page)


# -- this process ------------------------------------------------------------------------------


def _versions() -> Iterator[Finding]:
    yield Finding(
        OK,
        "versions",
        f"streamviz {__version__}, protocol {PROTOCOL_VERSION}, Python {platform.python_version()}",
    )
    fault = library_fault()
    words = f"libzmq {library_version()}" + (f": {fault}" if fault else "")
    yield Finding(NOTE if fault else OK, "versions", words)
    for package in ("pyzmq", "msgpack", "numpy", "bokeh", "tornado"):
        try:
            yield Finding(OK, "versions", f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            extra = MissingExtra("streamviz serve", "server", package)
            yield Finding(NOTE, "versions", f"{extra}; a training does without")


def _keys() -> Iterator[Finding]:
    try:
        folder = home()
        join = find_join()
    except (BadKey, ConfigError) as error:
        yield Finding(WRONG, "keys", str(error))
        return
    if join is None:
        yield Finding(
            NOTE,
            "keys",
            f"none: neither STREAMVIZ_JOIN, STREAMVIZ_JOIN_FILE nor {folder}/join.key; plaintext "
            "is sent, which only a server with --insecure takes",
        )
        return
    yield Finding(
        OK,
        "keys",
        f"{join.source}: key {fingerprint(join.public)} for server {fingerprint(join.server)}",
    )


# -- the server --------------------------------------------------------------------------------


def _ingest(endpoint: str) -> Iterator[Finding]:
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    holder = f", held by {holder_of(int(port))}" if is_loopback(host) else ""
    mechanism = mechanism_of(endpoint, _WAIT_S)
    if mechanism is None:
        yield Finding(
            WRONG,
            "ingest port",
            f"no streamviz server answers at {endpoint}: start one with 'streamviz serve', or set "
            "STREAMVIZ_ENDPOINT to where it listens; a firewall in between may be closed",
        )
        return
    spoken = "keys (CURVE)" if mechanism == "CURVE" else "plaintext"
    yield Finding(OK, "ingest port", f"{endpoint} answers and wants {spoken}{holder}")
    yield _exchange(endpoint)


def _exchange(endpoint: str) -> Finding:
    """Send a frame of a stream that is nobody's; the server answers it and keeps nothing."""
    subject = "frame there and back"
    try:
        transport = ZmqTransport(endpoint)
    except (NoTransport, ConfigError) as error:
        return Finding(WRONG, subject, str(error))
    try:
        made = _within(_WAIT_S, lambda: transport.connections() or transport.complaint())
        if isinstance(made, tuple):
            return Finding(WRONG, subject, made[1].partition(". Training goes on")[0])
        if made is None:
            return Finding(WRONG, subject, f"no connection within {_WAIT_S:g} s")
        began = monotonic_time()
        beat = Heartbeat(
            os.urandom(STREAM_ID_BYTES), wall_time(), began, 0, 0, 0, {}, {}, None, None, 0.0
        )
        transport.send(encode(beat))
        answer = _within(_WAIT_S, transport.receive)
        took = monotonic_time() - began
        if not isinstance(answer, bytes):
            return Finding(WRONG, subject, f"the server did not answer within {_WAIT_S:g} s")
        decode_ack(answer)
    except DecodeError as error:
        return Finding(WRONG, subject, f"the answer cannot be read: {error}")
    finally:
        transport.close(0.0)
    return Finding(OK, subject, f"{took * 1000:.0f} ms")


def _within(seconds: float, ask: Callable[[], object]) -> object:
    """Return the first answer that is one, ``None`` if none comes in time."""
    end, pause = monotonic_time() + seconds, threading.Event()
    while not (answer := ask()):
        if monotonic_time() > end:
            return None
        pause.wait(_POLL_S)
    return answer


def _page(address: str | None) -> Iterator[Finding]:
    if address is None:
        yield Finding(
            NOTE, "page", "not looked at, nor the clocks: name it with --page if it is reachable"
        )
        return
    parts = urllib.parse.urlsplit(address)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        offset = _clock_offset(parts, port)
    except (OSError, http.client.HTTPException, ValueError) as error:
        refused = isinstance(error, ConnectionRefusedError) or not is_loopback(host)
        holder = "" if refused else f"; the port is held by {holder_of(port)}"
        yield Finding(
            WRONG,
            "page",
            f"{parts.scheme}://{parts.netloc}/ does not answer as streamviz does ({error}){holder}",
        )
        return
    yield Finding(OK, "page", f"{parts.scheme}://{parts.netloc}/ answers")
    level = OK if abs(offset) < _WORST_OFFSET_S else NOTE
    words = f"the server's is {abs(offset):.1f} s {'ahead' if offset > 0 else 'behind'}"
    if level == NOTE:
        words += "; times on the page are those of the training's host: set both by NTP"
    yield Finding(level, "clocks", words)


def _clock_offset(parts: urllib.parse.SplitResult, port: int) -> float:
    """Return by how much the server's clock is ahead of ours, to within a request's time.

    The Date of its answers is in whole seconds, so the moment is looked for at which it changes.
    """
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", port, timeout=_WAIT_S)
    pause, first, end = threading.Event(), None, monotonic_time() + _CLOCK_S
    try:
        while True:
            asked = wall_time()
            connection.request("GET", f"{parts.path.rstrip('/')}/healthz")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or b'"version"' not in body:
                raise ValueError(f"status {answer.status}")
            date = email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp()
            now = (asked + wall_time()) / 2
            if first is not None and date != first:
                return date - now
            first = date
            if monotonic_time() > end:
                return date + 0.5 - now
            pause.wait(_POLL_S)
    finally:
        connection.close()
