"""``/vendor/plotly.min.js``: Plotly's own library, out of the package that is installed here.

Law: nothing is fetched from elsewhere; without the package it is said what to install.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from streamviz.views.access import Door, Guarded, Refusal
from streamviz.views.page import Static

__all__ = ["VendorHandler"]

_FILES = {"plotly.min.js": ("plotly", "package_data/plotly.min.js")}


@cache
def _read(name: str) -> Static | None:
    """Return a package's file, ``None`` where it is not installed; the package is not imported."""
    package, place = _FILES[name]
    found = find_spec(package)
    for folder in (found.submodule_search_locations if found else None) or ():
        path = Path(folder) / place
        if path.is_file():
            return Static.of(path.read_bytes(), name)
    return None


class VendorHandler(Guarded):
    """Answers with a library's file, which the browser keeps and asks about before each use."""

    for_one_run = True

    def initialize(self, *, door: Door) -> None:
        """Take the rules."""
        super().initialize(door=door)

    def get(self, name: str) -> None:
        """Answer, or say that the browser's copy is still right.

        Raises:
            Refusal: 404 where there is no such file, or its package is not installed.
        """
        if name not in _FILES:
            raise Refusal(404, f"nothing is at {self.request.path[:200]!r}")
        found = _read(name)
        if found is None:
            package = _FILES[name][0]
            raise Refusal(
                404,
                f"{package} is not installed where this server runs: "
                f'pip install "streamviz[{package}]" there, and start the server again',
            )
        self.set_header("Content-Type", found.content_type)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Etag", found.etag)
        if self.check_etag_header():
            self.set_status(304)
        else:
            self.write(found.content)

    head = get
