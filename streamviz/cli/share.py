"""``streamviz share``: a link that lets somebody look for a while."""

from __future__ import annotations

import argparse
import urllib.parse

from streamviz.clock import wall_time
from streamviz.errors import ConfigError
from streamviz.security.private import home
from streamviz.security.shares import MOST_HOURS, Shares, share_for
from streamviz.wire.names import name_fault

__all__ = ["add_parser"]

_DESCRIPTION = """\
Print a link to the page of this user's server that ends by itself. Whoever has it reads, all runs
or one, and can do nothing else. The server that runs need not be told.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "share", help="a link that lets somebody look for a while", description=_DESCRIPTION
    )
    parser.add_argument(
        "--hours", type=float, default=24.0, help=f"how long it lives (24, at most {MOST_HOURS:g})"
    )
    parser.add_argument("--run", dest="only", default=None, help="the one run that it shows (all)")
    parser.add_argument(
        "--page",
        default="http://127.0.0.1:6166/",
        metavar="ADDRESS",
        help="the page as its reader calls it (http://127.0.0.1:6166/)",
    )
    parser.add_argument(
        "--revoke-all", action="store_true", help="end every link that was ever made, and make none"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    shares = Shares(home())
    if arguments.revoke_all:
        shares.revoke_all()
        print("every link has ended")
        return 0
    _check_run(arguments.only)
    token = shares.make(share_for(arguments.hours, arguments.only, wall_time()))
    query = {"run": arguments.only} if arguments.only else {}
    address = urllib.parse.urlsplit(arguments.page)
    link = address._replace(
        path=f"{address.path.rstrip('/')}/",
        query=urllib.parse.urlencode({**query, "token": token}),
    )
    print(f"link: {urllib.parse.urlunsplit(link)}")
    return 0


def _check_run(run: str | None) -> None:
    fault = None if run is None else name_fault(run)
    if fault is not None:
        raise ConfigError("--run", run, f"a legal name ({fault})")
