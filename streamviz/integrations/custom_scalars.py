"""Which tags a ``SummaryWriter`` wants drawn together, and what it takes without showing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamviz.integrations.teed import Teed, sent
from streamviz.publisher import Publisher

__all__ = ["CustomScalars"]


class CustomScalars(Teed):
    """Layouts, which are told as a whole whenever they change."""

    def __init__(self, tee: Sequence[Any]) -> None:
        super().__init__(tee)
        self._layout: dict[tuple[str, str], tuple[str, list[str]]] = {}

    def _out(self) -> Publisher:
        """Return what sends; the writer's."""
        raise NotImplementedError

    @sent
    def add_custom_scalars_multilinechart(
        self, tags: Any, category: Any = "default", title: Any = "untitled"
    ) -> None:
        """Say that some tags are lines of one chart."""
        self._lay_out(category, title, "multiline", tags)

    @sent
    def add_custom_scalars_marginchart(
        self, tags: Any, category: Any = "default", title: Any = "untitled"
    ) -> None:
        """Say that three tags are a value, its lower and its upper bound."""
        self._lay_out(category, title, "margin", tags)

    @sent
    def add_custom_scalars(self, layout: Any) -> None:
        """Say which tags are drawn together: ``{category: {title: [kind, tags]}}``."""
        for category, charts in layout.items():
            for title, (kind, tags) in charts.items():
                self._layout[str(category), str(title)] = (str(kind).lower(), [*map(str, tags)])
        self._send_layout()

    def _lay_out(self, category: Any, title: Any, kind: str, tags: Any) -> None:
        place = (str(category), str(title))
        before = self._layout.get(place, (kind, []))[1]
        names = [str(tag) for tag in tags]
        if kind == "multiline":
            names = [*before, *(name for name in names if name not in before)]
        if self._layout.get(place) != (kind, names):
            self._layout[place] = (kind, names)
            self._send_layout()

    def _send_layout(self) -> None:
        self._out().layout(
            {"category": category, "title": title, "kind": kind, "metrics": names}
            for (category, title), (kind, names) in self._layout.items()
        )

    # -- what is not shown -----------------------------------------------------------------

    @sent
    def add_video(
        self,
        tag: Any,
        vid_tensor: Any,
        global_step: Any = None,
        fps: Any = 4,
        walltime: Any = None,
    ) -> None:
        """Leave it to ``tee``."""
        self.warn_once("add_video")

    @sent
    def add_audio(
        self,
        tag: Any,
        snd_tensor: Any,
        global_step: Any = None,
        sample_rate: Any = 44100,
        walltime: Any = None,
    ) -> None:
        """Leave it to ``tee``."""
        self.warn_once("add_audio")

    @sent
    def add_onnx_graph(self, prototxt: Any) -> None:
        """Leave it to ``tee``."""
        self.warn_once("add_onnx_graph")

    @sent
    def add_embedding(
        self,
        mat: Any,
        metadata: Any = None,
        label_img: Any = None,
        global_step: Any = None,
        tag: Any = "default",
        metadata_header: Any = None,
    ) -> None:
        """Leave it to ``tee``."""
        self.warn_once("add_embedding")

    @sent
    def add_mesh(
        self,
        tag: Any,
        vertices: Any,
        colors: Any = None,
        faces: Any = None,
        config_dict: Any = None,
        global_step: Any = None,
        walltime: Any = None,
    ) -> None:
        """Leave it to ``tee``."""
        self.warn_once("add_mesh")
