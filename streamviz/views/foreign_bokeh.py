"""Bokeh figures that ranks sent: their JSON with nothing in it that could run, fetch or be HTML.

Law: what comes out holds models of :data:`ALLOWED` alone, and text in it is text; what cannot be
had that way is refused with the name of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import bokeh

from streamviz.errors import BadPayload

__all__ = ["ALLOWED", "harmless"]

_WORDS = """
    Figure Plot GridPlot Row Column GridBox Tabs TabPanel Spacer
    ColumnDataSource CDSView Selection UnionRenderers IntersectRenderers GroupByModels GroupByName
    AllIndices BooleanFilter DifferenceFilter GroupFilter IndexFilter IntersectionFilter
    InversionFilter SymmetricDifferenceFilter UnionFilter
    GlyphRenderer GraphRenderer ContourRenderer RendererGroup CompositeRenderer Decoration
    AnnularWedge Annulus Arc Bezier Block Circle Ellipse HArea HAreaStep HBar HSpan HStrip HexTile
    Image ImageRGBA ImageStack Line MultiLine MultiPolygons Ngon Patch Patches Quad Quadratic Ray
    Rect Scatter Segment Step Text VArea VAreaStep VBar VSpan VStrip Wedge
    Arrow NormalHead OpenHead TeeHead VeeHead Band BoxAnnotation BoxInteractionHandles AreaVisuals
    PolyAnnotation Slope Span Whisker Label LabelSet Title PlainText Legend LegendItem ColorBar
    ContourColorBar ScaleBar SizeBar Metric MetricLength ReciprocalMetric ReciprocalMetricLength
    ImperialLength Angular CustomDimensional
    CategoricalAxis DatetimeAxis LinearAxis LogAxis MercatorAxis TimedeltaAxis Grid
    AdaptiveTicker BasicTicker BinnedTicker CategoricalTicker CompositeTicker DatetimeTicker
    DaysTicker FixedTicker LogTicker MercatorTicker MonthsTicker SingleIntervalTicker
    TimedeltaTicker YearsTicker
    BasicTickFormatter CategoricalTickFormatter DatetimeTickFormatter LogTickFormatter
    MercatorTickFormatter NumeralTickFormatter PrintfTickFormatter TimedeltaTickFormatter
    AllLabels NoOverlap
    DataRange1d FactorRange Range1d CategoricalScale CompositeScale LinearScale LogScale
    LinearInterpolationScale CoordinateMapping Node Coordinate Indexed XY
    CategoricalColorMapper CategoricalMarkerMapper CategoricalPatternMapper EqHistColorMapper
    LinearColorMapper LogColorMapper StackColorMapper WeightedStackColorMapper
    CumSum Maximum Minimum Stack PolarTransform XComponent YComponent EdgeCoordinates
    NodeCoordinates
    Dodge Jitter LinearInterpolator StepInterpolator
    EdgesAndLinkedNodes EdgesOnly NodesAndAdjacentNodes NodesAndLinkedEdges NodesOnly
    StaticLayoutProvider
    Toolbar BoxSelectTool BoxZoomTool ClickPanTool CopyTool CrosshairTool FullscreenTool HoverTool
    LassoSelectTool PanTool PolySelectTool RangeTool RedoTool ResetTool SaveTool TapTool ToolProxy
    UndoTool WheelPanTool WheelZoomTool ZoomInTool ZoomOutTool
"""
ALLOWED = frozenset(_WORDS.split())
"""Bokeh's models that draw, and do nothing else."""

_LEFT_OUT = frozenset(
    {
        # What is called when something happens, and by whom.
        *("callback", "js_event_callbacks", "js_property_callbacks", "subscribed_events"),
        # What is a style sheet, or takes part in one.
        *("css_classes", "css_variables", "html_attributes", "html_id", "styles", "stylesheets"),
        # Ours have a meaning to the page.
        *("name", "tags", "syncable", "context_menu", "attribution", "logo", "sizing_mode"),
    }
)
_LAID_OUT = ("Row", "Column", "GridBox", "GridPlot", "Tabs", "TabPanel", "Spacer")
_SIZES = frozenset(
    f"{side}{word}" for side in ("", "min_", "max_", "frame_") for word in ("width", "height")
)
_MOST_PIXELS = 4_000
_MOST_DEPTH = 200
_JOINER = "\N{WORD JOINER}"
_LOOKS = {
    "Figure": {
        "background_fill_color": "surface",
        "border_fill_color": "surface",
        "outline_line_color": "line",
    },
    "Title": {"text_color": "ink"},
    "Grid": {"grid_line_color": "grid"},
    "Legend": {
        "background_fill_color": "surface",
        "border_line_color": "line",
        "label_text_color": "ink-2",
        "title_text_color": "ink-2",
    },
    "ColorBar": {
        "background_fill_color": "surface",
        "major_label_text_color": "axis-ink",
        "title_text_color": "ink-2",
    },
}
_AXIS_LOOK = {
    "axis_label_text_color": "ink-2",
    "axis_line_color": "line-strong",
    "major_label_text_color": "axis-ink",
    "major_tick_line_color": "line-strong",
    "minor_tick_line_color": "line",
}
_LIGHT = {
    "surface": "#ffffff",
    "ink": "#1b1f24",
    "ink-2": "#57606a",
    "axis-ink": "#667079",
    "grid": "#eceff2",
    "line": "#dfe3e8",
    "line-strong": "#b6bec8",
}
"""What the page's style sheet puts in their place, as it has them in the light theme."""


def harmless(item: object) -> tuple[dict[str, Any], list[str]]:
    """Return what ``Bokeh.embed.embed_item`` takes, and what was left out of it, in words.

    Args:
        item: What ``bokeh.embed.json_item`` made, read from JSON.

    Raises:
        BadPayload: It is none, or draws with a model that is not of :data:`ALLOWED`.
    """
    document = item.get("doc") if isinstance(item, dict) else None
    roots = document.get("roots") if isinstance(document, dict) else None
    if not isinstance(roots, list) or len(roots) != 1:
        raise BadPayload(
            "a Bokeh figure whose JSON has no one root; bokeh.embed.json_item of Bokeh 3 makes it"
        )
    cleaner = _Cleaner()
    root = cleaner.clean(roots[0], 0)
    cleaner.check(root)
    return (
        {
            "target_id": None,
            "root_id": root["id"],
            "doc": {"version": bokeh.__version__, "title": "", "roots": [root]},
            "version": bokeh.__version__,
        },
        sorted(cleaner.left_out),
    )


class _Cleaner:
    """One document's way through."""

    def __init__(self) -> None:
        self.left_out: set[str] = set()
        self._there: set[str] = set()
        self._meant: set[str] = set()
        self._sources = 0

    def check(self, root: Any) -> None:  # noqa: ANN401 - JSON
        """Raise if it is no figure, or something in it was left out that it needs."""
        names = ("Figure", "Plot", *_LAID_OUT)
        model = isinstance(root, dict) and root.get("type") == "object" and "attributes" in root
        if not model or root["name"] not in names:
            raise BadPayload("a Bokeh document whose root is no figure and no layout of figures")
        if self._meant - self._there:
            raise BadPayload(
                "a Bokeh figure that cannot be drawn without its scripts (CustomJS): send one "
                "without, or call figure() with its picture"
            )

    def clean(self, value: object, depth: int) -> Any:  # noqa: ANN401 - JSON
        """Return a part without what could run.

        Raises:
            BadPayload: It has a model that is not allowed.
        """
        if depth > _MOST_DEPTH:
            raise BadPayload(f"a Bokeh figure nested more than {_MOST_DEPTH} deep")
        if isinstance(value, str):
            return _plain(value)
        if isinstance(value, list):
            return [self.clean(entry, depth + 1) for entry in value]
        if not isinstance(value, dict):
            return value
        kind = value.get("type")
        if kind == "object" and "name" in value:
            return self._model(value, depth)
        if isinstance(value.get("id"), str) and kind in (None, "ref", "object"):
            self._meant.add(value["id"])
            return {"id": value["id"]}
        return {
            # What is base64 has no text in it to be read.
            str(key): entry if key == "data" and kind == "bytes" else self.clean(entry, depth + 1)
            for key, entry in value.items()
        }

    def _model(self, model: Mapping[str, Any], depth: int) -> dict[str, Any]:
        name, key = model["name"], model.get("id")
        if not isinstance(name, str) or name not in ALLOWED or not isinstance(key, str):
            raise BadPayload(
                f"a Bokeh figure with {str(name)[:60]!r} in it, which could run or fetch "
                "something: this page draws figures without"
            )
        self._there.add(key)
        given = model.get("attributes")
        found: dict[str, Any] = {}
        for attribute, value in given.items() if isinstance(given, dict) else ():
            if attribute in _LEFT_OUT:
                if attribute.startswith(("js_", "callback")) and value:
                    self.left_out.add("callbacks")
            elif attribute == "tools" and isinstance(value, list):
                found[attribute] = self._tools(value, depth)
            elif attribute == "tooltips" and name == "HoverTool":
                found[attribute] = self._tooltips(value)
            elif attribute in _SIZES:
                if isinstance(value, (int, float)) and 0 < value <= _MOST_PIXELS:
                    found[attribute] = value
            else:
                found[attribute] = self.clean(value, depth + 1)
        if name == "Toolbar":
            found["logo"] = None
        self._dress(name, found)
        if depth == 0:
            found["sizing_mode"] = "stretch_width"
            if name in ("Figure", "Plot"):
                found.pop("width", None)
        return {"type": "object", "name": name, "id": key, "attributes": found}

    def _tools(self, tools: list[Any], depth: int) -> list[Any]:
        kept = []
        for tool in tools:
            name = tool.get("name") if isinstance(tool, dict) else None
            if isinstance(name, str) and name not in ALLOWED:
                if name != "HelpTool":
                    self.left_out.add(name[:60])
            else:
                kept.append(self.clean(tool, depth + 1))
        return kept

    def _tooltips(self, tooltips: object) -> object:
        """Return rows of a label and a value; what is HTML goes."""
        if tooltips is None:
            return None
        rows = tooltips if isinstance(tooltips, list) else []
        pairs = [
            [str(row[0])[:200], escape(str(row[1])[:500].replace("{safe}", ""), quote=False)]
            for row in rows[:50]
            if isinstance(row, list) and len(row) == 2
        ]
        if len(pairs) != len(rows) or not isinstance(tooltips, list):
            self.left_out.add("HTML tooltips")
        return pairs or None

    def _dress(self, name: str, found: dict[str, Any]) -> None:
        """Let what has no colour of its own take the page's."""
        if name == "ColumnDataSource":
            # By its place, so that the page finds it again in a later figure.
            found["name"] = f"source-{self._sources}"
            self._sources += 1
            found.setdefault("selected", None)
            if found["selected"] is None:
                del found["selected"]
        looks = _AXIS_LOOK if name.endswith("Axis") else _LOOKS.get(name, {})
        missing = {key: token for key, token in looks.items() if key not in found}
        found.update({key: _LIGHT[token] for key, token in missing.items()})
        if missing:
            found["tags"] = [f"look:{key}={token}" for key, token in missing.items()]


def _plain(text: str) -> str:
    """Return a text in which BokehJS sees no formula: it would fetch what draws one."""
    for mark in ("$$", "\\(", "\\["):
        if mark in text:
            text = text.replace(mark, mark[0] + _JOINER + mark[1])
    return text
