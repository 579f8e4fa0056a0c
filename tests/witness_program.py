"""A training process that writes down each row before it sends it.

``witness_program.py ENDPOINT RUN RANK WORLD_SIZE LOG HZ``: sends until a line comes on standard
input, waits until all is acknowledged, and prints its totals as one line of JSON.

Law: what is in its log was offered, and nothing else ever was.
"""

from __future__ import annotations

import json
import os
import random
import struct
import sys
import threading
import time
from dataclasses import asdict

import streamviz

ROW = struct.Struct("<qd")
"""Step and value of one row in the log."""
ROWS_A_STEP = 3
"""Steps repeat, so that the order of rows shows even where they are sorted by step."""
DRAIN_S = 60.0


def main() -> None:
    """Send, and say what was sent."""
    endpoint, run, rank, world_size, path, hz = sys.argv[1:]
    ending = threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        ending.set()

    threading.Thread(target=listen, daemon=True).start()
    chance = random.Random(int(rank))
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    publisher = streamviz.Publisher(endpoint, run=run, rank=int(rank), world_size=int(world_size))
    print("ready", flush=True)  # noqa: T201 - this is a program
    began, row, slowest_s = time.perf_counter(), 0, 0.0
    while not ending.wait(max(began + row / float(hz) - time.perf_counter(), 0.0)):
        step, value = row // ROWS_A_STEP, row + chance.random() / 2
        os.write(log, ROW.pack(step, value))
        called = time.perf_counter()
        publisher.send({"m": value, "n": -value}, step=step)
        slowest_s = max(slowest_s, time.perf_counter() - called)
        row += 1
    drained = publisher.flush(DRAIN_S)
    totals = asdict(publisher.totals())
    publisher.close()
    said = {**totals, "drained": drained, "slowest_s": slowest_s}
    print(json.dumps(said), flush=True)  # noqa: T201 - this is a program


if __name__ == "__main__":
    main()
