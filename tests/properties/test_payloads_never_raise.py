"""The law of payloads: whatever is passed, nothing is raised, and what is not sent is counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from payloads_caught import Caught

from streamviz.wire.kinds import limit_of


@pytest.fixture(scope="module")
def caught() -> Iterator[Caught]:
    """A publisher whose items are caught, for all examples."""
    found = Caught()
    yield found
    found.close()


TYPES = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(),
    arrays.floating_dtypes(sizes=(16, 32, 64)),
    arrays.complex_number_dtypes(),
    arrays.datetime64_dtypes(),
    arrays.unicode_string_dtypes(max_len=3),
)
SHAPES = arrays.array_shapes(min_dims=0, max_side=9)
ARRAYS = TYPES.flatmap(lambda kind: arrays.arrays(kind, SHAPES))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.complex_numbers(),
    st.datetimes(),
)
ANYTHING = st.one_of(
    ARRAYS,
    SCALARS,
    st.lists(st.floats(), max_size=9),
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.tuples(inner, inner),
            st.dictionaries(st.text(max_size=4), inner, max_size=4),
        ),
        max_leaves=8,
    ),
    st.builds(object),
)
KINDS = ["line", "bar", "scatter", "hist", "pie", "heatmap", "box", "confusion"]
NAMES = st.one_of(st.just("name"), ANYTHING)
STEPS = st.one_of(st.none(), st.integers(0, 9), ANYTHING)
CALLS = st.one_of(
    st.tuples(st.just("histogram"), st.tuples(NAMES, ANYTHING, STEPS), st.just({})),
    st.tuples(
        st.just("histogram"),
        st.tuples(NAMES, ARRAYS),
        st.fixed_dictionaries(
            {"bins": st.one_of(ANYTHING, st.sampled_from(["auto", "tensorflow"]))}
        ),
    ),
    st.tuples(st.just("histogram_raw"), st.tuples(NAMES, ANYTHING, ANYTHING), st.just({})),
    st.tuples(
        st.just("image"),
        st.tuples(NAMES, ANYTHING, STEPS),
        st.fixed_dictionaries(
            {},
            optional={
                "layout": st.one_of(st.sampled_from(["CHW", "NHWC", "NCHW", "HW"]), ANYTHING),
                "boxes": ANYTHING,
                "labels": ANYTHING,
                "caption": ANYTHING,
                "rescale": ANYTHING,
            },
        ),
    ),
    st.tuples(st.just("text"), st.tuples(NAMES, ANYTHING, STEPS), st.just({})),
    st.tuples(st.just("table"), st.tuples(NAMES, ANYTHING, ANYTHING, STEPS), st.just({})),
    st.tuples(
        st.just("chart"),
        st.tuples(NAMES, st.one_of(st.sampled_from(KINDS), ANYTHING)),
        st.fixed_dictionaries({"x": ANYTHING, "y": ANYTHING}, optional={"labels": ANYTHING}),
    ),
    st.tuples(st.just("figure"), st.tuples(NAMES, ANYTHING), st.just({})),
    st.tuples(st.just("pr_curve"), st.tuples(NAMES, ANYTHING, ANYTHING), st.just({})),
    st.tuples(st.just("pr_curve_raw"), st.tuples(NAMES, ANYTHING, STEPS), st.just({})),
    st.tuples(st.just("hparams"), st.tuples(ANYTHING, ANYTHING), st.just({})),
    st.tuples(st.just("layout"), st.tuples(ANYTHING), st.just({})),
    st.tuples(st.just("tensor"), st.tuples(NAMES, ANYTHING), st.just({"time": "noon"})),
)


@given(call=CALLS)
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_nothing_is_raised_and_what_is_not_sent_is_counted(
    caught: Caught, call: tuple[str, tuple[Any, ...], dict[str, Any]]
) -> None:
    """Each call is one item that the server can read and that fits, or one that is counted."""
    method, arguments, how = call
    before = {**caught.refused}
    before.pop("values that are not finite", None)
    caught.notes.clear()

    with np.errstate(all="warn"):
        getattr(caught.publisher, method)(*arguments, **how)

    after = {**caught.refused}
    after.pop("values that are not finite", None)
    refused = sum(after.values()) - sum(before.values())
    assert (len(caught.notes), refused) in ((1, 0), (0, 1))
    if caught.notes:
        note = caught.notes[0][2]
        assert len(note.body) <= limit_of(note.kind).body
        caught.body()
        if note.kind == "image":
            caught.media()
