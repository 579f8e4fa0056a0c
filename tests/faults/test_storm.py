"""★ A server that is killed and stopped again and again: nothing lost, nothing twice, in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from nemesis import Nemesis
from serving import wait_until
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
        verdict = judge(fleet, nemesis.server, tmp_path / "data")
    finally:
        fleet.kill()
        nemesis.end()

    assert all(one["drained"] for one in said), said
    assert verdict.offered == sum(one["sent"] for one in said)
    assert verdict.is_whole, verdict
    outcome(2, f"{verdict}; {nemesis.kills} kill -9 and {nemesis.stops} stops, {RANKS} ranks")


def test_a_second_kill_finds_what_the_first_restart_chunked(tmp_path: Path) -> None:
    """How far a stream came is kept when the journal that said so is moved into chunks."""
    data = tmp_path / "data"
    nemesis = Nemesis(data)
    fleet = Fleet(nemesis.endpoint, tmp_path, ranks=1, hz=100)
    try:
        wait_until(lambda: nemesis.server.count("rows_received_total") > 50, "rows come")
        # Neither says goodbye: the last word on the stream is in the journal.
        fleet.kill()
        nemesis.kill()
        assert asked_file(data, "SELECT count(*) FROM journal") > 0
        nemesis.start()
        wait_until(lambda: asked_file(data, "SELECT count(*) FROM journal") == 0, "it is chunked")
        [series] = nemesis.server.series("witness", "m")
    finally:
        fleet.kill()
        nemesis.end()

    assert asked_file(data, "SELECT next_row FROM stream") == len(series["value"])


def asked_file(data: Path, query: str) -> int:
    """Return the one number that the file of the one run answers."""
    [path] = data.glob("runs/*/run.db")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        [(number,)] = file.execute(query)
        return int(number)
