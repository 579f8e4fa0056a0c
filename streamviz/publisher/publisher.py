"""``Publisher.send``: what a training loop calls.

Law: it never raises, and waits for no device, network or disk; what it cannot use it counts, and
says so once.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import SupportsFloat, SupportsIndex

from streamviz.clock import monotonic_time, wall_time
from streamviz.config import PublisherConfig, environment, setting
from streamviz.errors import ConfigError
from streamviz.publisher.arrivals import Arrivals
from streamviz.publisher.courier import Backlog
from streamviz.publisher.endings import ALIVE
from streamviz.publisher.facts import facts_of, small, with_facts
from streamviz.publisher.former import Former
from streamviz.publisher.identity import find_identity, find_run
from streamviz.publisher.modelling import Modelling
from streamviz.publisher.notes import Note, NoteRoom
from streamviz.publisher.outbox import MAX_ROW_VALUES
from streamviz.publisher.payloads import Payloads
from streamviz.publisher.phases import Phases
from streamviz.publisher.plain import plain
from streamviz.publisher.refusals import Refusals
from streamviz.publisher.stream import Origin, Report, Stream, Totals
from streamviz.publisher.system import Sampler, start_sampler
from streamviz.publisher.transport import Transport, ZmqTransport
from streamviz.publisher.values import Unusable, immutable_types, snapshot, whole_step
from streamviz.wire.frames import MAX_STEP
from streamviz.wire.names import name_fault

__all__ = ["Publisher", "Totals"]

_NEVER = sys.maxsize

_ARRIVALS_S = 0.5
"""How long the end waits for what is still to come from a device; it is counted if it does not."""
_BACKLOG_S = 0.2
"""How long the end waits for the thread with left-over files; its connection then just breaks."""


class Publisher(Payloads, Modelling):
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
        payload_bytes: int | None = None,
        system: str | None = None,
        replicated: Collection[str] = (),
        mesh: Mapping[str, int] | None = None,
        total_steps: int | None = None,
        samples_per_step: float | None = None,
        tokens_per_step: float | None = None,
        flops_per_step: float | None = None,
        peak_flops: float | None = None,
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
            payload_bytes: Bytes of one picture, text, table or the like, at most 1 MiB.
            system: ``auto``: this rank's machine and GPU too, with ``streamviz[system]``; ``off``.
            replicated: Metrics that must be equal on all ranks, such as a loss scale.
            mesh: This rank's coordinates in the parallel layout, such as ``{"dp": 3, "pp": 1}``.
            total_steps: Steps that the training is to make.
            samples_per_step: Samples that all ranks together take in with a step.
            tokens_per_step: Tokens, likewise.
            flops_per_step: Floating-point operations, likewise.
            peak_flops: Floating-point operations that this rank's device could do in a second.

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
            payload_bytes=payload_bytes,
            system=system,
        )
        found = find_identity(environment())
        self._identity = replace(
            found,
            rank=found.rank if rank is None else small("rank", rank),
            world_size=found.world_size if world_size is None else small("world_size", world_size),
            attempt=found.attempt if attempt is None else small("attempt", attempt),
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
        rates = (samples_per_step, tokens_per_step, flops_per_step, peak_flops)
        facts = facts_of(replicated, mesh, total_steps, rates)
        own, left_out = plain(config or {})
        self._hyperparameters, had_ours = with_facts(own, facts)
        self._refusals = Refusals()
        self._phases = Phases()
        self._last_step = -1
        self._all_immutable = immutable_types().issuperset
        self._note_room = NoteRoom()
        self._arrivals = Arrivals()
        self._watches, self._had_nonfinite = [], set()
        self._payload_bytes = self._config.payload_bytes
        self._parent: bytes | None = None
        self._former = Former()
        self._backlog: Backlog | None = None
        self._sampler: Sampler | None = None
        self._attempt_lock = threading.Lock()
        self._closed = False
        if had_ours:
            self._refusals.warn("config key", "the key 'streamviz' of config is reserved; left out")
        if left_out:
            self._refusals.warn("config", f"config is too large to be shown: {left_out}")
        self._open()
        if self._config.mode == "off":
            self._deafen()
        else:
            self._start()
            self._start_backlog()
            self._sampler = start_sampler(self._config.system, self._identity, self._put_reading)
            ALIVE.add(self)

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
            self._refusals.refuse_call(metrics, error)

    def _send_one(self, name: str, value: SupportsFloat, step: int) -> None:
        """Send one metric, as a writer does that is called for each: :meth:`send` without a map."""
        try:
            if type(value) is float and 0 <= step <= MAX_STEP and not self._phases.totals:
                self._last_step = step
                self._append((step, wall_time(), {name: value}, None))
                if len(self._rows) >= self._outbox.crowd:
                    self._crowded()
            else:
                self.send({name: value}, step)
        except Exception:  # noqa: BLE001 - promise 1: a metric must not end a training
            self._refusals.refuse("a name or step that cannot be used", "", 1)

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
        have_arrived = self._arrivals.wait(deadline)
        self._former.wait(deadline)
        sender = self._stream.sender
        if sender is None:
            return self._config.mode == "off" or not self._rows
        if sender.ended.is_set():
            return self._stream.is_safe and self._former.is_safe
        is_safe = sender.ask().done.wait(max(deadline - monotonic_time(), 0.0)) and have_arrived
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
                self._refusals.warn("new attempt", f"new_attempt was called and did nothing: {why}")
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
        return replace(total, refused=self._refusals.counts())

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(2.0, "ok" if kind is None else kind.__name__)

    # -- behind ----------------------------------------------------------------------------

    def _open(self) -> None:
        """Make what belongs to one stream and one process."""
        origin = Origin(self.run, self._identity, self._parent, self._hyperparameters)
        self._stream = Stream(self._config, origin, self._report, self._refusals.warn)
        self._outbox = self._stream.outbox
        self._rows = self._outbox.rows
        self._append = self._rows.append
        self._crowded = self._outbox.crowded

    def _start(self, former: Stream | None = None) -> None:
        """Connect, or turn to the spill file, or else to nothing."""
        connect = None if self._config.mode == "file" else self._connect
        message = self._stream.start(connect, self._refusals.refuse, former)
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
            self._backlog = Backlog(
                spill.path.parent, self.run, self.rank, self._connect, self._is_server_there
            )
            self._backlog.start()

    def _put_reading(self, values: dict[str, float]) -> None:
        if not self._closed and self._last_step >= 0:  # before, there is nowhere to draw it
            self._send_any(self._last_step, wall_time(), values)

    def _is_server_there(self) -> bool:
        sender = self._stream.sender
        return sender is not None and sender.was_connected

    def _deafen(self, reason: str | None = None, message: str = "") -> None:
        """Let every later ``send`` do nothing, or count what it is given and say so once."""
        self._outbox.crowd = _NEVER

        def drop(row: tuple[object, object, dict[str, object], object]) -> None:
            if isinstance(row[3], Note):
                row[3].release()
            if reason is not None:
                self._refusals.count(reason, len(row[2]) or 1)
                self._refusals.warn(reason, message)

        self._append = drop  # type: ignore[assignment]

    @property
    def _is_off(self) -> bool:
        return self._config.mode == "off"

    def _send_any(self, step: int, now: float, metrics: Mapping[str, object]) -> None:
        taken, pending, unusable = snapshot(metrics)
        for name, reason in unusable.items():
            self._refusals.refuse(reason, name, 1)
        items = list(taken.items())
        for start in range(0, len(items), MAX_ROW_VALUES):
            part = dict(items[start : start + MAX_ROW_VALUES])
            self._append((step, now, part, pending or None))

    def _report(self) -> Report:
        phase, phase_s = self._phases.current(monotonic_time())
        refused = self._refusals.counts()
        return Report(refused, self._last_step if self._last_step >= 0 else None, phase, phase_s)

    def _close(self, timeout: float, how: str) -> None:
        deadline = monotonic_time() + timeout
        self.ask_to_end(deadline, how)
        self.wait_for_end(deadline)

    def ask_to_end(self, deadline: float, how: str) -> None:
        """Begin to end by a monotonic time; for the end of the process."""
        if self._closed:
            return
        self._closed = True
        self.unwatch()
        if self._sampler is not None:
            self._sampler.stop()
        if self._config.mode == "off":
            return
        self._arrivals.wait(min(deadline, monotonic_time() + _ARRIVALS_S))
        self._deafen("after close", "send was called after close; what it was given is counted")
        ALIVE.discard(self)
        self._former.close(deadline)
        self._stream.close(deadline, how)

    def wait_for_end(self, deadline: float) -> None:
        """Wait for that until a monotonic time."""
        self._former.wait(deadline)
        self._stream.wait(deadline - monotonic_time())
        if self._backlog is not None:
            self._backlog.stop(min(max(deadline - monotonic_time(), 0.0), _BACKLOG_S))

    def after_fork(self) -> None:
        """In a forked child: forget the parent's threads and sockets without touching them."""
        _abandoned.append((self._stream, self._former, self._backlog))
        self._parent = self._parent or self._stream.name
        self._refusals.after_fork()
        self._note_room = NoteRoom()
        self._arrivals = Arrivals()
        self._attempt_lock = threading.Lock()
        self._former, self._backlog, self._sampler = Former(), None, None
        self._open()
        # The child's own stream starts with its first row, if it ever sends one.
        self._outbox.crowd = 1
        self._crowded = self._start_in_child

    def _start_in_child(self) -> None:
        self._outbox.calm()
        self._crowded = self._outbox.crowded
        self._start()
        ALIVE.add(self)  # again, for the end of this process


_abandoned: list[object] = []
"""What forked children must neither use nor finalise."""
