"""Whatever a viewer missed, one chunk brings it to where everybody is."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from screen import Screen

from streamviz.store import Gap, Store
from streamviz.views.encoding import frame_bytes
from streamviz.views.models import ViewKey
from streamviz.views.view import LiveView

POINTS = 16

happening = st.one_of(
    st.tuples(st.just("rows"), st.integers(0, 5), st.integers(0, 200), st.integers(1, 20)),
    st.tuples(st.just("gap"), st.integers(0, 5), st.integers(0, 200), st.integers(1, 20)),
    st.tuples(st.just("restart"), st.integers(0, 5), st.integers(0, 200), st.integers(1, 20)),
    st.tuples(st.just("look"), st.integers(0, 2), st.just(0), st.just(0)),
)


class Watching:
    """A view and three viewers that look at it at times of their own."""

    def __init__(self, mode: str) -> None:
        self.store = Store(8 << 20)
        self.view = LiveView(
            7, ViewKey("r", "m", "lines" if mode == "lines" else "band", None, None, None, POINTS)
        )
        self.screens = [Screen() for _ in range(3)]
        self.has = [0, 0, 0]
        self.attempts = dict.fromkeys(range(6), 0)
        self.now = 0.0

    def send(self, rank: int, first: int, count: int) -> None:
        """Append rows of a rank, out of order with all others."""
        worker = self.store.open_worker("r", rank, self.attempts[rank])
        table = self.store.open_table("r", ("m",))
        steps = np.arange(first, first + count, dtype=np.int64)
        values = np.where(steps % 7 == 3, np.nan, np.sin(steps + rank))
        self.store.append(table, worker, steps, steps.astype(np.float64), values[:, None])

    def refresh(self) -> None:
        """Read the store, a second later."""
        self.now += 1.0
        self.view.refresh(self.store, self.now)
        self.view.take_gaps(self.store)

    def look(self, i: int) -> None:
        """Bring one viewer up to date."""
        if self.has[i] != self.view.version:
            chunk = self.view.chunk(self.has[i])
            self.screens[i].take(frame_bytes(self.screens[i].frame + 1, 0.0, [chunk]))
            self.has[i] = self.view.version


@settings(deadline=None)
@given(st.sampled_from(["band", "lines"]), st.lists(happening, min_size=1, max_size=40))
def test_every_viewer_ends_with_the_same(
    mode: str, happenings: list[tuple[str, int, int, int]]
) -> None:
    """It equals what a viewer gets that comes last, and what the store says as a whole."""
    watching = Watching(mode)
    for kind, who, first, count in happenings:
        if kind == "rows":
            watching.send(who, first, count)
        elif kind == "gap":
            worker = watching.store.open_worker("r", who, watching.attempts[who])
            watching.store.add_gap("r", worker, Gap(first, first + count, 0.0, 0.0, count, "x"))
        elif kind == "restart":
            watching.attempts[who] += 1
            watching.send(who, first, count)
        watching.refresh()
        if kind == "look":
            watching.look(who)
    if watching.view.version == 0:
        return
    late = Screen()
    late.take(frame_bytes(1, 0.0, [watching.view.chunk(0)]))
    for i, screen in enumerate(watching.screens):
        watching.look(i)
        np.testing.assert_array_equal(screen.rows[7], late.rows[7])
        for name in ("v", "shift", "lines", "ranks", "gaps", "newest", "complete"):
            assert screen.meta[7][name] == late.meta[7][name]
    fresh = LiveView(7, watching.view.key)
    fresh._rows._standing_out = set(watching.view._rows._standing_out)
    fresh.refresh(watching.store, 0.0)
    fresh.take_gaps(watching.store)
    again = Screen()
    again.take(frame_bytes(1, 0.0, [fresh.chunk(0)]))
    assert again.meta[7]["gaps"] == late.meta[7]["gaps"]
    if (
        again.meta[7]["shift"] == late.meta[7]["shift"]
        and again.meta[7]["lines"] == late.meta[7]["lines"]
    ):
        np.testing.assert_allclose(again.rows[7], late.rows[7], rtol=1e-12, atol=1e-12)
