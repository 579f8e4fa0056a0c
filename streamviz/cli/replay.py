"""``streamviz replay``: send a run that was recorded again, as if its processes were live."""

from __future__ import annotations

import argparse
import importlib.util
import math
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from streamviz.clock import monotonic_time
from streamviz.config import DEFAULT_ENDPOINT, parse_endpoint, setting
from streamviz.errors import ConfigError, MissingExtra
from streamviz.publisher.past import Kept, Lane, Missing, PastRun, PastWorker, Piece, Rows
from streamviz.publisher.replay import Progress, Replay
from streamviz.publisher.transport import NoTransport, Sockets, ZmqTransport
from streamviz.publisher.unspill import is_spill_file, read_spill_file
from streamviz.views.ranks import RankSet, parse_ranks
from streamviz.wire.frames import MAX_STEP, Span
from streamviz.wire.names import MAX_NAME_BYTES, name_fault

if TYPE_CHECKING:
    from streamviz.journal.playback import Playback

__all__ = ["add_parser"]

_SUFFIX = " (replay)"
_DESCRIPTORS_A_RANK, _DESCRIPTORS_OF_OURS = 4, 64
"""A connection, and the three sockets' mailboxes behind it; everything else."""
_SHOWN_FAULTS = 5
_QUIET_S = 10.0
"""How often progress is told where lines cannot be written over."""

_DESCRIPTION = """\
Send a run that was recorded before to a server, through the same door as live data: a stream for
each rank and attempt, with its values bit for bit, its steps, gaps and endings.

SOURCE is the name of a run in the data directory, a run's file (run.db), or a spill file. It is
sent under a name of its own, so that nothing is mixed with the original.
"""

_EXAMPLES = """\
examples:
  streamviz replay resnet50                     at the pace of the training, to the local server
  streamviz replay resnet50 --speed 100         a hundred times as fast
  streamviz replay run.db --speed max --keep-times --as resnet50
                                                bring a run's file to another server
  streamviz replay resnet50 --rank 0-7 --start 1000 --stop 2000 --loop
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "replay",
        help="send a recorded run again, as if it were live",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help="a run's name, a run.db or a spill file")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path("streamviz-data"),
        metavar="DIR",
        help="where runs are recorded (./streamviz-data)",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="N",
        help="times as fast as recorded (1), or max: as fast as the server acknowledges",
    )
    parser.add_argument(
        "--endpoint",
        default=None,
        help=f"the server's ingest address (STREAMVIZ_ENDPOINT, else {DEFAULT_ENDPOINT})",
    )
    parser.add_argument("--as", dest="name", default=None, help="name to send it as (RUN (replay))")
    parser.add_argument(
        "--rank", type=_ranks, default=None, metavar="RANKS", help="only these, as 0,8-15"
    )
    parser.add_argument("--start", type=_step, default=0, metavar="STEP", help="first step (0)")
    parser.add_argument(
        "--stop", type=_step, default=MAX_STEP, metavar="STEP", help="last step (the last there is)"
    )
    parser.add_argument(
        "--keep-times",
        action="store_true",
        help="send the times as recorded; else they are moved to now, and follow the speed",
    )
    parser.add_argument(
        "--loop", action="store_true", help="begin again at the end, as further attempts"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.stop < arguments.start:
        raise ConfigError("--stop", arguments.stop, f"a step from {arguments.start} on")
    endpoint = parse_endpoint(
        setting("endpoint", arguments.endpoint, DEFAULT_ENDPOINT, parse_endpoint)
    )
    past, playback = _open(arguments)
    name = arguments.name or _name(past.run)
    if name_fault(name) is not None:
        raise ConfigError("--as", name[:80], f"a legal name ({name_fault(name)})")
    try:
        sockets = Sockets(_most_connections(past))
        replay = Replay(
            past,
            run=name,
            connect=lambda: ZmqTransport(endpoint, sockets=sockets),
            warn=lambda _, sentence: print(f"streamviz: {sentence}", file=sys.stderr),
            speed=arguments.speed,
            keep_times=arguments.keep_times,
            loop=arguments.loop,
        )
        _stop_on_signals(replay)
        print(f"replay: {past.run!r} as {name!r} to {endpoint}", flush=True)
        started = monotonic_time()
        progress = replay.run(_Teller())
        sockets.close()
    except NoTransport as error:
        print(f"streamviz: {error}", file=sys.stderr)
        return 1
    seconds = monotonic_time() - started
    print(f"\r{_told(progress)}, in {seconds:.1f} s".ljust(80), flush=True)
    if playback is not None and playback.unreadable:
        replay.faults.append(
            f"about {playback.unreadable} rows of {playback.path} are damaged and were not sent"
        )
    for fault in replay.faults[:_SHOWN_FAULTS]:
        print(f"streamviz: {fault}", file=sys.stderr)
    if len(replay.faults) > _SHOWN_FAULTS:
        print(f"streamviz: and {len(replay.faults) - _SHOWN_FAULTS} more like it", file=sys.stderr)
    return 1 if replay.faults else 0


# -- the source ----------------------------------------------------------------------------


def _open(arguments: argparse.Namespace) -> tuple[PastRun, Playback | None]:
    """Return what is to be sent, and the open file if it is a run's."""
    path = Path(arguments.source)
    playback = None
    try:
        if path.is_file() and is_spill_file(path):
            past, torn = read_spill_file(path)
            if torn:
                print(f"cut: the last {torn} bytes of the file are no whole frame", flush=True)
        else:
            past, playback = _open_run(arguments, path)
    except OSError as error:
        raise ConfigError("SOURCE", str(path), f"a file to read ({error.strerror})") from None
    if arguments.rank is not None:
        wanted: RankSet = arguments.rank
        past = past.of_ranks(lambda rank: rank in wanted)
    if (arguments.start, arguments.stop) != (0, MAX_STEP):
        past = past.between(arguments.start, arguments.stop)
    if not past.workers:
        raise ConfigError("--rank", str(arguments.rank), f"ranks that {past.run!r} has")
    return past, playback


def _open_run(arguments: argparse.Namespace, path: Path) -> tuple[PastRun, Playback]:
    if importlib.util.find_spec("zstandard") is None:
        raise MissingExtra("streamviz replay of a recorded run", "server", "zstandard")
    from streamviz.journal.directory import run_path
    from streamviz.journal.playback import Playback, is_run_file

    if not path.is_file():
        path = run_path(arguments.data_dir, arguments.source)
        if not path.is_file():
            raise ConfigError(
                "SOURCE",
                arguments.source,
                f"a run in {arguments.data_dir}, a run's file or a spill file",
            )
    elif not is_run_file(path):
        raise ConfigError("SOURCE", arguments.source, "a run's file or a spill file")
    playback = Playback(path)
    for loss in playback.head.losses:
        print(f"lost before: {loss}", flush=True)
    if playback.gone:
        print(f"not there at full resolution any more: {playback.gone} rows", flush=True)
    return _past_run(playback, arguments.start, arguments.stop), playback


def _past_run(playback: Playback, start: int, stop: int) -> PastRun:
    """Return a run's file as something to be sent."""
    head = playback.head
    workers = []
    for index, row in head.workers.items():
        tables = sorted(table for table, worker in playback.kept if worker == index)
        missing = sorted(
            (
                Missing(
                    Span(gap.first_step, gap.last_step, gap.first_time, gap.last_time),
                    gap.rows,
                    gap.reason,
                )
                for worker, gap in head.gaps
                if worker == index
            ),
            key=lambda piece: piece.span.first_time,
        )
        lanes: list[Lane] = [_lane(playback, table, index, start, stop) for table in tables]
        lanes.append(missing.__iter__)
        lanes.append(_items_lane(playback, index, start, stop))
        rows = sum(playback.kept[table, index] for table in tables) + playback.items.get(index, 0)
        facts: dict[str, object] = dict(head.facts)
        if index in head.meshes:
            facts["mesh"] = dict(head.meshes[index])
        workers.append(
            PastWorker(
                rank=row.rank,
                attempt=row.attempt,
                world_size=row.world_size,
                local_rank=row.local_rank,
                host=row.host,
                pid=row.pid,
                library=row.library,
                ended=row.ended,
                last_time=row.last_time,
                rows=rows + sum(piece.rows for piece in missing),
                lanes=lanes,
                facts=facts,
            )
        )
    return PastRun(run=head.run, config=head.config or {}, workers=workers)


def _lane(playback: Playback, table: int, worker: int, start: int, stop: int) -> Lane:
    names = playback.head.tables[table]

    def pieces() -> Iterator[Piece]:
        for rows in playback.rows(table, worker, start=start, stop=stop):
            yield Rows(names, rows.steps, rows.times, rows.values)

    return pieces


def _items_lane(playback: Playback, worker: int, start: int, stop: int) -> Lane:
    def pieces() -> Iterator[Piece]:
        for row in playback.items_of(worker):
            if start <= row.step <= stop:
                yield Kept(row.kind, row.name, row.step, row.time, row.body)

    return pieces


def _name(run: str) -> str:
    """Return the name of a run's replay, cut to what a name may have."""
    room = MAX_NAME_BYTES - len(_SUFFIX)
    return run.encode()[:room].decode(errors="ignore") + _SUFFIX


# -- the process ---------------------------------------------------------------------------


def _most_connections(past: PastRun) -> int:
    """Return how many streams may be open at once, having made room for their descriptors."""
    ranks = len({worker.rank for worker in past.workers})
    needed = _DESCRIPTORS_A_RANK * ranks + _DESCRIPTORS_OF_OURS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard not in (resource.RLIM_INFINITY, -1) and needed > hard:
        raise ConfigError(
            "--rank",
            f"{ranks} ranks",
            f"at most {(hard - _DESCRIPTORS_OF_OURS) // _DESCRIPTORS_A_RANK}, as the limit is "
            f"{hard} descriptors (ulimit -Hn)",
        )
    # Attempts that overlapped, as two processes with one rank do, are open together.
    return len(past.workers)


def _stop_on_signals(replay: Replay) -> None:
    """Let the first Ctrl-C or SIGTERM end the replay with goodbyes, and the second at once."""

    def stop(number: int, _: FrameType | None) -> None:
        replay.stop()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _told(progress: Progress) -> str:
    total = "" if progress.total is None else f" of {progress.total:,}"
    return f"{progress.rows:,}{total} rows sent, {progress.acknowledged:,} acknowledged"


class _Teller:
    """Tells the progress on one line."""

    def __init__(self) -> None:
        self._told_at = monotonic_time()

    def __call__(self, progress: Progress) -> None:
        if sys.stdout.isatty():
            print(f"\r{_told(progress)}, {progress.workers} workers".ljust(80), end="", flush=True)
        elif monotonic_time() - self._told_at >= _QUIET_S:
            self._told_at = monotonic_time()
            print(_told(progress), flush=True)


# -- arguments -----------------------------------------------------------------------------


def _speed(text: str) -> float:
    if text == "max":
        return math.inf
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < math.inf:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number above 0, or max")
    return speed


def _ranks(text: str) -> RankSet:
    try:
        return parse_ranks(text, setting="--rank")
    except ConfigError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {error.expected}") from None


def _step(text: str) -> int:
    if not text.isdecimal() or len(text) > 16 or int(text) > MAX_STEP:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a step from 0 to {MAX_STEP}")
    return int(text)
