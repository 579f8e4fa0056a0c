"""``watch``, ``graph`` and ``profile``: what a model is, and what its tensors do.

Law: no method here raises once it is called rightly; a hook that fails is counted, and the training
goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsIndex

from streamviz.clock import wall_time
from streamviz.publisher.arrivals import Arrival, taken
from streamviz.publisher.notes import legal_name
from streamviz.publisher.payload_sender import PayloadSender
from streamviz.publisher.values import Unusable
from streamviz.wire.kinds import GRAPH, HISTOGRAM, PROFILE
from streamviz.wire.payloads import document_body

__all__ = ["Modelling"]

_MOST_NUMBERS = 1 << 20
_SHORT = {"activations": "act", "gradients": "grad", "parameters": "param"}
"""What a histogram is of, in the names of metrics."""
_MOST_BAD = 10_000
"""Layers of which it is remembered that something was not finite."""


class Modelling(PayloadSender):
    """What a publisher sends of a model. Its state is the publisher's."""

    _watches: list[Any]
    _had_nonfinite: set[str]
    _closed: bool

    def watch(self, model: Any, *, every: int = 100, log: str = "norms") -> None:
        """Measure a model's parameters, gradients and activations, every so many steps.

        Metrics go out as ``watch/grad_norm/<parameter>``, ``watch/grad_zero/…``,
        ``watch/param_norm/…``, ``watch/update_ratio/…``, ``watch/act_mean/<layer>``,
        ``watch/act_std/…``, ``watch/act_zero/…`` and ``watch/seconds/…``; histograms as
        ``gradients/…``, ``parameters/…``, ``activations/…``. They belong to the step after the last
        one sent, and go on with the optimizer's steps until the next is sent. Call it before the
        first step. A model that is watched already is watched anew.

        Args:
            model: A ``torch.nn.Module``, wrapped for parallel training or not.
            every: Steps of its optimizer from one measurement to the next.
            log: ``norms``, ``histograms`` or ``all``.
        """
        if self._is_off or self._closed:
            return
        try:
            torch = self._torch_for(model)
            from streamviz.publisher.model import LOGS, ModelWatch

            if log not in LOGS:
                raise Unusable("a watch of an unknown kind", f"{log!r}, expected {', '.join(LOGS)}")
            if type(every) is not int or every < 1:
                raise Unusable("a watch without a rhythm", f"every={every!r}, expected 1 or more")
            self.unwatch(model)
            self._watches.append(
                ModelWatch(
                    torch,
                    model,
                    every=every,
                    log=log,
                    told=self._tell_numbers,
                    drawn=self._tell_bins,
                    failed=lambda error: self._refusals.refuse_item(error, "what a watch measured"),
                    last_sent=lambda: self._last_step,
                    warn=self._refusals.warn,
                )
            )
        except Exception as error:  # noqa: BLE001 - promise 1: a watch must not end a training
            self._refusals.refuse_item(error, "a call of watch")

    def unwatch(self, model: Any = None) -> None:
        """Stop watching a model, by default all of them; of one that is not watched, nothing."""
        for watch in self._watches[:]:
            if model is None or watch.watches(model):
                watch.stop()
            if watch.is_over:
                self._watches.remove(watch)

    def graph(self, model: Any, example_input: object = None, name: str = "model") -> None:
        """Send a model's structure.

        Args:
            model: A ``torch.nn.Module``.
            example_input: What it is called with, in evaluation mode and without gradients, for
                the shapes and times of its modules: a tensor, a tuple or a dict of arguments, on
                the model's device. A model that is sharded or lazy is not called.
            name: As a metric's.
        """

        def make() -> Mapping[str, object]:
            torch = self._torch_for(model)
            from streamviz.publisher.model import structure_of

            document, why = structure_of(torch, model, example_input, self._most(GRAPH))
            if why:
                self._refusals.count("a model that was not called for its shapes", 1)
                self._refusals.warn(
                    f"graph {name}", f"the model was not called for its shapes: {why}"
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

    def _tell_numbers(self, names: Sequence[str], vector: Any, step: int) -> None:
        now = wall_time()
        self._when_here(
            vector,
            lambda numbers: self._send_row(dict(zip(names, numbers, strict=True)), step, now),
        )

    def _tell_bins(self, names: Sequence[str], matrix: Any, step: int) -> None:
        now = wall_time()
        self._when_here(matrix, lambda rows: self._send_bins(names, rows, step, now))

    def _send_bins(
        self, names: Sequence[str], rows: Sequence[Sequence[float]], step: int, now: float
    ) -> None:
        from streamviz.publisher.model import bins_of

        bad: dict[str, float] = {}
        for name, numbers in zip(names, rows, strict=True):
            called, lost = legal_name(name), int(numbers[-1])
            # Told from the first time on: a layer that never had any is no line on the page.
            if lost or name in self._had_nonfinite:
                if len(self._had_nonfinite) < _MOST_BAD:
                    self._had_nonfinite.add(name)
                kind, _, layer = called.partition("/")
                bad[f"watch/{_SHORT[kind]}_nonfinite/{layer}"] = float(lost)
            found = bins_of(numbers)
            if found is not None:
                self._item(HISTOGRAM, called, step, found.body(), now)
        if bad:
            self._send_row(bad, step, now)

    def _send_row(self, metrics: Mapping[str, float], step: int, now: float) -> None:
        self._send_any(step, now, metrics)
        if len(self._rows) >= self._outbox.crowd:
            self._crowded()

    def _when_here(self, vector: Any, send: Callable[[Any], None]) -> None:
        """Hand the numbers of a tensor on: now, or when they have come from their device."""
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
