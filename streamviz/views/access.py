"""Who may come in: Host, login and headers of everything the page's port answers.

Law: an allow-list, for every verb and every path; what a handler does not open stays closed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from tornado.web import HTTPError, RequestHandler

from streamviz.clock import wall_time
from streamviz.errors import ConfigError
from streamviz.security.exposure import LOOPBACK_NAMES, is_address
from streamviz.security.tokens import same_token

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from streamviz.security.shares import Share, Shares

__all__ = ["Door", "Guarded", "Refusal", "check_prefix"]

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "connect-src 'self'{live}; img-src 'self' data: blob:; font-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


class Refusal(HTTPError):
    """A request is refused, with a sentence for whoever sent it.

    Attributes:
        sentence: What was found, what is allowed.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status)
        self.sentence = sentence


def check_prefix(prefix: str) -> str:
    """Return a path prefix as ``""`` or ``/a/b``.

    Raises:
        ConfigError: It has other characters than an address carries as is.
    """
    trimmed = prefix.strip("/")
    clean = f"/{trimmed}" if trimmed else ""
    if not _PREFIX.fullmatch(clean):
        raise ConfigError("prefix", prefix, "a path such as /viz of A-Z a-z 0-9 . _ ~ -")
    return clean


@dataclass(kw_only=True)
class Door:
    """The rules by which requests are let in.

    Attributes:
        token: What a reader must know; ``None`` lets every reader in.
        hosts: Names by which the page may be called, lower case, without port.
        any_address: Whether an IP address will do as well: for a server that listens on all of
            them. Another site's name that was pointed at this machine is still refused.
        prefix: Path under which everything lies, ``""`` or ``/a/b``.
        port: The page's port, once it is known; it names the cookies, since cookies of different
            ports of one host are not kept apart.
        shares: Knows the links that let somebody read for a while; ``None``: there are none.
        behind_proxy: Whether a proxy in front ends TLS, and says by which name it was called.
        frames: Origins whose pages may show the page within them.
        refused: How many requests were refused, by reason.
    """

    token: str | None
    hosts: frozenset[str] = LOOPBACK_NAMES
    any_address: bool = False
    prefix: str = ""
    port: int = 0
    shares: Shares | None = None
    behind_proxy: bool = False
    frames: tuple[str, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.prefix = check_prefix(self.prefix)

    @property
    def cookie(self) -> str:
        """The name of the cookie that carries the token."""
        return f"streamviz-{self.port}"

    @property
    def share_cookie(self) -> str:
        """The name of the cookie that carries a share: beside the token's, which says more."""
        return f"streamviz-{self.port}-share"

    @property
    def cookie_path(self) -> str:
        """The path below which the cookie is sent."""
        return self.prefix or "/"

    def knows_host(self, host: str) -> bool:
        """Say whether a Host header names this server."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].strip("[]").rstrip(".").lower()
        return name in self.hosts or (self.any_address and is_address(name))

    def knows_token(self, offered: str | None) -> bool:
        """Say whether a token is the right one."""
        return self.token is None or same_token(offered, self.token)

    def share_of(self, offered: str | None) -> Share | None:
        """Return what a share's token allows now, ``None`` if it is none."""
        return None if self.shares is None else self.shares.check(offered, wall_time())

    def count(self, reason: str) -> None:
        """Count a refused request."""
        self.refused[reason] = self.refused.get(reason, 0) + 1


class Guarded(RequestHandler):
    """A handler that checks Host, Origin and login before anything else, and sets the headers."""

    door: Door
    free = False
    """Whether it answers without a login and to any name."""
    for_one_run = False
    """Whether it may answer somebody who may read a single run; it asks :meth:`may_read` then."""
    share: Share | None = None
    """What a share allows whoever came in with one; ``None`` for a reader of everything."""

    def initialize(self, *, door: Door) -> None:
        """Take the rules; tornado calls this with the route's arguments."""
        self.door = door

    def set_default_headers(self) -> None:
        """Set what every answer carries, refusals too."""
        self.clear_header("Server")
        for name, value in _HEADERS.items():
            self.set_header(name, value.format(live=""))
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> Awaitable[None] | None:
        """Refuse who may not come in.

        Raises:
            Refusal: 403 for a wrong Host or Origin, or what a share does not allow, 401 without a
                login.
        """
        if self.free:
            return None
        scheme, host = self.called_as()
        if not self.door.knows_host(host):
            self.door.count("host")
            sentence = (
                f"this server does not answer to the name {host[:80]!r}; call it by one that it "
                "was told of, or start it with --allow-host and this name"
            )
            raise Refusal(403, sentence)
        if not self.knows_origin():
            self.door.count("origin")
            found = self.request.headers.get("Origin", "none")[:80]
            raise Refusal(
                403, f"Origin: found {found}, expected the address that this page was called by"
            )
        # 'self' covers websockets in newer browsers only.
        live = f" {'wss' if scheme == 'https' else 'ws'}://{host}"
        self.set_header(
            "Content-Security-Policy", _HEADERS["Content-Security-Policy"].format(live=live)
        )
        if not self.logged_in():
            self.door.count("login")
            self.turn_away()
        self._hold_to_share()
        return None

    def called_as(self) -> tuple[str, str]:
        """Return the scheme and the host, port included, by which the browser called the page.

        A proxy's words are believed only where it was said that there is one.
        """
        host = self.request.headers.get("Host", "")
        if not self.door.behind_proxy:
            return self.request.protocol, host
        scheme = _last(self.request.headers.get("X-Forwarded-Proto", ""))
        named = _last(self.request.headers.get("X-Forwarded-Host", ""))
        return "http" if scheme == "http" else "https", named or host

    def knows_origin(self) -> bool:
        """Say whether the request is led by no site, or by this very one."""
        origin = self.request.headers.get("Origin")
        scheme, host = self.called_as()
        return origin is None or origin.lower() == f"{scheme}://{host}".lower()

    def _hold_to_share(self) -> None:
        """Refuse what a share does not allow."""
        if self.share is None:
            return
        reads = self.request.method in ("GET", "HEAD")
        if reads and (self.share.run is None or self.for_one_run):
            return
        self.door.count("share")
        raise Refusal(403, "this link allows reading the page of what it was made for, no more")

    def may_read(self, run: str) -> bool:
        """Say whether a run may be told of."""
        return self.share is None or self.share.run in (None, run)

    def bearer(self) -> str | None:
        """Return the token of the Authorization header, if it has one."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def logged_in(self) -> bool:
        """Say whether the request carries the token or a share, in the header or a cookie."""
        bearer = self.bearer()
        if self.door.knows_token(self.get_cookie(self.door.cookie) if bearer is None else bearer):
            return True
        named = self.get_cookie(self.door.share_cookie) if bearer is None else bearer
        self.share = self.door.share_of(named)
        return self.share is not None

    def turn_away(self) -> None:
        """Refuse a request without a login."""
        raise Refusal(
            401,
            "no login: open the address that the server printed, or send its token as "
            "'Authorization: Bearer TOKEN'",
        )

    # -- answers -------------------------------------------------------------------------------

    def compute_etag(self) -> str | None:
        """Return none: answers that may be kept have an ETag of their own."""
        return None

    def write_json(self, value: object) -> None:
        """Answer with JSON, without NaN."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Answer a refusal with its sentence: JSON, but for a person's browser."""
        raised = kwargs.get("exc_info")
        error = raised[1] if isinstance(raised, tuple) else None
        sentence = error.sentence if isinstance(error, Refusal) else self._sentence(status_code)
        if status_code == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        if status_code == 405:
            self.set_header("Allow", "GET, HEAD")
        self.finish_error(sentence)

    def finish_error(self, sentence: str) -> None:
        """Write the body of a refusal."""
        self.write_json({"error": sentence})
        self.finish()

    def _sentence(self, status_code: int) -> str:
        if status_code == 405:
            return f"found method {str(self.request.method)[:20]!r}, expected GET or HEAD"
        if status_code == 404:
            return f"nothing is at {self.request.path[:200]!r}"
        if status_code < 500:
            return f"the request cannot be used: {self._reason}"
        return "internal error; the server's log has more"

    def _request_summary(self) -> str:
        # Tornado's own has the query, and with it the token, which must not be logged.
        return f"{self.request.method} {self.request.path} ({self.request.remote_ip})"


def _last(header: str) -> str:
    """Return the last of a header's values: the one that the nearest proxy has added."""
    return header.rpartition(",")[2].strip().lower()


def page_of_text(title: str, sentence: str) -> bytes:
    """Return a small page with one sentence, for a person who is not let in."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title>"
        "<style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;"
        "max-width:34rem;margin:18vh auto;padding:0 1.5rem}h1{font-size:1.1rem}"
        "code{font-family:ui-monospace,monospace}</style>"
        f"<h1>{escape(title)}</h1><p>{escape(sentence)}</p></html>"
    ).encode()
