"""★ Between two hosts: a cable that is pulled, a host that dies, a link that is too narrow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from farhost import FarHost
from nemesis import Nemesis
from serving import wait_until
from witness import Fleet, judge

from streamviz.clock import monotonic_time

pytestmark = pytest.mark.skipif(bool(FarHost.why_not()), reason=FarHost.why_not())

CUT_S, BACK_S = 12.0, 15.0
"""How long the cable is out, and within what time everything flows again."""


@pytest.fixture
def far() -> Iterator[FarHost]:
    """Another host."""
    with FarHost() as host:
        yield host


def rows_received(nemesis: Nemesis) -> int:
    """Return the rows that the server has stored since it started."""
    return nemesis.server.count("rows_received_total")


def wait_for_rows(nemesis: Nemesis, more_than: int) -> float:
    """Wait until the server has stored so many, and return for how many seconds."""
    began = monotonic_time()
    wait_until(lambda: rows_received(nemesis) > more_than, "rows come", BACK_S)
    return monotonic_time() - began


def test_a_cable_is_pulled_and_a_host_dies(
    far: FarHost, tmp_path: Path, outcome: Callable[[int, str], None]
) -> None:
    """Nothing is lost by twelve seconds without a cable, nor by a server that dies meanwhile."""
    nemesis = Nemesis("--insecure", ingest=f"tcp://{far.near}:0")
    fleet = Fleet(nemesis.endpoint, tmp_path, ranks=2, hz=100, prefix=far.prefix)
    try:
        resumed = []
        for host_dies in (False, True):
            wait_for_rows(nemesis, 50)
            far.pull()
            if host_dies:
                nemesis.kill()
                nemesis.start()
            threading.Event().wait(CUT_S)
            before = rows_received(nemesis)
            far.plug()
            resumed.append(wait_for_rows(nemesis, before))
        said = fleet.finish()
        verdict = judge(fleet, nemesis.server)
    finally:
        fleet.kill()
        nemesis.end()

    assert all(one["drained"] for one in said), said
    assert verdict.stored + verdict.gap_rows == verdict.offered
    assert (verdict.twice, verdict.swapped) == (0, 0)
    cut, death = resumed
    outcome(
        4,
        f"{verdict}; rows came again {cut:.1f} s after a cut of {CUT_S:.0f} s, {death:.1f} s after "
        "one in which the server's host died",
    )


def test_a_narrow_link_costs_the_training_nothing(
    far: FarHost, tmp_path: Path, outcome: Callable[[int, str], None]
) -> None:
    """With more to say than the link takes, ``send`` goes on; later all of it is there."""
    nemesis = Nemesis("--insecure", ingest=f"tcp://{far.near}:0")
    far.narrow("1mbit")
    fleet = Fleet(nemesis.endpoint, tmp_path, ranks=4, hz=1500, prefix=far.prefix)
    try:
        threading.Event().wait(4.0)
        behind = sum(rows.size for rows in fleet.offered()) - rows_received(nemesis)
        far.widen()
        said = fleet.finish()
        verdict = judge(fleet, nemesis.server)
    finally:
        fleet.kill()
        nemesis.end()

    assert behind > 1000, "the link was wide enough"
    assert all(one["drained"] for one in said), said
    assert max(one["slowest_s"] for one in said) < 1.0
    assert (verdict.lost, verdict.twice, verdict.swapped, verdict.gap_rows) == (0, 0, 0, 0)
    slowest = max(one["slowest_s"] for one in said)
    outcome(
        5,
        f"{verdict}; {behind:,} rows behind at 1 Mbit/s, all there once it was wide; slowest "
        f"`send` {slowest * 1e3:.0f} ms",
    )
