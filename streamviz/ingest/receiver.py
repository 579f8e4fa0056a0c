"""Sockets to bytes: the ingest thread, and the server side's only ZeroMQ.

Law: it hands over what arrives and sends what it is given; what a frame means is the
collector's.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable

import zmq

from streamviz.clock import monotonic_time, wall_time
from streamviz.counters import Counters
from streamviz.errors import AddressInUse, ConfigError
from streamviz.ingest.arrivals import Arrivals
from streamviz.ingest.collector import Collector
from streamviz.ingest.descriptors import Descriptors
from streamviz.ingest.guard import Guard
from streamviz.ingest.holder import holder_of
from streamviz.ingest.memory import Memory
from streamviz.security.keys import ServerKeys
from streamviz.wire.codec import MAX_FRAME_BYTES, encode_ack
from streamviz.wire.frames import Ack

__all__ = ["Receiver"]

_log = logging.getLogger("streamviz.ingest")

_QUEUE_FRAMES = 64
_BURST = 256
"""Frames taken before acknowledgements and the clock get their turn."""
_POLL_MS = 20
_COMMIT_POLL_MS = 2
"""The same while something is on its way to the disk: a publisher whose window is full waits for
the word that it is there."""
TICK_S = 0.25
_MEASURE_S = 1.0
"""How often to look how much memory this process takes."""
FLUSH_S = 1.5
"""How long the end waits for the disk to take what came in."""
_REBIND_S = 0.01
"""How long to wait for libzmq to let go of the port before it is bound again."""


class Receiver:
    """Binds the ingest socket and feeds the collector from a thread of its own.

    Raises:
        AddressInUse: Another process holds the port; the message names it.
        ConfigError: The address cannot be bound.
    """

    def __init__(
        self,
        endpoint: str,
        collector: Collector,
        counters: Counters,
        on_rows: Callable[[], None],
        *,
        keys: ServerKeys | None,
        memory: int | None = None,
    ) -> None:
        """Bind.

        Args:
            endpoint: ``tcp://HOST:PORT``; port 0 picks a free one.
            collector: Takes the frames. Only this thread touches it from now on.
            counters: Where unreadable messages are counted.
            on_rows: Called from the ingest thread after rows were stored.
            keys: The server's keys and whom they let in; ``None`` takes plaintext from everybody.
            memory: Bytes that this process may take; ``None``: what the system sets, if anything.
        """
        self._collector = collector
        collector.reaches = self._reaches
        self._counters = counters
        self._on_rows = on_rows
        self._memory = Memory(memory)
        self._stopping = threading.Event()
        self._descriptors = Descriptors()
        self._was_full = False
        self._context = zmq.Context()
        self._guard = Guard(self._context, keys, self._is_full)
        try:
            self._open(re.sub(r":0$", ":*", endpoint))
        except zmq.ZMQError as error:
            self._guard.close()
            self._context.term()
            if error.errno == zmq.EADDRINUSE:
                port = int(endpoint.rpartition(":")[2])
                raise AddressInUse(
                    f"ingest port {port} is held by {holder_of(port)}; end it, or choose another "
                    "with --ingest (and STREAMVIZ_ENDPOINT for the publishers)"
                ) from None
            raise ConfigError("--ingest", endpoint, f"an address of this host ({error})") from None
        self.endpoint: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._thread = threading.Thread(target=self._run, name="streamviz-ingest", daemon=True)

    def _open(self, endpoint: str) -> None:
        """Make the socket and bind it.

        Raises:
            ZMQError: It cannot be bound; nothing is left of it.
        """
        socket = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.SNDHWM, _QUEUE_FRAMES),
            (zmq.RCVHWM, _QUEUE_FRAMES),
            (zmq.MAXMSGSIZE, MAX_FRAME_BYTES),
            (zmq.BACKLOG, 4096),  # a fleet reconnects at once
            # No heartbeats of our own: one that falls due on a connection that broke off while its
            # queue was full is an assertion of libzmq, which ends the process. Publishers send
            # theirs with a time to live, after which a silent connection is closed here too.
            (zmq.HEARTBEAT_IVL, 0),
            (zmq.HANDSHAKE_IVL, 5_000),
            (zmq.LINGER, 0),
            (zmq.ROUTER_MANDATORY, 1),  # so that sending tells who is gone
            # An IPv4 address bound through IPv6 would be named as neither.
            (zmq.IPV6, int(endpoint.startswith(("tcp://[", "tcp://*")))),
        ):
            socket.setsockopt(option, value)
        self._guard.arm(socket)
        arrivals = Arrivals(self._context, socket, self._counters)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError:
            arrivals.close()
            socket.close(0)
            raise
        self._socket, self._arrivals = socket, arrivals

    def _shut(self, linger_ms: int) -> None:
        if not self._socket.closed:
            self._arrivals.close()
            self._socket.close(linger_ms)

    def _reopen(self) -> None:
        """Cut everybody off, since a key was taken back; who has another comes again by itself.

        What was on its way is not acknowledged yet, and so comes again too.
        """
        _log.warning("a key was taken back: every publisher connects anew")
        self._shut(0)
        while not self._stopping.is_set():
            try:
                self._open(self.endpoint)
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE:
                    raise
                self._stopping.wait(_REBIND_S)
            else:
                return

    def _is_full(self) -> bool:
        """Say whether a connection that asks to come in must go, since descriptors are short."""
        if not self._descriptors.are_short(self._arrivals.newest):
            return False
        # It gives its own back.
        self._arrivals.newest -= 1
        if not self._was_full:
            self._was_full = True
            _log.warning(
                "%d descriptors are nearly used up: further publishers are refused until some "
                "have gone; raise ulimit -n",
                self._descriptors.limit,
            )
        return True

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def abandon(self) -> None:
        """Give the port back without having started."""
        self._let_go(0)

    def _let_go(self, linger_ms: int) -> None:
        self._shut(linger_ms)
        self._guard.close()
        self._context.term()

    def stop(self, timeout_s: float = FLUSH_S + 1.0) -> None:
        """Acknowledge what is committed, close the socket, end the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            ticked_at = measured_at = 0.0
            while not self._stopping.is_set():
                self._socket.poll(self._poll_ms())
                before = self._collector.rows_stored
                self._take_burst()
                if self._collector.rows_stored > before:
                    self._on_rows()
                # Who is there is known before what they sent is acknowledged.
                self._collector.settle()
                now = monotonic_time()
                self._send_acks(now)
                self._arrivals.turn()
                if self._guard.turn(now):
                    self._reopen()
                if now - ticked_at >= TICK_S:
                    ticked_at = now
                    self._collector.tick(now)
                    if self._collector.recording is not None:
                        self._collector.recording.call_back(wall_time())
                if now - measured_at >= _MEASURE_S:
                    measured_at = now
                    self._collector.press(self._memory.share())
            self._send(self._collector.last_acknowledgements(FLUSH_S))
        except Exception:
            # A dead ingest thread must be heard of: the page would show silence for health.
            _log.exception("ingest stopped")
            raise
        finally:
            self._let_go(100)

    def _poll_ms(self) -> int:
        recording = self._collector.recording
        is_committing = recording is not None and recording.recorder.is_committing
        return _COMMIT_POLL_MS if is_committing else _POLL_MS

    def _take_burst(self) -> None:
        """Take what is there, up to a burst."""
        now = wall_time()
        for _ in range(_BURST):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(parts) != 2:  # the peer's name and one part
                self._counters.add("frames_bad_total", reason="multipart")
                continue
            self._collector.receive(parts[0], parts[1], now)

    def _send_acks(self, now: float) -> None:
        self._send(self._collector.acknowledgements(now))

    def _reaches(self, peer: bytes, ack: Ack) -> bool:
        """Send an acknowledgement; say whether its connection is there."""
        try:
            self._socket.send_multipart((peer, encode_ack(ack)), zmq.NOBLOCK)
        except zmq.ZMQError as error:
            return error.errno != zmq.EHOSTUNREACH
        return True

    def _send(self, acks: list[tuple[bytes, Ack]]) -> None:
        for peer, ack in acks:
            try:
                self._socket.send_multipart((peer, encode_ack(ack)), zmq.NOBLOCK)
            except zmq.ZMQError:
                # Gone, or not reading: acknowledgements are cumulative, the next one will do.
                continue
