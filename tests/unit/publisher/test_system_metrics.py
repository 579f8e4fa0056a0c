"""What is read of a machine: the right GPU, rates of what grows, and never an exception."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.publisher.system import Sampler, readers_here
from streamviz.publisher.system.allocator import read_allocator
from streamviz.publisher.system.devices import DeviceReader, visible_devices
from streamviz.publisher.system.node import NodeReader, ProcessReader, rates


class FakeNvml(SimpleNamespace):
    """A driver with four devices, the third cut into slices; a handle is the device's number."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        """What the driver says."""

    UUIDS = ("GPU-aa00", "GPU-aa11", "GPU-bb22", "GPU-cc33")

    def nvmlInit(self) -> None:  # noqa: N802 - the driver's names
        """Begin."""

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        """Four."""
        return 4

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:  # noqa: N802
        """By the driver's order."""
        if number >= 4:
            raise self.NVMLError
        return number

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        """In full."""
        return self.UUIDS[handle]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        """Only in full."""
        if uuid == "MIG-7":
            return 7
        if uuid not in self.UUIDS:
            raise self.NVMLError
        return self.UUIDS.index(uuid)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        """A slice does not tell."""
        if handle == 7:
            raise self.NVMLError
        return SimpleNamespace(gpu=10 * handle)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        """As many GiB as its number."""
        return SimpleNamespace(used=handle * 2**30)

    def nvmlDeviceGetTemperature(self, handle: int, _: int) -> int:  # noqa: N802
        """Warm."""
        return 40 + handle

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        """In milliwatts."""
        return 1000 * handle


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """The driver of a machine with GPUs; torch is not there."""
    nvml = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    return nvml


@pytest.mark.parametrize(
    ("visible", "local_rank", "device"),
    [
        (None, 2, 2),
        ("3,1", 0, 3),
        ("3,1", 1, 1),
        ("2", 3, 2),  # each rank was given its own
        ("GPU-cc33,GPU-aa00", 1, 0),
        ("GPU-bb", 0, 2),
        ("MIG-7", 0, 7),
        ("1,-1,2", 1, 1),  # what follows -1 is not seen
    ],
)
@pytest.mark.usefixtures("driver")
def test_the_rank_has_its_own_device(visible: str | None, local_rank: int, device: int) -> None:
    """By index, by UUID in full or in short, as a slice; whatever the order."""
    values = DeviceReader(visible, local_rank)()
    assert values["gpu_memory"] == device
    assert values["gpu_power"] == device
    assert values["gpu_temperature"] == 40 + device
    assert values.get("gpu_use") == (None if device == 7 else 10 * device)


@pytest.mark.parametrize("visible", ["", "-1", "GPU-a", "GPU-zz", "9"])
@pytest.mark.usefixtures("driver")
def test_no_device_or_one_that_is_not_clear_is_not_told(visible: str) -> None:
    """None is visible, the short name fits two, or there is none of it."""
    assert DeviceReader(visible, 0)() == {}


def test_torch_knows_better_once_it_has_begun(
    driver: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA counts the fastest first and the driver by slot: the UUID is the same for both."""
    begun = False
    stats = {"allocated_bytes.all.current": 3 * 2**30, "num_ooms": 1}
    cuda = SimpleNamespace(
        is_initialized=lambda: begun,
        device_count=lambda: 4,
        get_device_properties=lambda number: SimpleNamespace(uuid=driver.UUIDS[3 - number][4:]),
        memory_stats=lambda device: stats if device == 0 else {},
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    reader = DeviceReader(None, 0)
    assert (reader()["gpu_memory"], read_allocator()) == (0, {})
    begun = True
    assert reader()["gpu_memory"] == 3
    told = read_allocator()
    assert (told["torch_allocated"], told["torch_ooms"], told["torch_reserved"]) == (3, 1, 0)


def test_no_driver_is_no_fault(driver: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without NVIDIA's driver has the library and no devices."""

    def missing() -> None:
        raise driver.NVMLError

    monkeypatch.setattr(driver, "nvmlInit", missing)
    reader = DeviceReader(None, 0)
    assert (reader(), reader()) == ({}, {})


@given(st.text(alphabet="0123456789,-GPUMIx ", max_size=20))
def test_the_list_is_read_as_cuda_reads_it(text: str) -> None:
    """Whatever it says, entries are the text's, in order, up to the first that is none."""
    entries = [entry.strip() for entry in text.split(",")]
    found = visible_devices(text)
    assert found is not None
    assert entries[: len(found)] == found


def test_rates_are_of_the_time_between() -> None:
    """MB a second; what went back or is new has none, nor has a clock that stood still."""
    before = (10.0, {"sent": 1e6, "read": 5e6})
    assert rates(before, (12.0, {"sent": 5e6, "read": 4e6, "new": 1.0})) == {"sent": 2.0}
    assert rates(before, (10.0, {"sent": 5e6})) == {}


def test_this_machine_is_read() -> None:
    """The real node and process: shares of 0 to 100, memory above none, then rates."""
    node, process = NodeReader("/"), ProcessReader()
    first = node()
    assert 0 <= first["cpu"] <= 100
    assert 0 < first["ram_used"] <= 100
    assert 0 < first["disk"] <= 100
    assert first["ram"] > 0
    assert all(value >= 0 for value in node().values())
    assert 0.001 < process()["process_rss"] < 100


def test_only_the_first_rank_of_a_node_speaks_for_it() -> None:
    """The others tell of their process and their GPU."""
    kinds = [[type(reader) for reader in readers_here({}, rank)] for rank in (0, 1)]
    assert NodeReader in kinds[0]
    assert NodeReader not in kinds[1]
    assert ProcessReader in kinds[1]


def test_a_reader_that_fails_is_left_out_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Said once; the thread ends when it is told to."""
    readings: list[dict[str, float]] = []
    enough = threading.Event()

    def broken() -> dict[str, float]:
        raise OSError("no such device")

    def put(values: dict[str, float]) -> None:
        readings.append(values)
        if len(readings) == 3:
            enough.set()

    sampler = Sampler(lambda: [broken, lambda: {"cpu": 1.0}], put, every_s=0.001)
    sampler.start()
    assert enough.wait(10)
    sampler.stop()
    assert readings[:3] == [{"system/cpu": 1.0}] * 3
    assert len([record for record in caplog.records if "left out" in record.message]) == 1
