"""``streamviz import``: files that other programs wrote, as runs of a server."""

from __future__ import annotations

import argparse
import importlib.util
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from streamviz.clock import monotonic_time
from streamviz.config import DEFAULT_ENDPOINT, parse_endpoint, setting
from streamviz.errors import ConfigError, MissingExtra
from streamviz.files.attempts import Attempts
from streamviz.files.jsonlines import JsonLinesSource
from streamviz.files.portions import Account, Options, Source
from streamviz.files.tables import CsvSource
from streamviz.publisher.pour import Pour
from streamviz.publisher.transport import NoTransport, Sockets, ZmqTransport
from streamviz.wire.names import name_fault

__all__ = ["add_parser"]

_DESCRIPTION = """\
Send what other programs wrote to a server, where it becomes a run like any other: TensorBoard's
event files and log directories, tables of comma-separated values, and JSON lines.

Of a log directory each directory with event files is a run, named by its path; rank_3 in it is rank
3 of the run around it. Of a table, columns named step, time, rank and run say what they say, and
every other column of numbers is a metric. Steps that a run has already become its next attempt, so
nothing is mixed and nothing is overwritten.
"""

_EXAMPLES = """\
examples:
  streamviz import runs/                        a TensorBoard log directory
  streamviz import runs/ --follow               and go on as it grows, until Ctrl-C
  streamviz import metrics.csv --run resnet50   a table, as Lightning's CSVLogger writes
  streamviz import log.csv --step epoch --time when --rank worker
  streamviz import resnet50.jsonl               what streamviz export --jsonl wrote
"""

_KINDS = ("tfevents", "csv", "jsonl")
_ENDINGS = {
    "csv": (".csv", ".tsv", ".csv.gz", ".tsv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
}
_MOST_WORKERS = 4096
"""Workers that may be open at a time, where the system has as many descriptors."""
_DESCRIPTORS_A_WORKER, _DESCRIPTORS_OF_OURS = 4, 128
_LOOK_S = 0.5
"""How often a growing file is looked at."""
_QUIET_S = 10.0
_SHOWN = 20


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "import",
        help="send TensorBoard logs, CSV or JSON lines to a server",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", type=Path, help="a file or a log directory"
    )
    parser.add_argument(
        "--run", dest="name", default=None, help="name of the run (that of the directory or file)"
    )
    parser.add_argument(
        "--endpoint",
        default=None,
        help=f"the server's ingest address (STREAMVIZ_ENDPOINT, else {DEFAULT_ENDPOINT})",
    )
    parser.add_argument(
        "--format",
        choices=("auto", *_KINDS),
        default="auto",
        help="what PATH is (told by its name)",
    )
    parser.add_argument(
        "--follow", action="store_true", help="go on as files grow and come, until Ctrl-C"
    )
    for what in ("step", "time", "rank"):
        parser.add_argument(f"--{what}", metavar="COLUMN", help=f"the column that is the {what}")
    parser.add_argument("--encoding", help="of text files (what their first bytes say, else UTF-8)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.name is not None and name_fault(arguments.name) is not None:
        fault = name_fault(arguments.name)
        raise ConfigError("--run", arguments.name[:80], f"a legal name ({fault})")
    endpoint = parse_endpoint(
        setting("endpoint", arguments.endpoint, DEFAULT_ENDPOINT, parse_endpoint)
    )
    account = Account()
    sources = _Sources(arguments).open(account)
    try:
        with _stop_on_signals() as stop:
            return _deliver(arguments, endpoint, sources, account, stop)
    except NoTransport as error:
        print(f"streamviz: {error}", file=sys.stderr)
        return 1


def _deliver(
    arguments: argparse.Namespace,
    endpoint: str,
    sources: list[Source],
    account: Account,
    stop: threading.Event,
) -> int:
    """Send it all, say what became of it, and return the exit code."""
    most = _most_workers()
    sockets = Sockets(most)
    pour = Pour(
        lambda: ZmqTransport(endpoint, sockets=sockets),
        lambda _, sentence: print(f"streamviz: {sentence}", file=sys.stderr),
        most=most,
        is_stopped=stop.is_set,
    )
    print(f"import: {', '.join(map(str, arguments.paths))} to {endpoint}", flush=True)
    started = monotonic_time()
    try:
        _send(sources, pour, stop, follow=arguments.follow)
    finally:
        # What was read is delivered, also when what came after it cannot be read.
        pour.finish()
        for source in sources:
            source.close()
        sockets.close()
        _tell(pour, account, monotonic_time() - started)
    if stop.is_set() and not arguments.follow:
        print("streamviz: stopped before the end", file=sys.stderr)
        return 1
    return 1 if pour.faults or account.refused else 0


def _send(sources: list[Source], pour: Pour, stop: threading.Event, *, follow: bool) -> None:
    """Send all there is; while it is followed, also what comes later."""
    teller = _Teller(pour)
    while True:
        for source in sources:
            for portion in source.read(last=not follow):
                if not pour.put(portion.who, portion.pieces) or stop.is_set():
                    return
                teller()
        if not follow:
            return
        pour.tend()
        if pour.faults or stop.wait(_LOOK_S):
            return


class _Sources:
    """What the paths on the command line are."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._options = Options(
            run=arguments.name,
            step=arguments.step,
            time=arguments.time,
            rank=arguments.rank,
            encoding=arguments.encoding,
        )
        self._attempts = Attempts()

    def open(self, account: Account) -> list[Source]:
        """Open all paths.

        Raises:
            ConfigError: One is nothing that can be imported.
            MissingExtra: The package that reads it is not there.
        """
        return [source for path in self._arguments.paths for source in self._of(path, account)]

    def _of(self, path: Path, account: Account) -> list[Source]:
        if not path.exists():
            raise ConfigError("PATH", str(path), "a file or a directory that is there")
        kind = self._arguments.format
        if kind == "auto":
            kind = _kind(path, follow=self._arguments.follow)
        if kind == "tfevents":
            if importlib.util.find_spec("tensorboard") is None:
                raise MissingExtra("streamviz import of event files", "tensorboard", "tensorboard")
            from streamviz.files.logdir import LogDirectory

            directory = LogDirectory(path, self._options, account, self._attempts)
            if not self._arguments.follow and not directory.files():
                raise ConfigError("PATH", str(path), "a directory with event files in it")
            return [directory]
        make = CsvSource if kind == "csv" else JsonLinesSource
        paths = [path] if path.is_file() else _with_ending(path, kind)
        if not paths:
            endings = ", ".join(_ENDINGS[kind])
            raise ConfigError(
                "PATH", str(path), f"a directory with files in it that end in {endings}"
            )
        return [make(one, self._options, account, self._attempts) for one in paths]


def _kind(path: Path, *, follow: bool) -> str:
    """Tell what a path is by the names that are there."""
    if path.is_file():
        if "tfevents" in path.name and not path.name.endswith((".csv", ".jsonl")):
            return "tfevents"
        for kind, endings in _ENDINGS.items():
            if path.name.lower().endswith(endings):
                return kind
        with path.open("rb") as file:
            return (
                "jsonl" if file.read(64).lstrip(b"\xef\xbb\xbf \n\r\t").startswith(b"{") else "csv"
            )
    if any(path.rglob("*tfevents*")):
        return "tfevents"
    for kind in _ENDINGS:
        if _with_ending(path, kind):
            return kind
    if follow:
        return "tfevents"
    raise ConfigError("PATH", str(path), "a directory with event files, CSV or JSON lines in it")


def _with_ending(path: Path, kind: str) -> list[Path]:
    return sorted(
        one
        for one in path.rglob("*")
        if one.name.lower().endswith(_ENDINGS[kind]) and one.is_file()
    )


# -- the process ---------------------------------------------------------------------------


def _most_workers() -> int:
    """Return how many workers may be open at once, having made room for their descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard in (resource.RLIM_INFINITY, -1):
        return _MOST_WORKERS
    room = (hard - _DESCRIPTORS_OF_OURS) // _DESCRIPTORS_A_WORKER
    return max(1, min(_MOST_WORKERS, room))


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Let the first Ctrl-C or SIGTERM end it with goodbyes, and the second at once."""
    stop = threading.Event()
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, _: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in former:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _tell(pour: Pour, account: Account, seconds: float) -> None:
    """Say what arrived, how files were understood, and what could not be used."""
    print(f"\r{_told(pour)}, in {seconds:.1f} s".ljust(80), flush=True)
    for sentence in account.notes[:_SHOWN]:
        print(f"note: {sentence}", flush=True)
    for cause, count in list(account.passed.items())[:_SHOWN]:
        print(f"passed over: {count:,} {cause}", flush=True)
    for sentence in (*pour.faults[:_SHOWN], *list(account.sentences())[:_SHOWN]):
        print(f"streamviz: {sentence}", file=sys.stderr)


def _told(pour: Pour) -> str:
    rows = f"{pour.rows - pour.items:,} rows and {pour.items:,} items sent"
    if pour.acknowledged == pour.rows:
        return f"{rows}, all of them arrived"
    return f"{rows}, {pour.acknowledged:,} of {pour.rows:,} arrived"


class _Teller:
    """Tells the progress on one line."""

    def __init__(self, pour: Pour) -> None:
        self._pour = pour
        self._told_at = monotonic_time()

    def __call__(self) -> None:
        pause = _LOOK_S if sys.stdout.isatty() else _QUIET_S
        if monotonic_time() - self._told_at < pause:
            return
        self._told_at = monotonic_time()
        line = f"{self._pour.rows:,} sent, {self._pour.acknowledged:,} arrived"
        if sys.stdout.isatty():
            print(f"\r{line}, {self._pour.workers} workers".ljust(80), end="", flush=True)
        else:
            print(line, flush=True)
