"""A heatmap's cells: codes keep values, NaN and absence apart; tails add up to the whole."""

from __future__ import annotations

import numpy as np
from heatscreen import HeatScreen
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streamviz.store import Store
from streamviz.views.encoding import Floats
from streamviz.views.heat import ABSENT, BAD, Gauge, decode, encode, fold, gauge_of, scale_of
from streamviz.views.heat_view import HeatKey, HeatView
from streamviz.views.versions import Versions

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)
CELLS = hnp.arrays(np.float64, SHAPES, elements=FINITE)
KINDS = st.sampled_from(["value", "bad", "absent"])


@given(CELLS, st.data())
def test_a_value_comes_back_near_and_marks_come_back_as_they_are(
    values: Floats, data: st.DataObject
) -> None:
    """A decoded value is off by 1/2048 of its distance from the base, at most; marks are exact."""
    kind = data.draw(hnp.arrays("U8", values.shape, elements=KINDS))
    bad, absent = kind == "bad", kind == "absent"
    gauge = gauge_of(np.where(bad | absent, np.nan, values))

    codes = encode(values, bad, absent, gauge)
    back = decode(codes, gauge)

    assert (codes[bad] == BAD).all()
    assert (codes[absent] == ABSENT).all()
    shown = ~(bad | absent)
    assert not np.isnan(back[shown]).any(), "a value is never mistaken for NaN"
    held = shown & np.isfinite(back)
    with np.errstate(over="ignore"):
        far = np.abs(values - gauge.base)
        allowed = far / 2048 + np.ldexp(1.0, gauge.exponent - 24)
        allowed += 4 * np.finfo(np.float64).eps * (np.abs(values) + abs(gauge.base))
    assert (np.abs(back - values) <= allowed)[held].all()
    out = shown & np.isinf(back)
    assert (np.sign(back[out]) == np.sign(values[out] - gauge.base)).all()


@given(st.floats(-1e6, 1e6), st.integers(-20, 20), st.integers(0, 49))
def test_an_extreme_lies_beyond_the_ends_of_the_colours(
    middle: float, size: int, where: int
) -> None:
    """A value far off the others is outside of the scale, and so is drawn as out of range."""
    spread = 2.0**size
    values = middle + spread * np.linspace(-1, 1, 1_000).reshape(20, 50)
    values[7, where] = middle + 200 * spread
    none = np.zeros(values.shape, np.bool_)
    gauge = gauge_of(values)

    codes = encode(values, none, none, gauge)
    scale = scale_of(codes, gauge)

    if scale is None:
        # Doubles themselves lie too far apart there.
        assert np.spacing(abs(middle)) > spread / 1e6
        return
    assert scale.lo <= scale.mid <= scale.hi
    assert scale.hi < middle + 2 * spread
    assert decode(codes, gauge)[7, where] > scale.hi + (scale.hi - scale.lo)


@given(CELLS, st.integers(1, 5), st.data())
def test_a_folded_row_shows_the_furthest_and_hides_no_mark(
    values: Floats, size: int, data: st.DataObject
) -> None:
    """Of the ranks of a bin the one furthest from the column's median is shown, and any NaN."""
    values = np.clip(values, -1e100, 1e100)
    kind = data.draw(hnp.arrays("U8", values.shape, elements=KINDS))
    bad, absent = kind == "bad", kind == "absent"

    shown, some_bad, all_absent = fold(values, bad, absent, size)

    columns, rows = values.shape
    assert shown.shape == (columns, -(-rows // size))
    for column in range(columns):
        usable = ~(bad | absent)[column]
        middle = np.median(values[column][usable]) if usable.any() else 0.0
        for row in range(shown.shape[1]):
            of = slice(row * size, (row + 1) * size)
            assert some_bad[column, row] == bad[column, of].any()
            assert all_absent[column, row] == absent[column, of].all()
            held = values[column, of][usable[of]]
            if held.size:
                assert shown[column, row] in held
                assert abs(shown[column, row] - middle) == np.abs(held - middle).max()


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=1, max_size=90), st.data())
def test_what_is_sent_since_a_version_covers_every_change(
    changes: list[int | None], data: st.DataObject
) -> None:
    """Whoever has a version and replaces the rows from the answer on has the current ones."""
    versions = Versions()
    for change in changes:
        versions.advance(change)
    has = data.draw(st.integers(0, len(changes) - 1))

    first = versions.since(has)

    missed = changes[has:]
    if has == 0 or None in missed:
        assert first is None
    else:
        assert first is None or all(change is not None and first <= change for change in missed)


AGAINST = st.sampled_from(["nothing", "ranks"])
ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 60), st.one_of(st.just(np.nan), st.floats(-9, 9))),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60)
@given(st.lists(ROWS, min_size=1, max_size=6), AGAINST, st.sampled_from([8, 64]))
def test_tails_add_up_to_what_a_newcomer_sees(
    batches: list[list[tuple[int, int, float]]], against: str, points: int
) -> None:
    """A page that was there all along has the cells of one that opens the heatmap at the end."""
    store = Store(16 << 20)
    key = HeatKey("r", "m", None, None, None, points, 64, "mean", against == "ranks")
    early, page = HeatView(1, key), HeatScreen()
    for now, batch in enumerate(batches):
        for rank, step, value in batch:
            table = store.open_table("r", ("m",))
            worker = store.open_worker("r", rank, 0)
            store.append(
                table, worker, np.array([step]), np.array([1e9 + step]), np.array([[value]])
            )
        if early.refresh(store, float(now)):
            page.take(early.chunk(page.version))
    late = HeatView(2, key)
    assert late.refresh(store, 1e6)

    whole = HeatScreen()
    whole.take(late.chunk(0))

    assert page.steps.tolist() == whole.steps.tolist()
    ours, theirs = (
        decode(one.codes, Gauge(one.meta["base"], one.meta["exponent"])) for one in (page, whole)
    )
    assert ((page.codes == ABSENT) == (whole.codes == ABSENT)).all()
    assert ((page.codes == BAD) == (whole.codes == BAD)).all()
    finite = np.isfinite(ours) & np.isfinite(theirs)
    np.testing.assert_allclose(ours[finite], theirs[finite], atol=0.05)
