"""Rules of the house that a machine can read."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from streamviz.security.exposure import is_loopback
from streamviz.server import ServerConfig

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "streamviz"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 450
REASON = re.compile(r"#(?! noqa)|# noqa: \S+ - ")


def offenders(rule: Callable[[Path], object]) -> list[str]:
    """Return the package's files that a rule finds something in, with what it found."""
    found = ((path.relative_to(PACKAGE), rule(path)) for path in FILES)
    return [f"{path}: {what}" for path, what in found if what]


def test_there_is_a_package_to_read() -> None:
    """The rules below are about files that exist."""
    assert len(FILES) > 10


def test_a_file_opens_with_a_sentence() -> None:
    """Every file says in its first line, as a sentence, what it is for."""

    def opens_badly(path: Path) -> str | None:
        docstring = ast.get_docstring(ast.parse(path.read_text())) or "no docstring"
        first = docstring.split("\n\n")[0]
        return None if re.fullmatch(r"\S.{10,}[.:?]", first, re.DOTALL) else first

    assert offenders(opens_badly) == []


def test_a_file_is_short_enough_to_read() -> None:
    """No file is longer than the limit: split it by what it is for."""

    def lines_over(path: Path) -> int:
        return max(len(path.read_text().splitlines()) - MAX_LINES, 0)

    assert offenders(lines_over) == []


def test_a_broad_except_gives_its_reason() -> None:
    """Swallowing everything is only done with a comment on the line, above it or first in it."""

    def unexplained(path: Path) -> list[int]:
        text = path.read_text()
        lines = ["", *text.splitlines(), ""]
        return [
            node.lineno
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.ExceptHandler)
            and catches_everything(node)
            and not raises_again(node)
            and not any(REASON.search(line) for line in lines[node.lineno - 1 : node.lineno + 2])
        ]

    assert offenders(unexplained) == []


def catches_everything(handler: ast.ExceptHandler) -> bool:
    """Say whether a handler names Exception or BaseException, or nothing."""
    if handler.type is None:
        return True
    named = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(named & {"Exception", "BaseException"})


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Say whether a handler only tidies up and passes on what it caught."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


CODE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
CODE_NAMES = {"eval", "exec", "__import__", "send_pyobj", "recv_pyobj", "allow_pickle"}
"""What turns bytes or text into objects with code of their own."""
BINDERS = {"ingest/receiver.py", "ingest/guard.py"}
"""The only files that bind a socket by hand: to an endpoint that was checked, and inside."""


def modules_in(path: Path) -> set[str]:
    """Return the outermost modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def names_in(path: Path) -> set[str]:
    """Return every name that a file uses: of functions, attributes and arguments."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.keyword) and node.arg is not None:
            found.add(node.arg)
    return found


def test_bytes_never_become_code() -> None:
    """Nothing that makes objects with code of their own out of bytes or text is used, anywhere."""
    assert offenders(lambda path: modules_in(path) & CODE_MODULES) == []
    assert offenders(lambda path: names_in(path) & CODE_NAMES) == []
    assert "ast" in modules_in(Path(__file__)) & names_in(Path(__file__)), "the rule can read"


def test_sockets_are_bound_where_their_address_was_checked() -> None:
    """No other file binds or listens; what is bound without being asked is for this machine."""

    def binds(path: Path) -> set[str]:
        if str(path.relative_to(PACKAGE)) in BINDERS:
            return set()
        return names_in(path) & {"bind", "bind_to_random_port", "bind_sockets", "create_server"}

    assert offenders(binds) == []
    defaults = ServerConfig()
    assert is_loopback(defaults.host)
    assert is_loopback(defaults.ingest.removeprefix("tcp://").rpartition(":")[0])
    assert not defaults.insecure
    assert defaults.token is None, "one is made"


def test_a_room_is_a_package() -> None:
    """Every folder with code has an ``__init__.py``, or the wheel and the tools miss it."""
    assert offenders(lambda path: not (path.parent / "__init__.py").exists()) == []


def test_the_import_contracts_are_kept() -> None:
    """Rooms import downwards only, and each outside package enters through its doors."""
    pytest.importorskip("importlinter")

    process = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as lint; lint()",
            "--no-cache",
        ],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    if process.returncode != 0:
        _, _, broken = process.stdout.partition("Broken contracts")
        pytest.fail(broken.strip("\n -") or process.stdout + process.stderr, pytrace=False)


def test_source_warns_of_nothing() -> None:
    """Compiling the package is silent: no invalid escapes, no comparison with literals."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in FILES:
            compile(path.read_text(), str(path), "exec")


def test_version_has_one_home() -> None:
    """The version is written in the package and nowhere else."""
    pyproject = (ROOT / "pyproject.toml").read_text()

    assert 'dynamic = ["version"]' in pyproject
    assert re.search(r'__version__ = "\d+\.\d+\.\d+', (PACKAGE / "__init__.py").read_text())


def test_scripts_are_documented_and_runnable() -> None:
    """Every script can be started and is named in scripts/README.md."""
    scripts = ROOT / "scripts"
    readme = (scripts / "README.md").read_text()
    verbs = [path for path in scripts.iterdir() if path.is_file() and not path.suffix]

    assert {path.name for path in verbs} >= {"bench", "demo", "lint", "setup", "test"}
    assert [path.name for path in verbs if f"`./scripts/{path.name}" not in readme] == []
    assert [path.name for path in verbs if not os.access(path, os.X_OK)] == []
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
