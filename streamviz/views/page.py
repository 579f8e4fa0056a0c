"""The page and what it loads, as bytes that are made once and revalidated ever after.

Law: no viewer costs a document, a session or a template; what is served here holds no data.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from bokeh.embed import json_item
from bokeh.resources import Resources
from bokeh.server.views.static_handler import StaticHandler
from tornado.web import StaticFileHandler

from streamviz import __version__
from streamviz.clock import wall_time
from streamviz.views.access import Door, Guarded, Refusal, page_of_text
from streamviz.views.figures import panel

if TYPE_CHECKING:
    import sys

    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

__all__ = ["AssetHandler", "BokehFileHandler", "Library", "PageHandler", "PanelHandler", "Static"]

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_PAGE = "page.html"
_NO_MODULES = ("theme-boot.js", "matcher-worker.js")
"""Scripts that no module imports."""
_FOR_EVER = "private, max-age=31536000, immutable"
_FINGERPRINT = re.compile(r"\A[0-9a-f]{16}/")
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Static:
    """Bytes to serve, with their type and their fingerprint."""

    content: bytes
    content_type: str
    etag: str

    @classmethod
    def of(cls, content: bytes, name: str) -> Static:
        """Take the type from a file name's ending."""
        _, dot, ending = name.rpartition(".")
        content_type = _TYPES.get(dot + ending, "application/octet-stream")
        return cls(content, content_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


class Library:
    """Everything static that the page is made of, each made when it is first asked for.

    Args:
        prefix: Path under which everything lies, ``""`` or ``/a/b``.
        folder: Where the page's files are; ``None`` for the ones this package brings.
    """

    def __init__(self, prefix: str = "", folder: Traversable | None = None) -> None:
        self._prefix = prefix
        self._folder = folder or files("streamviz.views").joinpath("static")

    @cached_property
    def page(self) -> Static:
        """The page, its placeholders filled."""
        resources = Resources(
            mode="server",
            root_url=f"{self._prefix}/",
            components=["bokeh"],
            path_versioner=StaticHandler.append_version,
        )
        folder = f"{self._prefix}/assets/{self.fingerprint}"
        # All at once: found import by import, each would be a round trip after the one before.
        modules = [name for name in sorted(self.assets) if name.endswith(".js")]
        values = {
            "prefix": escape(self._prefix),
            "version": escape(__version__),
            "bokeh_js": escape(resources.js_files[0]),
            "assets": escape(folder),
            "modules": "\n  ".join(
                f'<link rel="modulepreload" href="{escape(folder)}/{escape(name)}">'
                for name in modules
                if name not in _NO_MODULES
            ),
        }
        text = self._folder.joinpath(_PAGE).read_text(encoding="utf-8")
        # A placeholder that is not known raises here, not in somebody's browser.
        filled = _PLACEHOLDER.sub(lambda match: values[match[1]], text)
        return Static.of(filled.encode(), _PAGE)

    @cached_property
    def assets(self) -> dict[str, Static]:
        """The page's scripts and styles by their path."""
        return {
            name: Static.of(file.read_bytes(), name)
            for name, file in _walk(self._folder)
            if name != _PAGE
        }

    @cached_property
    def fingerprint(self) -> str:
        """What stands in the path of these scripts and styles, and of no others."""
        tags = "".join(static.etag for _, static in sorted(self.assets.items()))
        return hashlib.sha256(tags.encode()).hexdigest()[:16]

    @cached_property
    def panel(self) -> Static:
        """A chart's Bokeh document as JSON."""
        item = json.dumps(json_item(panel()), allow_nan=False).encode()
        return Static.of(item, "panel.json")


def _walk(folder: Traversable, above: str = "") -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.name.startswith((".", "__")):
            continue
        if entry.is_dir():
            found += _walk(entry, f"{above}{entry.name}/")
        else:
            found.append((above + entry.name, entry))
    return found


class _StaticAnswer(Guarded):
    """Answers with bytes that the browser keeps, and asks about before it uses them again."""

    for_one_run = True
    library: Library

    def initialize(self, *, door: Door, library: Library) -> None:  # type: ignore[override]
        """Take the rules and the bytes."""
        super().initialize(door=door)
        self.library = library

    def find(self, name: str) -> Static | None:
        """Return what a path's last part stands for."""
        raise NotImplementedError

    def keep(self, name: str) -> str:  # noqa: ARG002 - what others decide by
        """Return how long a browser may keep what is under a name."""
        return "no-cache"

    def get(self, name: str = "") -> None:
        """Answer, or say that the browser's copy is still right."""
        found = self.find(name)
        if found is None:
            raise Refusal(404, f"nothing is at {self.request.path[:200]!r}")
        self.set_header("Content-Type", found.content_type)
        self.set_header("Cache-Control", self.keep(name))
        self.set_header("Etag", found.etag)
        if self.check_etag_header():
            self.set_status(304)
        else:
            self.write(found.content)

    head = get


class AssetHandler(_StaticAnswer):
    """``/assets/…``: scripts and styles; below their fingerprint they are kept for ever."""

    def find(self, name: str) -> Static | None:
        """Return a file of the page."""
        return self.library.assets.get(_FINGERPRINT.sub("", name))

    def keep(self, name: str) -> str:
        """Let what can never be another be kept."""
        return _FOR_EVER if name.startswith(f"{self.library.fingerprint}/") else "no-cache"


class PanelHandler(_StaticAnswer):
    """``/panel.json``: a chart as Bokeh's ``embed_item`` takes it."""

    def find(self, name: str) -> Static | None:  # noqa: ARG002 - there is but one
        """Return the chart."""
        return self.library.panel


class PageHandler(_StaticAnswer):
    """``/``: the page; with ``?token=`` the login."""

    def find(self, name: str) -> Static | None:  # noqa: ARG002 - the page has but one name
        """Return the page."""
        return self.library.page

    def logged_in(self) -> bool:
        """Let a request with a token through to where the token is looked at."""
        return "token" in self.request.query_arguments or super().logged_in()

    def turn_away(self) -> None:
        """Refuse with a page for a person to read."""
        raise Refusal(
            403,
            "Open the address that the server printed when it started, the one that ends in "
            "?token=…; this browser then stays logged in until it is closed.",
        )

    def get(self, name: str = "") -> None:
        """Answer with the page, or take the token out of the address into the cookie."""
        if "token" not in self.request.query_arguments:
            self._let_be_framed()
            super().get(name)
            return
        # The last one wins, as with every other argument.
        self._take(self.get_query_argument("token"))
        # A relative answer, so that a proxy's own name and path stay as they are.
        rest = [part for part in self.request.query.split("&") if not part.startswith("token=")]
        self.redirect("?".join(filter(None, (f"{self.door.prefix}/", "&".join(rest)))))

    head = get

    def _let_be_framed(self) -> None:
        """Let pages of the allowed origins show this one, if it was opened for that."""
        if not self.door.frames or "embed" not in self.request.query_arguments:
            return
        policy = self._headers["Content-Security-Policy"]
        allowed = f"frame-ancestors {' '.join(self.door.frames)}"
        self.set_header(
            "Content-Security-Policy", policy.replace("frame-ancestors 'none'", allowed)
        )
        # It knows no list of origins, and every browser that we support knows the policy.
        self.clear_header("X-Frame-Options")

    def _take(self, token: str) -> None:
        """Put the token of an address into its cookie.

        Raises:
            Refusal: 403 for one that is not known.
        """
        door = self.door
        if door.token is None:
            return
        if door.knows_token(token):
            self._keep(door.cookie, door.token, None)
            return
        share = door.share_of(token)
        if share is None:
            door.count("token")
            raise Refusal(
                403,
                "The token in this address is not one of this server: it gets a new one at each "
                "start, and shared links end. Open the address that it printed last, or ask for "
                "a new link.",
            )
        self._keep(door.share_cookie, token, max(int(share.until - wall_time()), 1))

    def _keep(self, cookie: str, token: str, max_age: int | None) -> None:
        self.set_cookie(
            cookie,
            token,
            path=self.door.cookie_path,
            max_age=max_age,
            httponly=True,
            samesite="Strict",
            secure=self.door.behind_proxy or self.request.protocol == "https",
        )

    def finish_error(self, sentence: str) -> None:
        """Answer a refusal with a small page."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(page_of_text("streamviz: not let in", sentence))


class BokehFileHandler(Guarded, StaticHandler):
    """``/static/…``: BokehJS, out of Bokeh's own folder and behind the same door."""

    for_one_run = True

    def initialize(self, *, door: Door, path: str) -> None:  # type: ignore[override]
        """Take the rules and Bokeh's own argument, its folder."""
        Guarded.initialize(self, door=door)
        StaticFileHandler.initialize(self, path)

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002 - tornado's signature
        """Let what has no version in its address be asked about again."""
        if "v" not in self.request.arguments:
            self.set_header("Cache-Control", "no-cache")

    def compute_etag(self) -> str | None:
        """Return the file's fingerprint."""
        return StaticFileHandler.compute_etag(self)
