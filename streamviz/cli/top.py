"""``streamviz top``: a run in a terminal, as over ssh.

Law: the terminal is left as it was found, however it ends; a server that hangs never hangs a key.
"""

from __future__ import annotations

import argparse
import math
import os
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from streamviz.cli import asking
from streamviz.cli.asking import Asked, Unreachable
from streamviz.cli.picture import Line, Look, one_line, picture
from streamviz.clock import monotonic_time
from streamviz.config import environment
from streamviz.errors import StreamvizError

__all__ = ["add_parser"]

_DESCRIPTION = """\
Show a run in the terminal: its state, its loss, its alerts and its ranks, the worst first.
On a terminal that can only print (TERM=dumb, a pipe) it prints a line a look.

keys: q quits, n and p go to the next and the previous run
"""

_EXAMPLES = """\
examples:
  streamviz top                                     your server on this host, its newest run
  streamviz top --run resnet50 --every 5
  streamviz top --once                              one picture, then end
  streamviz top --server "http://127.0.0.1:6166/?token=..."
"""

_LEAST_S, _MOST_S = 0.2, 3600.0
_ALL_RUNS_EVERY_S = 10.0
"""How often the list of runs is asked for: it reads the disk."""
_ASKED_RANKS = 16
"""Ranks whose newest value is asked for: their median is told."""
_ASKED_STEPS = 64
_GOING_ON = ("live", "joining", "stale")
_WEIGHTS = {"bold": "1", "dim": "2", "bad": "31", "poor": "33"}
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The other screen, no cursor, no wrapping."""
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "top",
        help="a run in the terminal",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    asking.add_arguments(parser)
    parser.add_argument(
        "--run", dest="run_name", default=None, metavar="RUN", help="the run (the newest)"
    )
    parser.add_argument(
        "--every", type=_every, default=1.0, metavar="SECONDS", help="between two looks (1)"
    )
    parser.add_argument("--once", action="store_true", help="print one picture and end")
    parser.set_defaults(run=_run)


def _every(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not _LEAST_S <= seconds <= _MOST_S:
        expected = f"seconds from {_LEAST_S:g} to {_MOST_S:g}"
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}")
    return seconds


def _run(arguments: argparse.Namespace) -> int:
    looking = _Looking(Asked.of(arguments.server, arguments.token), arguments.run_name)
    if arguments.once:
        try:
            look = looking.look()
        except Unreachable as error:
            raise StreamvizError(f"{looking.shown} does not answer: {error}") from None
        size = shutil.get_terminal_size((120, 40))
        lines = picture(look, size.columns, size.lines if sys.stdout.isatty() else 10**6)
        return _written(lambda: print("\n".join(line.text for line in lines), flush=True))
    if not sys.stdout.isatty() or environment().get("TERM", "dumb") in ("dumb", ""):
        return _written(lambda: _print_lines(looking, arguments.every))
    return _Screen(looking, arguments.every).run()


def _written(write: Callable[[], None]) -> int:
    """Write until the reader has enough, as ``head`` has; return the exit code."""
    try:
        write()
    except BrokenPipeError:
        # What is still in the buffer would be complained of at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _print_lines(looking: _Looking, every: float) -> None:
    pause = threading.Event()
    while True:
        print(one_line(looking.look_or_say()), flush=True)
        pause.wait(every)


class _Looking:
    """Asks the server, again and again. Owner: one thread; :meth:`turn` may be called by others."""

    def __init__(self, server: Asked, run: str | None) -> None:
        self.shown = server.shown
        self._server = server
        self._wanted = run
        self._runs: list[Mapping[str, Any]] = []
        self._listed_at = -math.inf
        self._answered_at = monotonic_time()
        self._before: tuple[str, int, float] | None = None
        self._rate: float | None = None
        self._last: Look | None = None

    def turn(self, by: int) -> None:
        """Go on to another run."""
        names = [str(run["run"]) for run in self._runs]
        if names:
            at = names.index(self._wanted) if self._wanted in names else 0
            self._wanted = names[(at + by) % len(names)]

    def look_or_say(self) -> Look:
        """Look; where the server does not answer return the last look, and since when it is old.

        Raises:
            StreamvizError: The server refuses, for good.
        """
        try:
            self._last = self.look()
            self._answered_at = monotonic_time()
        except Unreachable as error:
            for_s = monotonic_time() - self._answered_at
            trouble = f"no connection to {self.shown} for {for_s:.0f} s ({error}), trying again"
            last = self._last
            return Look(
                server=self.shown,
                clock=_clock(),
                run=last.run if last else None,
                status=last.status if last else {},
                alerts=last.alerts if last else {},
                metric=last.metric if last else "",
                values=last.values if last else (),
                trouble=trouble,
            )
        return self._last

    def look(self) -> Look:
        """Ask for everything that is shown.

        Raises:
            StreamvizError: The server refuses.
            Unreachable: It does not answer.
        """
        now = monotonic_time()
        if now - self._listed_at >= _ALL_RUNS_EVERY_S or not self._runs:
            self._runs = self._server.get("/api/v1/runs")
            self._listed_at = now
        run = self._run()
        if run is None:
            return Look(server=self.shown, clock=_clock(), runs=[r["run"] for r in self._runs])
        name = str(run["run"])
        try:
            status = self._server.get("/api/v1/status")
        except StreamvizError:
            status = {}  # a link of one run does not let its reader see the server's totals
        metric = _loss(run["metrics"])
        return Look(
            server=self.shown,
            clock=_clock(),
            run=run,
            runs=[one["run"] for one in self._runs],
            status=status,
            alerts=self._server.get("/api/v1/alerts", run=name),
            metric=metric,
            values=self._values(run, metric) if metric else (),
            steps_per_s=self._steps_per_s(run, now),
        )

    def _run(self) -> Mapping[str, Any] | None:
        """Return the entry of the run that is shown: the one asked for, or one going on."""
        wanted = self._wanted
        if wanted is None:
            going = [run for run in self._runs if run["state"] in _GOING_ON]
            found = (going or self._runs)[:1]
            wanted = str(found[0]["run"]) if found else None
        if wanted is None:
            return None
        fresh = self._server.get("/api/v1/runs", run=wanted)
        listed = [run for run in self._runs if run["run"] == wanted]
        # A server before this one lists all, and one that is on the disk only is in the list.
        return next((run for run in [*fresh, *listed] if run["run"] == wanted), None)

    def _values(self, run: Mapping[str, Any], metric: str) -> list[float]:
        """Return the newest value of some ranks, evenly chosen."""
        ranks = sorted({worker["rank"] for worker in run["workers"]})
        some = ranks[:: max(math.ceil(len(ranks) / _ASKED_RANKS), 1)]
        last = max(
            (w["last_step"] for w in run["workers"] if w["last_step"] is not None), default=0
        )
        answer = self._server.get(
            "/api/v1/query",
            run=str(run["run"]),
            metric=metric,
            rank=",".join(map(str, some)),
            start=str(max(last - _ASKED_STEPS, 0)),
            points="100",
        )
        newest: dict[int, tuple[int, float]] = {}
        for series in answer.get("series", []):
            if series["step"]:
                found = (series["attempt"], float(series["value"][-1]))
                newest[series["rank"]] = max(newest.get(series["rank"], found), found)
        return [value for _, value in newest.values()]

    def _steps_per_s(self, run: Mapping[str, Any], now: float) -> float | None:
        steps = [w["last_step"] for w in run["workers"] if w["last_step"] is not None]
        if not steps:
            return None
        this = (str(run["run"]), max(steps), now)
        before, self._before = self._before, this
        if before is None or before[0] != this[0] or this[1] < before[1]:
            self._rate = None
        elif now > before[2]:
            rate = (this[1] - before[1]) / (now - before[2])
            # A look sees whole steps: a little smoothing, so that the number can be read.
            self._rate = rate if self._rate is None else 0.7 * self._rate + 0.3 * rate
        return self._rate


def _loss(metrics: list[str]) -> str:
    """Return the metric that is told: a loss of the training, else any, else none."""
    losses = [name for name in metrics if name.rpartition("/")[2] == "loss"]
    chosen = [name for name in losses if "train" in name] or losses
    chosen = chosen or [name for name in metrics if "loss" in name]
    return chosen[0] if chosen else ""


def _clock() -> str:
    return time.strftime("%H:%M:%S")


# -- the screen ----------------------------------------------------------------------------


class _Screen:
    """A terminal that is drawn over and over. Owner: the main thread; another one asks."""

    def __init__(self, looking: _Looking, every: float) -> None:
        self._looking = looking
        self._every = every
        self._look: Look | None = None
        self._fault: BaseException | None = None
        self._ending = False
        self._again = threading.Event()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._colour = not environment().get("NO_COLOR")

    def run(self) -> int:
        """Draw until somebody quits; return the exit code."""
        keys = sys.stdin.fileno() if sys.stdin.isatty() else None
        asker = threading.Thread(target=self._ask, name="streamviz-top", daemon=True)
        watched = [self._read] + ([] if keys is None else [keys])
        with self._signals(), _other_screen(keys) as screen:
            asker.start()
            while not self._ending:
                self._draw(screen)
                ready, _, _ = select.select(watched, [], [])
                if self._read in ready:
                    os.read(self._read, 4096)
                if keys is not None and keys in ready:
                    self._typed(os.read(keys, 64))
        if self._fault is not None:
            raise self._fault
        return 0

    def _typed(self, typed: bytes) -> None:
        if not typed:
            self._ending = True  # the terminal is gone
        elif not typed.startswith(b"\x1b"):
            if b"q" in typed or b"\x03" in typed:
                self._ending = True
            elif b"n" in typed or b"p" in typed:
                self._looking.turn(1 if b"n" in typed else -1)
                self._again.set()

    def _ask(self) -> None:
        try:
            while not self._ending:
                self._look = self._looking.look_or_say()
                self._wake()
                self._again.wait(self._every)
                self._again.clear()
        except Exception as error:  # noqa: BLE001 - of whatever kind, it is raised again in run
            # The main thread has to give the terminal back before it is told.
            self._fault, self._ending = error, True
            self._wake()

    def _wake(self, *_: object) -> None:
        with suppress(BlockingIOError):
            os.write(self._write, b".")

    def _draw(self, screen: Callable[[str], None]) -> None:
        size = shutil.get_terminal_size()
        if self._look is None:
            lines = [Line(f"asking {self._looking.shown}")]
        else:
            lines = picture(self._look, size.columns, size.lines - 1)
        # The last line is the keys'; each line is drawn over what was there, without a flicker.
        lines += [Line("")] * (size.lines - 1 - len(lines))
        lines.append(Line("q quit   n next run   p previous run"[: size.columns], "dim"))
        screen("\x1b[H" + "\r\n".join(map(self._set, lines)) + "\x1b[J")

    def _set(self, line: Line) -> str:
        code = _WEIGHTS.get(line.weight, "")
        if not code or not self._colour:
            return f"{line.text}\x1b[K"
        return f"\x1b[{code}m{line.text}\x1b[0m\x1b[K"

    def _end(self, *_: object) -> None:
        self._ending = True
        self._wake()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Draw anew when the window changes; end in order when asked to."""
        handlers: dict[int, Callable[..., None]] = {
            signal.SIGWINCH: self._wake,
            signal.SIGCONT: self._wake,
            signal.SIGINT: self._end,
            signal.SIGTERM: self._end,
            signal.SIGHUP: self._end,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _other_screen(keys: int | None) -> Iterator[Callable[[str], None]]:
    """Give a screen of our own, and keys without Enter; afterwards all is as it was."""
    import termios
    import tty

    def write(text: str) -> None:
        # A terminal that is gone is told of by the signal that comes with it.
        with suppress(OSError):
            sys.stdout.write(text)
            sys.stdout.flush()

    before = None if keys is None else termios.tcgetattr(keys)
    try:
        if keys is not None:
            tty.setcbreak(keys)
            # Not to be stopped in the middle of the other screen.
            mode = termios.tcgetattr(keys)
            mode[6][termios.VSUSP] = b"\0"
            termios.tcsetattr(keys, termios.TCSANOW, mode)
        write(_ENTER)
        yield write
    finally:
        write(_LEAVE)
        if keys is not None and before is not None:
            with suppress(termios.error):
                termios.tcsetattr(keys, termios.TCSADRAIN, before)
