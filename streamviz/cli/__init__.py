"""The command line: the table of commands, and the one place that turns errors into exit codes.

Law: only this room prints or exits. A wrong call is one line that names the flag, the value and
what is allowed, and exit code 2; any other failure is one line and exit code 1.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from streamviz import __version__
from streamviz.cli import (
    demo,
    doctor,
    export,
    imports,
    keys,
    plot,
    replay,
    serve,
    share,
    sync,
    top,
    watch,
)
from streamviz.errors import ConfigError, ExposedAddress, StreamvizError

__all__ = ["run"]

_DESCRIPTION = """\
The live view of distributed PyTorch training: every rank, every metric, as it happens.

In the training loop:
  publisher = streamviz.Publisher(run="resnet50")
  publisher.send({"train/loss": loss}, step=step)

On the host you watch from:
  streamviz serve
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line."""
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: The command line without the program's name.
    """
    parser = _Parser(
        prog="streamviz",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"streamviz {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (
        serve,
        demo,
        replay,
        imports,
        export,
        plot,
        share,
        keys,
        doctor,
        sync,
        watch,
        top,
    ):
        command.add_parser(commands)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING)
    try:
        code: int = chosen.run(chosen)
    except (ConfigError, ExposedAddress) as error:
        print(f"streamviz: {error}", file=sys.stderr)
        return 2
    except StreamvizError as error:
        print(f"streamviz: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code
