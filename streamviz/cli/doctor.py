"""``streamviz doctor``: look for what is wrong between a training and its picture."""

from __future__ import annotations

import argparse

from streamviz.config import DEFAULT_ENDPOINT, parse_endpoint, setting
from streamviz.security.exposure import is_loopback

__all__ = ["add_parser"]

_DESCRIPTION = """\
Look at everything between a training and its picture: versions, keys, ports, a frame there and
back, the clocks. Run it where the training runs. Exit code 1 if something is wrong.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "doctor", help="look for what is wrong and say what to mend", description=_DESCRIPTION
    )
    parser.add_argument(
        "--endpoint",
        default=None,
        help=f"where the server takes frames in (STREAMVIZ_ENDPOINT, else {DEFAULT_ENDPOINT})",
    )
    parser.add_argument(
        "--page",
        default=None,
        metavar="ADDRESS",
        help="the page's address; for a server on this host http://127.0.0.1:6166/",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    endpoint = setting("endpoint", arguments.endpoint, DEFAULT_ENDPOINT, parse_endpoint)
    parse_endpoint(endpoint)
    host = endpoint.removeprefix("tcp://").rpartition(":")[0]
    page = arguments.page or ("http://127.0.0.1:6166/" if is_loopback(host) else None)
    # Late, as it brings ZeroMQ, for which `--help` should not wait.
    from streamviz.cli.findings import WRONG, look

    wrong = False
    for finding in look(endpoint, page):
        wrong = wrong or finding.level == WRONG
        print(f"{finding.level + ':':6} {finding.subject}: {finding.sentence}", flush=True)
    return int(wrong)
