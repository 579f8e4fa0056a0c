"""Run every fault test and write what they measured into docs/reliability.md.

``fault_table.py [--dry]``. The table's own first columns say which faults there are; a line whose
fourth column names a path outside ``tests/faults`` is shown by the tests there.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
FAULTS = "tests/faults"
_TABLE = re.compile(r"(<!-- faults: .*? -->\n)(.*?)(<!-- end of faults -->)", re.DOTALL)
_PATH = re.compile(r"`(tests/[^`]+)`")
_HEAD = 2
"""Lines of the table before its rows."""


def main() -> int:
    """Run, rewrite, and say whether every fault came out as promised."""
    parser = argparse.ArgumentParser(prog="./scripts/faults", description=__doc__)
    parser.add_argument("--dry", action="store_true", help="print the table, change nothing")
    dry = parser.parse_args().dry
    page = PAGE.read_text(encoding="utf-8")
    found = _TABLE.search(page)
    assert found is not None, f"no table in {PAGE}"
    rows = [cells(line) for line in found[2].splitlines()]
    elsewhere = {path for row in rows for path in _PATH.findall(row[3])}
    elsewhere = {path for path in elsewhere if not path.startswith(FAULTS)}
    with tempfile.TemporaryDirectory() as folder:
        report, results = Path(folder, "outcomes.jsonl"), Path(folder, "results.xml")
        code = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", FAULTS, *sorted(elsewhere)),
                *(f"--fault-report={report}", f"--junitxml={results}"),
            ],
            cwd=ROOT,
            check=False,
        ).returncode
        outcomes = read_outcomes(report)
        passed = read_passed(results)
    silent = [fill(row, outcomes, passed) for row in rows[_HEAD:]]
    table = "".join(map(line_of, rows))
    if dry:
        print(table)
    else:
        PAGE.write_text(page.replace(found[2], table), encoding="utf-8")
    for complaint in filter(None, silent):
        print(f"faults: {complaint}")
    return code or int(any(silent))


def cells(line: str) -> list[str]:
    """Return the cells of a line of the table; an escaped bar is text."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def line_of(row: list[str]) -> str:
    """Return a line of the table from its cells."""
    if all(set(cell) == {"-"} for cell in row):
        return f"|{'|'.join(row)}|\n"
    return f"| {' | '.join(row)} |\n"


def read_outcomes(report: Path) -> dict[str, dict[str, list[str]]]:
    """Return what each test has stated of each row."""
    outcomes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    if report.exists():
        for line in report.read_text(encoding="utf-8").splitlines():
            stated = json.loads(line)
            said = outcomes[str(stated["row"])][stated["test"].partition("::")[0]]
            if stated["measured"] not in said:
                said.append(stated["measured"].replace("|", "\\|"))
    return outcomes


def read_passed(results: Path) -> dict[str, bool]:
    """Return, for each file of tests, whether some ran and none failed."""
    passed: dict[str, bool] = {}
    for case in ET.parse(results).iter("testcase"):  # noqa: S314 - pytest wrote it
        path = case.get("classname", "").replace(".", "/") + ".py"
        if case.find("skipped") is not None:
            continue
        fine = case.find("failure") is None and case.find("error") is None
        passed[path] = passed.get(path, True) and fine
    return passed


def fill(
    row: list[str], outcomes: dict[str, dict[str, list[str]]], passed: dict[str, bool]
) -> str | None:
    """Write a row's last two columns; return what is wrong with them, ``None`` if nothing is."""
    number, fault, _, shown_by, measured = row
    stated = outcomes.get(number, {})
    if stated:
        row[3] = ", ".join(f"`{path}`" for path in stated)
        row[4] = "; ".join(words for said in stated.values() for words in said)
        failed = [path for path in stated if not passed.get(path, True)]
        return f"{number}, {fault}: {', '.join(failed)} failed" if failed else None
    named = [path for path in _PATH.findall(shown_by) if not path.startswith(FAULTS)]
    if named:
        fine = {
            path: ok
            for path, ok in passed.items()
            if any(path == name or path.startswith(f"{name}/") for name in named)
        }
        if fine:
            row[4] = "passes" if all(fine.values()) else "**fails**"
            return None if all(fine.values()) else f"{number}, {fault}: its tests fail"
    if shown_by == "nothing":
        return None  # the last column says why
    if not measured:
        return f"{number}, {fault}: no test has stated what came of it"
    return None  # skipped here: what stands there is what another machine measured


if __name__ == "__main__":
    sys.exit(main())
