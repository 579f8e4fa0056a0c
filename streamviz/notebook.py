"""``streamviz.show()``: the live page within a notebook.

Law: what is written into a notebook, which others may read later, opens nothing for longer than it
was made for; a server that was started for a notebook ends with it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.parse
from collections import deque
from html import escape
from secrets import token_hex

from streamviz.cli.asking import Asked
from streamviz.errors import ConfigError, StreamvizError
from streamviz.security.framing import LOCAL_ORIGINS
from streamviz.security.neighbour import own_token
from streamviz.wire.names import name_fault

__all__ = ["Shown", "show"]

_LEAST_HEIGHT, _MOST_HEIGHT = 200, 4000
_START_S = 30.0
_KEPT_LINES = 50

_FOLLOW_THE_NAME = """\
<script>(() => {{
  const frame = document.getElementById("{frame}"), here = location.hostname;
  if (!frame || !["localhost", "127.0.0.1"].includes(here)) return;
  const address = new URL(frame.src);
  if (address.hostname === here) return;
  address.hostname = here;
  frame.src = address.href;
}})();</script>"""
"""A browser gives the login to a frame of the same name only, and a notebook's may be either."""


class Shown:
    """The page of a server, as a notebook shows what a cell returns.

    Attributes:
        address: Address of the page, without a token.
        server: The process that was started for it, ``None`` if one ran already.
    """

    def __init__(
        self,
        address: str,
        query: dict[str, str],
        height: int,
        server: subprocess.Popen[str] | None,
    ) -> None:
        self.address = address
        self.server = server
        self._query = query
        self._height = height

    def __repr__(self) -> str:
        return f"<streamviz at {self.address}>"

    def _repr_html_(self) -> str:
        """Return a frame with the page, and a link for where frames are not shown."""
        link = f"{self.address}?{urllib.parse.urlencode(self._query)}"
        framed = f"{self.address}?{urllib.parse.urlencode({**self._query, 'embed': '1'})}"
        name = f"streamviz-{token_hex(6)}"
        return (
            f'<iframe id="{name}" src="{escape(framed)}" title="streamviz" width="100%" '
            f'height="{self._height}" referrerpolicy="no-referrer" '
            'style="border:1px solid #8884;border-radius:4px"></iframe>'
            f"{_FOLLOW_THE_NAME.format(frame=name)}"
            f'<div><a href="{escape(link)}" target="_blank" rel="noopener noreferrer">'
            "streamviz in a tab of its own</a></div>"
        )

    def stop(self) -> None:
        """End the server that was started for it, if there is one."""
        if self.server is not None:
            _end(self.server)


def show(
    run: str | None = None,
    *,
    server: str | None = None,
    height: int = 720,
    hours: float = 12.0,
    **choices: str,
) -> Shown:
    """Return the live page for a notebook to show: of a running server, else of a new one.

    Args:
        run: The run to show, and the only one that its link allows; the newest.
        server: The page, as ``streamviz serve`` prints it; ``STREAMVIZ_SERVER``, else the default
            address. Without one that answers there, one is started, which ends with this process.
        height: Of the frame, pixels.
        hours: How long the link lives that the notebook will hold. A token in ``server`` is
            written there as it is.
        choices: Further parts of the page's address, as ``tab="heatmap"``.

    Raises:
        ConfigError: An argument cannot be used.
        StreamvizError: No server could be started, or this one does not let its page be shown
            within others.
    """
    fault = None if run is None else name_fault(run)
    if fault is not None:
        raise ConfigError("run", run, f"a legal name ({fault})")
    if isinstance(height, bool) or not _LEAST_HEIGHT <= height <= _MOST_HEIGHT:
        raise ConfigError("height", height, f"pixels from {_LEAST_HEIGHT} to {_MOST_HEIGHT}")
    process = None
    asked = Asked.of(server or _started_page(), None)
    if not asked.answers():
        if server is not None:
            raise StreamvizError(f"{asked.shown} does not answer")
        process, page = _start()
        asked = Asked.of(page, None)
    made = own_token(asked.port, hours, run) if asked.is_here else None
    token = made or asked.token
    query = {**({"run": run} if run else {}), **choices, **({"token": token} if token else {})}
    asked.token = token
    if not asked.may_be_framed():
        raise StreamvizError(
            f"{asked.shown} does not let its page be shown within another: start it with "
            "--allow-frame and the notebook's origin, as --allow-frame http://localhost:8888"
        )
    return Shown(asked.shown, query, int(height), process or _server)


_server: subprocess.Popen[str] | None = None
_page = ""


def _started_page() -> str | None:
    """Return the page of the server that was started before, if it runs."""
    return _page if _server is not None and _server.poll() is None else None


def _start() -> tuple[subprocess.Popen[str], str]:
    """Start a server that ends with this process; return it and its page's address."""
    global _server, _page  # one for all cells of a notebook
    frames = [f"--allow-frame={origin}" for origin in LOCAL_ORIGINS]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamviz", "serve", *frames, "--end-with-stdin"],
        # Its other end is closed by the system when this process ends, however that comes.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: deque[str] = deque(maxlen=_KEPT_LINES)
    page: list[str] = []
    listening = threading.Event()

    def read() -> None:
        # Read to the end, so that the server never blocks on what it says.
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        for line in process.stdout:
            said.append(line.strip())
            if line.startswith("page: "):
                page.append(line.partition(": ")[2].strip())
            elif line.startswith("ingest: "):
                listening.set()
        listening.set()

    threading.Thread(target=read, name="streamviz-server", daemon=True).start()
    listening.wait(_START_S)
    if not page or process.poll() is not None:
        _end(process)
        raise StreamvizError(f"no server could be started: {' '.join(said) or 'it said nothing'}")
    _server, _page = process, page[0]
    return process, page[0]


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
