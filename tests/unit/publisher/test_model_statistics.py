"""What is reduced of tensors: the same as by the plain formula, on either side of a device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("torch")

import torch

from streamviz.publisher.model import bins_of
from streamviz.publisher.model import histograms as module
from streamviz.publisher.model.histograms import BINS, binned
from streamviz.publisher.model.statistics import (
    SAMPLE,
    Activations,
    flat_of,
    norms_of,
    samples_of,
)

pytestmark = pytest.mark.torch

WAYS = {"here": module._binned_here, "on a device": module._binned_there}


@pytest.fixture(params=["histc", "deterministic"])
def _mode(request: pytest.FixtureRequest) -> Iterator[None]:
    """The two ways in which a device counts."""
    torch.use_deterministic_algorithms(request.param == "deterministic")
    yield
    torch.use_deterministic_algorithms(False)  # noqa: FBT003 - torch's signature


def checked(numbers: list[float], values: np.ndarray) -> None:
    """Compare a histogram with its values."""
    finite = values[np.isfinite(values)].astype(np.float64)
    found = bins_of(numbers)
    if not finite.size:
        assert found is None
        assert numbers[-1] == values.size
        return
    assert found is not None
    assert (found.low, found.high) == (finite.min(), finite.max())
    assert found.counts.sum() == found.count == finite.size
    assert found.not_finite == values.size - finite.size
    assert found.total == pytest.approx(finite.sum(), rel=1e-5, abs=1e-5 * np.abs(finite).sum())
    assert found.squares == pytest.approx((finite**2).sum(), rel=1e-4, abs=1e-300)
    assert (np.diff(found.edges) > 0).all()
    assert found.edges[0] <= found.low <= found.high <= found.edges[-1]
    # Of one value on an edge either side may have it; no other is in a wrong bin.
    width = found.edges[1] - found.edges[0]
    near = 1e-3 * width + 1e-6 * max(abs(found.low), abs(found.high))
    below = np.cumsum(found.counts)[:-1]
    for edge, count in zip(found.edges[1:-1], below, strict=True):
        assert (finite < edge - near).sum() <= count <= (finite <= edge + near).sum()


floats = st.floats(width=32, allow_nan=True, allow_infinity=True) | st.floats(-1, 1, width=32)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=40, deadline=None)
@given(values=arrays(np.float32, st.integers(1, 40), elements=floats))
def test_a_histogram_is_that_of_all_finite_values(way: str, values: np.ndarray) -> None:
    """Whatever the values are: counts, sums, extremes and what is not finite come out."""
    checked(WAYS[way](torch, torch.from_numpy(values)).tolist(), values)


@pytest.mark.usefixtures("_mode")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_a_large_histogram_is_made_of_parts(
    way: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one part and rows that do not come out even change nothing, in any precision."""
    monkeypatch.setattr(module, "_PART", 9_000)
    monkeypatch.setattr(module, "_PART_HERE", 7_000)
    values = torch.randn(50_001, generator=torch.Generator().manual_seed(0))
    values[[3, 40_000, 7]] = torch.tensor([math.nan, math.inf, -math.inf])
    tensor = values.to(getattr(torch, dtype))

    checked(WAYS[way](torch, tensor).tolist(), tensor.double().numpy())


def test_a_histogram_needs_no_copy_of_another_layout() -> None:
    """A tensor whose axes are permuted is binned as it lies."""
    tensor = torch.randn(4, 3, 5, 6).to(memory_format=torch.channels_last)

    assert flat_of(tensor).data_ptr() == tensor.data_ptr()
    assert torch.equal(binned(torch, tensor)[:BINS], binned(torch, tensor.contiguous())[:BINS])


def test_all_of_one_value_is_one_bin() -> None:
    """Its edges are apart all the same."""
    for value in (0.0, 2.0, -1e10, 1e-30):
        found = bins_of(binned(torch, torch.full((7,), value)).tolist())
        assert found is not None
        assert found.low == found.high == pytest.approx(value)
        assert max(found.counts) == 7
        assert len(found.counts) == BINS
        assert (np.diff(found.edges) > 0).all()


@pytest.mark.parametrize("dtypes", [["float32"], ["bfloat16"], ["float16", "float32", "float64"]])
def test_norms_are_in_single_precision_at_least(dtypes: list[str]) -> None:
    """Half precision does not overflow: the norm of 300 times 1000 is no infinity."""
    tensors = [torch.full((300,), 1000.0).to(getattr(torch, dtype)) for dtype in dtypes]

    found = norms_of(torch, [*tensors, torch.zeros(0, dtype=tensors[0].dtype)])

    assert found.dtype == torch.float32
    assert found.tolist() == pytest.approx([1000 * 300**0.5] * len(dtypes) + [0], rel=1e-2)


def test_a_sample_sees_every_column() -> None:
    """It has at most so many elements, the same ones each time, and no stride with the rows."""
    wide = torch.arange(1024.0).repeat(1024, 1)
    small = torch.arange(10.0)

    sample, sizes = samples_of(torch, [wide, small])

    assert sizes[1] == 10
    assert SAMPLE * 0.9 < sizes[0] <= SAMPLE
    assert len(set(sample[: sizes[0]].tolist())) == 1024
    assert torch.equal(sample, samples_of(torch, [wide.clone(), small])[0])


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_an_activation_far_from_zero_keeps_its_deviation(dtype: str) -> None:
    """The deviation of what lies around 1,000 is right, as is the share of zeros."""
    values: Any = torch.randn(4_000, generator=torch.Generator().manual_seed(0)) + 1000
    values[:1000] = 0
    values = values.to(getattr(torch, dtype))
    known = values.double().clone()
    found = Activations(torch)
    found.add("first", values)
    found.add("second", values * 2)
    values.zero_()  # as a layer in place would

    told = {kind: (names, vector.tolist()) for kind, names, vector in found.rows()}

    assert {tuple(names) for names, _ in told.values()} == {("first", "second")}
    mean, deviation = float(known.mean()), float(known.std(correction=0))
    assert told["act_mean"][1] == pytest.approx([mean, 2 * mean], rel=1e-4)
    assert told["act_std"][1] == pytest.approx([deviation, 2 * deviation], rel=1e-4)
    assert told["act_zero"][1] == pytest.approx([0.25, 0.25])


def test_one_bad_element_of_many_is_seen() -> None:
    """What is sampled is the deviation, not whether all is well; the sample is near the whole."""
    values = torch.randn(500, 1000, generator=torch.Generator().manual_seed(0)).relu()
    bad = values.clone()
    bad[123, 45] = math.nan
    found = Activations(torch)
    found.add("good", values)
    found.add("bad", bad)

    told = {kind: vector.tolist() for kind, _, vector in found.rows()}

    assert math.isnan(told["act_mean"][1])
    assert told["act_mean"][0] == pytest.approx(float(values.mean()), rel=1e-4)
    assert told["act_std"][0] == pytest.approx(float(values.std()), rel=0.05)
    assert told["act_zero"][0] == pytest.approx(0.5, abs=0.03)
