"""The live channel's middle: who watches which view, and the clock that serves them.

Everything here runs on the server's event loop but for :meth:`Hub.wake`, and for the reading of
views of many ranks, which has a thread of its own.

Law: a tick costs per distinct view, not per viewer, and takes at most half of the loop's time.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from streamviz import __version__
from streamviz.clock import monotonic_time, wall_time
from streamviz.errors import UnknownSeries
from streamviz.journal.state import NOT_RECORDED, JournalState
from streamviz.views import messages
from streamviz.views.disk_reader import DiskReader
from streamviz.views.heat_view import HeatKey, HeatView
from streamviz.views.messages import Ack, BadMessage, Board, Close, Open, Watch, text_of
from streamviz.views.reports import Reports
from streamviz.views.shelf import Shelf
from streamviz.views.view import LiveView
from streamviz.views.viewers import Channel, View, Viewer
from streamviz.views.workers import Boards
from streamviz.watch import NOTHING, Told

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamviz.counters import Counters
    from streamviz.ingest.roster import Roster
    from streamviz.store import Store
    from streamviz.views.depth import Past
    from streamviz.views.models import ViewKey

__all__ = ["Hub"]

log = logging.getLogger(__name__)

FRAME_S = 1 / 30
"""Shortest time between two ticks."""

BEAT_S = 0.25
"""Time between two reports of how the runs are."""

TICK_S = 0.025
"""Time after which a tick leaves the views that are left to the next one."""

MAX_VIEWERS = 64
MAX_VIEWS = 1_024
"""Distinct views of all viewers together."""

_FAULT = "a view could not be read and is dropped: %s"


class Hub:
    """Views, their viewers, and the frame clock.

    Attributes:
        server: Names this process, so that a page sees that another one took its place.
        refused: Messages and viewers that were refused, by reason.
    """

    def __init__(
        self,
        store: Store,
        roster: Roster,
        counters: Counters,
        *,
        ingest_endpoint: str = "",
        history: Past | None = None,
        journal: Callable[[], JournalState] = lambda: NOT_RECORDED,
        told: Callable[[str], Told] = lambda _: NOTHING,
        max_viewers: int = MAX_VIEWERS,
        max_views: int = MAX_VIEWS,
    ) -> None:
        self.server = secrets.token_hex(8)
        self.ingest_endpoint = ingest_endpoint
        self.want: Callable[[str], None] = lambda _: None
        """Called with a run that somebody looks at, which may lie on the disk only."""
        self.told = told
        """Says what the watch has found about a run."""
        self.max_viewers = max_viewers
        self.max_views = max_views
        self.refused: dict[str, int] = {}
        self._store = store
        self._counters = counters
        self._viewers: list[Viewer] = []
        self._views: dict[ViewKey | HeatKey, View] = {}
        self._next_key = 1
        self._reports = Reports(store, roster, counters, journal, told, Shelf(history))
        self._boards = Boards(roster)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beat_timer: asyncio.TimerHandle | None = None
        self._not_before = 0.0
        self._woken = False
        self._reader = ThreadPoolExecutor(1, "streamviz-views")
        """Reads views of many ranks: a thread starts with the first of them."""
        self._disk = None if history is None else DiskReader(history, self._schedule)

    # -- the clock -----------------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve viewers on an event loop, which need not run yet."""
        self._loop = loop
        loop.call_soon(self._on_beat)

    def stop(self) -> None:
        """Let go of the loop and of every viewer; call it on the loop."""
        for timer in (self._timer, self._beat_timer):
            if timer is not None:
                timer.cancel()
        self._loop = self._timer = self._beat_timer = None
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._reports.shelf.stop()
        if self._disk is not None:
            self._disk.stop()
        for viewer in list(self._viewers):
            viewer.channel.close(1001, "the server ends")
            self.leave(viewer)

    def wake(self) -> None:
        """Say that samples arrived; from any thread, cheap, and never raises."""
        loop = self._loop
        # Races are harmless here: one wake-up too many, or one that the beat makes up for.
        if self._woken or loop is None or not self._views:
            return
        self._woken = True
        try:
            loop.call_soon_threadsafe(self._on_wake)
        except RuntimeError:
            # The loop was closed in between: nobody watches any more.
            self._woken = False

    def _on_wake(self) -> None:
        self._woken = False
        self._schedule()

    def _schedule(self) -> None:
        if self._loop is not None and self._timer is None:
            delay = max(0.0, self._not_before - monotonic_time())
            self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        started = monotonic_time()
        done = self.tick()
        ended = monotonic_time()
        # A tick that was dear is followed by as long a pause, so that the loop keeps half its time.
        self._not_before = max(started + FRAME_S, ended + (ended - started))
        if not done:
            self._schedule()

    def _on_beat(self) -> None:
        if self._loop is not None:
            self._beat_timer = self._loop.call_later(BEAT_S, self._on_beat)
            self.beat()
            self._schedule()

    # -- viewers -------------------------------------------------------------------------------

    def lag_s(self, run: str) -> float | None:
        """Return how old a run's newest sample was when it was last sent on; seconds."""
        return self._reports.lag_s(run)

    @property
    def viewers(self) -> int:
        """How many pages are connected."""
        return len(self._viewers)

    @property
    def views(self) -> int:
        """How many distinct views they watch."""
        return len(self._views)

    def join(self, channel: Channel) -> Viewer | None:
        """Greet a page; ``None`` if there is no room, which it is told before it is closed."""
        if len(self._viewers) >= self.max_viewers:
            self._count_refused("too many viewers")
            reason = (
                f"{self.max_viewers} pages are connected, the most this server allows; "
                "this one comes in when another is closed"
            )
            channel.send(text_of("refused", id=None, reason=reason))
            channel.close(1013, "too many viewers")
            return None
        viewer = Viewer(channel)
        self._viewers.append(viewer)
        channel.send(
            text_of(
                "hello",
                version=__version__,
                server=self.server,
                now=wall_time(),
                ingest=self.ingest_endpoint,
            )
        )
        if len(self._viewers) == 1:
            # While others are here, the beat keeps the reports young.
            self._reports.renew()
        self._tell(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget a page; harmless if it was forgotten before."""
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            for view in viewer.views:
                self._release(view)

    def receive(self, viewer: Viewer, data: str | bytes) -> str | None:
        """Take in what a page said; return the answer, if it has one. Never raises."""
        try:
            return self._act(viewer, messages.parse_message(data))
        except BadMessage as error:
            self._count_refused(error.reason)
            return text_of("refused", id=error.view, reason=str(error))

    def _act(self, viewer: Viewer, message: messages.Message) -> str | None:
        if isinstance(message, Ack):
            viewer.ack(message.frame)
            if viewer.waits:
                self._schedule()
        elif isinstance(message, Open):
            return self._open(viewer, message)
        elif isinstance(message, Close):
            view = viewer.close(message.view)
            if view is not None:
                self._release(view)
        elif isinstance(message, Watch):
            viewer.watch(message.run, message.also)
            for run in (message.run, *message.also):
                if run is not None:
                    self.want(run)
            self._tell(viewer)
        elif isinstance(message, Board):
            viewer.seat.take(message.run if message.on else None)
            self._tell_board(viewer)
        else:
            return text_of("pong", t=message.t, now=wall_time())
        return None

    def _open(self, viewer: Viewer, message: Open) -> str:
        view = self._views.get(message.key)
        if view is None:
            if len(self._views) >= self.max_views:
                sentence = f"{self.max_views} views are open, the most this server allows"
                raise BadMessage("too many views", sentence, message.view)
            view = self._view_of(message.key)
            self._next_key += 1
        former = viewer.open(message.view, view)
        self._views[message.key] = view
        if former is not None:
            self._release(former)
        self._schedule()
        return text_of("opened", id=message.view, key=view.number)

    def _view_of(self, key: ViewKey | HeatKey) -> View:
        if isinstance(key, HeatKey):
            return HeatView(self._next_key, key)
        return LiveView(self._next_key, key, has_disk=self._disk is not None)

    def _release(self, view: View) -> None:
        """Drop a view that nobody watches."""
        if not any(viewer.watches(view) for viewer in self._viewers):
            self._views.pop(view.key, None)

    def _count_refused(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1

    # -- frames --------------------------------------------------------------------------------

    def tick(self) -> bool:
        """Refresh the views that changed and serve who can take it; say whether nothing is left."""
        refreshed = self._refresh()
        served = self._serve()
        # After the serving: what memory has is seen at once, what the disk has a moment later.
        if self._disk is not None and self._loop is not None:
            charts = [view for view in self._views.values() if isinstance(view, LiveView)]
            self._disk.read(charts, self._loop)
        return served and refreshed

    def _serve(self) -> bool:
        """Send who can take it what changed; say whether all of it went."""
        done = True
        now = wall_time()
        for viewer in list(self._viewers):
            if not viewer.waits:
                continue
            if viewer.behind:
                self._counters.add("viewer_frames_skipped_total")
                continue
            try:
                done = viewer.send_frame(now) and done
                self._counters.add("viewer_frames_sent_total")
            except Exception:  # a fault in one viewer's frame must not stop everybody's clock
                log.exception("a frame could not be made; its viewer is disconnected")
                viewer.channel.close(1011, "internal error")
                self.leave(viewer)
        return done

    def _refresh(self) -> bool:
        """Read the store for the views that changed, longest waiting first, for a while."""
        started = monotonic_time()
        stale = [
            view for view in self._views.values() if not view.reading and view.stale(self._store)
        ]
        heavy: list[View] = []
        done = True
        for view in sorted(stale, key=lambda view: view.refreshed_at):
            now = monotonic_time()
            if now - started > TICK_S:
                done = False
                break
            try:
                view.follow_workers(self._store, now)
                if view.heavy and self._loop is not None:
                    heavy.append(view)
                else:
                    self._note_read(view, view.refresh(self._store, now))
            except UnknownSeries:
                continue
            except Exception:  # a fault in one view must not stop everybody's clock
                log.exception(_FAULT, view.key)
                self._drop(view)
        if heavy and self._loop is not None:
            self._read_aside(heavy, self._loop)
        return done

    def _read_aside(self, views: list[View], loop: asyncio.AbstractEventLoop) -> None:
        """Refresh views on the reader thread, while the others go on at their pace.

        One job for all of them: going to and fro between the threads for each would cost as much
        as a reading.
        """
        for view in views:
            view.reading = True
        job = loop.run_in_executor(self._reader, self._read_all, views)

        def done(job: asyncio.Future[list[bool | Exception]]) -> None:
            for view in views:
                view.reading = False
            if job.cancelled() or self._loop is None:
                return
            # Those that there was no time for are stale still, and the first of the next tick.
            for view, found in zip(views, job.result(), strict=False):
                if isinstance(found, Exception):
                    log.error(_FAULT, view.key, exc_info=found)
                    self._drop(view)
                else:
                    self._note_read(view, found)
            # What was read goes out now, not with the next tick.
            self._serve()
            if any(view.stale(self._store) for view in views) or any(
                viewer.waits for viewer in self._viewers
            ):
                self._schedule()

        job.add_done_callback(done)

    def _read_all(self, views: list[View]) -> list[bool | Exception]:
        """Refresh views in turn for a while; return of each that was reached what came of it."""
        started = monotonic_time()
        found: list[bool | Exception] = []
        for view in views:
            now = monotonic_time()
            if found and now - started > TICK_S:
                break
            try:
                found.append(view.refresh(self._store, now))
            except Exception as error:  # noqa: BLE001 - of one view; the loop tells of it
                found.append(error)
        return found

    def _note_read(self, view: View, changed: bool) -> None:  # noqa: FBT001 - refresh's answer
        if changed and view.key.stop is None and view.newest is not None:
            self._reports.note_lag(view.key.run, monotonic_time(), view.newest)
            # Those of the machine come by the clock, also while no step is made.
            if not view.key.metric.startswith("system/"):
                self._reports.note_newest(view.key.run, view.newest)

    def _drop(self, view: View) -> None:
        """Give up a view that cannot be read; its viewers are told."""
        self._views.pop(view.key, None)
        for viewer in self._viewers:
            for view_id in viewer.forget(view):
                reason = "internal error, see the server's log"
                viewer.channel.send(text_of("refused", id=view_id, reason=reason))

    def beat(self) -> None:
        """Tell every viewer what changed about the runs, and how the one it watches is."""
        if not self._viewers:
            return
        self._reports.renew()
        for view in self._views.values():
            if not view.reading and isinstance(view, LiveView):
                view.take_gaps(self._store)
        self._boards.keep([viewer.seat for viewer in self._viewers])
        for viewer in list(self._viewers):
            # What a stuck viewer misses here is told as it is then, once it reads again.
            if not viewer.channel.busy():
                self._tell(viewer)

    def _tell(self, viewer: Viewer) -> None:
        for text in viewer.news(self._reports, len(self._viewers)):
            viewer.channel.send(text)
        self._tell_board(viewer)

    def _tell_board(self, viewer: Viewer) -> None:
        for text in self._boards.news(viewer.seat):
            viewer.channel.send(text)
