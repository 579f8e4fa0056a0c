"""Asks a running server's API, for commands that read it.

Law: a token goes to the address that it was given for, and to nobody else.
"""

from __future__ import annotations

import http.client
import json
import urllib.parse
from dataclasses import dataclass
from typing import Any

from streamviz.config import environment
from streamviz.errors import ConfigError, StreamvizError
from streamviz.security.exposure import LOOPBACK_NAMES
from streamviz.security.neighbour import own_token

__all__ = ["ADDRESS", "Asked", "Unreachable", "add_arguments"]

ADDRESS = "http://127.0.0.1:6166/"
"""Where a server's page is unless it was told otherwise."""

_VARIABLE = "STREAMVIZ_SERVER"
_ANSWER_S = 10.0
_MOST_ANSWER_BYTES = 16 << 20
_OWN_HOURS = 24.0
"""How long a token lives that a command makes for itself; past it the next is made."""


class Unreachable(Exception):
    """The server gave no answer that can be read."""


def add_arguments(parser: Any) -> None:  # noqa: ANN401 - a parser, or a group of one
    """Declare which server is asked."""
    parser.add_argument(
        "--server",
        default=None,
        metavar="ADDRESS",
        help=f"the page, as serve prints it ({_VARIABLE}, else {ADDRESS})",
    )
    parser.add_argument(
        "--token",
        default=None,
        help="what readers must know, if not in the address; your own server here needs none",
    )


@dataclass(slots=True)
class Asked:
    """A server, and how to be let in.

    Attributes:
        shown: Its address without the token.
    """

    shown: str
    secure: bool
    host: str
    port: int
    prefix: str
    token: str | None
    may_make: bool
    """Whether no token was given, so that one of the user's own server may be made."""

    @classmethod
    def of(cls, address: str | None, token: str | None) -> Asked:
        """Read the page's address.

        Args:
            address: ``None``: from the environment, else :data:`ADDRESS`.
            token: ``None``: the one in the address, if there is one.

        Raises:
            ConfigError: It is none.
        """
        name, given = "--server", address
        if given is None:
            name, given = _VARIABLE, environment().get(_VARIABLE) or ADDRESS
        try:
            parts = urllib.parse.urlsplit(given)
            port = parts.port
        except ValueError:
            parts, port = urllib.parse.SplitResult("", "", "", "", ""), None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            shown = given.partition("?")[0]
            raise ConfigError(name, shown, "an address such as http://127.0.0.1:6166/")
        token = token or urllib.parse.parse_qs(parts.query).get("token", [None])[0]
        secure = parts.scheme == "https"
        return cls(
            shown=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
            secure=secure,
            host=parts.hostname,
            port=port or (443 if secure else 80),
            prefix=parts.path.rstrip("/"),
            token=token,
            may_make=token is None and parts.hostname.lower() in LOOPBACK_NAMES,
        )

    @property
    def is_here(self) -> bool:
        """Whether it is on this host, as far as its name says."""
        return self.host.lower() in LOOPBACK_NAMES

    def answers(self) -> bool:
        """Say whether a streamviz server is there at all."""
        try:
            _, _, _, body = self._ask(f"{self.prefix}/healthz")
            return "version" in json.loads(body)
        except (Unreachable, ValueError, TypeError):
            return False

    def may_be_framed(self) -> bool:
        """Say whether it lets its page be shown within others.

        Raises:
            StreamvizError: It does not let this reader in.
            Unreachable: It does not answer.
        """
        status, _, policy, _ = self._ask(f"{self.prefix}/?embed=1")
        if status in (401, 403):
            raise self._not_let_in()
        return "frame-ancestors" in policy and "frame-ancestors 'none'" not in policy

    def _not_let_in(self) -> StreamvizError:
        return StreamvizError(
            f"{self.shown} does not know this token: give the address that serve printed, "
            "or --token"
        )

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        """Return what a path answers; ``{}`` for what is asked about and not there.

        Raises:
            StreamvizError: It refuses.
            Unreachable: It does not answer.
        """
        target = self.prefix + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        status, reason, _, body = self._ask(target)
        if status in (401, 403) and self.may_make:
            self.token = own_token(self.port, _OWN_HOURS)
            if self.token is not None:
                status, reason, _, body = self._ask(target)
        if status in (401, 403):
            raise self._not_let_in()
        if status == 404 and query:
            return {}
        if status != 200:
            raise Unreachable(f"{status} {reason}")
        try:
            return json.loads(body)
        except ValueError as error:
            raise Unreachable(str(error)) from None

    def _ask(self, target: str) -> tuple[int, str, str, bytes]:
        """Return the status, its reason, the content's policy and the body."""
        kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=_ANSWER_S)
        try:
            headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            policy = answer.getheader("Content-Security-Policy", "")
            return answer.status, answer.reason, policy, answer.read(_MOST_ANSWER_BYTES)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unreachable(str(error) or type(error).__name__) from None
        finally:
            connection.close()
