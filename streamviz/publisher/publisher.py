"""``Publisher.send``: what a training loop calls.

Law: it never raises, and waits for no device, network or disk; what it cannot use it counts, and
says so once.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import weakref
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from types import TracebackType
from typing import SupportsFloat, SupportsIndex

from streamviz.clock import monotonic_time, wall_time
from streamviz.config import PublisherConfig, environment, setting
from streamviz.errors import ConfigError
from streamviz.publisher.courier import Backlog
from streamviz.publisher.former import Former
from streamviz.publisher.identity import find_identity, find_run
from streamviz.publisher.outbox import MAX_ROW_VALUES
from streamviz.publisher.phases import Phases
from streamviz.publisher.plain import plain
from streamviz.publisher.stream import Origin, Report, Stream, Totals
from streamviz.publisher.transport import Transport, ZmqTransport
from streamviz.publisher.values import Unusable, immutable_types, snapshot, whole_step
from streamviz.wire.frames import MAX_STEP
from streamviz.wire.names import name_fault

__all__ = ["Publisher", "Totals"]

_log = logging.getLogger("streamviz.publisher")

_NEVER = sys.maxsize

_AT_EXIT_S = 1.8
"""How long the end of a process may take for us: 2 s are promised, and the interpreter has its own
things to do in them."""

_BACKLOG_S = 0.2
"""How long the end waits for the thread with left-over files; its connection then just breaks."""


class Publisher:
    """Sends the metrics of one training process to a streamviz server.

    >>> publisher = Publisher(run="resnet50")            # doctest: +SKIP
    >>> publisher.send({"train/loss": loss}, step=step)  # doctest: +SKIP
    >>> publisher.close()                                # doctest: +SKIP

    It may be made before or after ``torch.distributed`` is initialised, and before the server
    runs. It may be used from any thread. A forked process that sends opens a stream of its own.

    Attributes:
        run: Name of the run.
        rank: This process's rank.
        world_size: Ranks in the job.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        run: str | None = None,
        *,
        rank: int | None = None,
        world_size: int | None = None,
        attempt: int | None = None,
        config: Mapping[str, object] | None = None,
        mode: str | None = None,
        flush_ms: int | None = None,
        buffer_bytes: int | None = None,
        outbox_rows: int | None = None,
        spill_dir: str | os.PathLike[str] | None = None,
        spill_bytes: int | None = None,
    ) -> None:
        """Connect in the background.

        Args:
            endpoint: The server's ingest address; default ``STREAMVIZ_ENDPOINT``, else
                ``tcp://127.0.0.1:6167``.
            run: Name of the run; default ``STREAMVIZ_RUN``, else the scheduler's job id, else a
                generated name that all ranks of the job agree on.
            rank: Default: what torchrun, Slurm, MPI or ``torch.distributed`` say, else 0.
            world_size: Default: likewise, else 1.
            attempt: How often the job was restarted; default: what torchrun says, else 0.
            config: Hyperparameters to show beside the run: numbers, text, lists and maps.
            mode: ``online``; ``file``: to ``spill_dir`` only, for ``streamviz sync`` to deliver; or
                ``off``: every call does nothing. Default ``STREAMVIZ_MODE``.
            flush_ms: How long rows are gathered until the server names its own pace.
            buffer_bytes: Bytes of frames kept until they are acknowledged.
            outbox_rows: Rows between the training threads and the sender.
            spill_dir: Directory for what memory has no room for and what no server took by the
                end; it is delivered when this rank of this run starts again, or by ``streamviz
                sync``. Default: none; ``./streamviz-spill`` with ``mode="file"``.
            spill_bytes: Bytes that a file there may have.

        Raises:
            ConfigError: A setting cannot be used. Nothing else is raised, here or later.
        """
        self._config = PublisherConfig.resolve(
            endpoint=endpoint,
            mode=mode,
            flush_ms=flush_ms,
            buffer_bytes=buffer_bytes,
            outbox_rows=outbox_rows,
            spill_dir=spill_dir,
            spill_bytes=spill_bytes,
        )
        found = find_identity(environment())
        self._identity = replace(
            found,
            rank=found.rank if rank is None else _whole("rank", rank),
            world_size=found.world_size if world_size is None else _whole("world_size", world_size),
            attempt=found.attempt if attempt is None else _whole("attempt", attempt),
        )
        self.rank = self._identity.rank
        self.world_size = max(self._identity.world_size, self.rank + 1)
        self._identity = replace(self._identity, world_size=self.world_size)
        self.run = setting("run", run, "", str) or find_run(
            environment(), parent_pid=os.getppid(), now=wall_time(), ranks=self.world_size
        )
        fault = name_fault(self.run)
        if fault is not None:
            raise ConfigError("run", str(self.run)[:80], f"a legal name ({fault})")
        if config is not None and not isinstance(config, Mapping):
            raise ConfigError("config", type(config).__name__, "a mapping of names to values")
        self._hyperparameters, left_out = plain(config or {})
        self._phases = Phases()
        self._last_step = -1
        self._all_immutable = immutable_types().issuperset
        self._lock = threading.Lock()
        self._refused: dict[str, int] = {}
        self._warned: set[str] = set()
        self._parent: bytes | None = None
        self._former = Former()
        self._backlog: Backlog | None = None
        self._attempt_lock = threading.Lock()
        self._closed = False
        if left_out:
            self._warn("config", f"config is too large to be shown: {left_out}")
        self._open()
        if self._config.mode == "off":
            self._deafen()
        else:
            self._start()
            self._start_backlog()
            _alive.add(self)

    # -- the hot path ----------------------------------------------------------------------

    def send(self, metrics: Mapping[str, SupportsFloat], step: SupportsIndex | None = None) -> None:
        """Send metrics of one step.

        Values are taken as they are at the call: numbers, NumPy scalars, arrays and tensors of
        one element, on the CPU or on a CUDA device (copied without a synchronisation). NaN and
        infinities are data. Whatever else is counted, warned of once, and left out.

        Args:
            metrics: Names to values; the part before the first ``/`` groups them on the page.
            step: 0 to 2**53; default: one more than the last step sent. Steps may repeat and
                come out of order.
        """
        try:
            if step is None:
                step = self._last_step + 1
            elif type(step) is not int:
                step = whole_step(step)
            if not 0 <= step <= MAX_STEP:
                raise Unusable("a step outside 0 to 2**53")
            self._last_step = step
            if (
                type(metrics) is dict
                and self._all_immutable(map(type, metrics.values()))
                and len(metrics) <= MAX_ROW_VALUES
            ):
                self._append((step, wall_time(), metrics.copy(), None))
            else:
                self._send_any(step, wall_time(), metrics)
            if self._phases.totals:
                self._send_any(step, wall_time(), self._phases.take())
            if len(self._rows) >= self._outbox.crowd:
                self._crowded()
        except Exception as error:  # noqa: BLE001 - promise 1: a metric must not end a training
            self._refuse_call(metrics, error)

    # -- the rest --------------------------------------------------------------------------

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Measure a part of the step, such as ``data`` or ``forward``.

        The seconds spent in it since the last ``send`` go out with the next one as
        ``phase/<name>``; while it lasts, the page shows which phase this rank is in.
        """
        return self._phases.measure(str(name))

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything sent so far is acknowledged.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether it is. With ``mode="file"``: whether it is in the file; with ``mode="off"``
            always true.
        """
        deadline = monotonic_time() + timeout
        self._former.wait(deadline)
        sender = self._stream.sender
        if sender is None:
            return self._config.mode == "off" or not self._rows
        if sender.ended.is_set():
            return self._stream.is_safe and self._former.is_safe
        is_safe = sender.ask().done.wait(max(deadline - monotonic_time(), 0.0))
        return is_safe and self._former.is_safe

    def new_attempt(self) -> None:
        """Go on as another attempt of this rank, as after steps were taken back.

        What was sent so far is delivered as the attempt before, in the background; what is sent
        from now on is drawn apart from it. A forked child has no attempts of its own, so there it
        does nothing.
        """
        if self._closed or self._config.mode == "off":
            return
        with self._attempt_lock:
            self._former.let_go(self._stream)
            why = self._former.is_full or ("it is a forked child's" if self._parent else "")
            if why:
                self._warn("new attempt", f"new_attempt was called and did nothing: {why}")
                return
            former = self._stream
            self._identity = replace(self._identity, attempt=self._identity.attempt + 1)
            self._open()
            self._start(former)
            self._former.add(former)

    def close(self, timeout: float = 2.0) -> None:
        """Deliver what is left, say goodbye and let go; later calls do nothing but count.

        Runs by itself at exit.

        Args:
            timeout: Seconds it may take at most.
        """
        self._close(timeout, "ok")

    def totals(self) -> Totals:
        """Return what was counted so far."""
        total = self._former.totals().plus(self._stream.totals())
        with self._lock:
            return replace(total, refused=dict(self._refused))

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(2.0, "ok" if kind is None else kind.__name__)

    # -- behind ----------------------------------------------------------------------------

    def _open(self) -> None:
        """Make what belongs to one stream and one process."""
        origin = Origin(self.run, self._identity, self._parent, self._hyperparameters)
        self._stream = Stream(self._config, origin, self._report, self._warn)
        self._outbox = self._stream.outbox
        self._rows = self._outbox.rows
        self._append = self._rows.append
        self._crowded = self._outbox.crowded

    def _start(self, former: Stream | None = None) -> None:
        """Connect, or turn to the spill file, or else to nothing."""
        connect = None if self._config.mode == "file" else self._connect
        message = self._stream.start(connect, self._refuse, former)
        if message:
            self._deafen("no connection", message)
        elif self._stream.lacks_thread:
            self._crowded = self._start_late

    def _connect(self) -> Transport:
        return ZmqTransport(self._config.endpoint)

    def _start_late(self) -> None:
        """Start the thread that could not be started, if there can be one now."""
        if self._stream.start_late():
            self._crowded = self._outbox.crowded
        self._outbox.crowded()

    def _start_backlog(self) -> None:
        """Deliver what an earlier process of this rank has left."""
        spill = self._stream.spill
        if spill is not None and self._config.mode == "online":
            where = spill.path.parent
            self._backlog = Backlog(
                where, self.run, self.rank, self._connect, self._is_server_there
            )
            self._backlog.start()

    def _is_server_there(self) -> bool:
        sender = self._stream.sender
        return sender is not None and sender.was_connected

    def _deafen(self, reason: str | None = None, message: str = "") -> None:
        """Let every later ``send`` do nothing, or count what it is given and say so once."""
        self._outbox.crowd = _NEVER

        def drop(row: tuple[object, object, dict[str, object], object]) -> None:
            if reason is not None:
                self._count(reason, len(row[2]))
                self._warn(reason, message)

        self._append = drop  # type: ignore[assignment]

    def _send_any(self, step: int, now: float, metrics: Mapping[str, object]) -> None:
        taken, pending, unusable = snapshot(metrics)
        for name, reason in unusable.items():
            self._refuse(reason, name, 1)
        if len(taken) <= MAX_ROW_VALUES:
            if taken:
                self._append((step, now, taken, pending or None))
            return
        items = list(taken.items())
        for start in range(0, len(items), MAX_ROW_VALUES):
            part = dict(items[start : start + MAX_ROW_VALUES])
            self._append((step, now, part, pending or None))

    def _refuse_call(self, metrics: object, error: Exception) -> None:
        """Count a call that could not be used at all."""
        try:
            values = len(metrics) if isinstance(metrics, Mapping) else 1
            reason = f"a step or value that raised {type(error).__name__}"
            if isinstance(error, Unusable):
                reason = str(error)
            elif not isinstance(metrics, Mapping):
                reason = "metrics that are no mapping"
        except Exception:  # noqa: BLE001 - promise 1: whatever an object raises stays here
            values, reason = 1, "metrics that are no mapping"
        self._refuse(reason, "", values)

    def _refuse(self, reason: str, name: str, values: int) -> None:
        if not values:
            return
        self._count(reason, values)
        named = f"metric {name!r}" if name else "a call of send"
        self._warn(f"refused {reason} {name}", f"{named} was left out: {reason}")

    def _count(self, reason: str, values: int) -> None:
        with self._lock:
            self._refused[reason] = self._refused.get(reason, 0) + values

    def _warn(self, cause: str, message: str) -> None:
        """Say something once per cause."""
        if cause not in self._warned and len(self._warned) < 100:
            self._warned.add(cause)
            with suppress(Exception):  # a user's log handler may raise, and must not into a send
                _log.warning("streamviz: %s", message)

    def _report(self) -> Report:
        phase, phase_s = self._phases.current(monotonic_time())
        with self._lock:
            refused = dict(self._refused)
        last_step = self._last_step if self._last_step >= 0 else None
        return Report(refused, last_step, phase, phase_s)

    def _close(self, timeout: float, how: str) -> None:
        deadline = monotonic_time() + timeout
        self._ask_to_end(deadline, how)
        self._wait_for_end(deadline)

    def _ask_to_end(self, deadline: float, how: str) -> None:
        if self._closed:
            return
        self._closed = True
        if self._config.mode == "off":
            return
        self._deafen("after close", "send was called after close; what it was given is counted")
        _alive.discard(self)
        self._former.close(deadline)
        self._stream.close(deadline, how)

    def _wait_for_end(self, deadline: float) -> None:
        self._former.wait(deadline)
        self._stream.wait(deadline - monotonic_time())
        if self._backlog is not None:
            self._backlog.stop(min(max(deadline - monotonic_time(), 0.0), _BACKLOG_S))

    def _after_fork(self) -> None:
        """In a forked child: forget the parent's threads and sockets without touching them."""
        _abandoned.append((self._stream, self._former, self._backlog))
        self._parent = self._parent or self._stream.name
        self._lock = threading.Lock()
        self._attempt_lock = threading.Lock()
        self._former, self._backlog = Former(), None
        self._open()
        # The child's own stream starts with its first row, if it ever sends one.
        self._outbox.crowd = 1
        self._crowded = self._start_in_child

    def _start_in_child(self) -> None:
        self._outbox.calm()
        self._crowded = self._outbox.crowded
        self._start()
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None:
            # Its children end without running atexit.
            multiprocessing.Finalize(self, self.close, exitpriority=0)


def _whole(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 24:
        raise ConfigError(name, value, "a whole number from 0 to 2**24 - 1")
    return value


_alive: weakref.WeakSet[Publisher] = weakref.WeakSet()
_abandoned: list[object] = []
"""What forked children must neither use nor finalise."""


def _after_fork_in_child() -> None:
    for publisher in list(_alive):
        publisher._after_fork()  # noqa: SLF001


def _close_all() -> None:
    """Close every publisher at exit, saying whether an exception ended the process."""
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    how = "ok" if error is None else type(error).__name__
    deadline = monotonic_time() + _AT_EXIT_S
    publishers = list(_alive)
    for publisher in publishers:
        publisher._ask_to_end(deadline, how)  # noqa: SLF001
    for publisher in publishers:
        publisher._wait_for_end(deadline)  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_all)
