"""Layout files: which charts stand on the page, in which sections, from YAML.

Law: a layout is data; what is not understood is refused with its line and the nearest known word.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from streamviz.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_LAYOUT_BYTES",
    "MAX_LAYOUT_CHARTS",
    "MAX_LAYOUT_DEPTH",
    "MAX_LAYOUT_SERIES",
    "BadLayout",
    "Layout",
    "parse_layout",
    "read_layout",
]

MAX_LAYOUT_BYTES = 48 * 1024
"""Longest layout, bytes: some hundred charts."""

MAX_LAYOUT_CHARTS = 256
"""Charts of all sections of a layout."""

MAX_LAYOUT_SERIES = 16
"""Lines of one chart of a layout."""

MAX_LAYOUT_DEPTH = 8
"""How deep a layout's lists and mappings may lie in one another; five is what one needs."""

_LONGEST = 500
_SIZES = ("s", "m", "l")
_CARD_SIZES = (*_SIZES, "wide")
_SCALES = ("linear", "log", "symlog")
_KINDS = ("line", "bar")
_MAX_COLUMNS = 6

Layout: TypeAlias = dict[str, object]
"""A layout as the page takes it: ``size``, ``rest`` and ``sections``, each with ``title``,
``columns`` and ``charts``."""

_Reader = Callable[["_Place"], object]


class BadLayout(ValueError):
    """A layout cannot be used.

    Attributes:
        line: Where it says so, from 1.
    """

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(f"line {line}: {sentence}")
        self.line = line


@dataclass(frozen=True, slots=True)
class _Place:
    """A node of the file, and what it is called."""

    node: Node
    name: str

    @property
    def line(self) -> int:
        mark = self.node.start_mark
        return 1 if mark is None else int(mark.line) + 1

    def wrong(self, expected: str) -> BadLayout:
        found = repr(self.node.value)[:60] if isinstance(self.node, ScalarNode) else self.node.id
        return BadLayout(self.line, f"{self.name}: found {found}, expected {expected}")

    def text(self) -> str:
        if not isinstance(self.node, ScalarNode) or len(self.node.value) > _LONGEST:
            raise self.wrong(f"a text of at most {_LONGEST} characters")
        return str(self.node.value)

    def one_of(self, known: Sequence[str]) -> str:
        found = self.node.value if isinstance(self.node, ScalarNode) else None
        if found not in known:
            raise self.wrong(f"one of {', '.join(known)}{_nearest(found, known)}")
        return str(found)

    def boolean(self) -> bool:
        if not isinstance(self.node, ScalarNode) or self.node.value not in ("true", "false"):
            raise self.wrong("true or false")
        return bool(self.node.value == "true")

    def integer(self, low: int, high: int) -> int:
        value = self.node.value if isinstance(self.node, ScalarNode) else ""
        if not value.isdecimal() or len(value) > 9 or not low <= int(value) <= high:
            raise self.wrong(f"a whole number from {low} to {high}")
        return int(value)

    def items(self, most: int) -> Iterator[_Place]:
        node = self.node
        if not isinstance(node, SequenceNode):
            raise self.wrong("a list")
        if len(node.value) > most:
            raise BadLayout(self.line, f"{self.name}: {len(node.value)} entries, at most {most}")
        yield from (_Place(one, f"{self.name}[{i}]") for i, one in enumerate(node.value))

    def fields(self, known: Mapping[str, _Reader]) -> dict[str, object]:
        node = self.node
        if not isinstance(node, MappingNode):
            raise self.wrong(f"a mapping of {', '.join(known)}")
        found: dict[str, object] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else ""
            if name not in known:
                line = _Place(key, "").line
                raise BadLayout(
                    line,
                    f"unknown key {name[:60]!r} in {self.name}; known are {', '.join(known)}"
                    + _nearest(name, list(known)),
                )
            if name in found:
                raise BadLayout(_Place(key, "").line, f"{name} stands twice in {self.name}")
            found[name] = known[name](_Place(value, name))
        return found


def _nearest(found: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(found), known, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _texts(place: _Place) -> list[str]:
    return [one.text() for one in place.items(MAX_LAYOUT_SERIES)]


_CHART: Mapping[str, _Reader] = {
    "metrics": _texts,
    "expressions": _texts,
    "title": _Place.text,
    "x_label": _Place.text,
    "y_label": _Place.text,
    "scale": lambda place: place.one_of(_SCALES),
    "kind": lambda place: place.one_of(_KINDS),
    "size": lambda place: place.one_of(_CARD_SIZES),
}


def _chart(place: _Place) -> dict[str, object]:
    if isinstance(place.node, ScalarNode):
        return {"metrics": [place.text()]}
    chart = place.fields(_CHART)
    series = sum(
        len(lines)
        for key in ("metrics", "expressions")
        if isinstance(lines := chart.get(key), list)
    )
    if not 0 < series <= MAX_LAYOUT_SERIES:
        raise BadLayout(
            place.line,
            f"{place.name}: {series} metrics and expressions, from 1 to {MAX_LAYOUT_SERIES} go",
        )
    return chart


_SECTION: Mapping[str, _Reader] = {
    "title": _Place.text,
    "columns": lambda place: place.integer(1, _MAX_COLUMNS),
    "charts": lambda place: [_chart(one) for one in place.items(MAX_LAYOUT_CHARTS)],
}


def _section(place: _Place) -> dict[str, object]:
    section = {"title": "", "columns": None, "charts": [], **place.fields(_SECTION)}
    if not section["charts"]:
        raise BadLayout(place.line, f"{place.name}: no charts in it")
    return section


_LAYOUT: Mapping[str, _Reader] = {
    "version": lambda place: place.integer(1, 1),
    "size": lambda place: place.one_of(_SIZES),
    "rest": _Place.boolean,
    "sections": lambda place: [_section(one) for one in place.items(MAX_LAYOUT_CHARTS)],
}


def parse_layout(text: str) -> Layout:
    """Read a layout.

    Args:
        text: YAML.

    Raises:
        BadLayout: It is too long, not YAML, or something in it is not known.
    """
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_LAYOUT_BYTES:
        raise BadLayout(1, f"{size} bytes, a layout has at most {MAX_LAYOUT_BYTES}")
    try:
        _check_events(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        raise BadLayout(line, f"not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise BadLayout(1, f"not YAML: {str(error)[:120]}") from None
    if node is None:
        raise BadLayout(1, "the layout is empty; it has at least sections with charts")
    layout = {"size": None, "rest": True, "sections": [], **_Place(node, "layout").fields(_LAYOUT)}
    layout.pop("version", None)
    sections = layout["sections"]
    if not isinstance(sections, list) or not sections:
        raise BadLayout(1, "sections: there are none; a layout has at least one, with charts")
    charts = sum(len(section["charts"]) for section in sections)
    if charts > MAX_LAYOUT_CHARTS:
        raise BadLayout(1, f"{charts} charts, a layout has at most {MAX_LAYOUT_CHARTS}")
    return layout


def _check_events(text: str) -> None:
    """Refuse what grows or nests without bound, before anything is built of it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        mark = event.start_mark
        line = 1 if mark is None else mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise BadLayout(line, "anchors and aliases (& and *) are not taken; write it out")
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > MAX_LAYOUT_DEPTH:
                raise BadLayout(line, f"nested more than {MAX_LAYOUT_DEPTH} deep")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1


def read_layout(path: Path) -> Layout:
    """Read a layout file.

    Raises:
        ConfigError: It cannot be read, or :func:`parse_layout` refuses it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_LAYOUT_BYTES + 1)
        return parse_layout(content.decode())
    except OSError as error:
        raise ConfigError("--layout", str(path), f"a file to read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError("--layout", str(path), "a text file in UTF-8") from None
    except BadLayout as error:
        raise ConfigError("--layout", str(path), f"a layout; {error}") from None
