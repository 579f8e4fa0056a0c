"""★ A server that is killed and stopped again and again: nothing lost, nothing twice, in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nemesis import Nemesis
from witness import Fleet, judge

KILLS, STOPS, RANKS, HZ = 6, 2, 8, 200


def test_a_storm_of_kills_loses_nothing(
    tmp_path: Path, outcome: Callable[[int, str], None]
) -> None:
    """Whatever is killed when, each row that was sent is stored once, in order."""
    nemesis = Nemesis(tmp_path / "data", seed=2)
    fleet = Fleet(nemesis.endpoint, tmp_path, ranks=RANKS, hz=HZ)
    try:
        nemesis.storm(kills=KILLS, stops=STOPS)
        said = fleet.finish()
        verdict = judge(fleet, nemesis.server)
    finally:
        fleet.kill()
        nemesis.end()

    assert all(one["drained"] for one in said), said
    assert verdict.offered == sum(one["sent"] for one in said)
    assert verdict.is_whole, verdict
    outcome(2, f"{verdict}; {nemesis.kills} kill -9 and {nemesis.stops} stops, {RANKS} ranks")
