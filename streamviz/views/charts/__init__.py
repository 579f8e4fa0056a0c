"""Charts of one's own: a chart document as a Bokeh figure.

Law: whatever a document is, :func:`figure_of` returns a bounded figure or raises
:class:`~streamviz.errors.BadChart`; names in it are text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bokeh.plotting import figure

from streamviz.errors import BadChart
from streamviz.views.charts import cells, points, shares, spread
from streamviz.views.charts.chart import Chart
from streamviz.views.charts.document import read_chart

__all__ = ["BadChart", "figure_of"]

_DRAW: dict[str, Callable[[Chart], figure]] = {
    "line": points.line,
    "bar": points.bar,
    "scatter": points.scatter,
    "hist": spread.hist,
    "pie": shares.pie,
    "heatmap": cells.heatmap,
    "box": spread.box,
    "confusion": cells.confusion,
}


def figure_of(document: Mapping[str, Any]) -> figure:
    """Return a chart document's figure, to be embedded or written into a page.

    Its colours are those of the light theme; models with others in the dark one say so in their
    tags, for ``dress`` in ``static/chart-look.js``.

    Args:
        document: As :func:`streamviz.views.charts.document.read_chart` takes it.

    Raises:
        BadChart: It describes no chart.
    """
    chart = read_chart(document)
    return _DRAW[chart.kind](chart)
