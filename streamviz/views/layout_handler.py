"""The server's layout, and the reading of layouts that a page was given.

Law: nothing is kept of what a page asks to have read.
"""

from __future__ import annotations

from streamviz.views.access import Door, Guarded, Refusal
from streamviz.views.layouts import BadLayout, Layout, parse_layout

__all__ = ["LayoutHandler"]


class LayoutHandler(Guarded):
    """``/api/v1/layout``: ``GET`` the server's, ``null`` without one; ``POST`` YAML to read it."""

    for_one_run = True

    def initialize(self, *, door: Door, layout: Layout | None) -> None:  # type: ignore[override]
        """Take the rules and the server's layout."""
        super().initialize(door=door)
        self.layout = layout

    def get(self) -> None:
        """Answer with the server's layout."""
        self.write_json({"layout": self.layout})

    def post(self) -> None:
        """Read a layout and answer with what it says.

        Raises:
            Refusal: 400, with what is wrong and where.
        """
        try:
            layout = parse_layout(self.request.body.decode())
        except UnicodeDecodeError:
            raise Refusal(400, "a layout is a text file in UTF-8") from None
        except BadLayout as error:
            raise Refusal(400, str(error)) from None
        self.write_json({"layout": layout})
