"""``streamviz serve``: take in what ranks send, show it."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from streamviz.cli import alerting
from streamviz.config import DEFAULT_ENDPOINT, parse_bytes, parse_endpoint, setting
from streamviz.errors import ConfigError, MissingExtra
from streamviz.security.framing import check_origin
from streamviz.security.tokens import check_token

if TYPE_CHECKING:
    from streamviz.server import Server

__all__ = ["add_parser", "need_server_extra", "page_port", "run_server"]

_DATA_DIR = Path("streamviz-data")

_DESCRIPTION = """\
Take in what training processes send and show it in the browser.

Two addresses are printed: the page, to open, and the ingest endpoint, which publishers find by
themselves on this host; on another one set STREAMVIZ_ENDPOINT.
"""

_EXAMPLES = """\
examples:
  streamviz serve                      page on 127.0.0.1:6166, ingest on 127.0.0.1:6167
  streamviz serve --open               and open the page
  streamviz serve /data/streamviz      record there instead of in ./streamviz-data
  streamviz serve --memory 4GiB        keep more of the past at full resolution
  ssh -L 6166:127.0.0.1:6166 HOST      see the page of a server that runs on HOST
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "serve",
        help="take in what ranks send, and show it",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address of the page (127.0.0.1)")
    parser.add_argument(
        "--port", type=page_port, default=6166, help="port of the page; busy: the next free; 0: any"
    )
    parser.add_argument(
        "--ingest",
        type=_endpoint,
        default=None,
        metavar="ENDPOINT",
        help=f"where ranks connect ({DEFAULT_ENDPOINT}); port 0: any free one",
    )
    parser.add_argument(
        "--memory",
        type=_size,
        default=2**30,
        metavar="SIZE",
        help="what everything held may take (1GiB); the oldest detail goes first, overviews last",
    )
    parser.add_argument(
        "--process-memory",
        type=_size,
        default=None,
        metavar="SIZE",
        help="what the process may take in all: near it nobody new is let in (the cgroup's limit)",
    )
    parser.add_argument(
        "data_dir",
        nargs="?",
        type=Path,
        default=None,
        metavar="DATA_DIR",
        help="where runs are recorded (./streamviz-data)",
    )
    parser.add_argument(
        "--data-dir",
        dest="data_dir_flag",
        type=Path,
        default=None,
        metavar="DIR",
        help="the same, as a flag",
    )
    parser.add_argument("--no-record", action="store_true", help="keep everything in memory only")
    parser.add_argument(
        "--disk",
        type=_size,
        default=20 * 2**30,
        metavar="SIZE",
        help="what recorded runs may take (20GiB); past it the oldest full resolution goes first",
    )
    parser.add_argument("--prefix", default="", help="path under which the page lies, as /viz")
    parser.add_argument("--token", default=None, help="what readers must know (one is made)")
    parser.add_argument(
        "--no-token", action="store_true", help="let everybody who reaches the page read it"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name by which browsers may call the page, as behind a proxy",
    )
    parser.add_argument(
        "--allow-frame",
        type=_origin,
        action="append",
        default=[],
        metavar="ORIGIN",
        help="whose pages may show this one within them, as a notebook's: http://localhost:8888",
    )
    parser.add_argument(
        "--tls-cert", default=None, metavar="FILE", help="the page's certificate: answer over https"
    )
    parser.add_argument("--tls-key", default=None, metavar="FILE", help="its private key")
    parser.add_argument(
        "--behind-proxy",
        action="store_true",
        help="a proxy in front ends TLS: believe its X-Forwarded-Proto and X-Forwarded-Host",
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="take in plaintext from everybody who reaches the port, and allow addresses that "
        "other machines can reach without encryption",
    )
    parser.add_argument(
        "--layout",
        type=Path,
        default=None,
        metavar="FILE",
        help="a YAML file that says which charts stand on the page",
    )
    alerting.add_flags(parser)
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--end-with-stdin",
        action="store_true",
        help="end when standard input is closed: with the program that holds its other end",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    need_server_extra("serve")
    from streamviz.server import Server, ServerConfig

    if arguments.token == "" or (arguments.token and arguments.no_token):
        raise ConfigError("--token", arguments.token, "some text, or --no-token alone")
    token = None if arguments.token is None else check_token(arguments.token)
    config = ServerConfig(
        host=arguments.host,
        port=arguments.port,
        ingest=setting("ingest", arguments.ingest, DEFAULT_ENDPOINT, parse_endpoint),
        memory=arguments.memory,
        process_memory=arguments.process_memory,
        data_dir=_data_dir(arguments),
        disk=arguments.disk,
        prefix=arguments.prefix,
        token="" if arguments.no_token else token,
        allow_hosts=tuple(arguments.allow_host),
        allow_frames=tuple(arguments.allow_frame),
        insecure=arguments.insecure,
        tls_cert=arguments.tls_cert,
        tls_key=arguments.tls_key,
        behind_proxy=arguments.behind_proxy,
        layout=arguments.layout,
        watch=alerting.watch_config(arguments),
    )

    async def main() -> None:
        server = Server(config)
        stop = asyncio.Event()
        if arguments.end_with_stdin:
            _end_with_stdin(stop)
        await run_server(server, stop, open_page=arguments.open)

    asyncio.run(main())
    return 0


def _data_dir(arguments: argparse.Namespace) -> Path | None:
    """Return where to record, ``None`` for nowhere.

    Raises:
        ConfigError: Two places are named, or one and none.
    """
    place: Path | None = arguments.data_dir
    flag: Path | None = arguments.data_dir_flag
    if place is not None and flag is not None and place != flag:
        raise ConfigError("--data-dir", str(flag), f"one data directory, and there is {place}")
    named = flag if place is None else place
    if arguments.no_record:
        if named is not None:
            raise ConfigError("--no-record", str(named), "no data directory beside it")
        return None
    return _DATA_DIR if named is None else named


async def run_server(server: Server, stop: asyncio.Event, *, open_page: bool) -> None:
    """Serve until a signal comes or ``stop`` is set, and say where."""
    from streamviz.server import stop_on_signals

    stop_on_signals(stop)
    serving = asyncio.ensure_future(server.run(stop))
    # One turn of the loop: both ports accept connections when they are announced.
    await asyncio.sleep(0)
    if server.port_moved:
        print("the page's port is busy: taking the next free one", flush=True)
    for note in server.notes:
        print(f"note: {note}", flush=True)
    journal = server.journal
    if journal.kind != "off":
        runs = f"{server.runs} run{'s' * (server.runs != 1)}"
        used, allowed = _in_words(journal.bytes_used), _in_words(journal.bytes_allowed)
        print(f"data: {journal.path} ({runs}, {used} of {allowed})", flush=True)
    print(f"page: {server.page}", flush=True)
    print(f"ingest: {server.ingest}", flush=True)
    if open_page:
        webbrowser.open(server.page)
    await serving


def need_server_extra(command: str) -> None:
    """Raise MissingExtra if what a server needs is not installed."""
    for package in ("bokeh", "prometheus_client", "zstandard"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(f"streamviz {command}", "server", package)


def page_port(text: str) -> int:
    """Return a port from the command line."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a port from 0 to 65535")
    return int(text)


def _size(text: str) -> int:
    try:
        return parse_bytes(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {error.expected}") from None


def _in_words(size: int) -> str:
    """Return a number of bytes for people, as 1.2 GiB."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.4g} GiB"


def _end_with_stdin(stop: asyncio.Event) -> None:
    """Set an event of the running loop when standard input is closed."""

    def wait(loop: asyncio.AbstractEventLoop) -> None:
        # By thread, as standard input may be a file, which no loop can watch.
        with suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        with suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, args=(asyncio.get_running_loop(),), daemon=True).start()


def _origin(text: str) -> str:
    try:
        return check_origin(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {error.expected}") from None


def _endpoint(text: str) -> str:
    try:
        return parse_endpoint(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {error.expected}") from None
