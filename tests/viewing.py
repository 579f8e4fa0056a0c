"""One open page, and what stands on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page

__all__ = ["Viewer"]


@dataclass
class Viewer:
    """One open page."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings of its console, and uncaught exceptions."""
    requests: list[str] = field(default_factory=list)
    """Every address it asked for."""
    excused: bool = False
    """Its server was taken away, which Chromium complains of."""

    def panel(self, metric: str) -> dict[str, Any] | None:
        """Return what stands on the screen of a metric."""
        panels: list[dict[str, Any]] = self.page.evaluate("() => streamviz.panels()")
        return next((panel for panel in panels if panel["metric"] == metric), None)

    def state(self) -> dict[str, Any]:
        """Return what the page has been told and what is chosen on it."""
        state: dict[str, Any] = self.page.evaluate("() => streamviz.state()")
        return state

    def wait(self, condition: str, argument: object = None) -> None:
        """Wait until a JavaScript condition holds; it may use ``panel(metric)``."""
        self.page.wait_for_function(
            "argument => { const panel = name => streamviz.panels().find("
            f"({{metric}}) => metric === name); return {condition}; }}",
            arg=argument,
            timeout=20_000,
        )
