"""What one measurement has found so far, on whatever devices, until it is told.

Law: of each device one vector of numbers and one matrix of histograms leave, however many layers
there are; so a device is asked for two copies, not for thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Drawn", "Readings", "Told"]

Told = Callable[[Sequence[str], Any, int], None]
"""Takes names of metrics, ``float32[n]`` on some device, and the step."""
Drawn = Callable[[Sequence[str], Any, int], None]
"""Takes names ``kind/layer``, what :func:`~streamviz.publisher.model.histograms.binned` gave of
each, ``float64[n, BINS + FACTS]`` on some device, and the step."""


class Readings:
    """Vectors and histograms by device, and plain numbers."""

    def __init__(self) -> None:
        self._numbers: dict[Any, tuple[list[str], list[Any]]] = {}
        self._bins: dict[Any, tuple[list[str], list[Any]]] = {}
        self._plain: dict[str, float] = {}

    def add(self, names: Sequence[str], vector: Any) -> None:
        """Take a vector with a name for each of its elements."""
        called, vectors = self._numbers.setdefault(vector.device, ([], []))
        called.extend(names)
        vectors.append(vector)

    def add_plain(self, name: str, number: float) -> None:
        """Take a number; of the same name it adds to the one before."""
        self._plain[name] = self._plain.get(name, 0.0) + number

    def add_bins(self, name: str, vector: Any) -> None:
        """Take a histogram."""
        called, vectors = self._bins.setdefault(vector.device, ([], []))
        called.append(name)
        vectors.append(vector)

    def tell(self, torch: Any, told: Told, drawn: Drawn, step: int) -> None:
        """Hand everything on, and start again from nothing."""
        numbers, bins, plain = self._numbers, self._bins, self._plain
        self.__init__()  # type: ignore[misc]
        if plain:
            told(list(plain), torch.tensor(list(plain.values()), dtype=torch.float32), step)
        for names, vectors in numbers.values():
            told(names, torch.cat(vectors), step)
        for names, vectors in bins.values():
            drawn(names, torch.stack(vectors), step)
