"""``watch``, ``graph`` and ``profile``: what a model is, and what its tensors do.

Law: no method here raises once it is called rightly; a hook that fails is counted, and the training
goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np

from streamviz.clock import wall_time
from streamviz.publisher.arrivals import Arrival, taken
from streamviz.publisher.payload_sender import PayloadSender
from streamviz.publisher.values import Unusable
from streamviz.wire.kinds import GRAPH, HISTOGRAM, PROFILE
from streamviz.wire.payloads import document_body

__all__ = ["Modelling"]

_MOST_NUMBERS = 1 << 20
_FACTS = 6
"""Numbers behind the counts of a histogram, see :func:`streamviz.publisher.model.statistics`."""


class Modelling(PayloadSender):
    """What a publisher sends of a model. Its state is the publisher's."""

    _watches: list[Any]

    def watch(self, model: Any, *, every: int = 100, log: str = "norms") -> None:
        """Measure a model's parameters, gradients and activations, every so many steps.

        Metrics go out as ``watch/grad_norm/<parameter>``, ``watch/param_norm/…``,
        ``watch/update_ratio/…``, ``watch/act_mean/<layer>``, ``watch/act_std/…`` and
        ``watch/act_zero/…``; histograms as ``gradients/…``, ``parameters/…``, ``activations/…``.
        They belong to the step that the next ``send`` is of, if one is made after each step of the
        optimizer. Call it once the model is where it is trained, before the first step.

        Args:
            model: A ``torch.nn.Module``, wrapped for parallel training or not.
            every: Steps of its optimizer from one measurement to the next.
            log: ``norms``, ``histograms`` or ``all``.
        """
        if self._is_off:
            return
        try:
            torch, watch = self._torch_for(model), None
            from streamviz.publisher.model import LOGS, ModelWatch

            if log not in LOGS:
                raise Unusable("a watch of an unknown kind", f"{log!r}, expected {', '.join(LOGS)}")
            if type(every) is not int or every < 1:
                raise Unusable("a watch without a rhythm", f"every={every!r}, expected 1 or more")
            self.unwatch(model)
            watch = ModelWatch(
                torch,
                model,
                every=every,
                log=log,
                told=self._tell_numbers,
                drawn=self._tell_bins,
                failed=lambda error: self._refusals.refuse_item(error, "what a watch measured"),
            )
            self._watches.append(watch)
            if watch.left_out:
                self._refusals.warn(
                    "watch", f"the model has {watch.left_out} layers more than are watched"
                )
        except Exception as error:  # noqa: BLE001 - promise 1: a watch must not end a training
            self._refusals.refuse_item(error, "a call of watch")

    def unwatch(self, model: Any = None) -> None:
        """Stop watching a model, by default all of them."""
        for watch in [one for one in self._watches if model is None or one.watches(model)]:
            watch.stop()
            self._watches.remove(watch)

    def graph(self, model: Any, example_input: object = None, name: str = "model") -> None:
        """Send a model's structure.

        Args:
            model: A ``torch.nn.Module``.
            example_input: What it is called with once, in evaluation mode and without gradients,
                for the shapes and times of its modules: a tensor, a tuple or a dict of arguments.
            name: As a metric's.
        """

        def make() -> Mapping[str, object]:
            torch = self._torch_for(model)
            from streamviz.publisher.model import structure_of

            document, why = structure_of(torch, model, example_input)
            if why:
                self._refusals.warn(
                    f"graph {name}", f"the model could not be called for its shapes: {why}"
                )
            return document_body(document)

        self._draw(GRAPH, name, None, None, make)

    def profile(
        self, profiler: object, name: str = "profile", step: SupportsIndex | None = None
    ) -> None:
        """Send where the time goes.

        Args:
            profiler: A ``torch.profiler.profile`` that has ended, or a table: a row of columns'
                names and rows below.
            name: As a metric's.
            step: Default: the last step sent.
        """

        def make() -> Mapping[str, object]:
            from streamviz.publisher.model import timings_of

            return document_body(timings_of(profiler, str(name)))

        self._draw(PROFILE, name, step, None, make)

    # -- behind ----------------------------------------------------------------------------

    def _torch_for(self, model: Any) -> Any:
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(model, torch.nn.Module):
            raise Unusable("a model that is none", f"{type(model).__name__}, expected nn.Module")
        return torch

    def _step_now(self) -> int:
        """Return the step that is being made: the one after the last that was sent."""
        return self._last_step + 1

    def _tell_numbers(self, names: Sequence[str], vector: Any) -> None:
        step, now = self._step_now(), wall_time()
        self._when_here(
            vector,
            lambda numbers: self._send_any(step, now, dict(zip(names, numbers, strict=True))),
        )

    def _tell_bins(self, name: str, vector: Any) -> None:
        step, now = self._step_now(), wall_time()

        def send(numbers: list[float]) -> None:
            counts, (low, high, total, squares, count, lost) = (
                numbers[:-_FACTS],
                numbers[-_FACTS:],
            )
            self._not_finite(HISTOGRAM, name, int(lost))
            if not count:
                return
            width = high - low if high > low else max(1.0, abs(low) * 1e-6)
            body = {
                "edges": np.linspace(low, low + width, len(counts) + 1).astype("<f8").tobytes(),
                "counts": np.array(counts, "<f8").tobytes(),
                "min": low,
                "max": high,
                "total": total,
                "squares": squares,
                "count": count,
            }
            self._item(HISTOGRAM, name, step, body, now)

        self._when_here(vector, send)

    def _when_here(self, vector: Any, send: Any) -> None:
        """Hand the numbers of a vector on: now, or when they have come from their device."""
        found = taken(vector, _MOST_NUMBERS)
        if not isinstance(found, Arrival):
            send(found.tolist())  # type: ignore[attr-defined]
            return

        def work() -> None:
            try:
                send(found.get().tolist())
            except Exception as error:  # noqa: BLE001 - promise 1: nor end the thread
                self._refusals.refuse_item(error, "what a watch measured")

        self._arrivals.add(found.nbytes, work)
