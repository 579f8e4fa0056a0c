"""The composition root: builds the parts, joins them, starts and stops them in order.

Law: no rule of its own; what a part does is decided in the part.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bokeh.server.server import Server as BokehServer
from tornado.ioloop import IOLoop

from streamviz.clock import wall_time
from streamviz.config import DEFAULT_ENDPOINT
from streamviz.counters import Counters
from streamviz.errors import AddressInUse, ConfigError
from streamviz.ingest.collector import Collector
from streamviz.ingest.holder import holder_of
from streamviz.ingest.receiver import Receiver
from streamviz.ingest.recording import Recording
from streamviz.ingest.roster import Roster
from streamviz.journal.history import History
from streamviz.journal.recorder import Recorder
from streamviz.journal.state import NOT_RECORDED, JournalState
from streamviz.security.exposure import (
    allowed_hosts,
    check_ingest_endpoint,
    check_page_address,
    is_any,
)
from streamviz.security.keys import open_keys
from streamviz.security.private import home
from streamviz.security.shares import Shares
from streamviz.security.tls import page_context
from streamviz.security.tokens import make_token
from streamviz.store.store import Store
from streamviz.views.access import Door
from streamviz.views.dashboard import Dashboard, routes, settings
from streamviz.views.hub import Hub
from streamviz.views.layouts import read_layout
from streamviz.watch import WatchConfig, Watchman
from streamviz.watch.actions import Messenger
from streamviz.watch.keeping import AlertFiles

__all__ = ["DISK_BYTES", "Server", "ServerConfig"]

DISK_BYTES = 20 * 2**30
"""What recorded runs may take unless told: six days of a hundred ranks with sixty metrics each
second."""
_PORTS_TRIED = 50
_MOST_BODY_BYTES = 64 * 1024
"""Longest body of a request that is read at all: none has one, but for what nobody should send."""
_IDLE_S = 60.0
"""How long a connection to the page may say nothing, or take over its next request."""
_SWITCH_INTERVAL_S = 0.001
"""The interpreter's hand-over between threads: at its default of 5 ms a busy ingest thread
doubles the time that a picture waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What a server can be told; the defaults are those of ``streamviz serve``."""

    host: str = "127.0.0.1"
    port: int = 6166
    ingest: str = DEFAULT_ENDPOINT
    memory: int = 2**30
    """Bytes that everything held may take."""
    data_dir: Path | None = None
    """Where runs are recorded; ``None`` keeps them in memory only."""
    process_memory: int | None = None
    """Bytes that the whole process may take before it lets nobody new in and gives rows up;
    ``None``: what the system sets."""
    disk: int = DISK_BYTES
    """Bytes that recorded runs may take before the oldest full resolution goes."""
    prefix: str = ""
    token: str | None = None
    """What readers must know; ``None`` makes one, ``""`` asks for none."""
    allow_hosts: tuple[str, ...] = ()
    allow_frames: tuple[str, ...] = ()
    """Origins whose pages may show the page within them."""
    insecure: bool = False
    """Whether plaintext is taken in, and addresses may be open to others without encryption."""
    tls_cert: str | None = None
    tls_key: str | None = None
    behind_proxy: bool = False
    layout: Path | None = None
    """A file that says which charts stand on the page."""
    watch: WatchConfig = field(default_factory=WatchConfig)
    """Rules for alerts, and who is told of them."""


class Server:
    """A running streamviz server.

    Raises:
        AddressInUse: The ingest port is held, or no page port is free.
        ConfigError: A setting cannot be used.
        JournalError: The data directory is held by another server, or cannot be used.
        ExposedAddress: An address others can reach was asked for without protection.

    Attributes:
        page: Address of the page, its token included.
        ingest: The ingest endpoint, with the port that was bound.
        runs: How many runs were called back from the disk.
        notes: What the start found on the disk that somebody should know, a sentence each.
        port_moved: Whether the page's port was busy and the next free one was taken.
    """

    def __init__(self, config: ServerConfig) -> None:
        """Bind both ports; nothing is served before :meth:`run`."""
        token = make_token() if config.token is None else config.token or None
        self._tls = page_context(config.tls_cert, config.tls_key)
        check_page_address(
            config.host,
            token=token is not None,
            encrypted=self._tls is not None or config.behind_proxy,
            insecure=config.insecure,
        )
        keys = None if config.insecure else open_keys(home())
        check_ingest_endpoint(config.ingest, encrypted=keys is not None, insecure=config.insecure)
        counters = Counters()
        store = Store(config.memory, counters=counters)
        roster = Roster()
        self.runs = 0
        self.notes: list[str] = []
        with ExitStack() as undo:
            recorder = self._recorder = _open_recorder(config, counters)
            if recorder is not None:
                undo.callback(recorder.stop)
            history = None if recorder is None else History(recorder.directory, recorder.pending)
            journal = partial(_state_of, recorder)
            self._messenger = Messenger(config.watch.webhook, config.watch.command, counters)
            self._watchman = Watchman(
                store,
                roster,
                counters,
                config.watch,
                files=None if config.data_dir is None else AlertFiles(config.data_dir),
                act=self._messenger.tell,
            )
            self._hub = Hub(
                store,
                roster,
                counters,
                history=history,
                journal=journal,
                told=self._watchman.told,
            )
            collector = Collector(
                store,
                roster,
                counters,
                epoch=secrets.randbits(62),
                is_watched=lambda: self._hub.viewers > 0,
                recorder=recorder,
            )
            self._receiver = Receiver(
                config.ingest,
                collector,
                counters,
                on_rows=self._hub.wake,
                keys=keys,
                memory=config.process_memory,
            )
            undo.callback(self._receiver.abandon)
            self.ingest = self._receiver.endpoint
            self._hub.ingest_endpoint = self.ingest
            door = Door(
                token=token,
                hosts=allowed_hosts(config.host, config.allow_hosts),
                any_address=is_any(config.host),
                prefix=config.prefix,
                shares=Shares(home()),
                behind_proxy=config.behind_proxy,
                frames=config.allow_frames,
            )
            self._dashboard = Dashboard(
                store=store,
                roster=roster,
                counters=counters,
                hub=self._hub,
                door=door,
                history=history,
                journal=journal,
                layout=None if config.layout is None else read_layout(config.layout),
            )
            self._bokeh: BokehServer | None = None
            self._bind_page(config)
            if recorder is not None and collector.recording is not None:
                self._hub.want = collector.recording.want
                self._call_back(recorder, collector.recording, store)
                collector.settle()
            undo.pop_all()
        shown = "127.0.0.1" if is_any(config.host) else config.host
        shown = f"[{shown}]" if ":" in shown else shown
        query = f"?token={token}" if token else ""
        scheme = "http" if self._tls is None else "https"
        self.page = f"{scheme}://{shown}:{door.port}{door.prefix}/{query}"
        self.port_moved = config.port not in (0, door.port)

    @property
    def journal(self) -> JournalState:
        """How recording goes."""
        return self._dashboard.journal()

    def _call_back(self, recorder: Recorder, recording: Recording, store: Store) -> None:
        """Bring back what the disk has, and note what a reader of the terminal should know."""
        for found in recorder.restore_all(store):
            if isinstance(found, str):
                self.notes.append(found)
            else:
                self.runs += 1
                self.notes += found.losses
                recording.take_back(found, wall_time())

    def _bind_page(self, config: ServerConfig) -> None:
        ports = [0] if config.port == 0 else range(config.port, config.port + _PORTS_TRIED)
        for port in ports:
            if port > 65535:
                break
            try:
                self._bokeh = self._make_bokeh(config.host, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise ConfigError(
                        "--host", config.host, f"an address of this host ({error.strerror})"
                    ) from None
                continue
            bound = self._bokeh.port
            assert bound is not None  # noqa: S101 - it listens
            self._dashboard.door.port = bound
            return
        raise AddressInUse(
            f"page ports {config.port} to {config.port + _PORTS_TRIED - 1} are held, the first by "
            f"{holder_of(config.port)}; choose another with --port"
        )

    def _make_bokeh(self, host: str, port: int) -> BokehServer:
        return BokehServer(
            {},
            io_loop=IOLoop.current(),
            address=host,
            port=port,
            prefix=self._dashboard.door.prefix,
            extra_patterns=routes(self._dashboard),
            keep_alive_milliseconds=0,
            check_unused_sessions_milliseconds=60_000,
            http_server_kwargs={
                "ssl_options": self._tls,
                "max_body_size": _MOST_BODY_BYTES,
                "idle_connection_timeout": _IDLE_S,
            },
            **settings(self._dashboard),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, then end cleanly."""
        assert self._bokeh is not None  # noqa: S101 - the constructor has bound it
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        loop = asyncio.get_running_loop()
        self._bokeh.start()
        self._hub.start(loop)
        if self._recorder is not None:
            self._recorder.start()
        self._messenger.start()
        self._watchman.start()
        self._receiver.start()
        try:
            await stop.wait()
        finally:
            self._hub.stop()
            self._bokeh.stop(wait=False)
            await loop.run_in_executor(None, self._stop_ingest)

    def _stop_ingest(self) -> None:
        self._receiver.stop()
        self._watchman.stop()
        self._messenger.stop()
        if self._recorder is not None:
            self._recorder.stop()


def _open_recorder(config: ServerConfig, counters: Counters) -> Recorder | None:
    if config.data_dir is None:
        return None
    return Recorder(config.data_dir, config.disk, counters)


def _state_of(recorder: Recorder | None) -> JournalState:
    return NOT_RECORDED if recorder is None else recorder.state


def stop_on_signals(stop: asyncio.Event) -> None:
    """Let SIGINT and SIGTERM set an event of the running loop."""
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
