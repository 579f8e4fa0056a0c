"""★ More metrics than there may be, and addresses that nobody may bind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from handmade_frames import Ingest, Speaker, batch
from serving import ServerProcess, wait_until

import streamviz
from streamviz.clock import monotonic_time

SERIES, NAMES, A_FRAME = 10_000, 1_000_000, 4_000


def test_a_million_names_are_counted_not_stored(outcome: Callable[[int, str], None]) -> None:
    """Names past the cap cost no memory; the series that were there go on."""
    ingest = Ingest(budget=256 << 20)
    speaker = Speaker(ingest)
    speaker.hello()
    for schema in range(SERIES // A_FRAME + 1):
        speaker.schema(*(f"kept/{schema}/{i}" for i in range(A_FRAME)), schema=schema)
        speaker.samples(batch([0], [[1.0] * A_FRAME], schema=schema))
    full = ingest.store.usage()
    for number in range(NAMES // A_FRAME):
        speaker.schema(*(f"new/{number}/{i}" for i in range(A_FRAME)), schema=99)
        speaker.samples(batch([number], [[1.0] * A_FRAME], schema=99))
    speaker.samples(batch([1], [[2.0] * A_FRAME], schema=0))
    usage = ingest.store.usage()

    assert usage.metrics == SERIES
    assert usage.bytes_held <= full.bytes_held + (1 << 20)
    assert ingest.total("series_overflowed_total") >= NAMES
    assert len(usage.overflow_names["run"]) == 20
    assert ingest.rows("kept/0/7")[0, 0] == [(0, 1.0), (1, 2.0)]
    grown = (usage.bytes_held - full.bytes_held) / 1e3
    outcome(
        29,
        f"{NAMES:,} names past the cap of {SERIES:,}: counted, {grown:.0f} kB more held, what "
        "was there goes on",
    )


def test_a_server_with_ten_thousand_series_answers(
    server: ServerProcess, outcome: Callable[[int, str], None]
) -> None:
    """A run at its cap is listed and read while more names keep coming."""
    with streamviz.Publisher(server.ingest, run="wide", outbox_rows=100_000) as publisher:
        for step in range(3):
            publisher.send({f"group/{i:05}": float(i) for i in range(SERIES)}, step=step)
            assert publisher.flush(30)
        publisher.send({f"more/{i:05}": float(i) for i in range(SERIES)}, step=3)
        assert publisher.flush(30)
        wait_until(
            lambda: server.count("series_overflowed_total") >= SERIES - 10, "the rest is counted"
        )
        slowest_s = 0.0
        for _ in range(5):
            began = monotonic_time()
            [run] = [entry for entry in server.get("/api/v1/runs") if entry["run"] == "wide"]
            [series] = server.series("wide", "group/09000")
            slowest_s = max(slowest_s, monotonic_time() - began)

    assert len(run["metrics"]) == SERIES
    assert series["value"] == [9000.0] * 3
    assert slowest_s < 2.0
    outcome(29, f"{SERIES:,} series listed and one read in {slowest_s * 1e3:.0f} ms at most")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_page_for_everybody_is_refused(host: str, outcome: Callable[[int, str], None]) -> None:
    """An address that others reach is not bound without protection; the words to add are said."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "streamviz", "serve", "--host", host, "--port", "0"),
            *("--ingest", "tcp://127.0.0.1:0"),
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "page:" not in ended.stdout
    assert repr(host) in ended.stderr
    assert "--insecure" in ended.stderr
    outcome(48, "refused in one sentence that names the address and what to add")
