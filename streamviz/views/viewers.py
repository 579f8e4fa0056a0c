"""One connected page: what it watches, what it has, and whether it keeps up.

Law: nothing queues for a viewer; what it has not taken is sent as it is then, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from streamviz.views.encoding import frame_bytes
from streamviz.views.heat_view import HeatView
from streamviz.views.messages import BadMessage
from streamviz.views.reports import Reports
from streamviz.views.view import LiveView
from streamviz.views.workers import Seat

__all__ = ["MAX_FRAME", "MAX_UNACKED", "MAX_VIEWS", "Channel", "View", "Viewer"]

MAX_UNACKED = 2
"""Frames that may be on their way to a page, unpainted."""

MAX_VIEWS = 256
"""Views a page may have open."""

MAX_FRAME = 4 * 1024 * 1024
"""Bytes after which a frame takes no further chunk; what is left over goes with the next."""


View = LiveView | HeatView
"""What a page may have open."""


class Channel(Protocol):
    """The way to a page; the hub knows no more of sockets than this."""

    def busy(self) -> bool:
        """Say whether earlier messages are still being written."""

    def send(self, message: str | bytes) -> None:
        """Write a message; never wait and never raise."""

    def close(self, code: int, reason: str) -> None:
        """End the connection."""


class Viewer:
    """The state of one connected page.

    Attributes:
        channel: The way to it.
        seat: What it has been told of the board that it shows, if it shows one.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.seat = Seat()
        self._asked = False
        self._run: str | None = None
        """The run it asked to be told of; ``None`` for the newest active one."""
        self._told_runs = -1
        self._told_run: object = None
        self._told_also: dict[str, object] = {}
        """The version of each compared run's structure that it has."""
        self._told_marks: str | None = None
        self._told_alerts: str | None = None
        self._told_payloads: str | None = None
        self._views: dict[int, View] = {}
        self._has: dict[View, int] = {}
        """The version of each view that it has; the longest served first."""
        self._sent = 0
        self._acked = 0

    def watch(self, run: str | None, also: Sequence[str] = ()) -> None:
        """Be told of a run from now on; ``None`` for the newest active one.

        Args:
            run: The run it shows.
            also: Runs it compares with that one, of which it is told the structure.
        """
        self._told_also = {name: self._told_also.get(name) for name in also}
        self._asked, self._run, self._told_run, self._told_marks = True, run, None, None
        self._told_alerts = self._told_payloads = None

    def news(self, reports: Reports, viewers: int) -> Iterator[str]:
        """Yield what it has not been told of the runs, and how the watched one is.

        Args:
            reports: What there is to tell.
            viewers: How many pages are connected.
        """
        if reports.runs_version != self._told_runs:
            self._told_runs = reports.runs_version
            yield reports.runs
        if not self._asked:
            # A page that has not said which run it shows would draw one and then another.
            return
        report = reports.of(self._run)
        if report.version != self._told_run:
            self._told_run = report.version
            if report.detail is not None:
                yield report.detail
        for name, told in self._told_also.items():
            other = reports.of(name)
            if other.version != told and other.name != report.name:
                self._told_also[name] = other.version
                if other.detail is not None:
                    yield other.detail
        marks = reports.marks.of(report.name)
        if marks is not None and marks is not self._told_marks:
            self._told_marks = marks
            yield marks
        payloads = reports.payloads.of(report.name)
        if payloads is not None and payloads is not self._told_payloads:
            self._told_payloads = payloads
            yield payloads
        alerts = reports.alerts.of(report.name)
        if alerts is not None and alerts is not self._told_alerts:
            self._told_alerts = alerts
            yield alerts
        yield reports.status(report, viewers)

    @property
    def views(self) -> Sequence[View]:
        """The distinct views it watches."""
        return list(self._has)

    def watches(self, view: View) -> bool:
        """Say whether it shows a view under any id."""
        return view in self._has

    def open(self, view_id: int, view: View) -> View | None:
        """Show a view under the page's id; return the view that it took the place of.

        Raises:
            BadMessage: It has too many open.
        """
        if view_id not in self._views and len(self._views) >= MAX_VIEWS:
            sentence = f"{len(self._views)} views are open and {MAX_VIEWS} are allowed; close some"
            raise BadMessage("too many views", sentence, view_id)
        former = self._views.pop(view_id, None)
        self._views[view_id] = view
        if former is not None and former not in self._views.values():
            del self._has[former]
        # From its start also if another id shows it already: the page has nothing for this one.
        self._has[view] = 0
        return former

    def close(self, view_id: int) -> View | None:
        """Drop the view under an id; return it, ``None`` if there was none."""
        view = self._views.pop(view_id, None)
        if view is not None and view not in self._views.values():
            del self._has[view]
        return view

    def forget(self, view: View) -> list[int]:
        """Drop a view under all its ids; return them."""
        ids = [view_id for view_id, held in self._views.items() if held is view]
        for view_id in ids:
            self.close(view_id)
        return ids

    def ack(self, frame: int) -> None:
        """Take in that a frame is painted.

        Raises:
            BadMessage: No such frame was sent.
        """
        if frame > self._sent:
            raise BadMessage("ack", f"frame: found {frame}, but {self._sent} is the last one sent")
        self._acked = max(self._acked, frame)

    @property
    def behind(self) -> bool:
        """Whether the page has not taken what it was sent."""
        return self._sent - self._acked >= MAX_UNACKED or self.channel.busy()

    @property
    def waits(self) -> bool:
        """Whether some view has a version, ready to be sent, that the page has not."""
        return any(map(self._lacks, self._has))

    def _lacks(self, view: View) -> bool:
        return not view.reading and self._has[view] != view.version

    def send_frame(self, now: float) -> bool:
        """Send what changed since the last frame; say whether all of it went.

        Args:
            now: Server wall time, seconds since the epoch.
        """
        chunks: list[bytes] = []
        size = 0
        due = [view for view in self._has if self._lacks(view)]
        for view in due:
            chunk = view.chunk(self._has[view])
            if chunks and size + len(chunk) > MAX_FRAME:
                break
            chunks.append(chunk)
            size += len(chunk)
            # To the end of the line, so that a large view cannot starve the ones after it.
            del self._has[view]
            self._has[view] = view.version
        if chunks:
            self._sent += 1
            self.channel.send(frame_bytes(self._sent, now, chunks))
        return len(chunks) == len(due)
