"""``streamviz watch``: wait for the end of a run, and fail as soon as an alert says it goes wrong.

Law: it ends with 0 only when the run ended well and none of the rules that were named had fired.
"""

from __future__ import annotations

import argparse
import math
import threading

from streamviz.cli import asking
from streamviz.cli.asking import Asked, Unreachable
from streamviz.clock import monotonic_time
from streamviz.errors import ConfigError, StreamvizError

__all__ = ["add_parser"]

_DESCRIPTION = """\
Wait until a run has ended. Exit code 0: it ended well. 1: a rule of --fail-on has fired, or a rank
failed. 3: it had not ended when --timeout was over.
"""

_EXAMPLES = """\
examples:
  streamviz watch resnet50                          until the end; fails with NaN or a stall
  streamviz watch resnet50 --fail-on nan,spike --timeout 3600
  streamviz watch resnet50 --server "http://127.0.0.1:6166/?token=..."
"""

RULES = (
    *("nan", "spike", "stall", "replicas", "silent", "failed"),
    *("straggler", "threshold", "publisher"),
)
"""As the server has them, which is not imported to ask one."""
FAIL_ON = "nan,stall,failed"
_POLL_S = 1.0
_PATIENCE = 30
"""Answers in a row that may fail, as while a server is restarted."""
_TIMED_OUT = 3
_SETTLE_S = 2.5
"""Between a run's end and the last word of the rules: five of their turns."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "watch",
        help="wait for a run's end, and fail when an alert fires",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_name", metavar="RUN", help="the run's name")
    parser.add_argument(
        "--fail-on",
        default=FAIL_ON,
        metavar="RULES",
        help=f"rules that end it with 1, of {', '.join(RULES)} ({FAIL_ON})",
    )
    asking.add_arguments(parser)
    parser.add_argument(
        "--timeout", type=float, default=None, metavar="SECONDS", help="give up after so long"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    fail_on = _rules(arguments.fail_on)
    limit: float | None = arguments.timeout
    if limit is not None and not (math.isfinite(limit) and limit > 0):
        raise ConfigError("--timeout", limit, "a number of seconds above 0")
    server = Asked.of(arguments.server, arguments.token)
    return _watch(server, arguments.run_name, fail_on, limit)


def _rules(text: str) -> frozenset[str]:
    """Read names of rules, or raise ConfigError."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    unknown = sorted(names - set(RULES))
    if unknown or not names:
        raise ConfigError("--fail-on", ",".join(unknown) or text, f"some of {', '.join(RULES)}")
    return names


def _watch(server: Asked, run: str, fail_on: frozenset[str], limit: float | None) -> int:
    end = math.inf if limit is None else monotonic_time() + limit
    pause = threading.Event()
    failures = 0
    ended: float | None = None
    while True:
        try:
            code = _look(server, run, fail_on)
            failures = 0
            if code == 0 and ended is None:
                # The rules have yet to look at the last rows.
                ended, code = monotonic_time(), None
            elif code == 0 and ended is not None and monotonic_time() - ended < _SETTLE_S:
                code = None
        except Unreachable as error:
            failures += 1
            if failures >= _PATIENCE:
                raise StreamvizError(f"{server.shown} does not answer: {error}") from None
            code = None
        if code is not None:
            if code == 0:
                print(f"run {run!r} ended well")
            return code
        if monotonic_time() >= end:
            what = "has not ended" if _is_known(server, run) else "was not heard of"
            print(f"run {run!r} {what} within {limit:g} s")
            return _TIMED_OUT
        pause.wait(min(_POLL_S, max(0.0, end - monotonic_time())))


def _is_known(server: Asked, run: str) -> bool:
    """Say whether the server has such a run; one that does not answer is no news of it."""
    try:
        return any(one["run"] == run for one in server.get("/api/v1/runs"))
    except Unreachable:
        return True


def _look(server: Asked, run: str, fail_on: frozenset[str]) -> int | None:
    """Look once; return the exit code when there is one."""
    # The state first: an alert that came with the end is among those asked for after it.
    runs = server.get("/api/v1/runs")
    found = next((one for one in runs if one["run"] == run), None)
    if found is None:
        return None  # it may begin later
    if found["state"] != "recorded":
        for alert in server.get("/api/v1/alerts", run=run).get("alerts", []):
            if alert["rule"] in fail_on:
                print(f"run {run!r}: {alert['rule']}: {alert['text']}")
                return 1
    if found["state"] in ("failed", "gone"):
        print(f"run {run!r} {'failed' if found['state'] == 'failed' else 'is lost'}")
        return 1
    if found["state"] in ("done", "recorded"):
        return 0
    return None
