"""``streamviz sync``: deliver what training processes left in spill files."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from streamviz.config import DEFAULT_ENDPOINT, DEFAULT_SPILL_DIR, parse_endpoint, setting
from streamviz.errors import ConfigError, UnusableSpill
from streamviz.publisher.courier import Delivery, deliver
from streamviz.publisher.leftovers import LeftOver, find_left_overs
from streamviz.publisher.transport import NoTransport, Transport, ZmqTransport

__all__ = ["add_parser"]

_DESCRIPTION = """\
Deliver the spill files in a directory to a server: what training processes wrote there because
they had no network (STREAMVIZ_MODE=file), or no server that took it in time.

A file is removed when the server has acknowledged all of it. To deliver one twice does no harm:
what the server has is not stored again.
"""

_EXAMPLES = """\
examples:
  streamviz sync                               ./streamviz-spill to the server on this host
  streamviz sync /scratch/spill --endpoint tcp://monitor:6167
  streamviz sync /mnt/copied --keep            from a copy, which stays
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "sync",
        help="deliver what training processes left in files",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        type=Path,
        default=Path(DEFAULT_SPILL_DIR),
        help=f"where the files lie (./{DEFAULT_SPILL_DIR})",
    )
    parser.add_argument(
        "--endpoint", default=None, help=f"the server's ingest address ({DEFAULT_ENDPOINT})"
    )
    parser.add_argument("--keep", action="store_true", help="leave delivered files where they are")
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long a server may not be there, or take nothing, before it is given up (10)",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    chosen = setting("endpoint", arguments.endpoint, DEFAULT_ENDPOINT, parse_endpoint)
    endpoint = parse_endpoint(chosen)
    try:
        paths = find_left_overs(arguments.directory)
    except OSError as error:
        raise ConfigError(
            "DIR", str(arguments.directory), f"a directory with spill files ({error.strerror})"
        ) from None
    if not paths:
        print(f"nothing to deliver in {arguments.directory}")
        return 0
    left = 0
    for number, path in enumerate(paths, 1):
        is_done, words, goes_on = _sync(path, endpoint, keep=arguments.keep, wait_s=arguments.wait)
        left += not is_done
        print(f"{path.name}: {words}", flush=True)
        if not goes_on:
            left += len(paths) - number
            break
    if left:
        print(f"not delivered: {left} of {len(paths)} files, which stay in {arguments.directory}")
    return 1 if left else 0


def _sync(path: Path, endpoint: str, *, keep: bool, wait_s: float) -> tuple[bool, str, bool]:
    """Deliver one file.

    Returns:
        Whether all of it is delivered; what to say; and whether there is any use in going on.
    """
    try:
        left_over = LeftOver.claim(path)
    except FileNotFoundError:
        return True, "delivered by another", True
    except UnusableSpill as error:
        return False, str(error), True
    except OSError as error:
        return False, f"cannot be read: {error.strerror}", True
    if left_over is None:
        return False, "left alone, as the process that writes or delivers it is alive", True
    try:
        if left_over.hello is None:
            if not keep:
                left_over.remove()
            return True, f"nothing in it is whole ({left_over.torn_bytes} bytes)", True

        def connect() -> Transport:
            return ZmqTransport(endpoint)

        delivery = deliver(left_over, connect, threading.Event(), patience_s=wait_s)
        words = _words(left_over, delivery, endpoint)
        if delivery.is_done and not keep:
            left_over.remove()
    except NoTransport as error:
        return False, f"no connection can be made: {error}", False
    finally:
        left_over.close()
    return delivery.is_done, words, delivery.is_done or delivery.was_connected


def _words(left_over: LeftOver, delivery: Delivery, endpoint: str) -> str:
    hello = left_over.hello
    assert hello is not None  # noqa: S101 - it was delivered
    words = f"run {hello.run!r} rank {hello.rank}: "
    if delivery.is_done:
        known = min(delivery.known or 0, delivery.frames)
        words += f"{_count(delivery.frames - known, 'frame')} sent"
        words += f", {known} there before" if known else ""
        words += f", {_count(left_over.rows, 'row')} in all"
    else:
        words += f"{_count(delivery.left_rows, 'row')} not delivered to {endpoint}: "
        words += delivery.fault
    if left_over.bye is None:
        words += "; its process was killed"
    if left_over.torn_bytes:
        words += f"; {_count(left_over.torn_bytes, 'byte')} at the end are torn and left out"
    return words


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number:,} {thing}s"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected seconds, above 0 to 86400")
    return seconds
