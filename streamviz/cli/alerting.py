"""What ``streamviz serve`` can be told about alerts: flags, and what they mean.

Law: every fault of a rule, an address or a command is found before the server starts.
"""

from __future__ import annotations

import argparse
import math
import shlex
import shutil
from typing import TYPE_CHECKING

from streamviz.errors import ConfigError

if TYPE_CHECKING:
    from streamviz.watch import WatchConfig

__all__ = ["add_flags", "watch_config"]

_LEAST_STALL_S, _MOST_STALL_S = 1.0, 86_400.0
STALL_S = 60.0
"""As the rule has it, which is not imported to declare a flag."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--alert",
        action="append",
        default=[],
        metavar="RULE",
        help="alert when a metric crosses a bound, as 'val/acc<0.1@step>1000'; may be repeated",
    )
    parser.add_argument(
        "--alert-webhook", default=None, metavar="URL", help="post each alert that opens, as JSON"
    )
    parser.add_argument(
        "--alert-command",
        default=None,
        metavar="COMMAND",
        help="run this for each alert that opens, with the alert as JSON on its input",
    )
    parser.add_argument(
        "--stall-after",
        type=float,
        default=STALL_S,
        metavar="SECONDS",
        help=f"how long a rank may make no step before it is a stall, at the least ({STALL_S:g})",
    )


def watch_config(arguments: argparse.Namespace) -> WatchConfig:
    """Return what the flags say.

    Raises:
        ConfigError: One of them cannot be used.
    """
    from streamviz.insight.thresholds import parse_threshold
    from streamviz.watch import WatchConfig
    from streamviz.watch.actions import check_webhook
    from streamviz.watch.watchman import MOST_ALERT_RULES

    if len(arguments.alert) > MOST_ALERT_RULES:
        raise ConfigError("--alert", len(arguments.alert), f"at most {MOST_ALERT_RULES} rules")
    stall: float = arguments.stall_after
    if not (math.isfinite(stall) and _LEAST_STALL_S <= stall <= _MOST_STALL_S):
        span = f"{_LEAST_STALL_S:g} to {_MOST_STALL_S:g} seconds"
        raise ConfigError("--stall-after", stall, span)
    webhook: str | None = arguments.alert_webhook
    return WatchConfig(
        thresholds=tuple(parse_threshold(text) for text in dict.fromkeys(arguments.alert)),
        stall_s=stall,
        webhook=None if webhook is None else check_webhook(webhook),
        command=_command(arguments.alert_command),
    )


def _command(text: str | None) -> tuple[str, ...]:
    """Split a command into words, without a shell.

    Raises:
        ConfigError: It has none, or no such program is there.
    """
    if text is None:
        return ()
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError("--alert-command", text, f"words, quoted in pairs ({error})") from None
    if not words or "\0" in text:
        raise ConfigError("--alert-command", text, "a program and its arguments")
    if shutil.which(words[0]) is None:
        raise ConfigError("--alert-command", words[0], "a program that is there and can be run")
    return tuple(words)
