"""Heatmaps as the hub serves them: what a cell shows, what goes over the wire."""

from __future__ import annotations

import numpy as np
import pytest
from heatscreen import HeatScreen
from hypothesis import given
from hypothesis import strategies as st

from streamviz.store import Store
from streamviz.views.encoding import frame_bytes, read_frame
from streamviz.views.heat import Gauge, decode
from streamviz.views.heat_rows import Cells, HeatRows
from streamviz.views.heat_view import HeatKey, HeatView
from streamviz.views.messages import BadMessage, Open, parse_message
from streamviz.views.pace import TIME_PER_STEP


def put(store: Store, rank: int, steps: list[int], values: list[float], **more: object) -> None:
    """Append rows of one rank; a step takes a tenth of a second times ``pace``."""
    metric, attempt = str(more.get("metric", "m")), int(str(more.get("attempt", 0)))
    pace = float(str(more.get("pace", 1.0)))
    worker = store.open_worker("r", rank, attempt)
    store.append(
        store.open_table("r", (metric,)),
        worker,
        np.array(steps),
        1e9 + 0.1 * pace * np.array(steps, np.float64),
        np.array(values).reshape(-1, 1),
    )


def view(metric: str = "m", **more: object) -> HeatView:
    """Return a heatmap of every rank."""
    cells: Cells = "mean" if more.get("cells") == "mean" else "worst"
    points, rows = int(str(more.get("points", 64))), int(str(more.get("rows", 64)))
    relative = bool(more.get("relative"))
    return HeatView(1, HeatKey("r", metric, None, None, None, points, rows, cells, relative))


def shown(heat: HeatView) -> list[list[float]]:
    """Return what a newcomer is sent, rank by rank."""
    [(_, meta, values)] = read_frame(frame_bytes(1, 0.0, [heat.chunk(0)]))[2]
    n, rows = int(str(meta["n"])), int(str(meta["rows"]))
    codes = np.frombuffer(values.tobytes(), np.uint16, n * rows, 8 * n).reshape(n, rows)
    gauge = Gauge(float(str(meta["base"])), int(str(meta["exponent"])))
    return [[round(value, 4) for value in row] for row in decode(codes, gauge).T.tolist()]


def test_rows_are_ranks_and_columns_are_steps() -> None:
    """Each rank is a row of its own values."""
    store = Store(16 << 20)
    put(store, 1, [0, 1, 2], [1.0, 2.0, 3.0])
    put(store, 0, [0, 1, 2], [4.0, 5.0, 6.0])
    heat = view()

    assert heat.refresh(store, 0.0)

    assert shown(heat) == [[4.0, 5.0, 6.0], [1.0, 2.0, 3.0]]


def test_the_seconds_per_step_come_from_the_times_of_the_rows() -> None:
    """A rank that takes twice as long is shown with twice the seconds, from its second row on."""
    store = Store(16 << 20)
    put(store, 0, list(range(8)), [1.0] * 8)
    put(store, 1, list(range(8)), [1.0] * 8, pace=2.0)
    heat = view(TIME_PER_STEP)
    heat.refresh(store, 0.0)
    put(store, 0, [8, 10], [1.0, 1.0])
    heat.refresh(store, 1.0)

    fast, slow = shown(heat)

    assert np.isnan(fast[0])
    assert fast[1:] == pytest.approx([0.1] * 9, rel=1e-3)
    assert slow[1:8] == pytest.approx([0.2] * 7, rel=1e-3)


def test_half_a_bucket_is_no_fast_step() -> None:
    """The newest bucket's pace is right while only its first rows have come."""
    store = Store(16 << 20)
    heat = view(TIME_PER_STEP, points=8)
    for step in range(70):
        put(store, 0, [step], [1.0])
        heat.refresh(store, float(step))

    [row] = shown(heat)

    assert row[1:] == pytest.approx([0.1] * (len(row) - 1), rel=1e-2)


def test_a_spike_is_not_averaged_away() -> None:
    """In a bucket of many steps the extreme that stands out is shown; a mean if it is asked for."""
    store = Store(16 << 20)
    values = [float(step % 3) for step in range(512)]
    values[300] = 500.0
    put(store, 0, list(range(512)), values)
    worst, mean = view(points=64), view(points=64, cells="mean")

    worst.refresh(store, 0.0)
    mean.refresh(store, 0.0)

    assert max(shown(worst)[0]) == 500.0
    assert max(shown(mean)[0]) < 100.0
    assert sorted(shown(worst)[0])[:-1] == pytest.approx(sorted(shown(mean)[0])[:-1])


def test_nan_is_kept_and_absence_is_not_nan() -> None:
    """One NaN among many steps marks its bucket; where a rank sent nothing there is nothing."""
    store = Store(16 << 20)
    values = [1.0] * 512
    values[200] = float("nan")
    put(store, 0, list(range(512)), values)
    put(store, 1, list(range(256)), [1.0] * 256)
    heat = view(points=64)
    heat.refresh(store, 0.0)
    [(_, meta, raw)] = read_frame(frame_bytes(1, 0.0, [heat.chunk(0)]))[2]
    n = int(str(meta["n"]))

    codes = np.frombuffer(raw.tobytes(), np.uint16, 2 * n, 8 * n).reshape(n, 2)

    assert (codes[:, 0] == 0x7E00).sum() == 1
    assert (codes[:, 1] == 0x7FFF).sum() == n // 2


def test_the_difference_between_ranks_is_from_the_median_of_each_step() -> None:
    """What all ranks share is taken out."""
    store = Store(16 << 20)
    for rank in range(5):
        put(store, rank, [0, 1, 2], [10.0 + (rank == 3), 5.0, 1.0 - (rank == 1)])
    heat = view(relative=True)

    heat.refresh(store, 0.0)

    assert shown(heat)[3] == [1.0, 0.0, 0.0]
    assert shown(heat)[1] == [0.0, 0.0, -1.0]


def test_a_restarted_rank_keeps_its_row() -> None:
    """Steps that only an earlier attempt of a rank has are shown in the same row."""
    store = Store(16 << 20)
    put(store, 0, [0, 1, 2], [1.0, 2.0, 3.0])
    put(store, 0, [2, 3], [30.0, 40.0], attempt=1)
    heat = view()

    heat.refresh(store, 0.0)

    assert shown(heat) == [[1.0, 2.0, 30.0, 40.0]]


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 11), min_size=1, max_size=6),  # who is heard
            st.integers(1, 3),  # of how many steps
            st.booleans(),  # whether the page keeps up
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from(["mean", "worst"]),
    st.booleans(),
)
def test_a_page_that_is_sent_what_changed_has_the_whole(
    heard: list[tuple[list[int], int, bool]],
    cells: str,
    relative: bool,  # noqa: FBT001 - drawn by the strategy
) -> None:
    """Whoever is heard when, and whether or not an update was missed."""
    store = Store(16 << 20)
    heat = view(points=16, rows=8, cells=cells, relative=relative)
    page, at = HeatScreen(), [0] * 12
    for turn, (ranks, steps, keeps_up) in enumerate(heard):
        for rank in ranks:
            begin, at[rank] = at[rank], at[rank] + steps
            values = [float((7 * rank + 3 * step) % 11) for step in range(begin, at[rank])]
            put(store, rank, list(range(begin, at[rank])), values)
        heat.refresh(store, float(turn))
        if keeps_up and page.version != heat.version:
            page.take(heat.chunk(page.version))
            whole = HeatScreen()
            whole.take(heat.chunk(0))
            np.testing.assert_array_equal(page.codes, whole.codes)


def test_ranks_that_are_heard_in_turns_cost_what_they_bring() -> None:
    """Of five columns that fill up, only the cells that did so are sent."""
    store = Store(64 << 20)
    heat = view(points=64, rows=1024)
    sizes = []
    for turn in range(40):
        first = 4 * (turn // 4)
        for rank in range(turn % 4, 1024, 4):
            put(store, rank, [first, first + 1, first + 2, first + 3], [float(rank)] * 4)
        heat.refresh(store, float(turn))
        sizes.append(len(heat.chunk(heat.version - 1)))

    assert np.median(sizes[8:]) < 2048 + 1024 // 8 * 5 + 400


def test_an_update_of_a_thousand_ranks_is_small() -> None:
    """One new step of 1,024 ranks costs two bytes a rank and a few hundred around them."""
    store = Store(64 << 20)
    heat = view(points=64, rows=1024)
    for step in range(12):
        for rank in range(1024):
            put(store, rank, [step], [float(rank)])
        heat.refresh(store, float(step))
        before = heat.version - 1

    assert len(heat.chunk(before)) < 2048 + 300


def test_more_ranks_than_rows_are_folded() -> None:
    """Two ranks a row: the row names both, and shows the one that differs."""
    store = Store(16 << 20)
    for rank in range(16):
        put(store, rank, [0, 1], [1.0, 9.0 if rank == 5 else 1.0])
    heat = view(rows=8)

    heat.refresh(store, 0.0)

    [(_, meta, _)] = read_frame(frame_bytes(1, 0.0, [heat.chunk(0)]))[2]
    assert meta["fold"] == 2
    assert meta["ranks"] == [[i, i + 1] for i in range(0, 16, 2)]
    assert shown(heat)[2] == [1.0, 9.0]


def test_values_that_drift_away_are_coded_anew() -> None:
    """When the colours' range becomes finer than the codes, all is read again."""
    store = Store(16 << 20)
    heat = view(points=512, rows=8)
    for step in range(300):
        for rank in range(4):
            put(store, rank, [step], [1000.0 + rank if step < 2 else 1e-3 * rank])
        heat.refresh(store, 2.0 * step)
    assert len(shown(heat)[0]) == 300

    assert shown(heat)[3][-1] == pytest.approx(3e-3, abs=2e-4)


def test_what_a_page_asks_is_checked() -> None:
    """Unknown kinds and cells are refused with what is expected."""
    ask = '{"op":"view","id":1,"kind":%s,"run":"r","metric":"m","points":64,"rows":64,"cells":%s,"relative":false}'  # noqa: E501
    opened = parse_message(ask % ('"heat"', '"mean"'))
    assert isinstance(opened, Open)
    assert isinstance(opened.key, HeatKey)

    with pytest.raises(BadMessage, match="'chart' or 'heat'"):
        parse_message(ask % ('"pie"', '"mean"'))
    with pytest.raises(BadMessage, match="'worst' or 'mean'"):
        parse_message(ask % ('"heat"', '"best"'))


def test_rows_without_anything_have_a_scale() -> None:
    """A heatmap that nobody has sent a value for can be encoded."""
    rows = HeatRows(8, "worst")
    assert rows.rescale() in (False, True)
    assert len(rows) == 0
