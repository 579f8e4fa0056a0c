"""Whatever a user calls a number, as a float; and what is none, told why."""

from __future__ import annotations

import decimal
import enum
import fractions
import math
from typing import Any

import numpy as np
import pytest

from streamviz.publisher.values import (
    DeviceValue,
    Unusable,
    capture,
    immutable_types,
    shown,
    snapshot,
    whole_step,
)


class Level(enum.IntEnum):
    """An integer with a name."""

    LOW = 1


class Floats:
    """A number by its ``__float__``."""

    def __init__(self, result: object) -> None:
        self._result = result

    def __float__(self) -> float:
        if isinstance(self._result, Exception):
            raise self._result
        return self._result  # type: ignore[return-value] # the point of some tests


class Indexes:
    """A number by its ``__index__``."""

    def __index__(self) -> int:
        return 7


class Slippery:
    """An object that raises at every look."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class SlipperyFloat(float):
    """A float whose value cannot be had."""

    def __float__(self) -> float:
        raise RuntimeError


KINDS = [np.dtype(code).type for code in "?bBhHiIlLqQefdg"]

NUMBERS: list[tuple[object, float]] = [
    (0.5, 0.5),
    (-0.0, -0.0),
    (math.inf, math.inf),
    (math.nan, math.nan),
    (3, 3.0),
    (2**53 + 1, float(2**53)),
    (-(10**300), -1e300),
    (True, 1.0),
    (False, 0.0),
    (Level.LOW, 1.0),
    (Indexes(), 7.0),
    (Floats(2.5), 2.5),
    (decimal.Decimal("0.25"), 0.25),
    (fractions.Fraction(1, 4), 0.25),
    *((kind(1), 1.0) for kind in KINDS),
    (np.float32(0.1), float(np.float32(0.1))),
    (np.float16("nan"), math.nan),
    (np.longdouble("1e4000"), math.inf),
    (np.array(0.5), 0.5),
    (np.array([0.5]), 0.5),
    (np.array([[[7]]], dtype=np.int8), 7.0),
    (np.array([True]), 1.0),
    (np.array([1.5], dtype=object), 1.5),
    (memoryview(b"x")[0], 120.0),
]

UNUSABLE: list[tuple[object, str]] = [
    (None, "not a number"),
    ("0.5", "not a number"),
    (b"0.5", "not a number"),
    (bytearray(b"1"), "not a number"),
    (1 + 2j, "not a number"),
    (np.complex64(1), "not a number"),
    (np.array(1j), "not a number"),
    ([1.0], "not a number"),
    ((), "not a number"),
    ({}, "not a number"),
    (object(), "not a number"),
    (float, "not a number"),
    (np.str_("1"), "not a number"),
    (np.bytes_(b"1"), "not a number"),
    (np.array("1"), "not a number"),
    (np.array(b"1"), "not a number"),
    (np.array([None]), "not a number"),
    (np.datetime64("2020-01-01"), "not a number"),
    (np.timedelta64("NaT"), "not a number"),
    (np.array([1.0, 2.0]), "more than one element"),
    (np.zeros((3, 3)), "more than one element"),
    (np.array([]), "no element"),
    (10**400, "too large for a float"),
    (np.array([10**400], dtype=object), "too large for a float"),
    (Floats(ValueError("no")), "not a number"),
    (Floats(OverflowError()), "too large for a float"),
    (Floats("text"), "not a number"),
    (SlipperyFloat(1), "not a number"),
]


def same(left: float | DeviceValue, right: float) -> bool:
    """Return whether two floats are one number, NaN included."""
    assert type(left) is float
    return (left == right and math.copysign(1, left) == math.copysign(1, right)) or (
        math.isnan(left) and math.isnan(right)
    )


@pytest.mark.parametrize(("value", "expected"), NUMBERS, ids=lambda value: repr(value)[:24])
def test_a_number_is_taken(value: object, expected: float) -> None:
    """Every kind of number becomes a plain float."""
    assert same(capture(value), expected)


@pytest.mark.parametrize(("value", "reason"), UNUSABLE, ids=lambda value: repr(value)[:15])
def test_what_is_no_number_says_why(value: object, reason: str) -> None:
    """What cannot be used is refused in the words it is counted under."""
    with pytest.raises(Unusable) as caught:
        capture(value)

    assert str(caught.value) == reason


def test_one_bad_value_leaves_the_others() -> None:
    """The other metrics of a call are kept, in order, and each bad one is named with its reason."""
    metrics = {"a": 1.0, "b": "text", "c": np.array([1, 2]), "d": np.float32(2), "e": Slippery()}

    taken, pending, unusable = snapshot(metrics)

    assert list(taken.items()) == [("a", 1.0), ("d", 2.0)]
    assert pending == []
    assert unusable == {"b": "not a number", "c": "more than one element", "e": "not a number"}


def test_a_value_is_as_it_was_at_the_call() -> None:
    """An array changed in place right after is of no consequence."""
    value = np.array([1.0])
    taken, _, _ = snapshot({"a": value})
    value += 41

    assert taken == {"a": 1.0}


def test_what_needs_no_copy_cannot_change() -> None:
    """The types of the hot path are the immutable scalars; no arrays and no objects."""
    types = immutable_types()

    assert {float, int, bool, *KINDS} <= types
    assert not types & {np.ndarray, np.complex128, np.str_, np.object_, np.datetime64}
    assert np.timedelta64 not in types
    assert Level not in types
    assert all(float(kind(1)) == 1.0 for kind in types)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("loss", "loss"), ("x" * 500, "x" * 80), (7, "<int>"), (Slippery(), "<Slippery>")],
    ids=["text", "long", "number", "slippery"],
)
def test_any_name_can_be_told(name: object, expected: str) -> None:
    """Naming a metric in a message asks nothing of objects that are no text."""
    assert shown(name) == expected


def test_a_bad_value_under_a_bad_name_is_told() -> None:
    """A name that is no text does not hide the other metrics."""

    class Key:
        def __repr__(self) -> str:
            raise RuntimeError

    metrics: dict[Any, object] = {Key(): "text", "a": np.array(1)}
    taken, _, unusable = snapshot(metrics)

    assert taken == {"a": 1.0}
    assert unusable == {"<Key>": "not a number"}


class Event:
    """A device's event that happens when the test says so."""

    def __init__(self) -> None:
        self.happened: bool | Exception = False

    def query(self) -> bool:
        """Say whether it happened; a broken device raises."""
        if isinstance(self.happened, Exception):
            raise self.happened
        return self.happened


def test_a_value_on_its_way_is_asked_for_not_waited_for() -> None:
    """A device value is ready when its event says so, and then is what was copied."""
    event, host = Event(), np.array(0.0)
    value = DeviceValue(host, event)
    assert not value.is_ready()
    host[...] = 2.5
    event.happened = True

    assert value.is_ready()
    assert float(value) == 2.5


def test_a_value_lost_by_its_device_is_unusable() -> None:
    """A device that fails makes its values unusable, and nothing wait or raise."""
    event = Event()
    value = DeviceValue(np.array(0.0), event)
    event.happened = RuntimeError("CUDA error: device-side assert triggered")

    assert value.is_ready()
    assert value.is_ready()
    with pytest.raises(Unusable, match="lost by its device"):
        capture(value)


# -- torch ---------------------------------------------------------------------------------


@pytest.fixture
def torch() -> Any:
    """Return torch, if it is here."""
    return pytest.importorskip("torch")


@pytest.mark.torch
def test_a_tensor_of_one_element_is_taken(torch: Any) -> None:
    """CPU tensors of every real type and shape of one element, with or without a gradient."""
    for kind in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    ):
        assert same(capture(torch.tensor(1, dtype=kind)), 1.0)
        assert same(capture(torch.ones(1, 1, 1, dtype=kind)), 1.0)
    assert same(capture(torch.tensor(2.0, requires_grad=True) * 3), 6.0)
    assert same(capture(torch.nn.Parameter(torch.tensor([0.5]))), 0.5)
    assert same(capture(torch.tensor(math.nan)), math.nan)


@pytest.mark.torch
def test_a_tensor_is_as_it_was_at_the_call(torch: Any) -> None:
    """A running loss that is reset in place right after is what it was."""
    loss = torch.tensor(3.0)
    taken, _, _ = snapshot({"loss": loss})
    loss.zero_()

    assert taken == {"loss": 3.0}


@pytest.mark.torch
def test_other_tensors_say_why(torch: Any) -> None:
    """Tensors of more or no elements, without data, complex or distributed are refused."""

    class Distributed(torch.Tensor):  # type: ignore[misc] # torch is Any here
        def to_local(self) -> Any:
            return self

    for value, reason in [
        (torch.zeros(2), "more than one element"),
        (torch.zeros(0), "no element"),
        (torch.zeros(1, device="meta"), "on meta, which cannot be read without waiting for it"),
        (torch.tensor(1j), "not a number"),
        (Distributed(), "no element"),
        (torch.ones(1).as_subclass(Distributed), "a distributed tensor: send tensor.to_local()"),
    ]:
        with pytest.raises(Unusable) as caught:
            capture(value)
        assert str(caught.value) == reason


def test_a_step_on_a_device_is_refused() -> None:
    """A step that could only be read by waiting for its device is refused, others are integers."""

    class OnDevice:
        class device:  # noqa: N801
            type = "cuda"

        def __index__(self) -> int:
            raise AssertionError("read")

    with pytest.raises(Unusable, match="device"):
        whole_step(OnDevice())
    assert whole_step(np.int32(7)) == 7
