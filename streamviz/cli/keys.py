"""``streamviz keys``: who may send to this user's servers."""

from __future__ import annotations

import argparse
import sys

from streamviz.security.join import fingerprint
from streamviz.security.private import home

__all__ = ["add_parser"]

_DESCRIPTION = """\
Who may send to the servers of this user. Publishers of the same user need nothing: the first
`streamviz serve` makes a key that they find. For everybody else:

  streamviz keys add NAME       on the server's host; prints one line, which is a secret
  STREAMVIZ_JOIN=that line      in the environment of the training, or in a file of mode 0600
                                that STREAMVIZ_JOIN_FILE names
  streamviz keys revoke NAME    takes it back: running servers cut whoever uses it

Running servers see a change within a second.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "keys",
        help="who may send: list, add, revoke",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="whose keys are allowed")
    listing.set_defaults(run=_list)
    adding = verbs.add_parser("add", help="allow a new key and print the line for its publisher")
    adding.add_argument("name", metavar="NAME", help="whom it is for, as it is listed")
    adding.set_defaults(run=_add)
    revoking = verbs.add_parser("revoke", help="take a key back")
    revoking.add_argument("name", metavar="NAME", help="as it is listed")
    revoking.set_defaults(run=_revoke)


# The room of keys is imported late: it brings ZeroMQ, for which `--help` should not wait.


def _list(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - it has none
    from streamviz.security.keys import open_keys

    keys = open_keys(home())
    print(f"folder: {home()}")
    print(f"server: {fingerprint(keys.public)}")
    for name, public in sorted((name, public) for public, name in keys.allowed.names.items()):
        print(f"allowed: {name} {fingerprint(public)}")
    return 0


def _add(arguments: argparse.Namespace) -> int:
    from streamviz.security.keys import add_key

    join = add_key(home(), arguments.name)
    print(
        f"This line lets {arguments.name} send and is kept nowhere else; set STREAMVIZ_JOIN to it "
        "where the training runs:",
        file=sys.stderr,
    )
    print(join.line())
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    from streamviz.security.keys import revoke_key

    revoke_key(home(), arguments.name)
    print(f"revoked: {arguments.name}; running servers cut it within a second")
    return 0
