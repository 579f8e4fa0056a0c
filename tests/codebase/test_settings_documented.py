"""``docs/settings.md`` says of every setting and every limit what the code does."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from streamviz import cli
from streamviz.config import PublisherConfig, parse_bytes
from streamviz.counters import HELP
from streamviz.errors import ConfigError
from streamviz.publisher.publisher import Publisher

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text()
SOURCES = {path: path.read_text() for path in sorted((ROOT / "streamviz").rglob("*.py"))}


def rows(heading: str) -> dict[str, list[str]]:
    """Return the table under a heading: the first cell of each row, and the others."""
    _, found, rest = PAGE.partition(f"\n{heading}\n")
    assert found, f"docs/settings.md has no heading {heading!r}"
    table: dict[str, list[str]] = {}
    for line in re.split(r"\n#+ ", rest)[0].splitlines():
        if line.startswith("| `"):
            first, *others = (cell.strip() for cell in line.strip("|").split("|"))
            table[first.strip("`")] = others
    return table


def is_value(cell: str, value: object) -> bool:
    """Say whether a cell such as `64MiB` or `2^53` is the value that the code has."""
    text = cell.strip("`")
    if text == str(value):
        return True
    if not isinstance(value, int | float):
        return False
    power = re.fullmatch(r"2\^(\d+)", text)
    if power:
        return value == 1 << int(power[1])
    try:
        return value == parse_bytes(text)
    except ConfigError:
        return False


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command of the command line that takes arguments, by its full name."""
    caught: list[argparse.ArgumentParser] = []

    def catch(parser: argparse.ArgumentParser, _: object) -> None:
        caught.append(parser)
        raise KeyboardInterrupt

    with patch.object(cli._Parser, "parse_args", catch), pytest.raises(KeyboardInterrupt):
        cli.run([])
    todo = [("streamviz", caught[0])]
    while todo:
        name, parser = todo.pop()
        below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        todo += [(f"{name} {verb}", one) for group in below for verb, one in group.choices.items()]
        if not below:
            yield name, parser


def arguments(parser: argparse.ArgumentParser) -> dict[str, object]:
    """Return the default of each argument of a command, by its longest name."""
    return {
        max(action.option_strings, key=len)
        if action.option_strings
        else str(action.metavar or action.dest): action.default
        for action in parser._actions
        if action.dest not in ("help", "version")
    }


COMMANDS = dict(commands())


def test_every_command_has_its_section() -> None:
    """Each command that takes arguments stands on the page, and no other does."""
    documented = set(re.findall(r"\n### (streamviz [a-z -]+)\n", PAGE))

    assert documented == {name for name, parser in COMMANDS.items() if arguments(parser)}


@pytest.mark.parametrize("name", [name for name in COMMANDS if arguments(COMMANDS[name])])
def test_every_argument_of_a_command_is_there(name: str) -> None:
    """The page names the command's arguments, with their defaults."""
    table = rows(f"### {name}")
    expected = arguments(COMMANDS[name])

    assert sorted(table) == sorted(expected)
    for argument, default in expected.items():
        cell, meaning = table[argument]
        assert meaning, argument
        if default is None or default is False or default in ("", [], argparse.SUPPRESS):
            # The absence of a value, which the page puts in words.
            assert cell in ("", "none"), f"{argument}: the code has no default"
        else:
            assert is_value(cell, default), f"{argument}: found {cell}, the code has {default!r}"


def test_every_setting_of_the_publisher_is_there() -> None:
    """Each argument is named with its variable and its default."""
    table = rows("## The publisher")
    defaults = {field.name: field.default for field in dataclasses.fields(PublisherConfig)}
    parameters = list(inspect.signature(Publisher.__init__).parameters)[1:]
    variables = settings_read()

    assert sorted(table) == sorted(parameters)
    for name in parameters:
        variable, cell, meaning = table[name]
        expected = f"`STREAMVIZ_{name.upper()}`" if name in variables else ""
        assert variable == expected, f"{name}: found {variable}, the code reads {expected}"
        assert meaning, name
        default = defaults.get(name)
        assert cell == "none" if default is None else is_value(cell, default), (
            f"{name}: found {cell}, the code has {default!r}"
        )


def settings_read() -> set[str]:
    """Return the names that the code looks for in the environment as settings."""
    return {
        name for text in SOURCES.values() for name in re.findall(r'\bsetting\(\s*"(\w+)"', text)
    }


def test_every_variable_is_there() -> None:
    """The page names the variables that the code reads, and no others."""
    read = {f"STREAMVIZ_{name.upper()}" for name in settings_read()}
    for text in SOURCES.values():
        read |= set(re.findall(r'"(STREAMVIZ_[A-Z_]*[A-Z])"', text))

    assert set(re.findall(r"STREAMVIZ_[A-Z_]*[A-Z]", PAGE)) == read


def limits_of_the_code() -> set[str]:
    """Return the limits that are public: constants by their names, and caps that are arguments."""
    found = set()
    for path, text in SOURCES.items():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.Assign):
                names = [node for one in statement.targets for node in ast.walk(one)]
                found |= {
                    f"{module}.{node.id}"
                    for node in names
                    if isinstance(node, ast.Name) and re.match(r"(MAX|MOST)_", node.id)
                }
    for dotted in ("streamviz.store.store.Store", "streamviz.ingest.collector.Collector"):
        found |= {f"{dotted}.{name}" for name in parameters_of(dotted) if name.startswith("max_")}
    return found


def parameters_of(dotted: str) -> dict[str, object]:
    """Return the defaults of a class's arguments."""
    module, _, name = dotted.rpartition(".")
    signature = inspect.signature(getattr(importlib.import_module(module), name).__init__)
    return {name: one.default for name, one in signature.parameters.items()}


def limit(dotted: str) -> object:
    """Return a limit that the page names."""
    owner, _, name = dotted.rpartition(".")
    if name.isupper():
        return getattr(importlib.import_module(owner), name)
    return parameters_of(owner)[name]


LIMITS = {
    name: cells
    for heading in re.findall(r"\n(### What [^\n]+)\n", PAGE)
    for name, cells in rows(heading).items()
}


def test_every_limit_is_there() -> None:
    """A limit that the code has stands on the page; the page may name further sizes."""
    assert sorted(limits_of_the_code() - set(LIMITS)) == []


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_what_the_page_says(name: str) -> None:
    """Each limit has its value, and what happens at it; the counters named there exist."""
    cell, meaning = LIMITS[name]

    assert is_value(cell, limit(name)), f"found {cell}, the code has {limit(name)!r}"
    assert len(meaning) > 10
    assert set(re.findall(r"`(\w+_total)`", meaning)) <= set(HELP)


def test_counters_on_the_page_exist() -> None:
    """No counter is named that there is not."""
    assert set(re.findall(r"`(\w+_total)`", PAGE)) <= set(HELP)
