"""This rank's GPU, as NVML reads it.

Law: a value is of the device that this rank computes on, or it is not told; the driver is asked,
never the device, so nothing waits for a kernel.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["DeviceReader", "visible_devices"]

_GIB = 2.0**30


def visible_devices(text: str | None) -> list[str] | None:
    """Return the devices that ``CUDA_VISIBLE_DEVICES`` lists, ``None`` for all.

    As CUDA reads it: what follows an entry that is none is not seen.

    Args:
        text: The variable; ``None`` where it is not set.
    """
    if text is None:
        return None
    found: list[str] = []
    for entry in (one.strip() for one in text.split(",")):
        if not (entry.isdecimal() or entry.startswith(("GPU-", "MIG-"))):
            break
        found.append(entry)
    return found


class DeviceReader:
    """``gpu_use`` in %, ``gpu_memory`` in GiB, ``gpu_temperature`` in °C, ``gpu_power`` in W."""

    def __init__(self, visible: str | None, local_rank: int) -> None:
        """Take what says which device it is.

        Args:
            visible: ``CUDA_VISIBLE_DEVICES``; ``None`` where it is not set.
            local_rank: This rank's number on its node; with one visible device it does not matter.
        """
        self._visible = visible_devices(visible)
        self._local_rank = local_rank
        self._nvml: Any = None
        self._handle: Any = None
        self._is_exact = False

    def __call__(self) -> dict[str, float]:
        """Read once; nothing where there is no NVIDIA driver or no device."""
        if self._nvml is None:
            self._nvml = _initialised()
        if self._nvml is False:
            return {}
        if not self._is_exact:
            self._find()
        if self._handle is None:
            return {}
        nvml, handle = self._nvml, self._handle
        asked: dict[str, Callable[[], Any]] = {
            "gpu_use": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            "gpu_memory": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used / _GIB,
            "gpu_temperature": lambda: nvml.nvmlDeviceGetTemperature(
                handle, nvml.NVML_TEMPERATURE_GPU
            ),
            "gpu_power": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
        }
        values: dict[str, float] = {}
        for name, ask in asked.items():
            try:
                values[name] = float(ask())
            except nvml.NVMLError:
                continue  # a slice of a device tells less than a whole one
        return values

    def _find(self) -> None:
        """Find the handle: by the UUID that torch names, else by the list and the local rank.

        CUDA's own order may differ from the driver's, so torch is asked once it has a device.
        """
        uuid = _torch_uuid(self._local_rank)
        if uuid is not None:
            handle = self._by_uuid(uuid)
            if handle is not None:
                self._handle, self._is_exact = handle, True
                return
        if self._handle is None:
            self._handle = self._by_list()

    def _by_list(self) -> object:
        listed = self._visible
        if listed is None:
            listed = [str(number) for number in range(self._nvml.nvmlDeviceGetCount())]
        if not listed:
            return None
        entry = listed[self._local_rank % len(listed)]
        if not entry.isdecimal():
            return self._by_uuid(entry)
        try:
            return self._nvml.nvmlDeviceGetHandleByIndex(int(entry))
        except self._nvml.NVMLError:
            return None

    def _by_uuid(self, uuid: str) -> object:
        """Return the device of a UUID, which may be shortened as CUDA allows; ``None`` for none."""
        nvml = self._nvml
        try:
            return nvml.nvmlDeviceGetHandleByUUID(uuid)
        except nvml.NVMLError:
            pass
        found = []
        for number in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(number)
            name = nvml.nvmlDeviceGetUUID(handle)
            name = name.decode() if isinstance(name, bytes) else name
            if name.startswith(uuid):
                found.append(handle)
        return found[0] if len(found) == 1 else None


def _initialised() -> object:
    """Return NVML, ready; ``False`` where there is no driver."""
    import pynvml

    nvml: Any = pynvml  # its functions have no types
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return False
    return pynvml


def _torch_uuid(local_rank: int) -> str | None:
    """Return the UUID of the rank's device, once the training has begun to use CUDA."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return None
    properties = cuda.get_device_properties(local_rank % max(1, cuda.device_count()))
    uuid = getattr(properties, "uuid", None)
    if uuid is None:
        return None
    text = str(uuid)
    return text if text.startswith(("GPU-", "MIG-")) else f"GPU-{text}"
