"""★ Between two hosts: a cable that is pulled, a host that dies, a link that is too narrow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from badwire import BadWire
from nemesis import Nemesis
from serving import ServerProcess, wait_until
from twohosts import TwoHosts
from witness import Fleet, judge

from streamviz.clock import monotonic_time

needs_two_hosts = pytest.mark.skipif(bool(TwoHosts.why_not()), reason=TwoHosts.why_not())

CUT_S, BACK_S = 12.0, 15.0
"""How long the cable is out, and within what time everything flows again."""


@pytest.fixture
def hosts() -> Iterator[TwoHosts]:
    """The server's host and another."""
    with TwoHosts() as two:
        yield two


def enemy(hosts: TwoHosts, data: Path) -> Nemesis:
    """Start a server on its host."""
    ingest = f"tcp://{hosts.address}:0"
    return Nemesis(data, ingest=ingest, prefix=hosts.near, connect=hosts.connect)


def rows_received(nemesis: Nemesis) -> int:
    """Return the rows that the server has stored since it started."""
    return nemesis.server.count("rows_received_total")


def wait_for_rows(nemesis: Nemesis, more_than: int) -> float:
    """Wait until the server has stored so many, and return for how many seconds."""
    began = monotonic_time()
    wait_until(lambda: rows_received(nemesis) > more_than, "rows come", BACK_S)
    return monotonic_time() - began


@needs_two_hosts
def test_a_cable_is_pulled_and_a_host_dies(
    hosts: TwoHosts, tmp_path: Path, outcome: Callable[[int, str], None]
) -> None:
    """Nothing is lost by twelve seconds without a cable, nor by a server that dies meanwhile."""
    nemesis = enemy(hosts, tmp_path / "data")
    fleet = Fleet(nemesis.endpoint, tmp_path, ranks=2, hz=100, prefix=hosts.far)
    try:
        resumed = []
        for host_dies in (False, True):
            wait_for_rows(nemesis, 50)
            hosts.pull()
            if host_dies:
                nemesis.kill()
                nemesis.start()
            threading.Event().wait(CUT_S)
            before = rows_received(nemesis)
            hosts.plug()
            resumed.append(wait_for_rows(nemesis, before))
        said = fleet.finish()
        verdict = judge(fleet, nemesis.server, tmp_path / "data")
    finally:
        fleet.kill()
        nemesis.end()

    assert all(one["drained"] for one in said), said
    assert verdict.is_whole, verdict
    cut, death = resumed
    outcome(
        4,
        f"{verdict}; rows came again {cut:.1f} s after a cut of {CUT_S:.0f} s, {death:.1f} s after "
        "one in which the server's host died",
    )


@needs_two_hosts
def test_a_narrow_link_costs_the_training_nothing(
    hosts: TwoHosts, tmp_path: Path, outcome: Callable[[int, str], None]
) -> None:
    """With more to say than the link takes, ``send`` goes on; later all of it is there."""
    nemesis = enemy(hosts, tmp_path / "data")
    hosts.narrow("1mbit")
    fleet = Fleet(nemesis.endpoint, tmp_path, ranks=4, hz=1500, prefix=hosts.far)
    try:
        threading.Event().wait(4.0)
        behind = sum(rows.size for rows in fleet.offered()) - rows_received(nemesis)
        hosts.widen()
        said = fleet.finish()
        verdict = judge(fleet, nemesis.server, tmp_path / "data")
    finally:
        fleet.kill()
        nemesis.end()

    assert behind > 1000, "the link was wide enough"
    assert all(one["drained"] for one in said), said
    assert max(one["slowest_s"] for one in said) < 1.0
    assert verdict.is_whole, verdict
    slowest = max(one["slowest_s"] for one in said)
    outcome(
        5,
        f"{verdict}; {behind:,} rows behind at 1 Mbit/s, all there once it was wide; slowest "
        f"`send` {slowest * 1e3:.0f} ms",
    )


def test_connections_are_cut_in_the_middle_of_anything(
    server: ServerProcess, tmp_path: Path, outcome: Callable[[int, str], None]
) -> None:
    """Cut after any byte, or gone dead while open: each row comes once, in order."""
    with BadWire(server.ingest, seed=4) as wire:
        fleet = Fleet(wire.endpoint, tmp_path, ranks=4, hz=200)
        try:
            wait_until(lambda: wire.cuts >= 25 and wire.silences >= 5, "many cuts", 40)
            wire.is_bad = False
            said = fleet.finish()
            verdict = judge(fleet, server)
        finally:
            fleet.kill()

    assert all(one["drained"] for one in said), said
    assert verdict.is_whole, verdict
    outcome(4, f"{verdict} over {wire.cuts} connections cut at any byte, {wire.silences} gone dead")
