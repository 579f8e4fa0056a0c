"""``streamviz plot``: CSV files as charts, in one HTML file or on a page that follows them."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import signal
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from streamviz.cli.serve import page_port
from streamviz.errors import ConfigError, DiskError, MissingExtra

if TYPE_CHECKING:
    from streamviz.cli.plotting import Plotting

__all__ = ["add_parser"]

_KINDS = ("line", "bar", "scatter", "hist", "pie", "box", "heatmap")
_LOOK_S = 0.5
"""Time between two looks at files that are followed."""
_MOST_FILES = 64

_DESCRIPTION = """\
Draw columns of CSV files, as one HTML file that needs nothing else (--html) or on a page that is
served on this machine.

Delimiter, encoding, header and dates are found out. Without --y all columns of numbers are drawn;
without --x the first column is x if it increases or has dates, else the row is. Columns of the
same name in several files are told apart by the files' names. However long a file is, a line is
drawn with its exact extremes.
"""

_EXAMPLES = """\
examples:
  streamviz plot train.csv --open
  streamviz plot train.csv test.csv --x Date --y "Training Loss" --y "Testing Loss" --html loss.html
  streamviz plot sweep.csv --x step --y loss --group-by lr --log-y
  streamviz plot train.csv --kind line --kind hist --subplots 2
  streamviz plot train.csv --follow --open          while the training writes it
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "plot",
        help="draw columns of CSV files",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a CSV file")
    parser.add_argument("--x", metavar="COLUMN", help="the column along the x axis")
    parser.add_argument(
        "--y",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column to draw; may be repeated",
    )
    parser.add_argument(
        "--kind",
        action="append",
        choices=_KINDS,
        help="how to draw it (line); repeated: a chart of each",
    )
    parser.add_argument("--group-by", metavar="COLUMN", help="a series for each of its values")
    parser.add_argument("--title", default="", help="above the charts")
    parser.add_argument("--xlabel", default="", metavar="TEXT", help="below the x axis")
    parser.add_argument("--ylabel", default="", metavar="TEXT", help="beside the y axis")
    parser.add_argument("--log-x", action="store_true", help="a logarithmic x axis")
    parser.add_argument("--log-y", action="store_true", help="a logarithmic y axis")
    parser.add_argument(
        "--subplots",
        type=_columns,
        metavar="N",
        help="a chart for each column of --y, N beside one another",
    )
    parser.add_argument(
        "--bins", type=_bins, default=30, metavar="N", help="bins of a histogram, about (30)"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the charts there, and end")
    parser.add_argument("--open", action="store_true", help="open them in a browser")
    parser.add_argument("--follow", action="store_true", help="show rows as they are written")
    parser.add_argument("--port", type=page_port, default=0, help="port of the page (any free one)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    for package in ("bokeh", "pyarrow"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("streamviz plot", "plot", package)
    from streamviz.cli.plotting import Choice, Plotting

    if arguments.html is not None and arguments.follow:
        raise ConfigError(
            "--follow", str(arguments.html), "no --html beside it: a file is not live"
        )
    if len(arguments.files) > _MOST_FILES:
        raise ConfigError("FILE", f"{len(arguments.files)} files", f"at most {_MOST_FILES}")
    choice = Choice(
        x=arguments.x,
        y=tuple(arguments.y),
        kinds=tuple(dict.fromkeys(arguments.kind or ["line"])),
        group_by=arguments.group_by,
        title=arguments.title,
        x_label=arguments.xlabel,
        y_label=arguments.ylabel,
        log=frozenset(axis for axis in "xy" if getattr(arguments, f"log_{axis}")),
        bins=arguments.bins,
        subplots=arguments.subplots,
    )
    plotting = Plotting(arguments.files, choice)
    plotting.read(to_end=not arguments.follow)
    for remark in plotting.told():
        print(f"streamviz: {remark}", file=sys.stderr)
    if arguments.html is not None:
        _write(plotting, arguments.html)
        if arguments.open:
            webbrowser.open(arguments.html.resolve().as_uri())
        return 0
    asyncio.run(_serve(plotting, arguments))
    return 0


def _write(plotting: Plotting, path: Path) -> None:
    """Write a file that is there as a whole or not at all."""
    from streamviz.views.plotted import html_of

    html = html_of(plotting.page())
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(html, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise DiskError("failing", f"cannot write {path}: {error.strerror or error}") from None
    print(f"html: {path} ({len(html) / 1e6:.1f} MB)")


async def _serve(plotting: Plotting, arguments: argparse.Namespace) -> None:
    """Serve the page until a signal comes, and follow the files if that is wanted."""
    from streamviz.views.plot_server import PlotServer

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    server = PlotServer(plotting.page(), port=arguments.port, live=arguments.follow)
    try:
        print(f"page: {server.address}", flush=True)
        if arguments.open:
            webbrowser.open(server.address)
        while not stop.is_set():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_S if arguments.follow else None)
            # By thread: a long file takes seconds, in which the page is to answer.
            if not stop.is_set() and await loop.run_in_executor(None, _look, plotting):
                server.show(plotting.page())
    finally:
        await server.stop()


def _look(plotting: Plotting) -> bool:
    """Say whether the files had something new; what is wrong is said, and the rest shown."""
    try:
        return plotting.follow()
    except (ConfigError, OSError) as error:
        print(f"streamviz: {error}", file=sys.stderr, flush=True)
        return False


def _columns(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 6:
        raise argparse.ArgumentTypeError(
            f"found {text!r}, expected 1 to 6 charts beside one another"
        )
    return int(text)


def _bins(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected 1 to 1000 bins")
    return int(text)
