"""Whatever a user calls a number, as a float; and device tensors without waiting for the device.

Law: nothing here waits. A value on a CUDA device is copied to pinned memory in stream order, and
whoever needs it asks whether the copy is done.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

__all__ = [
    "DeviceValue",
    "Unusable",
    "capture",
    "immutable_types",
    "shown",
    "snapshot",
    "whole_step",
]


class Unusable(Exception):
    """A value cannot be used; the argument says why, in the words it is counted under.

    Attributes:
        detail: What was found and what to do, for whoever is to mend it.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


class DeviceValue:
    """A scalar on its way from a CUDA device into pinned host memory."""

    __slots__ = ("_event", "_host")

    def __init__(self, host: Any, event: Any) -> None:
        self._host = host
        self._event = event

    def is_ready(self) -> bool:
        """Return whether the copy is done, or never will be, without waiting."""
        if self._event is None:
            return True
        try:
            return bool(self._event.query())
        except Exception:  # noqa: BLE001 - a device that fails is for the training to report
            self._event = None
            return True

    def __float__(self) -> float:
        if self._event is None:
            raise Unusable("lost by its device")
        return float(self._host.item())


def immutable_types() -> frozenset[type]:
    """Return the types whose values need no copy: a later change cannot reach them."""
    types: set[type] = {float, int, bool}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        types.update(
            kind
            for kind in numpy.sctypeDict.values()
            if issubclass(kind, (numpy.number, numpy.bool_))
        )
        odd = (numpy.complexfloating, numpy.timedelta64)
        types = {kind for kind in types if not issubclass(kind, odd)}
    return frozenset(types)


def whole_step(step: Any) -> int:
    """Return a step that is no plain ``int``, such as a NumPy integer or a CPU tensor.

    Raises:
        Unusable: It lies on a device, where it cannot be read without waiting.
    """
    if getattr(getattr(step, "device", None), "type", "cpu") != "cpu":
        raise Unusable("a step on a device: send step.item() of your own accord")
    return int(step.__index__())


def snapshot(
    metrics: Mapping[str, Any],
) -> tuple[dict[str, float | DeviceValue], list[DeviceValue], dict[str, str]]:
    """Return the values as they are now.

    Args:
        metrics: Names to numbers of any kind.

    Returns:
        The usable values in order; those among them that still are on their way; and why the
        others are unusable, by name.
    """
    taken: dict[str, float | DeviceValue] = {}
    unusable: dict[str, str] = {}
    copies: _Copies | None = None
    tensor_type = getattr(sys.modules.get("torch"), "Tensor", None)
    for name, value in metrics.items():
        # The two kinds that a training loop sends at every step need no more than this.
        if type(value) is float:
            taken[name] = value
            continue
        try:
            if type(value) is tensor_type and value.is_cpu and value.numel() == 1:
                taken[name] = float(value.item())
            else:
                copies = copies or _Copies()
                taken[name] = capture(value, copies)
        except Unusable as reason:
            unusable[shown(name)] = str(reason)
        except Exception:  # noqa: BLE001 - promise 1: whatever an object raises stays here
            unusable[shown(name)] = "not a number"
    if copies is None:
        return taken, [], unusable
    copies.record()
    return taken, copies.values, unusable


def shown(name: object) -> str:
    """Return a metric's name for a message; of what is no text, only its type."""
    return name[:80] if type(name) is str else f"<{type(name).__name__}>"


def capture(value: object, copies: _Copies | None = None) -> float | DeviceValue:
    """Return a value as a float, or as a copy under way.

    Raises:
        Unusable: It is no number, has more than one element, or is on a device that cannot be
            read without waiting for it.
    """
    if isinstance(value, (float, int)):
        return _as_float(value)
    if isinstance(value, (str, bytes, bytearray)) or value is None:
        raise Unusable("not a number")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _capture_tensor(torch, value, copies)
    size = getattr(value, "size", 1)
    if isinstance(size, int) and size != 1:
        raise Unusable("more than one element" if size else "no element")
    if hasattr(value, "item"):
        return _as_float(value, item=True)
    return _as_float(value)


def _as_float(value: Any, *, item: bool = False) -> float:
    try:
        number = value.item() if item else value
        if isinstance(number, (str, bytes)):
            raise Unusable("not a number")
        return float(number)
    except Unusable:
        raise
    except OverflowError:
        raise Unusable("too large for a float") from None
    except Exception:  # noqa: BLE001 - promise 1: whatever a user's object raises stays here
        raise Unusable("not a number") from None


def _capture_tensor(torch: Any, tensor: Any, copies: _Copies | None) -> float | DeviceValue:
    if tensor.numel() != 1:
        raise Unusable("more than one element" if tensor.numel() else "no element")
    if hasattr(tensor, "to_local"):
        # Reading a DTensor may take part in a collective, which a metric must never do.
        raise Unusable("a distributed tensor: send tensor.to_local()")
    if tensor.device.type == "cpu":
        return _as_float(tensor, item=True)
    if tensor.device.type != "cuda" or copies is None:
        raise Unusable(f"on {tensor.device.type}, which cannot be read without waiting for it")
    if torch.cuda.is_current_stream_capturing():
        raise Unusable("inside a CUDA graph capture")
    return copies.start(torch, tensor)


class _Copies:
    """The copies that one call starts; one event per device marks the end of them."""

    def __init__(self) -> None:
        self.values: list[DeviceValue] = []
        self._events: dict[Any, tuple[Any, Any]] = {}

    def start(self, torch: Any, tensor: Any) -> DeviceValue:
        try:
            host = torch.empty((), dtype=tensor.dtype, pin_memory=True)
            host.copy_(tensor.detach().reshape(()), non_blocking=True)
            if tensor.device not in self._events:
                event = torch.cuda.Event()
                self._events[tensor.device] = (event, torch.cuda.current_stream(tensor.device))
        except Exception:  # noqa: BLE001 - promise 1: out of pinned memory must not end a training
            raise Unusable("could not be copied from its device") from None
        value = DeviceValue(host, self._events[tensor.device][0])
        self.values.append(value)
        return value

    def record(self) -> None:
        for event, stream in self._events.values():
            event.record(stream)
