"""What a fault test has measured, kept for the table in docs/reliability.md.

Law: a test states its outcome at its end, so a test that failed states none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

REPORT = "--fault-report"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let ``scripts/faults`` say where outcomes go."""
    parser.addoption(
        REPORT, metavar="FILE", default=None, help="append what fault tests measured, as JSON lines"
    )


@pytest.fixture
def outcome(request: pytest.FixtureRequest) -> Callable[[int, str], None]:
    """State what a test has shown of one row of the fault table; called once, at its end.

    Takes the row's number and the words to stand under *measured*, such as ``"0 of 24,000 rows
    lost, 0 twice; 6 kills"``.
    """
    # Not known to pytest when a whole suite is run from elsewhere.
    report: str | None = request.config.getoption(REPORT, None)

    def state(row: int, measured: str) -> None:
        if report is None:
            return
        name, _, _ = request.node.nodeid.partition("[")
        line = {"row": row, "test": name, "measured": measured}
        with Path(report).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")

    return state
