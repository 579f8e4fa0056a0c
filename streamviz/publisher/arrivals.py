"""Arrays on their way from a CUDA device, and the thread that waits for them beside the training.

Law: whoever hands one in does not wait: it is copied in stream order to pinned memory, and what is
to be made of it is made when it is there. Of the bytes under way there is a limit.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from streamviz.clock import monotonic_time
from streamviz.publisher.values import Unusable

__all__ = ["UNDER_WAY_BYTES", "Arrival", "Arrivals", "taken"]

UNDER_WAY_BYTES = 256 << 20
"""Bytes of arrays under way from devices: pinned memory is dear."""


class Arrival:
    """A tensor's values on their way to host memory."""

    def __init__(self, host: Any, event: Any) -> None:
        self._host = host
        self._event = event
        self.nbytes = int(host.numel()) * int(host.element_size())

    def get(self) -> Any:
        """Return the tensor in host memory, waiting for it."""
        self._event.synchronize()
        return self._host


class Arrivals:
    """What waits for arrays, in order; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._bytes = 0
        self._works = False

    def add(self, nbytes: int, work: Callable[[], None]) -> None:
        """Let something be done by a thread of its own, which ends when there is nothing left.

        Args:
            nbytes: Of the arrays that it waits for.
            work: Waits, and never raises.

        Raises:
            Unusable: Too much is under way.
        """
        with self._lock:
            if self._bytes + nbytes > UNDER_WAY_BYTES:
                raise Unusable(
                    "items dropped: more of them wait for their device than there is room for",
                    f"{self._bytes + nbytes} bytes, at most {UNDER_WAY_BYTES}: send fewer",
                )
            self._waiting.append((nbytes, work))
            self._bytes += nbytes
            if not self._works:
                thread = threading.Thread(target=self._run, name="streamviz-arrivals", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    self._waiting.pop()
                    self._bytes -= nbytes
                    raise Unusable("an item that there is no thread for") from None
                self._works = True

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._works = False
                    self._lock.notify_all()
                    return
                nbytes, work = self._waiting.popleft()
            work()
            del work
            with self._lock:
                self._bytes -= nbytes

    def wait(self, deadline: float) -> bool:
        """Wait until nothing is under way, or a monotonic time; return whether nothing is."""
        with self._lock:
            left = max(deadline - monotonic_time(), 0.0)
            return self._lock.wait_for(lambda: not self._works, left)


def taken(value: object, most: int) -> object:
    """Return a value as it is now, or its copy under way if it is a tensor on a CUDA device.

    Args:
        value: Anything; what is no tensor is returned as it is.
        most: Elements that are worth copying; of more, every so manieth is taken.

    Raises:
        Unusable: It is a tensor that cannot be read without waiting for others.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return value
    tensor: Any = value.detach()
    if hasattr(tensor, "to_local"):
        # Reading a DTensor may take part in a collective, which a payload must never do.
        raise Unusable("a distributed tensor: send tensor.to_local()")
    if tensor.device.type == "cpu":
        return tensor
    if tensor.device.type != "cuda":
        where = tensor.device.type
        raise Unusable(
            f"on {where}, which cannot be read without waiting for it: send tensor.cpu()"
        )
    if torch.cuda.is_current_stream_capturing():
        raise Unusable("inside a CUDA graph capture")
    if tensor.numel() > most:
        tensor = tensor.reshape(-1)[:: -(-tensor.numel() // most)]
    try:
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(tensor.device))
    except Exception:  # noqa: BLE001 - promise 1: out of pinned memory must not end a training
        raise Unusable("could not be copied from its device") from None
    return Arrival(host, event)
