"""★ Every class of float64, from the call to the file, the query and the page."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pageserver import LivePage
from serving import ServerProcess
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

import streamviz
from streamviz.journal.history import History

BITS = {
    "zero": 0x0000000000000000,
    "minus zero": 0x8000000000000000,
    "least denormal": 0x0000000000000001,
    "greatest denormal": 0x000FFFFFFFFFFFFF,
    "negative denormal": 0x8000000000000123,
    "least normal": 0x0010000000000000,
    "greatest": 0x7FEFFFFFFFFFFFFF,
    "least": 0xFFEFFFFFFFFFFFFF,
    "one third": 0x3FD5555555555555,
    "infinity": 0x7FF0000000000000,
    "minus infinity": 0xFFF0000000000000,
    "NaN": 0x7FF8000000000000,
    "negative NaN": 0xFFF8000000000000,
    "NaN with a payload": 0x7FF80000DEADBEEF,
    "signalling NaN": 0x7FF0000000000001,
    "negative signalling NaN": 0xFFF4000000000042,
}
SENT = np.array(list(BITS.values()), "<u8").view("<f8")
FINITE = np.isfinite(SENT)


def same_bits(found: Any, expected: Any) -> bool:
    """Say whether two arrays of float64 are the same to the last bit."""
    return np.asarray(found, "<f8").tobytes() == np.asarray(expected, "<f8").tobytes()


async def page_columns(server: ServerProcess) -> dict[str, Any]:
    """Return what the live page is sent of the metric."""
    request = HTTPRequest(
        f"ws://127.0.0.1:{server.port}/live", headers={"Authorization": f"Bearer {server.token}"}
    )
    page = LivePage(await websocket_connect(request))
    key = await page.view("exact", "m")
    await page.read_frame()
    page.channel.close()
    return {name: page.screen.column(key, name) for name in ("lo", "mid", "hi", "bad")}


def asked(server: ServerProcess) -> dict[str, Any]:
    """Return the one series of the metric."""
    [series] = server.series("exact", "m")
    return series


def test_every_float_is_kept_to_the_bit(
    tmp_path: Path, outcome: Callable[[int, str], None]
) -> None:
    """All bits of every class reach the file; finite ones the page; the others are breaks."""
    server = ServerProcess(data_dir=tmp_path)
    with streamviz.Publisher(server.ingest, run="exact") as publisher:
        for step, bits in enumerate(BITS.values()):
            # Built from its bits: arithmetic on the way would make a signalling NaN a quiet one.
            [value] = struct.unpack("<d", struct.pack("<Q", bits))
            publisher.send({"m": value}, step=step)
        assert publisher.flush(10)
    live = asked(server)
    columns = asyncio.run(asyncio.wait_for(page_columns(server), 20))
    server.kill()
    rows = list(History(tmp_path).rows("exact"))
    again = ServerProcess(data_dir=tmp_path)
    recalled = asked(again)
    nonfinite = again.series("exact", "m", points=1)[0]
    again.stop()

    assert same_bits(np.concatenate([one.values[:, 0] for one in rows]), SENT)
    for series in (live, recalled):
        told = [float(value) for value in series["value"]]
        assert same_bits(np.array(told)[FINITE], SENT[FINITE])
        assert [str(value) for value in told] == [str(value) for value in SENT.tolist()]
    for name in ("lo", "mid", "hi"):
        # By value: a sum that begins at 0 makes 0 of minus zero, which is the same place.
        assert columns[name][FINITE].tolist() == SENT[FINITE].tolist()
        assert np.isnan(columns[name][~FINITE]).all()
    assert columns["bad"].tolist() == [0.0 if finite else 1.0 for finite in FINITE]
    assert (nonfinite["max"][0], nonfinite["min"][0]) == (SENT[FINITE].max(), SENT[FINITE].min())
    outcome(
        25,
        f"{len(BITS)} classes of float64 bit for bit in the file, after kill -9 and in queries; on "
        f"the page {int(FINITE.sum())} exact and {int((~FINITE).sum())} as breaks that are counted",
    )
